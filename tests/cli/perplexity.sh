#!/bin/bash
# perplexity.sh - trit perplexity: llama-perplexity's output, JSON, and texts that are too short.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
for i in $(seq 120); do
	echo "The king had $i sons, and every one of them went out to see the world."
done >text

expect 0 "$T" perplexity -m "$MODEL" -f text -c 64 --chunks 5
[ "$(sed -n 1p out | grep -oE '\[[0-9]+\][0-9]+\.[0-9]{4},' | wc -l)" -eq 5 ] || fail "not five running values"
has out '^\[1\][0-9.]+,\[2\][0-9.]+,.*,$' '^Final estimate: PPL = [0-9]+\.[0-9]{4} \+/- [0-9]+\.[0-9]{5}$'
has err '^perplexity: calculating perplexity over 5 chunks, n_ctx=64, batch_size=512, n_seq=1$'
final=$(sed -n 's/.*PPL = \([0-9.]*\) .*/\1/p' out)
last=$(sed -n '1s/.*\]\([0-9.]*\),$/\1/p' out)
[ "$final" = "$last" ] || fail "the last running value $last is not the final $final"

for way in '-t 1' '-t 3' '-b 5' '--cpu c'; do
	cp out before
	# shellcheck disable=SC2086
	expect 0 "$T" perplexity -m "$MODEL" -f text -c 64 --chunks 5 $way
	same out before "$way"
done
cp out before
for type in f16 q4; do
	expect 0 "$T" perplexity -m "$MODEL" -f text -c 64 --chunks 5 --kv-type $type
	awk -v a="$final" -v b="$(sed -n 's/.*PPL = \([0-9.]*\) .*/\1/p' out)" \
		'BEGIN { d = (a - b) / a; exit !(a != b && d < 0.1 && d > -0.1) }' || fail "--kv-type $type is far off"
done
"$T" perplexity -m "$MODEL" -f - -c 64 --chunks 5 <text >out 2>err || fail "standard input"
same out before "standard input"

expect 0 "$T" perplexity -m "$MODEL" -f text -c 64 --chunks 5 -o json
[ "$(wc -l <out)" -eq 1 ] || fail "JSON on more than a line"
number='[0-9]+\.[0-9]+'
has out "^\{\"perplexity\": $number, \"stderr\": $number, \"tokens\": 155, \"nats_per_token\": $number, " \
	' "n_ctx": 64, "chunks": 5, "model": ".*", "file": "text"\}$'
json=$(sed 's/^{"perplexity": \([0-9.]*\),.*/\1/' out)
awk -v a="$json" -v b="$final" 'BEGIN { d = a - b; exit !(d < 0.0001 && d > -0.0001) }' || fail "JSON says $json"

refuse 1 'the text has [0-9]+ tokens; a context of 64 needs at least 128' \
	"$T" perplexity -m "$MODEL" -f <(head -n 2 text) -c 64
refuse 1 '/dev/null: no text' "$T" perplexity -m "$MODEL" -f /dev/null -c 64
refuse 2 'give one of --file and --shards' "$T" perplexity -m "$MODEL"
refuse 2 'give one of --file and --shards' "$T" perplexity -m "$MODEL" -f text --shards .
refuse 1 'nowhere' "$T" perplexity -m "$MODEL" --shards nowhere
refuse 2 'is none of: text, json' "$T" perplexity -m "$MODEL" -f text -o xml
expect 1 "$T" perplexity -m "$MODEL" -f text -c 9999
has err "a context of 9999 tokens: must be from 4 to the model's"
printf 'a\377b' >latin1
refuse 1 'latin1: byte 1 is not valid UTF-8' "$T" perplexity -m "$MODEL" -f latin1
: >empty
refuse 1 'empty: no text' "$T" perplexity -m "$MODEL" -f empty

