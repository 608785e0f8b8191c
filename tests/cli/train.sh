#!/bin/bash
# train.sh - trit train: a run, its files, stopping and going on, other kinds of weights, and what it refuses.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
text=$DATA/train/garden.txt
small="--size 260k --vocab-size 300 --seq-len 32 --batch 4 --layers 1 -t 2"

# A whole run: the files it makes, a line of metrics a step, a model that runs.
expect 0 "$T" train --data "$text" --out whole $small --steps 12 --val-share 0.1 --val-every 6
[ -s out ] && fail "train prints on stdout"
has err "step 12/12 .*loss [0-9.]+ .*val [0-9.]+ .*lr .*tok/s .*left .*-1/0/\+1"
for f in model.gguf checkpoint.safetensors vocab.gguf data/train-00000.safetensors data/val-00000.safetensors; do
	[ -s whole/$f ] || fail "no whole/$f"
done
[ "$(wc -l <whole/metrics.jsonl)" -eq 12 ] || fail "metrics.jsonl has not a line a step"
number='-?[0-9.]+(e[+-]?[0-9]+)?'
line="\"step\": [0-9]+, \"tokens\": [0-9]+, \"loss\": $number, \"lr\": $number, \"tokens_per_s\": $number"
line="$line, \"grad_norm\": $number, \"share\": \[$number, $number, $number\], \"flips\": $number"
line="$line(, \"val_loss\": $number, \"scales\": \[$number(, $number){6}\])?"
grep -qvE "^\{$line\}\$" whole/metrics.jsonl && fail "a line of metrics.jsonl has another form"
[ "$(grep -c val_loss whole/metrics.jsonl)" -eq 2 ] || fail "val_loss is not where it was measured"
expect 0 "$T" run -m whole/model.gguf -p "The" -n 5 -s 1
expect 0 "$T" info whole
has out '^file +folder of trit train$' '^settings +--weights ternary '
expect 0 "$T" info whole/model.gguf
has out "bitnet" "name +whole"

# Ctrl-C saves and says how to go on; the resumed run ends as the whole one did.
"$T" train --data "$text" --out cut $small --steps 12 --val-share 0.1 --val-every 6 --save-every 1000 2>err &
pid=$!
for _ in $(seq 200); do
	[ -s cut/metrics.jsonl ] || [ -s cut/model.gguf ] && break
	sleep 0.02
done
kill -INT $pid 2>/dev/null
wait $pid
status=$?
[ $status -eq 130 ] || [ $status -eq 0 ] || fail "an interrupted run ends with $status"
if [ $status -eq 130 ]; then
	has err "stopped at step [0-9]+ of 12 and saved; go on with: trit train --resume --out cut"
	expect 0 "$T" train --resume --out cut # with the intervals it began with
	grep -q '"save-every": "1000"' cut/options.json || fail "options.json has not what was given"
fi
same whole/checkpoint.safetensors cut/checkpoint.safetensors "interrupted and resumed"
for run in whole cut; do
	sed 's/"tokens_per_s": [^,]*,//' $run/metrics.jsonl >$run.metrics
done
same whole.metrics cut.metrics "metrics of the resumed run"

# Activations computed again: the same weights; also from some step on. What will be used is said, and refused if there
# is less.
expect 0 "$T" train --data "$text" --out again $small --layers 3 --steps 6 --save-every 3 --keep 3
has err 'memory: .* of .* free \(weights [0-9]+, gradients' 'disk: .* for 3 checkpoints and one being written'
expect 0 "$T" train --data "$text" --out again2 $small --layers 3 --steps 6 --recompute
has err 'activations computed again'
same again/checkpoint.safetensors again2/checkpoint.safetensors "with activations computed again"
expect 0 "$T" train --resume --resume-from 3 --recompute --out again --type f16
[ -e again/checkpoint-3.safetensors ] && [ -e again/checkpoint-0.safetensors ] || fail "--keep is forgotten"
grep -q '"type": "f16"' again/options.json || fail "an option given later is not kept"
echo '{"keep": "many"}' >again/options.json
refuse 2 'again/options.json, keep: "many" is not a whole number' "$T" train --resume --out again
echo '{"keep": ' >again/options.json
refuse 1 'again/options.json.*line 2' "$T" train --resume --out again
same again/checkpoint.safetensors again2/checkpoint.safetensors "resumed with activations computed again"
refuse 1 'not enough memory for the parameters: 4 x [0-9]+ MiB; choose a smaller --size' \
	"$T" train --data "$text" --out new --size 700m --layers 512 --d-model 65536 --d-ff 65536
[ -e new ] && fail "a run that does not fit leaves its folder"

