#!/bin/bash
# embed.sh - trit embed: texts from arguments, lines and standard input, the forms of output, that nothing but the text
# counts.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

expect 0 "$T" embed -m "$MODEL" "the king" "a mouse and a cat" "the king"
[ -s err ] && fail "embed writes on stderr"
cp out three
[ "$(wc -l <three)" -eq 3 ] || fail "not a line for each text"
[ "$(sed -n 1p three)" = "$(sed -n 3p three)" ] || fail "equal texts, different vectors"
[ "$(sed -n 1p three)" != "$(sed -n 2p three)" ] || fail "different texts, equal vectors"
awk '{ s = 0; for (i = 1; i <= NF; i++) s += $i * $i
	if (s < 0.99999 || s > 1.00001 || NF != n && n) exit 1; n = NF }' three || fail "lengths are not 1"

# Alone, from a file of lines, from a pipe, by other threads, batches, kernels.
expect 0 "$T" embed -m "$MODEL" "a mouse and a cat"
[ "$(cat out)" = "$(sed -n 2p three)" ] || fail "a text alone differs from one among others"
printf 'the king\na mouse and a cat\r\nthe king' >lines
expect 0 "$T" embed -m "$MODEL" -f lines
same out three "a file of lines"
expect 0 "$T" embed -m "$MODEL" -f lines -t 2 -b 3 --cpu c
same out three "threads, batches, kernels"
printf 'a mouse and a cat' | "$T" embed -m "$MODEL" >out 2>err || fail "standard input"
[ "$(cat out)" = "$(sed -n 2p three)" ] || fail "standard input differs"

# Forms: the same numbers.
expect 0 "$T" embed -m "$MODEL" -f lines -o array
tr -d '[], \n' <out >a
tr -d ' \n' <three >b
same a b "-o array"
expect 0 "$T" embed -m "$MODEL" -f lines -o json
has out '"object": "list"' '"index": 2, "embedding": \[' '"prompt_tokens": [1-9]'
expect 0 "$T" embed -m "$MODEL" -f lines -o f32
[ "$(wc -c <out)" -eq $((4 * $(wc -w <three))) ] || fail "-o f32: bytes"
od -An -v -w4 -tfF out | awk '{ print $1 }' >a
tr ' ' '\n' <three >b
paste a b | awk '$1 - $2 > 1e-6 || $2 - $1 > 1e-6 { exit 1 }' || fail "-o f32: numbers"

# Pooling.
expect 0 "$T" embed -m "$MODEL" --pooling last -f lines
same out three "--pooling last"
for kind in mean cls; do
	expect 0 "$T" embed -m "$MODEL" --pooling $kind -f lines
	cmp -s out three && fail "--pooling $kind is like last"
done
expect 0 "$T" embed -m "$MODEL" --no-normalize "the king"
awk '{ s = 0; for (i = 1; i <= NF; i++) s += $i * $i; if (s < 1.1) exit 1 }' out || fail "--no-normalize has no effect"

refuse 1 'no text' "$T" embed -m "$MODEL" -f /dev/null
refuse 1 'tokens; the model was trained for [0-9]+' "$T" embed -m "$MODEL" "$(printf 'king %.0s' {1..5000})"
refuse 2 'both texts and --file' "$T" embed -m "$MODEL" -f lines text
refuse 1 'nothing.gguf' "$T" embed -m nothing.gguf text
exit 0
