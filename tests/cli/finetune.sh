#!/bin/bash
# finetune.sh - trit finetune: all weights and adapters, stopping and going on, and what it refuses.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
text=$DATA/train/garden.txt
expect 0 "$T" train --data "$text" --out base --size 260k --vocab-size 300 --seq-len 32 --batch 4 --layers 2 -t 2 \
	--steps 8
for i in $(seq 40); do
	echo "{\"instruction\": \"Say $i\", \"output\": \"yes\"}"
done >chat.jsonl
small="--seq-len 64 --batch 4 --steps 6 --val-every 3 --val-share 0.2 -t 2"

# All weights: the answers are learnt, and the result is a ternary model with the template.
expect 0 "$T" finetune --model base/model.gguf --data chat.jsonl --out full $small --chat-template plain --lr 3e-3
has err "40 examples in [0-9]+ sequences .*tokens to learn" "step 6/6 .*-1/0/\+1" "done: full/model.gguf"
losses=$(sed 's/.*"loss": \([0-9.]*\),.*/\1/' full/metrics.jsonl)
awk 'NR == 1 { first = $1 } { last = $1 } END { exit !(last < 0.8 * first) }' <<<"$losses" ||
	fail "the loss does not fall"
expect 0 "$T" chat -m full/model.gguf -n 3 -s 1 </dev/null
expect 0 "$T" info full/model.gguf
has out "bitnet"

# Adapters: the model's weights are not touched, so the checkpoint is small; a cut run goes on to the same bits.
expect 0 "$T" finetune --model full/model.gguf --data chat.jsonl --out lora $small --lora 4
has err "adapters of rank 4 for all: .* parameters are trained" "done: lora/adapter.gguf"
for f in adapter.gguf adapter/adapter_config.json adapter/adapter_model.safetensors; do
	[ -s lora/$f ] || fail "no lora/$f"
done
[ -e lora/model.gguf ] && fail "a run with adapters writes a model"
expect 1 "$T" convert lora out.gguf
has err 'lora/checkpoint.safetensors: of a run beside a frozen model'
has lora/adapter/adapter_config.json '"r": 4' '"lora_alpha": 8' 'down_proj'
expect 0 "$T" finetune --model full/model.gguf --data chat.jsonl --out part $small --lora 4 --lora-targets attention
grep -q down_proj part/adapter/adapter_config.json && fail "--lora-targets attention adapts more"
"$T" finetune --model full/model.gguf --data chat.jsonl --out cut $small --lora 4 --save-every 1 2>err &
pid=$!
for _ in $(seq 200); do
	[ -s cut/metrics.jsonl ] && break
	sleep 0.02
done
kill -INT $pid 2>/dev/null
wait $pid
if [ $? -eq 130 ]; then
	has err "trit finetune --resume --out cut --model FILE"
	refuse 1 'needs its model to go on: give --model' "$T" finetune --resume --out cut
	"$T" train --init full/model.gguf --data $DATA/train/garden.txt --out other --seq-len 32 --batch 2 \
		--steps 1 2>err
	refuse 1 'other/model.gguf: not the model that the run in cut began with' "$T" finetune --resume --out cut \
		--model other/model.gguf
	expect 0 "$T" finetune --resume --out cut --model full/model.gguf --val-every 3
fi
same lora/checkpoint.safetensors cut/checkpoint.safetensors "interrupted and resumed"
same lora/adapter.gguf cut/adapter.gguf

# The adapter beside the model that it was trained for: it learns more of the answers, so the text is another.
echo "garden text to measure, a little of it, again and again" >text.txt
expect 0 "$T" run -m full/model.gguf --lora lora/adapter.gguf -p "Say 3" -n 4 -s 1
expect 0 "$T" perplexity -m full/model.gguf --lora lora/adapter.gguf -f text.txt -c 16
mv out with
expect 0 "$T" perplexity -m full/model.gguf -f text.txt -c 16
cmp -s out with && fail "--lora changes nothing"
refuse 1 'not an adapter' "$T" run -m full/model.gguf --lora full/model.gguf -p x -n 1

# Refused, with one line, and nothing left behind.
echo '{"text": 1}' >bad.jsonl
refuse 1 'bad.jsonl:1: a record of no known form' "$T" finetune --model base/model.gguf --data bad.jsonl --out new
refuse 1 'bad.jsonl: no example to learn from .1 records' \
	"$T" finetune --model base/model.gguf --data bad.jsonl --out new --skip-bad
refuse 1 'chat.jsonl:1: the model has no chat template' \
	"$T" finetune --model base/model.gguf --data chat.jsonl --out new
refuse 2 'give --model and --data' "$T" finetune --data chat.jsonl --out new
refuse 2 'the result is an adapter' \
	"$T" finetune --model base/model.gguf --data chat.jsonl --out new --lora 2 --type q8_0
refuse 2 '--lr: a resumed run keeps' "$T" finetune --resume --out full --lr 1
refuse 1 'full is a run of trit finetune' "$T" train --resume --out full --keep 9
grep -q '"keep": "9"' full/options.json && fail "a refused command changes the run's options"
[ -e new ] && fail "a refused run leaves its folder"
exit 0