# Other kinds of weights and of files; a vocabulary from elsewhere.
expect 0 "$T" train --data "$text" --out binary $small --steps 2 --weights binary
has err "50/0/50 %"
expect 0 "$T" train --data "$text" --out full $small --steps 2 --weights full --untied
expect 0 "$T" info full/model.gguf
has out "llama"
expect 0 "$T" train --data "$text" --out untied $small --steps 2 --untied
has err "llama.cpp will not open"
expect 0 "$T" info untied/model.gguf
has out "head untied|untied"
expect 0 "$T" train --data "$text" --out relu2 $small --steps 2 --activation relu2 --tokenizer whole/vocab.gguf
same whole/vocab.gguf relu2/vocab.gguf
expect 0 "$T" info relu2/model.gguf
has out "bitnet-b1.58"

# Quantisation that comes in over the first steps, and other settings: stopped and resumed the same, to the bit.
more="--quant-warmup 8 --quant-ramp sigmoid --z-loss 1e-3 --optimizer normuon --muon-lr 0.01 --momentum-warmup 9"
more="$more --embedding-decay 0 --schedule wsd --decay sqrt"
expect 0 "$T" train --data "$text" --out warm $small $more --steps 10 --save-every 5
cp warm/metrics.jsonl warm.metrics
"$T" train --data "$text" --out warm2 $small $more --steps 10 --save-every 1 2>/dev/null &
pid=$!
for _ in $(seq 200); do
	[ -s warm2/metrics.jsonl ] && break
	sleep 0.02
done
kill -INT $pid 2>/dev/null
wait $pid
[ $? -eq 130 ] && expect 0 "$T" train --resume --out warm2
same warm/checkpoint.safetensors warm2/checkpoint.safetensors "a warm-up interrupted and resumed"
# Precision: bfloat16 where it is fast; a run that began with it goes on elsewhere, in fp32.
refuse 1 'takes a CPU with AMX' "$T" train --data "$text" --out new $small --precision bf16 --cpu c
if "$T" bench --train $small -r 1 -o csv 2>/dev/null | grep -q '"bf16"'; then
	expect 0 "$T" train --data "$text" --out bf16 $small --steps 3 --save-every 1
	expect 0 "$T" train --resume-from 2 --out bf16 --cpu avx2
	has err 'goes on in fp32'
fi
# Settings that would be for nothing.
refuse 2 'lr2 does nothing without --schedule two-stage' \
	"$T" train --data "$text" --out new --schedule cosine --lr2 0.001
refuse 2 'decay-share does nothing without --schedule wsd' "$T" train --data "$text" --out new --decay-share 0.3
refuse 2 '--decay does nothing without --schedule wsd' "$T" train --data "$text" --out new --decay sqrt
for o in '--momentum 0.9' '--momentum-warmup 9'; do
	refuse 2 '--momentum.* does nothing without --optimizer' "$T" train --data "$text" --out new --optimizer adamw $o
done
refuse 2 'muon-lr does nothing without --optimizer' "$T" train --data "$text" --out new --optimizer adamw --muon-lr 0.01
for o in '--experts-used 1' '--balance 0.1' '--router-z-loss 0'; do
	refuse 2 'does nothing without --experts; leave it out' "$T" train --data "$text" --out new $o
done
refuse 2 'quant-ramp does nothing without --quant-warmup' "$T" train --data "$text" --out new --quant-ramp sigmoid
refuse 2 'quant-warmup: full-precision' "$T" train --data "$text" --out new --weights full --quant-warmup 5

# Experts: each has its share of the tokens, the packed model runs.
experts="--experts 4 --experts-used 2 --shared-expert --d-expert 64 --balance 0.1"
expect 0 "$T" train --data "$text" --out experts $small $experts --steps 6 --val-every 3 --val-share 0.1
[ "$(grep -cE '"loads": \[[0-9.]+(, [0-9.]+){3}\]\}' experts/metrics.jsonl)" -eq 2 ] || fail "no loads of experts"
expect 0 "$T" info experts/model.gguf
has out 'experts +4, 2 a token and a shared one'
expect 0 "$T" run -m experts/model.gguf -p "The" -n 5 -s 1
expect 0 "$T" train --data "$text" --out experts2 $small $experts --steps 6 --val-every 3 --val-share 0.1 -t 1
same experts/checkpoint.safetensors experts2/checkpoint.safetensors "experts on one thread and on two"
refuse 2 'number of experts a token is 2; it must be 1 to 1' "$T" train --data "$text" --out new --experts 1

