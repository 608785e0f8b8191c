#!/bin/bash
# info.sh - trit info: what is there, for people and as JSON, and that both agree.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

expect 0 "$T" info "$MODEL"
[ -s err ] && fail "info writes on stderr"
cp out text
has text '^architecture +[a-z0-9.-]+ \(' '^parameters +[0-9]+' '^layers +[0-9]+$' '^context +[0-9]+ tokens$' \
	'^bits per weight +[0-9.]+$' '^ternary weights +[0-9]+, [0-9.]+ % of all$' '^  shares +-1: .* 0: .* \+1: ' \
	'^  entropy +(0|1)\.[0-9]+ bits a weight$' \
	'^tokenizer +gpt2$' '^KV cache, full context +' \
	'^kernels +(c|avx2|avxvnni|avx512|avx512bf16|amx|neon|dotprod|i8mm)$'
expect 0 "$T" info -m "$MODEL"
same out text "-m FILE"
expect 0 "$T" info --cpu c "$MODEL"
has out '^kernels +c$'

expect 0 "$T" info "$MODEL" --json
has out '^\{$' '^\}$' '^  "architecture": "[a-z0-9.-]+",$' '^  "ternary_entropy_bits": [0-9.]+,$' '^  "kernels": "'
for pair in parameters:parameters layers:layers width:d_model heads:heads vocabulary:vocab_size; do
	people=$(awk -v k="${pair%%:*}" '$1 == k { print $2; exit }' text)
	json=$(sed -n "s/^  \"${pair##*:}\": \([0-9]*\),\$/\1/p" out)
	[ -n "$json" ] && [ "$people" = "$json" ] || fail "$pair: $people and $json"
done
# The three shares are shares.
awk -F': ' '/ternary_share/ { s += $2; n++ } END { exit !(n == 3 && s > 0.9999 && s < 1.0001) }' out || fail "shares"

# Every tensor: in a table, and in JSON.
expect 0 "$T" info "$MODEL" --tensors
has out '^tensors +.*I2_S \(36\) x 14' \
	'^blk\.0\.attn_q\.weight +I2_S +36  128 x 128 +4128 +[0-9]+ +[0-9. ]+ %  1 of 0\.' \
	'^output_norm\.weight +F32 +0  128 +512 +[0-9]+$' '^can run +yes$' '^file +GGUF version 3$'
expect 0 "$T" info "$MODEL" --tensors --json
[ "$(grep -c '^    {"name": ' out)" -eq 24 ] || fail "not 24 tensors"
has out '"shape": \[128, 128\], "bytes": 4128, "offset": [0-9]+, "shares": \[' '^  "can_run": true,$'

# What cannot run is described as far as it goes, and why.
expect 0 "$T" info "$DATA/format/vocabulary.gguf"
has out '^tokenizer +gpt2$' '^can run +no$' '^  because +.*a vocabulary without weights'
expect 0 "$T" info "$DATA/format/types.gguf" --tensors
has out '^architecture +golden$' '^can run +no$' 'architecture "golden" is not supported' '^Q4_0\.bytes +I8 +24 '

# What a file's makers call their tokens does not command the terminal.
cp "$MODEL" escape.gguf && chmod u+w escape.gguf
at=$(grep -abo '<|endoftext|>' escape.gguf | head -1 | cut -d: -f1)
printf '\033]0;' | dd of=escape.gguf bs=1 seek="$at" conv=notrunc 2>/dev/null || fail dd
expect 0 "$T" info escape.gguf
has out '^  EOS +511 .*0;doftext'
grep -q $'\033' out && fail "an escape sequence is printed as it is"
refuse 1 'missing.gguf' "$T" info missing.gguf
refuse 1 'cpu' "$T" info "$MODEL" --cpu nothing
refuse 2 'no model' "$T" info
exit 0