# The loss on the windows of the run's validation is to the last digit the one that the run measured.
as_trained() {
	expect 0 "$T" perplexity -m run/model.gguf --shards run --head exact --kv-type f32 -o json -t 1
	trained=$(tail -n 1 run/metrics.jsonl | sed 's/.*"val_loss": \([0-9.]*\).*/\1/')
	exported=$(sed 's/.*"nats_per_token": \([0-9.]*\).*/\1/' out)
	[ "${#trained}" -ge 8 ] && [ "$trained" = "$exported" ] || fail "$1: trained $trained, exported $exported"
}
for how in ternary binary full 'ternary --experts 4' 'full --experts 4' 'ternary --heads 8 --scales row' \
	'full --batch 3'; do
	type=t2
	[ "${how%% *}" = full ] && type=f32
	# shellcheck disable=SC2086
	expect 0 "$T" train --data "$DATA/train/garden.txt" --out run --size 1m --vocab-size 300 --layers 2 --seq-len 32 \
		--batch 4 -t 2 --steps 25 --val-share 0.3 --type $type --embedding-type f32 --weights $how
	as_trained "$how"
	cp out once
	expect 0 "$T" perplexity -m run/model.gguf --shards run/data --head exact --kv-type f32 -o json -b 7 -t 1
	same <(sed 's/, "model.*//' once) <(sed 's/, "model.*//' out) "batches of another size"
	mv run last
	# From that model, whose pairs of rotary elements may lie otherwise, with fewer tokens and windows.
	expect 0 "$T" train --init last/model.gguf --data "$DATA/train/garden.txt" --out run --seq-len 16 --batch 4 -t 2 \
		--steps 3 --val-share 0.3 --val-windows 9 --type $type --embedding-type f32 --weights "${how%% *}"
	as_trained "from $how"
	has out '"n_ctx": 16, "chunks": 9,'
	rm -r run
	[ "$how" != full ] || mv last full
	rm -rf last
done
for way in 'train --init full/model.gguf --weights ternary' 'distill --teacher full/model.gguf --weights ternary'; do
	# shellcheck disable=SC2086
	expect 0 "$T" $way --data "$DATA/train/garden.txt" --out run --seq-len 32 --batch 4 -t 2 --steps 9 \
		--val-share 0.3 --val-windows 0 --type t2 --embedding-type f32
	as_trained "$way"
	rm -r run
done
# A run on data prepared elsewhere, two kinds of text mixed.
for i in 1 2; do
	expect 0 "$T" data "$DATA/train/garden.txt" --out "shards$i" --val-share "0.$((i + 2))" \
		$([ "$i" -eq 1 ] && echo --vocab-size 300 || echo --tokenizer shards1/vocab.gguf)
done
expect 0 "$T" train --data shards1:0.7 --data shards2:0.3 --out run --size 260k --seq-len 32 --batch 4 -t 2 --steps 5 \
	--weights full --type f32 --embedding-type f32
as_trained 'two kinds of text'
# Folders that are none, or of something else.
refuse 1 'full/vocab.gguf: another vocabulary than the model' "$T" perplexity -m "$MODEL" --shards full
refuse 1 'full/model.gguf: no shards there' "$T" perplexity -m run/model.gguf --shards full/model.gguf
mkdir -p tuned/data
touch tuned/data/examples-train.safetensors tuned/data/examples-val.safetensors
refuse 1 'tuned: a run of trit finetune or classify' "$T" perplexity -m run/model.gguf --shards tuned
cp full/vocab.gguf tuned/vocab.gguf
refuse 1 'full/data/../vocab.gguf: another vocabulary than the model' "$T" perplexity -m "$MODEL" --shards full/data
# An older checkpoint knows the run as well; without any it is a folder of shards.
expect 0 "$T" perplexity -m full/model.gguf --shards full --head exact --kv-type f32 -o json
cp out once
printf 'damaged' >full/checkpoint.safetensors
for dir in full full/data; do
	expect 0 "$T" perplexity -m full/model.gguf --shards $dir --head exact --kv-type f32 -o json
	same <(sed 's/, "model.*//' once) <(sed 's/, "model.*//' out) "$dir"
done
echo '{"val-windows": "-3"}' >run/options.json
refuse 1 'run/options.json, val-windows: "-3" is not a whole number' "$T" perplexity -m run/model.gguf --shards run
rm run/options.json
rm -r shards2
refuse 1 'shards2' "$T" perplexity -m run/model.gguf --shards run
exit 0
