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
	'^tokenizer +gpt2$' '^KV cache, full context +' '^kernels +(c|avx2|avx512)$'
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
refuse 2 'no model' "$T" info
exit 0
