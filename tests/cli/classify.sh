#!/bin/bash
# classify.sh - trit classify: train, eval, predict; the forms of data, what is trained, going on, what it refuses.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
text=$DATA/train/garden.txt
expect 0 "$T" train --data "$text" --out base --size 260k --vocab-size 300 --seq-len 32 --batch 4 --layers 2 -t 2 \
	--steps 8 --optimizer adamw
m=base/model.gguf
small="--seq-len 32 --batch 4 --steps 24 --val-every 8 --warmup 4 --lr 1e-2"

# Texts that a word tells apart, as a table with quotes, commas and a byte order mark.
printf '\xef\xbb\xbfid,text,label\r\n' >data.csv
for i in $(seq 60); do
	printf '%d,"the ""rose"", no. %d",flower\r\n%d,"a stone of %d kg",rock\r\n' $i $i $i $i
done >>data.csv
expect 0 "$T" classify train -m $m --data data.csv --out run $small -t 1
has err "108 texts to learn from, 12 to validate|[0-9]+ texts to learn from" "flower 5[0-9.]+ %, rock|flower" \
	"val .*accuracy [01]\.[0-9]+, F1" "done: run/model.gguf"
has run/metrics.jsonl '"val_accuracy": 1, "val_f1": 1'

expect 0 "$T" report run -o report.html
has report.html '"val_accuracy": \[.*1'

# The same bits on two threads, and when stopped and resumed.
expect 0 "$T" classify train -m $m --data data.csv --out two $small -t 2
same run/checkpoint.safetensors two/checkpoint.safetensors "one thread and two"
expect 0 "$T" classify train -m $m --data data.csv --out cut $small --save-every 12 -t 1
rm -f cut/checkpoint.safetensors cut/model.gguf
expect 0 "$T" classify train --resume --out cut --resume-from 12 --val-every 8 --recompute
same run/checkpoint.safetensors cut/checkpoint.safetensors "interrupted and resumed"

# One file is all that is needed to measure and to predict.
cp run/model.gguf alone.gguf
expect 0 "$T" classify eval -m alone.gguf --data data.csv
has out "^texts     120" "^accuracy  1.0000" "^macro F1  1.0000" "^majority  0.5000" \
	"^flower +1.0000 +1.0000 +1.0000 +60$" "^rock +0 +60$"
expect 0 "$T" classify eval -m alone.gguf --data data.csv -o json -t 2
has out '"accuracy": 1.0000' '"name": "flower", .*"predicted": \[60, 0\]'
expect 0 "$T" classify predict -m alone.gguf "the rose" "a stone"
[ "$(cut -f1 out | tr '\n' ' ')" = "flower rock " ] || fail "not flower and rock"
printf 'a stone\r\n\nthe "rose"' | expect 0 "$T" classify predict -m alone.gguf -o json
[ "$(wc -l <out)" -eq 3 ] || fail "not an answer for each line"
has out '^\{"index": 2, "label": "flower", "score": 0?.*"scores": \{"flower": .*, "rock": '
expect 0 "$T" classify predict -m alone.gguf --data data.csv
[ "$(grep -c ^rock out)" -eq 60 ] || fail "not 60 rocks"
expect 0 "$T" info alone.gguf
has out "^labels +2 on the last state" "^  names +flower, rock"
expect 0 "$T" info --json alone.gguf
has out '"label_names": \["flower", "rock"\]'

# Written without loss it has the loss that the run had: the same texts by another program path.
expect 0 "$T" classify train -m $m --data data.csv --val data.csv --out exact $small --steps 3 --type t2 \
	--embedding-type f32
expect 0 "$T" classify eval -m exact/model.gguf --data data.csv -o json
awk -v run="$(sed -n '$s/.*"val_loss": \([0-9.e-]*\).*/\1/p' exact/metrics.jsonl)" \
	-v own="$(sed -n 's/.*"loss": \([0-9.e-]*\),.*/\1/p' out)" \
	'BEGIN { apart = run - own; exit !(run > 0 && apart < 2e-6 && apart > -2e-6) }' ||
	fail "the model's loss is another"

# Other forms of data are the same data.
awk -F'"' '/stone/ { print $2 }' data.csv >stones.txt
mkdir -p folder/flower folder/rock
i=0
while read -r line; do
	echo "$line" >folder/rock/$((i += 1))
	printf '{"sentence": "the \\"rose\\", no. %d", "label": 0}\n' $i >>data.jsonl
	echo "the \"rose\", no. $i	flower" >>data.tsv
	echo "the \"rose\", no. $i" >folder/flower/$i
