#!/bin/sh
# qemu-arm.sh - kernels for 64-bit Arm on emulated CPUs: the bits of plain C on each, no instruction that a CPU lacks,
# and whole models with the bits of the machine that emulates.
#
#     tests/tools/qemu-arm.sh      TRIT_BUILD: a build by the preset arm64; TRIT_NATIVE: one for this machine
#
# qemu gives SIGILL for what the CPU it plays does not have: cortex-a53 is NEON alone, neoverse-n1 has SDOT and no
# SMMLA, max has everything.
#
# SPDX-License-Identifier: MIT
set -u
build=${TRIT_BUILD:-build/arm64} native=${TRIT_NATIVE:-${TRIT_SOURCE:-.}/build/release}
qemu="qemu-aarch64-static"
command -v $qemu >/dev/null || {
	echo "$qemu is missing; it comes with: apt-get install qemu-user-static"
	exit 77
}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# check CPU STATUS ARGUMENT...: checkasm ends with this status; its output is kept when not.
check() {
	cpu=$1 status=$2
	shift 2
	output=$($qemu -cpu "$cpu" "$build/tests/checkasm" "$@" 2>&1)
	result=$?
	[ $result = "$status" ] || printf '%s\n' "checkasm $* on $cpu: exit status $result, wanted $status" "$output" \
		>"$dir/failed-$cpu-$2"
}

# Plain C is slow under emulation. So: each kernel once, on the CPU that has everything, but of i8mm, which has the
# decoding of dotprod, one layout; on the lesser CPUs one product, and no tier too many. Two processes.
check max 0 --tier neon &
check max 0 --tier dotprod
check max 0 --tier i8mm --test TRIT_T5
check cortex-a53 0 --tier neon --test TRIT_T5
check cortex-a53 77 --tier dotprod
check neoverse-n1 0 --tier dotprod --test TRIT_T5
check neoverse-n1 77 --tier i8mm
wait

# Models (those without a tokenizer: the emulated build has no PCRE2), with the best kernels of each CPU.
logits() { # COMMAND...
	for model in "${TRIT_SOURCE:-.}"/tests/data/model/golden_*.gguf; do
		"$@" "$model" || return
	done
}
if [ -x "$native/tests/print_logits" ]; then
	logits "$native/tests/print_logits" >"$dir/native" 2>&1 || cp "$dir/native" "$dir/failed-native"
	for cpu in cortex-a53 neoverse-n1 max; do
		logits $qemu -cpu $cpu "$build/tests/print_logits" >"$dir/emulated" 2>&1
		difference=$(diff "$dir/native" "$dir/emulated") ||
			printf '%s\n' "$cpu (>) computes other logits than this machine (<):" "$difference" >"$dir/failed-$cpu"
	done
else
	echo "no build in $native to compare models with"
fi

cat "$dir"/failed-* 2>/dev/null && exit 1
exit 0
