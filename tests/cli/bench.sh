#!/bin/bash
# bench.sh - trit bench: the table, CSV, JSON and JSON lines, products of lists, refusals, Ctrl-C, a closed pipe. No
# time is judged.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
bench() { expect 0 "$T" bench -m "$MODEL" -r 2 "$@"; }

# The table: llama-bench's columns, then ours.
bench -p 24 -n 6
[ -s err ] && fail "bench writes on stderr"
cells='\| *model *\| *size *\| *params *\| *backend *\| *threads *\| *test *\| *t/s *\| *kernels *\| *memory *\|'
has out "^$cells *read/token *\\| *of limit *\\| *first token *\\|$" '^\| -+ \| -+: \|' \
	'\| CPU +\| +[0-9]+ \| +pp24 \| +[0-9]+\.[0-9]{2} ± [0-9]+\.[0-9]{2} \| [a-z0-9]+ +\|' '\| +tg6 \|' \
	' [0-9]+ % of [0-9]+(\.[0-9])? G(B|OP)/s \|'
[ "$(wc -l <out)" -eq 4 ] || fail "not four lines"
awk -F'|' 'NF != 14 { exit 1 }' out || fail "not 12 columns"
awk -F'|' '/pp24/ { p = $(NF - 1) } /tg6/ { g = $(NF - 1) } END { exit !(p ~ /[0-9] ms/ && g ~ /^ *- *$/) }' out ||
	fail "first token"

# All combinations, in llama-bench's order; every value of a list, ranges too; 0 leaves a test out.
tests() # reads $want
{
	bench "$@" -o csv
	sed 1d out >rows
	awk -F'"' -v wanted="$(head -n 1 out)" 'BEGIN {
		n = split(wanted, name, ",")
		for (i = 1; i <= n; i++)
			at[name[i]] = 2 * i
	}
	{
		print $at["n_prompt"] "," $at["n_gen"] "," $at["n_depth"] "," $at["n_batch"] "," $at["n_threads"] "," \
			$at["n_seq"]
	}' rows >got
	tr ' ' '\n' <<<"$want" >wanted
	same got wanted "$*"
}
want='8,0,0,512,1,1 0,2,0,512,1,1 8,0,0,512,2,1 0,2,0,512,2,1' tests -p 8 -n 2 -t 1,2
want='8,0,0,4,3,1 9,0,0,4,3,1 10,0,0,4,3,1' tests -p 8-10 -n 0 -t 3 -b 4
want='0,1,0,512,1,1 0,2,0,512,1,1 0,4,0,512,1,1' tests -p 0 -n 1-7*2 -t 1
want='0,1,0,512,1,1 0,4,0,512,1,1' tests -p 0 -n 1-6+3 -t 1
want='5,3,0,512,1,1 1,1,0,512,1,1' tests -p 0 -n 0 -pg 5,3 --pg 1,1 -t 1
bench -b 1 -np 16 -p 40 -n 0 # a batch holds a token of each sequence at least
want='0,2,7,8,1,1 0,2,7,8,1,3 0,2,0,8,1,1 0,2,0,8,1,3' tests -p 0 -n 2 -d 7 -d 0 -np 1,3 -t 1 --batch-size=8

bench -p 8 -n 0 -t 1 --kv-type q8,f16,q4 --layout t2,auto --head exact,i8 -b 7,9
has out '\| n_batch \| kv +\|' ' t2, head ' '\|       7 \| q4 ' '\|       9 \| f16 '
[ "$(wc -l <out)" -eq 26 ] || fail "not 24 tests"

# CSV and JSON have the same fields, and JSON the samples; JSON lines the same on a line each.
fields='build_commit build_number cpu_info gpu_info backends model_filename model_type model_size model_n_params n_batch
	n_ubatch n_threads type_k type_v n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts'
bench -p 8 -n 0 -t 1 -o csv
head -n 1 out | tr ',' '\n' >csv
for f in $fields n_seq median_ts peak_memory bytes_per_token read_share int8_share first_token_ns; do
	grep -qx "$f" csv || fail "CSV has no field $f"
done
bench -p 8 -n 3 -t 1 -o json
cp out json
[ "$(sed -n '1p;$p' json | tr -d '\n')" = '[]' ] || fail "JSON is no array"
sed -n '/^  {/,/^  }/s/^    "\([a-z_0-9]*\)": .*/\1/p' json | awk '!seen[$0]++' >names
{ cat csv; echo samples_ns; echo samples_ts; } >wanted
same names wanted "fields of CSV and JSON"
n='[0-9]+(\.[0-9]+)?'
has json '^  \},$' '^    "n_prompt": 8,$' '^    "n_gen": 3,$' '^    "backends": "CPU",$' "^    \"avg_ts\": $n,$" \
	"^    \"samples_ns\": \\[ [0-9]+, [0-9]+ \\],$" "^    \"samples_ts\": \\[ [0-9.e+]+, [0-9.e+]+ \\]$" \
	'^    "test_time": "20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z",$' '^    "first_token_ns": null,$'
bench -p 8 -n 3 -t 1 -o jsonl
[ "$(wc -l <out)" -eq 2 ] || fail "not two lines"
[ "$(grep -c '^{"build_commit": ".*\]}$' out)" -eq 2 ] || fail "lines are no objects"

