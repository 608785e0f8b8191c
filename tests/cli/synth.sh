#!/bin/bash
# synth.sh - trit synth: the same weights in every type, the sizes asked for, and nothing left behind when it stops.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
small="--size 700m --layers 2 --d-model 256 --d-ff 512 --heads 4 --kv-heads 2 --vocab-size 500 --ctx-size 64"

synth()
{
	# shellcheck disable=SC2086
	expect 0 "$T" synth $small "$@"
}

# One seed, every type: converted to one of them they are one file. Embeddings in a type that all may have.
synth want.gguf --type f32 --embedding-type f32
for type in t5 t2 tq2_0 tq1_0 i2_s q8_0 f16 bf16; do
	synth $type.gguf --type $type --embedding-type f32
	has err "^trit synth: note: wrote $type.gguf$"
	expect 0 "$T" convert $type.gguf got.gguf --type f32 --embedding-type f32
	same want.gguf got.gguf "$type"
done
synth t5.gguf
synth again.gguf --type t5 --seed 1
same t5.gguf again.gguf
synth other.gguf --seed 2
cmp -s t5.gguf other.gguf && fail "another seed, the same weights"

# What is in it.
expect 0 "$T" info t5.gguf --json
has out '"architecture": "bitnet"' '"layers": 2,' '"d_model": 256,' '"d_ff": 512,' '"heads": 4,' '"kv_heads": 2,' \
	'"head_dim": 64,' '"vocab_size": 500,' '"context_length": 64,' \
	'"types": "I8_ROW .7413. x 1, F32 .0. x 9, T5 .7404. x 14",' \
	'"tokenizer": "none",' '"layout": "t5",' '"head": "i8, a scale a row",'
for share in minus zero plus; do
	awk -F': ' -v k="ternary_share_$share" '$0 ~ k { ok = $2 > 0.32 && $2 < 0.347 } END { exit !ok }' out ||
		fail "$share is not a third"
done
synth b1.gguf --type b1 --scales g64 --untied --head-type i4 --arch bitnet-b1.58 --rope-base 5e5
expect 0 "$T" info b1.gguf
has out '^architecture +bitnet-b1.58' 'base 500000' \
	'^tensors +I8_ROW \([0-9]+\) x 1, F32 \(0\) x 9, B1_G64 \([0-9]+\) x 14, I4_G64 \([0-9]+\) x 1$' \
	'head of its own' '^projections in memory +b1, a scale for 64 columns$' \
	'^head in memory +i4, a scale for 64 columns$' '0: 0.00 %'
expect 0 "$T" info --layout t2 --head i6 t5.gguf
has out '^projections in memory +t2$' '^head in memory +i6, a scale a row$'
expect 0 "$T" synth --size 3b --layers 1 --vocab-size 64 3b.gguf
expect 0 "$T" info 3b.gguf
has out '^width +3200$' '^feed-forward width +8640, SwiGLU' '^heads +32 of width 100$'

# Without a vocabulary there is no text.
refuse 1 'no vocabulary' "$T" tokenize -m t5.gguf hello

refuse 2 'argument' "$T" synth
refuse 2 '--type q4_1: there are auto, tq2_0, .*t5, t2, b1' "$T" synth x.gguf --type q4_1
refuse 2 '--head-type t5: there are auto, q8_0, .*i8, i6, i4' "$T" synth x.gguf --head-type t5
refuse 1 'no size is called "9b"; there are 700m' "$T" synth x.gguf --size 9b
refuse 1 '700m.*5000 columns, not a multiple of 256|5000 columns' "$T" synth x.gguf --size 700m --d-ff 5000 --type tq2_0
refuse 1 'fewer scales than this model has, one for each row' "$T" synth x.gguf --type i2_s --scales row
refuse 1 'heads cannot share' "$T" synth x.gguf --heads 6 --kv-heads 4
refuse 1 'missing/x.gguf' "$T" synth missing/x.gguf --layers 1
refuse 1 'the head of this model is its embedding' "$T" synth x.gguf --embedding-type f16 --head-type i8
# More than any disk has: said before anything is written.
refuse 1 'x.gguf: [0-9]+ MB to write, but only [0-9]+ MB free' "$T" synth x.gguf --type f32 --layers 1000 \
	--d-model 65536 --d-ff 65536 --heads 512 --vocab-size 1000000

# Stopped half-way.
"$T" synth slow.gguf --size 1.3b 2>err &
pid=$!
while ! ls | grep -q '^slow.gguf.tmp'; do
	kill -0 $pid 2>/dev/null || fail "synth ended before it was stopped"
	sleep 0.05
done
kill -INT $pid
wait $pid
[ $? -eq 130 ] || fail "Ctrl-C does not end with 130"
ls | grep -q 'slow\|x\.gguf' && fail "a file is left behind"
exit 0
