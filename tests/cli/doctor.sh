#!/bin/bash
# doctor.sh - trit doctor: sound files are called sound, and deliberately damaged copies damaged, by the name of the
# tensor.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

expect 0 "$T" doctor "$MODEL"
[ -s err ] && fail "doctor writes on stderr"
has out '^fine +tensors +24: every code' '^fine +vocabulary +' '^fine +kernels +' '^fine +logits +finite' \
	'^fine +chat template +there is none' ' is sound\.$'
grep -qE '^(remark|DAMAGE)' out && fail "a sound file is not"
expect 0 "$T" doctor -m "$MODEL" --json
has out '"verdict": "sound"$' '^  "damage": 0,$' '"check": "tensors", "result": "fine"'
expect 0 "$T" doctor "$DATA/format/vocabulary.gguf"
has out 'there are none: a vocabulary' 'is sound'
LC_ALL=C sed 's/gpt-2/qwen2/' "$MODEL" > nfc.gguf # whose texts are normalised: what comes back may be another one
cmp -s nfc.gguf "$MODEL" && fail "the model names no gpt-2"
expect 0 "$T" doctor nfc.gguf
has out 'nfc.gguf is sound'
expect 0 "$T" doctor "$DATA/format/types.gguf"
has out '^remark +architecture +architecture "golden" is not supported' 'is sound, with 2 remarks\.$'
refuse 1 'missing.gguf' "$T" doctor missing.gguf
refuse 2 'no model' "$T" doctor

# Where a tensor lies in the file, and how many bytes it has.
expect 0 "$T" info "$MODEL" --tensors --json
cp out tensors
place() { sed -n "s/.*\"name\": \"$1\".*\"bytes\": \([0-9]*\), \"offset\": \([0-9]*\).*/\2 \1/p" tensors; }
# patch OFFSET BYTES...: writes bytes (as for printf) over a copy, patched.gguf.
patch_at()
{
	cp "$MODEL" patched.gguf && chmod u+w patched.gguf
	printf "$2" | dd of=patched.gguf bs=1 seek="$1" conv=notrunc 2>/dev/null || fail dd
}
damaged() # PATTERN
{
	expect 1 "$T" doctor patched.gguf
	has out "$1" 'patched.gguf is damaged'
	expect 1 "$T" doctor patched.gguf --json
	has out '"verdict": "damaged"'
}

set -- $(place blk.0.attn_norm.weight)
[ $# -eq 2 ] || fail "no tensor blk.0.attn_norm.weight"
patch_at $(($1 + 8)) '\000\000\300\177'
damaged '^DAMAGE +tensors +blk.0.attn_norm.weight: 1 of 128 numbers are NaN or infinite$'
patch_at $(($1 + 8)) '\000\000\200\377'
damaged 'attn_norm.weight: 1 of 128 numbers'

set -- $(place blk.1.ffn_up.weight)
patch_at $(($1 + 100)) '\377'
damaged '^DAMAGE +tensors +.*blk.1.ffn_up.weight'
at=$(($1 + $2 - 32)) # the scale of I2_S
patch_at $at '\000\000\000\000'
damaged 'blk.1.ffn_up.weight: its scale is 0'
patch_at $at '\000\000\300\177'
damaged 'blk.1.ffn_up.weight.*scale'
patch_at $at '\000\000\200\107' # 65536
expect 0 "$T" doctor patched.gguf
has out '^remark +tensors +blk.1.ffn_up.weight: a scale of 65536 is far' 'sound, with [0-9]+ remark'
cp "$MODEL" patched.gguf && chmod u+w patched.gguf
dd if=/dev/zero of=patched.gguf bs=1 seek="$1" count=$(($2 - 32)) conv=notrunc 2>/dev/null
damaged 'blk.1.ffn_up.weight: 100.0 % of its weights are -1'

# Damage is told however many remarks come before it.
cp "$MODEL" patched.gguf && chmod u+w patched.gguf
for tensor in blk.{0,1}.{attn_{q,k,v,output},ffn_{gate,up,down}}.weight; do
	set -- $(place $tensor)
	printf '\000\000\200\107' | dd of=patched.gguf bs=1 seek=$(($1 + $2 - 32)) conv=notrunc 2>/dev/null || fail dd
done
set -- $(place output_norm.weight)
printf '\000\000\300\177' | dd of=patched.gguf bs=1 seek="$1" conv=notrunc 2>/dev/null || fail dd
damaged '^DAMAGE +tensors +output_norm.weight: 1 of 128 numbers are NaN or infinite$'
has out '"text": "and 2 more like these"'

head -c 100000 "$MODEL" >patched.gguf
damaged '^DAMAGE +reading +patched.gguf: '
head -c 3000 "$MODEL" >patched.gguf
damaged '^DAMAGE +reading +'
echo '<html>' >patched.gguf
damaged '^DAMAGE +reading +'
exit 0
