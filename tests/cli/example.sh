#!/bin/bash
# example.sh - the example program writes text with the public interface alone.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
E=${TRIT_BUILD:?is not set}/tests/example_generate
[ -x "$E" ] || fail "$E was not built"

expect 0 "$E" "$MODEL" "Once upon a time"
has out '^Once upon a time.'
[ "$(wc -c <out)" -gt 40 ] || fail "hardly any text"
cp out first
expect 0 "$E" "$MODEL" "Once upon a time"
same out first "the seed is fixed"
expect 1 "$E" missing.gguf "Once"
has err 'missing.gguf: '
expect 2 "$E"
exit 0
