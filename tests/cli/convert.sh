#!/bin/bash
# convert.sh - trit convert: every type holds the same model, from a checkpoint and from a file; what it refuses.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
text=$DATA/train/garden.txt
expect 0 "$T" train --data "$text" --out run --size 260k --vocab-size 300 --d-model 256 --d-ff 256 --layers 1 \
	--seq-len 32 --batch 4 --steps 2 -t 2
head -c 3000 "$text" >part.txt

# The same perplexity, to the last digit, whatever the type.
expect 0 "$T" perplexity -m run/model.gguf -f part.txt -c 32 -o json
sed 's/"model".*//' out >want
for type in i2_s tq1_0 tq2_0 q8_0 f16 bf16 f32; do
	expect 0 "$T" convert run $type.gguf --type $type
	expect 0 "$T" perplexity -m $type.gguf -f part.txt -c 32 -o json
	sed 's/"model".*//' out >got
	same want got "$type"
	expect 0 "$T" convert $type.gguf back.gguf --type i2_s
	same i2_s.gguf back.gguf "$type and back"
	expect 0 "$T" info $type.gguf
	has out "^tensors .*$(echo $type | tr a-z A-Z) \([0-9]+\) x"
done

# The same of the types that are used as they lie, in every layout; heads in fewer bits are another model, but not much.
for type in t5 t2; do
	expect 0 "$T" convert run $type.gguf --type $type --embedding-type q8_0
	for layout in auto t2 t5; do
		expect 0 "$T" perplexity -m $type.gguf -f part.txt -c 32 -o json --layout $layout
		sed 's/"model".*//' out >got
		same want got "$type as $layout"
	done
	expect 0 "$T" convert $type.gguf back.gguf --type i2_s
	same i2_s.gguf back.gguf "$type and back"
	expect 0 "$T" info $type.gguf
	has out "^tensors .*$(echo $type | tr a-z A-Z) \([0-9]+\) x" "^projections in memory +$type$" \
		'^head in memory +i8, a scale a row$'
done
for head in i8 i6 i4; do
	expect 0 "$T" convert run head.gguf --head-type $head
	expect 0 "$T" perplexity -m head.gguf -f part.txt -c 32 -o json
	sed 's/"model".*//' out >got
	cmp -s want got && fail "a head of type $head changes nothing"
	expect 0 "$T" perplexity -m i2_s.gguf -f part.txt -c 32 --head $head
done
# A packed head stays as it is when the projections change their type.
for head in i6 i4; do
	expect 0 "$T" convert run t5.gguf --type t5 --head-type $head
	expect 0 "$T" convert run t2.gguf --type t2 --head-type $head
	expect 0 "$T" convert t5.gguf again.gguf --type t2
	cmp t2.gguf again.gguf || fail "the head in $head is not kept"
done
refuse 1 'layout b1 holds -1 and \+1 only' "$T" perplexity -m i2_s.gguf -f part.txt -c 32 --layout b1
refuse 1 'head "i7": there are auto, exact, i8, i6, i4' "$T" info i2_s.gguf --head i7

# Hugging Face folders.
expect 0 "$T" convert i2_s.gguf hf/
for file in config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json; do
	[ -s hf/$file ] || fail "no hf/$file"
done
has hf/config.json '"BitNetForCausalLM"' '"autobitlinear"' '"offline"'
refuse 1 'hf: there are files in it already.*--force' "$T" convert i2_s.gguf hf
expect 0 "$T" convert i2_s.gguf hf --force --linear-class bitlinear
has hf/config.json '"bitlinear"'
expect 0 "$T" convert i2_s.gguf masters --format hf --type bf16
has masters/config.json '"online"'
refuse 2 'linear-class is of a Hugging Face folder' "$T" convert i2_s.gguf out.gguf --linear-class bitlinear
refuse 1 'write a GGUF file' "$T" convert i2_s.gguf none/ --type tq2_0
[ -e none ] && fail "a refused conversion leaves a folder"

# What the name of OUT says.
expect 0 "$T" convert i2_s.gguf model-TQ1_0.gguf
expect 0 "$T" info model-TQ1_0.gguf
has out '^tensors .*TQ1_0 '
refuse 2 'written as a Hugging Face folder' "$T" convert i2_s.gguf model.safetensors

# There and back, compared; what is not ternary is not made so without a word.
expect 0 "$T" convert i2_s.gguf tq1.gguf --type tq1_0 --verify
has err 'verified: [0-9]+ ternary weights and 7 scales are the same$'
expect 0 "$T" convert hf back.gguf --type i2_s --verify
has err 'verified: [0-9]+ ternary weights and 7 scales are the same$'
expect 0 "$T" perplexity -m hf -f part.txt -c 32 -o json --head exact
sed 's/"model".*//' out >want
expect 0 "$T" perplexity -m i2_s.gguf -f part.txt -c 32 -o json --head exact
sed 's/"model".*//' out >got
same want got "a folder"
expect 0 "$T" train --data "$text" --out full --size 260k --vocab-size 300 --d-model 256 --d-ff 256 --layers 1 \
	--seq-len 32 --batch 4 --steps 1 -t 2 --weights full
expect 1 "$T" convert full/model.gguf none.gguf --type tq2_0
has err 'attn_q: [0-9]+ % of the weights' 'blk.0.*the worst$' 'its weights are not ternary.*--force'
[ -e none.gguf ] && fail "a refused conversion leaves a file"
expect 0 "$T" convert full/model.gguf forced.gguf --type tq2_0 --force --verify
refuse 1 'not ternary|Hugging Face folder' "$T" convert i2_s.gguf none.gguf --type packed

refuse 1 'nothing.gguf' "$T" convert nothing.gguf out.gguf
refuse 1 'part.txt' "$T" convert part.txt out.gguf
refuse 2 '--type q4_k: there are auto, tq2_0' "$T" convert run out.gguf --type q4_k
refuse 2 'argument' "$T" convert i2_s.gguf
refuse 1 '/dev/full' "$T" convert run /dev/full
refuse 1 'missing/out.gguf' "$T" convert run missing/out.gguf
head -c 20000 i2_s.gguf >short.gguf
refuse 1 'short.gguf' "$T" convert short.gguf out.gguf
[ -e out.gguf ] && fail "a refused conversion leaves a file"
ls | grep -q '\.tmp\.' && fail "a temporary file is left behind"

# A ternary model in a type that rounds its scales: it is said.
expect 0 "$T" synth --size 700m --arch llama --layers 1 --d-model 256 --d-ff 256 --heads 4 --vocab-size 50 \
	--ctx-size 16 tern.gguf
expect 0 "$T" convert tern.gguf rounded.gguf --type q8_0
has err 'type Q8_0 rounds the scales of this model'
exit 0
