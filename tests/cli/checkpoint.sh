#!/bin/bash
# checkpoint.sh - folders and files of other programs are models to every command.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
C=$DATA/checkpoint
HERE=$C/with_vocabulary

expect 0 "$T" info "$HERE"
has out '^architecture +llama' 'pairs \(i, i \+ n/2\)' '^tokenizer +gpt2' 'BOS \(added\) +1 !' \
	'EOS +0 <\|endoftext\|>' 'end of turn +[0-9]+ <user tag>' 'chat template +yes'
expect 0 "$T" tokenize -m "$HERE" --no-bos --ids "the cat<user tag>"
cp out want
expect 0 "$T" tokenize -m "$DATA/format/vocabulary.gguf" --ids "the cat<user tag>"
same out want "the vocabulary of a folder"
expect 0 "$T" run -m "$HERE" -p "the cat" -n 8 --temp 0 --head exact
cp out text
sed 10q "$DATA/train/garden.txt" >garden
expect 0 "$T" perplexity -m "$HERE" -f garden -c 16 --head exact
cp out perplexity

# As GGUF it is the same model, its pairs of a rotation in the order that llama.cpp has.
expect 0 "$T" convert "$HERE" model.gguf --type bf16 --embedding-type bf16
expect 0 "$T" info model.gguf
has out 'pairs \(2i, 2i \+ 1\)' 'chat template +yes'
expect 0 "$T" run -m model.gguf -p "the cat" -n 8 --temp 0 --head exact
same out text "a folder, and the GGUF file made of it"
expect 0 "$T" perplexity -m model.gguf -f garden -c 16 --head exact
cat perplexity out | awk '/^Final/ { v[++n] = $5 } END { exit !(n == 2 && v[1] > 1 && v[1] / v[2] < 1.00001 &&
	v[2] / v[1] < 1.00001) }' || fail "perplexity of a folder, and of the GGUF file made of it" # sums in another order

# Packed weights keep every code and scale.
expect 0 "$T" convert "$C/bitnet_offline" packed.gguf
expect 0 "$T" info --json packed.gguf
grep ternary_share out >want
expect 0 "$T" info --json "$C/bitnet_offline"
grep ternary_share out >got
same got want "shares of codes"

# A file in the folder will do as well; a vocabulary alone, and what is no model.
expect 0 "$T" info "$C/llama/model.safetensors"
expect 0 "$T" info "$C/llama3_bin/pytorch_model.bin"
expect 0 "$T" info "$C/llama2c_v2/model.bin"
mkdir tokens alone
cp "$HERE"/tok* tokens
expect 0 "$T" tokenize -m tokens --ids hi
refuse 1 'tokens: a vocabulary without weights' "$T" run -m tokens -p hi
cp "$C/llama/model.safetensors" alone
refuse 1 'config.json: .*No such file' "$T" info alone
cp "$C/llama/config.json" alone
expect 0 "$T" info alone
sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 3/' alone/config.json
refuse 1 'model.layers.2.input_layernorm.weight .blk.2.attn_norm.weight. is missing' "$T" info alone
sed -i 's/"model_type": "llama"/"model_type": "bert"/' alone/config.json
refuse 1 'model_type "bert" is not supported; supported are .*llama' "$T" info alone
rm alone/config.json
cp "$C"/mistral_sharded/*1-of* "$C"/mistral_sharded/*.json alone
rm alone/model.safetensors
refuse 1 'model-0000[23]-of-00003.safetensors: .*No such file' "$T" info alone

# A SentencePiece model in a folder, and llama2.c's form of it: the ids that SentencePiece gives.
while IFS='|' read -r text ids; do
	for vocabulary in "$C/sentencepiece" "$C/sentencepiece/tokenizer.bin"; do
		expect 0 "$T" tokenize -m "$vocabulary" --ids "$text"
		[ "$(cat out)" = "$ids" ] || fail "$vocabulary: '$text' is $ids"
	done
done <"$C/sentencepiece/ids.txt"
expect 0 "$T" tokenize -m "$C/llama2c_v1/model.bin" --tokenizer "$C/sentencepiece/tokenizer.bin" --ids 'the garden'
refuse 1 '380 tokens in the vocabulary but 48 rows' "$T" run -m "$C/llama2c_v1/model.bin" \
	--tokenizer "$C/sentencepiece/tokenizer.bin" -p x
mkdir added
cp "$C"/sentencepiece/tokenizer.model added
cp "$C"/llama/*.json "$C"/llama/*.safetensors added
sed -i 's/"vocab_size": 48/"vocab_size": 380/' added/config.json
echo '{"<pad>": 380, "<extra>": 381, "<s>": 1}' >added/added_tokens.json
expect 0 "$T" info added
has out '^can run +no$' '^  because +.*380 tokens'
rm added/model.safetensors
expect 0 "$T" tokenize -m added --ids 'the garden'
exit 0