# A scale a row or a group: the types that hold them have them all, others are refused before the first step. The packed
# model has the loss that training measured.
for scales in row group64; do
	expect 0 "$T" train --data "$text" --out $scales $small --d-model 64 --d-ff 192 --steps 8 --scales $scales \
		--val-share 0.1 --val-windows 0
	expect 0 "$T" info $scales/model.gguf
	has out 'Q2_0 \(42\) x 7' 'weights in memory|a scale'
	for type in q2_0 t5; do
		expect 0 "$T" convert $scales $scales.$type --type $type --embedding-type f32 --verify
		has err 'verified: .*ternary weights and .*scales are the same'
	done
	refuse 1 'type I2_S holds fewer scales than this model has.*q2_0' "$T" convert $scales x.gguf --type i2_s
	refuse 1 'BitLinear has one scale a matrix.*GGUF' "$T" convert $scales folder/ --type f32
	refuse 2 'type I2_S holds fewer scales' "$T" train --data "$text" --out new $small --scales $scales --type i2_s
done
refuse 2 'scales group128: --d-model is 64, not a multiple of 128' \
	"$T" train --data "$text" --out new --size 260k --scales group128
refuse 2 'full-precision weights have no scales' "$T" train --data "$text" --out new --weights full --scales row
# From a model that exists: ternary goes on as it was; full precision, ternary with sub-norms or as it is; resumed too.
expect 0 "$T" train --data "$text" --init whole/model.gguf --out more --seq-len 32 --batch 4 --steps 3 -t 2
same whole/vocab.gguf more/vocab.gguf
has err "BitNet b1.58: .* 1 layers of 64"
expect 0 "$T" info more/model.gguf
has out "bitnet" "name +more"
rm more/model.gguf
expect 0 "$T" train --resume --out more
[ -s more/model.gguf ] || fail "a run that is done and resumed packs no model"
expect 0 "$T" train --data "$text" --init full/model.gguf --out quantised --seq-len 32 --batch 4 --steps 2
expect 0 "$T" info quantised/model.gguf
has out "bitnet" "with sub-norms"
expect 0 "$T" train --data "$text" --init full/model.gguf --out plain --seq-len 32 --batch 4 --steps 2 --sub-norm no
expect 0 "$T" info plain/model.gguf
has out "llama" "no sub-norms"
expect 0 "$T" train --data "$text" --init full/model.gguf --out same --seq-len 32 --batch 4 --steps 2 --weights full
refuse 2 '--d-ff: the model of --init has its own' \
	"$T" train --data "$text" --init full/model.gguf --out new --d-ff 96
refuse 2 '--size: the model of --init has its own' \
	"$T" train --data "$text" --init full/model.gguf --out new --size 3m
refuse 2 'whole/model.gguf: --weights full: the model is a BitNet' \
	"$T" train --data "$text" --init whole/model.gguf --out new --weights full
refuse 1 'none.gguf' "$T" train --data "$text" --init none.gguf --out new
refuse 2 'leave --data, --init and' "$T" train --resume --init whole/model.gguf --out whole

# Refused, with one line, and nothing left behind.
printf 'abc\377def' >latin1.txt
printf 'a\0b' >nul.txt
: >empty.txt
mkdir empty
refuse 1 'latin1.txt: byte 3 is not valid UTF-8; .*iconv' "$T" train --data latin1.txt --out new
refuse 1 'nul.txt: byte 1 is NUL' "$T" train --data nul.txt --out new
refuse 1 'empty.txt: no text' "$T" train --data empty.txt --out new
refuse 1 'empty: the folder has no files' "$T" train --data empty --out new
refuse 1 'missing.txt: no such file' "$T" train --data missing.txt --out new
refuse 1 'fewer than one sequence.*--seq-len' "$T" train --data "$text" --out new --size 260k --seq-len 60000
[ -e new ] && fail "a refused run leaves its folder"
refuse 1 'whole already holds a training run; add --resume' "$T" train --data "$text" --out whole
refuse 1 'whole/checkpoint.safetensors: a training run; make a model of it first: trit convert' \
	"$T" run -m whole/checkpoint.safetensors -p x
cp whole/checkpoint.safetensors renamed.safetensors
refuse 1 'renamed.safetensors: a training run' "$T" run -m renamed.safetensors -p x
head -c 1000 whole/checkpoint.safetensors >cut.safetensors
refuse 1 'cut.safetensors: .*truncated' "$T" info cut.safetensors
refuse 1 'no checkpoint to resume from' "$T" train --resume --out new
refuse 1 'empty.txt' "$T" train --data "$text" --out empty.txt
refuse 2 'no size is called "4m"; there are 260k' "$T" train --data "$text" --out new --size 4m
refuse 2 'blk.0.attn_q.weight cannot be I2_S' "$T" train --data "$text" --out new --size 260k --type i2_s
refuse 2 'full-precision weights with squared ReLU' \
	"$T" train --data "$text" --out new --weights full --activation relu2
refuse 2 '--lr: a resumed run keeps the settings' "$T" train --resume --out whole --lr 1
refuse 2 '--data' "$T" train --out new
refuse 2 '--out' "$T" train --data "$text"
exit 0