# What does not depend on time: the same at every run.
strip() { sed -E '/_(ns|ts|limit|share|time)"|peak_memory/d' "$1"; }
strip json >first
bench -p 8 -n 3 -t 1 -o json
strip out >second
same first second "two runs"

# Several models and kernels; a model from the environment.
cp "$MODEL" other.gguf
expect 0 "$T" bench -m "$MODEL,other.gguf" -m other.gguf -p 4 -n 0 -r 1 --cpu c -o csv
[ "$(grep -c other.gguf out)" -eq 2 ] || fail "not two tests of other.gguf"
has out '"c","'
cp "$MODEL" 'a,b.gguf'
TRIT_MODEL=other.gguf expect 0 "$T" bench -m 'a,b.gguf' -p 4 -n 0 -r 1 -o csv
has out '"a,b.gguf"'
TRIT_MODEL=other.gguf expect 0 "$T" bench -p 4 -n 0 -r 1 -o jsonl
has out '"model_filename": "other.gguf"'

# More than the model was trained for is measured, with a note.
bench -p 200 -n 0 -r 1
has err 'was trained for contexts of 128 tokens; here there are up to 200$'
bench -p 4 -n 1 --progress
has err '^trit bench: test 1 of 2, pp4, repetition 1 of 2$' '^trit bench: test 2 of 2, tg1, '
bench -p 4 -n 0 --no-warmup --read-buffer 1 --delay 0

refuse 2 'model FILE is missing' "$T" bench
refuse 2 '"5x" is no number or range' "$T" bench -m "$MODEL" -p 5x
for bad in '' , 1, ,1 4-2 1- -1 1-8*1 1-8+0 0-8*2 99999999999999999999 1.5; do
	refuse 2 'bench: (--np|-np needs|.* is no number)' "$T" bench -m "$MODEL" "--np=$bad"
done
refuse 2 'more than 128 values' "$T" bench -m "$MODEL" -p 1-1000
refuse 2 'no pair' "$T" bench -m "$MODEL" -pg 5
refuse 2 'kv-type: "q5" is none of: auto, f32, f16, q8, q4' "$T" bench -m "$MODEL" --kv-type q8,q5
refuse 2 'an empty name' "$T" bench -m "$MODEL" --cpu c,
refuse 2 'nothing to measure' "$T" bench -m "$MODEL" -p 0 -n 0
refuse 2 'threads.*1 to 256' "$T" bench -m "$MODEL" -t 257
refuse 2 'context of 16777217 tokens' "$T" bench -m "$MODEL" -p 1 -n 0 -d 16777216
refuse 2 'is none of: md, csv, json, jsonl' "$T" bench -m "$MODEL" -o xml
refuse 2 'unknown option -pq' "$T" bench -m "$MODEL" -pq 1
refuse 1 'nowhere.gguf' "$T" bench -m "$MODEL" -m nowhere.gguf
refuse 1 'z80' "$T" bench -m "$MODEL" --cpu z80
expect 1 "$T" bench -m "$MODEL" -p 0 -n 1 -d 16777000 -np 16384
has err '^trit bench: tg1 x 16384 @ d16777000: not enough memory for the KV caches of 16384 sequences'

# Ctrl-C: what is finished is printed, whole.
"$T" bench -m "$MODEL" -p 4 -n 1 -r 100000 -o json --progress >out 2>err &
pid=$!
for _ in $(seq 600); do
	grep -q repetition err && break
	sleep 0.1
done
sleep 1
kill -INT $pid
wait $pid
[ $? -eq 130 ] || fail "interrupted: status $?"
[ "$(sed -n '1p;$p' out | tr -d '\n')" = '[]' ] || fail "JSON of an interrupted run is no array"
[ "$(wc -l <err)" -eq 1 ] || fail "Ctrl-C is announced"

"$T" bench -m "$MODEL" -p 1-128 -n 0 -r 1 -o jsonl 2>err | head -n 1 >/dev/null
[ "${PIPESTATUS[0]}" -ne 0 ] || fail "a closed pipe is no failure"
[ -s err ] && fail "a closed pipe is announced"
"$T" bench -m "$MODEL" -p 1 -n 0 -r 1 >/dev/full 2>err && fail "bench > /dev/full succeeds"
has err 'No space left'

# Training: two rows, in each form.
small="--train --size 260k --seq-len 16 --batch 2 -r 1"
expect 0 "$T" bench $small
has out '^\| 260k \| [0-9.]+ k \| ternary \|' '^\| 260k \| [0-9.]+ k \| full \|' ' % of [0-9]+ \|'
for form in md csv json; do
	"$T" bench $small -o $form >/dev/full 2>err && fail "$form is lost and nothing said"
	has err 'cannot write to standard output'
done
expect 0 "$T" bench $small -o csv
[ "$(wc -l <out)" -eq 3 ] || fail "not three lines of CSV"
has out '"parameters"$'
expect 0 "$T" bench $small -o json
has out '^\[$' '^\]$' '"weights": "full"' '"parameters": [0-9]{6},'
expect 0 "$T" bench $small --scales row -o json
has out '^\]$' '"weights": "ternary"'
has err 'ternary weights alone'
expect 2 "$T" bench --train --batch 0
exit 0