done <stones.txt
for form in "rock=stones.txt data.tsv" "rock=stones.txt data.jsonl" "folder" "rock=folder/rock flower=folder/flower"; do
	expect 0 "$T" classify eval -m alone.gguf --data $form
	has out "^texts     120" "^accuracy  1.0000"
done

# The head alone and adapters leave the model as it is; the mean of states; label words after a template.
expect 0 "$T" classify train -m $m --data data.csv --out head $small --train head --pooling mean
expect 0 "$T" classify eval -m head/model.gguf --data data.csv
has out "^texts     120"
expect 0 "$T" perplexity -m head/model.gguf -f stones.txt -c 16
mv out with
expect 0 "$T" perplexity -m $m -f stones.txt -c 16
same out with "--train head changes the model"
expect 0 "$T" info head
has out "^checkpoint" "--train head"
expect 1 "$T" convert head out.gguf
has err "beside a frozen model"
expect 0 "$T" doctor head
expect 0 "$T" classify train -m $m --data data.csv --out lora $small --lora 4
has err "adapters of rank 4" "done: lora/model.gguf"
expect 0 "$T" classify eval -m lora/model.gguf --lora lora/adapter.gguf --data data.csv
has out "^accuracy  (1.00|0.9)"
expect 0 "$T" classify train -m $m --data data.csv --out words $small --template "{text} is a" --words x y
expect 0 "$T" classify eval -m words/model.gguf --data data.csv
expect 0 "$T" classify eval -m $m --data data.csv --template "{text} is a" --words x y --labels flower rock

# A classifier is trained further, and as a language model loses its head.
expect 0 "$T" classify train -m alone.gguf --data data.csv --out again $small --steps 1 --lr 1e-9
has again/metrics.jsonl '"val_accuracy": 1'
expect 0 "$T" train --init alone.gguf --data "$text" --out lm --seq-len 32 --batch 4 --steps 1
refuse 1 'is no classifier' "$T" classify predict -m lm/model.gguf x

# Longer texts are cut, aloud.
{ printf 'text,label\n'; for i in 1 2 3 4; do printf '%0100d,flower\n%0100d,rock\n' $i $i; done; } >long.csv
expect 0 "$T" classify train -m $m --data long.csv --val data.csv --out long $small --steps 1
has err "8 texts were cut to 32 tokens"
expect 0 "$T" classify eval -m long/model.gguf --data long.csv
has err "8 of 8 texts were cut to 32 tokens"

# What cannot be used is told by its place, or left out and counted.
refuse 1 'data.csv:2: the label "flower" is not known; known are a, b' \
	"$T" classify train -m $m --data data.csv --out new --labels a b
printf 'text,label\na,x\n,y\n"c,z\n' >bad.csv
refuse 1 'bad.csv: line 4: a quote that is never closed' "$T" classify train -m $m --data bad.csv --out new
printf 'text,label\na,x\n  ,y\nb\nc,y\nd,\n' >bad.csv
refuse 1 'bad.csv:4: 1 columns' "$T" classify train -m $m --data bad.csv --out new
expect 0 "$T" classify train -m $m --data bad.csv --val data.tsv --labels x y flower --out bad $small --steps 1 \
	--skip-bad
has err "1 texts are empty" "2 rows could not be used; the first: bad.csv:4: 1 columns"
printf 'a\tx\nb\tx\n' >one.tsv
refuse 1 'all texts have the label "x"' "$T" classify train -m $m --data one.tsv --out new
refuse 2 'neither .csv, .tsv nor .jsonl' "$T" classify train -m $m --data stones.txt --out new
refuse 2 'no column is called "grade"' "$T" classify train -m $m --data data.csv --label-column grade --out new
refuse 2 'give --model and --data' "$T" classify train --data data.csv --out new
refuse 2 'give it with --template' "$T" classify train -m $m --data data.csv --words a b --out new
refuse 2 '--words has 3 and there are 2' \
	"$T" classify train -m $m --data data.csv --words a b c --template '{text}.' --out new
refuse 2 'no {text} in it' "$T" classify train -m $m --data data.csv --template 'text' --out new
refuse 1 'run is a run of trit classify train' "$T" finetune --resume --out run
refuse 1 'needs its model to go on' "$T" classify train --resume --out head
refuse 2 'there are train, eval and predict; did you mean predict' "$T" classify predit
[ -e new ] && fail "a refused run leaves its folder"
exit 0
