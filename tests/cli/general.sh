#!/bin/bash
# general.sh - help, version, unknown commands, and standard output that cannot be written.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

expect 0 "$T" --version
has out '^trit [0-9]+\.[0-9]+\.[0-9]+$'
expect 0 "$T" --help
cp out help
commands=$(sed -n 's/^  \([a-z]*\)  .*/\1/p' help)
[ "$(echo "$commands" | wc -l)" -ge 7 ] || fail "few commands in --help"
expect 0 "$T" help
same out help
refuse 2 'unknown command "rnu"; did you mean run\?' "$T" rnu
refuse 2 'unknown command' "$T" help nonsense
expect 2 "$T"
same err help

for c in $commands; do
	expect 0 "$T" "$c" --help
	[ -s err ] && fail "$c --help writes on stderr"
	has out "^usage: trit $c " '^  -h, --help '
	awk 'length > 120 { exit 1 }' out || fail "$c --help has a long line"
	awk '/^  +-/ { options = 1 } options && /^[^ ]/ && !/:$/ { exit 1 }' out || fail "$c --help: a text is astray"
	cp out one
	expect 0 "$T" help "$c"
	same out one
	refuse 2 "^trit $c: unknown option --no-such-thing.* \(trit $c --help lists all\)$" "$T" "$c" --no-such-thing
done

# A full disk is an error with a reason; a reader that went away is no news.
for args in --version --help "run --help" "info $MODEL" "tokenize -m $MODEL hello" "run -m $MODEL -p hi -n 3"; do
	# shellcheck disable=SC2086
	"$T" $args >/dev/full 2>err && fail "$args > /dev/full succeeds"
	has err 'No space left'
done
seq 100000 >numbers
set +o pipefail
"$T" tokenize -m "$MODEL" <numbers 2>err | head -n 1 >/dev/null
[ "${PIPESTATUS[0]}" -ne 0 ] || fail "a closed pipe is no failure"
[ -s err ] && fail "a closed pipe is announced"
exit 0
