#!/bin/bash
# tokenize.sh - trit tokenize: both forms of output, arguments and standard input, special tokens, any bytes.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
text="It's 10 o'clock,	said the étude \\ queen."

expect 0 "$T" tokenize -m "$MODEL" "$text"
[ -s err ] && fail "tokenize writes on stderr"
cp out lines
grep -vqE "^ *[0-9]+  '.*'$" lines && fail "a line is not: id  'text'"
has lines "\\\\t" "\\\\\\\\"
expect 0 "$T" tokenize -m "$MODEL" --ids "$text"
[ "$(wc -l <out)" -eq 1 ] || fail "--ids prints more than a line"
sed 's/^ *//; s/ .*//' lines | paste -sd' ' >want
same out want "ids of both forms"

# Plain words come back: the texts of the tokens make the line, without BOS.
expect 0 "$T" tokenize -m "$MODEL" --no-bos "once there was a king"
[ "$(sed "s/^ *[0-9]*  '//; s/'\$//" out | tr -d '\n')" = "once there was a king" ] || fail "texts do not make the line"
expect 0 "$T" tokenize -m "$MODEL" --no-bos --ids "once there was a king"
cp out argument
printf 'once there was a king' | "$T" tokenize -m "$MODEL" --no-bos --ids >out 2>err || fail "standard input"
same out argument "standard input"

expect 0 "$T" tokenize -m "$MODEL" --no-bos --ids ''
[ "$(od -c <out | head -1)" = "0000000  \\n" ] || fail "an empty text has tokens"
expect 0 "$T" tokenize -m "$MODEL" --no-bos --special --ids '<|endoftext|>'
[ "$(wc -w <out)" -eq 1 ] || fail "a special token is not read with --special"
expect 0 "$T" tokenize -m "$MODEL" --no-bos --ids '<|endoftext|>'
[ "$(wc -w <out)" -gt 1 ] || fail "a special token is read without --special"
printf '\0\377\303' | "$T" tokenize -m "$MODEL" --no-bos >out 2>err || fail "bytes"
has out "'.*\\\\x00" "\\\\xff" "\\\\xc3"

# A vocabulary alone is enough here, and nowhere else.
VOCAB=$DATA/format/vocabulary.gguf
expect 0 "$T" tokenize -m "$VOCAB" --ids "the cat<user tag>"
cp out want
expect 0 "$T" tokenize -m "$MODEL" --tokenizer "$DATA/format/gpt2_style.json" --no-bos --ids "the cat<user tag>"
same out want "--tokenizer"
refuse 1 'vocabulary.gguf: a vocabulary without weights: trit tokenize' "$T" run -m "$VOCAB" -p a
refuse 1 'vocabulary.gguf: a vocabulary without weights' "$T" convert "$VOCAB" out.gguf

# A conversation: the template's special tokens are special, those that a message says are not.
echo '{"messages": [{"role": "user", "content": "a <|endoftext|> b"}], "add_generation_prompt": false}' >chat.json
template='<|endoftext|>{{ messages[0].content }}{{ add_generation_prompt }}'
if expect_json=$("$T" tokenize -m "$MODEL" --ids --chat chat.json --chat-template "$template" 2>err); then
	end=$("$T" tokenize -m "$MODEL" --no-bos --special --ids '<|endoftext|>')
	rest=$("$T" tokenize -m "$MODEL" --no-bos --ids 'a <|endoftext|> bFalse')
	[ "$expect_json" = "$end $rest" ] || fail "--chat: $expect_json, not $end $rest"
	echo '[{"role": "user"' >chat.json
	refuse 1 'chat.json: JSON, line' "$T" tokenize -m "$MODEL" --chat chat.json --chat-template chatml
	echo '3' >chat.json
	refuse 1 'a list of messages is expected' "$T" tokenize -m "$MODEL" --chat chat.json --chat-template chatml
else
	has err 'needs jansson'
fi

# A SentencePiece model by itself: BOS or EOS as is usual, symbols within the text, U+FFFD for what is not UTF-8.
expect 0 "$T" tokenize -m "$DATA/spm/llama.model" --ids Alice
[ "$(cat out)" = "1 339" ] || fail "Alice is $(cat out)"
expect 0 "$T" tokenize -m "$DATA/spm/unigram.model" --ids Alice
[ "$(cat out)" = "34 1" ] || fail "Alice is $(cat out)"
expect 0 "$T" tokenize -m "$DATA/spm/llama.model" --no-bos 'Alice <tool>a'
[ "$(sed "s/^ *[0-9]*  '//; s/'\$//" out | tr -d '\n')" = " Alice <tool>a" ] || fail "a symbol within the text"
head -c 1000 "$DATA/spm/llama.model" >short.model
refuse 1 "short.model: byte .* not a SentencePiece model, or damaged" "$T" tokenize -m short.model Alice
refuse 2 'unexpected argument "b"' "$T" tokenize -m "$MODEL" a b
exit 0
