#!/bin/bash
# distill.sh - trit distill: students of a teacher, of its shape and of others; stopping and going on; what is refused.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
text=$DATA/train/garden.txt
run="--seq-len 32 --batch 4 -t 2 --val-share 0.1"
expect 0 "$T" train --data "$text" --out teacher $run --size 260k --vocab-size 300 --layers 3 --weights full \
	--steps 150 --lr 0.01
teacher="--teacher teacher/model.gguf"

# val DIR: the last validation loss of a run.
val()
{
	sed -n 's/.*"val_loss": \([0-9.]*\).*/\1/p' "$1/metrics.jsonl" | tail -1
}

# Of the teacher's shape: the losses are there after the warm steps, and imitating helps.
expect 0 "$T" distill $teacher --data "$text" --out same $run --steps 40 --warm-steps 2 --lr 0.004
has err "BitNet b1.58.*, 3 layers of 64" "step 40/40  loss [0-9.]+  kl [0-9.]+  val [0-9.]+"
[ "$(grep -c '"kl": [0-9.]*, "kl_weight": [0-9.e-]*, "relation": [0-9.]*, "relation_weight": [0-9.e-]*' \
	same/metrics.jsonl)" -eq 38 ] || fail "metrics.jsonl has not the teacher's losses of 38 steps"
same teacher/vocab.gguf same/vocab.gguf
expect 0 "$T" run -m same/model.gguf -p "The" -n 5 -s 1
expect 0 "$T" train --init teacher/model.gguf --data "$text" --out alone $run --steps 40 --lr 0.004
awk "BEGIN { exit !($(val same) < $(val alone)) }" || fail "$(val same) with a teacher, $(val alone) without"

# Ctrl-C, and going on, with the teacher elsewhere.
"$T" distill $teacher --data "$text" --out cut $run --steps 40 --warm-steps 2 --lr 0.004 --save-every 1000 2>err &
pid=$!
for _ in $(seq 200); do
	[ "$(wc -l 2>/dev/null <cut/metrics.jsonl)" -ge 6 ] 2>/dev/null && break
	sleep 0.02
done
kill -INT $pid 2>/dev/null
wait $pid
[ $? -eq 130 ] && has err "go on with: trit distill --resume --out cut"
cp teacher/model.gguf moved.gguf
expect 0 "$T" distill --resume --out cut --teacher moved.gguf
for r in same cut; do
	sed 's/"tokens_per_s": [^,]*,//' $r/metrics.jsonl >$r.metrics
done
same same.metrics cut.metrics "metrics of the resumed run"
if "$T" report same -o page.html 2>err; then
	has page.html '"kl": \[null,null,[0-9.]*,' '"relation_weight": \[null,null,[0-9.e-]*,'
else
	has err 'without jansson'
fi
"$T" info cut >/dev/null || fail "trit info does not know the run"

# Fewer layers, another network, fixed weights, one of the losses only; a teacher of experts, and a ternary one.
expect 0 "$T" distill $teacher --data "$text" --out two $run --steps 3 --layers 2 --relation-layer 1 --kl-weight 0.5
has err "2 layers of 64"
has two/metrics.jsonl '"kl_weight": 0.5,'
expect 0 "$T" distill $teacher --data "$text" --out other $run --steps 3 --d-model 48 --size 260k --relation-share 0
has err "4 layers of 48"
grep -q relation other/metrics.jsonl && fail "relations without a share"
expect 0 "$T" distill --teacher same/model.gguf --data "$text" --out grand $run --steps 2 --kl-share 0
grep -q '"kl"' grand/metrics.jsonl && fail "predictions without a share"
has err "the teacher is ternary"

# Refused.
refuse 2 'no teacher: give --teacher' "$T" distill --data "$text" --out new
refuse 2 'no text: give --data' "$T" distill $teacher --out new
refuse 2 '--layers is 4; the teacher has 3' "$T" distill $teacher --data "$text" --out new --layers 4 --seq-len 32
refuse 2 '--warm-steps is 9 of 9 steps' "$T" distill $teacher --data "$text" --out new $run --steps 9 --warm-steps 9
refuse 2 '3 relation heads do not divide' "$T" distill $teacher --data "$text" --out new $run --relation-heads 3
refuse 2 '--experts: the model of --init has its own' "$T" train --init teacher/model.gguf --data "$text" --out new \
	--experts 4
refuse 2 '--d-expert: there are no experts' "$T" train --data "$text" --out new --size 260k --d-expert 32
refuse 2 '--vocab-size: a student has its teacher' "$T" distill $teacher --data "$text" --out new --vocab-size 400
refuse 2 'trained for 32 positions; choose --seq-len 32 or less' "$T" distill $teacher --data "$text" --out new
refuse 1 'another vocabulary \(token 256 is' "$T" distill --teacher "$MODEL" --data "$text" --out new \
	--tokenizer teacher/vocab.gguf --size 260k --seq-len 32
refuse 1 'a vocabulary of [0-9]+ tokens, the student.s has 300' "$T" distill --teacher "$MODEL" --data "$text" \
	--out new --init teacher/model.gguf --seq-len 32
head -c 20000 teacher/model.gguf >half.gguf
refuse 1 'half.gguf: .*truncated' "$T" distill --teacher half.gguf --data "$text" --out new --seq-len 32
refuse 1 'none.gguf' "$T" distill --teacher none.gguf --data "$text" --out new --seq-len 32
refuse 1 'a vocabulary without weights' "$T" distill --teacher teacher/vocab.gguf --data "$text" --out new --seq-len 32
refuse 2 'nothing is learnt from the teacher' "$T" distill $teacher --data "$text" --out new $run --kl-share 0 \
	--relation-share 0
[ -e new ] && fail "a refused run leaves its folder"
# Relations in heads that cut attention's: of a student that is its teacher there are none to learn, in whichever order
# the teacher has its rotary pairs.
expect 0 "$T" convert teacher folder/ --type f32
expect 0 "$T" convert teacher exact.gguf --type f32 --embedding-type f32
for from in exact.gguf folder; do
	expect 0 "$T" distill --teacher $from --data "$text" --out itself $run --steps 1 --weights full --warmup 0 \
		--kl-share 0 --relation-heads 16 --precision f32
	relation=$(sed -n 's/.*"relation": \([0-9.e-]*\).*/\1/p' itself/metrics.jsonl | head -1)
	awk -v r="${relation:-1}" 'BEGIN { exit !(r < 1e-5 && r > -1e-5) }' || fail "$from: a relation of $relation"
	rm -r itself
done
refuse 1 'not the teacher that the run began with' "$T" distill --resume --out cut --teacher same/model.gguf
refuse 1 'alone: this run began without a teacher' "$T" distill --resume --out alone $teacher
refuse 2 'unknown option.*--kl-share|kl-share' "$T" train --data "$text" --out new --kl-share 1
exit 0
