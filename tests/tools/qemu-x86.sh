#!/bin/sh
# qemu-x86.sh - the program on CPUs that this machine is not: under qemu it must use what the CPU has, stop at no
# instruction that it lacks, and give the same text.
#
#     Haswell    AVX2, FMA, no AVX-512
#     Nehalem    SSE4.2 only: everything in plain C
#
# What is run is short; qemu is some hundred times slower than the machine.
#
# SPDX-License-Identifier: MIT
set -u
qemu="qemu-x86_64-static"
model=$TRIT_SOURCE/models/stories.gguf
trit=$TRIT_BUILD/trit
checkasm=$TRIT_BUILD/tests/checkasm
unset TRIT_CPU TRIT_MODEL TRIT_SEED TRIT_THREADS

skip() {
	echo "skipped: $*"
	exit 77
}
[ "$(uname -m)" = x86_64 ] || skip 'not a build for x86-64'
command -v $qemu >/dev/null || skip "no $qemu; it comes with: apt-get install qemu-user-static"
[ -x "$trit" ] && [ -x "$checkasm" ] || skip 'the program or checkasm is not built'
case ${CFLAGS-} in *-fsanitize*) skip 'sanitizers do not run under qemu' ;; esac

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failures=0

fail() {
	echo "$*"
	sed '/warning: TCG/d; s/^/    /' "$dir/err"
	failures=$((failures + 1))
}

# on CPU PROGRAM ARGUMENTS...
on() {
	cpu=$1
	shift
	$qemu -cpu "$cpu" "$@" 2>"$dir/err"
}

# generate TIER PROGRAM...: a short text; TIER may be empty
generate() {
	tier=$1
	shift
	"$@" run ${tier:+--cpu "$tier"} -m "$model" -p 'Once upon a time' -n 12 --temp 0 --seed 1 -t 2
}

generate '' "$trit" >"$dir/native" 2>"$dir/err" || fail 'here: trit run failed'
for cpu in Haswell Nehalem; do
	generate '' on $cpu "$trit" >"$dir/text" || fail "$cpu: trit run failed"
	cmp "$dir/native" "$dir/text" || fail "$cpu: another text"
	# the self-test at start tries every kernel that was chosen
	! grep -q 'self-test' "$dir/err" || fail "$cpu: a kernel gives other results than plain C"
done
generate avx2 on Haswell "$trit" >"$dir/text" || fail 'Haswell: AVX2 was not found'
generate avx2 on Nehalem "$trit" >"$dir/text" && fail 'Nehalem: AVX2 was not refused'

# kernels at the edges of what may be read, and on values that the self-test has not
for kernel in read_pass quant ize softmax rope add row_dense; do
	on Haswell "$checkasm" --tier avx2 --test $kernel >"$dir/out" || {
		fail "Haswell: checkasm --test $kernel"
		sed 's/^/    /' "$dir/out"
	}
done

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
