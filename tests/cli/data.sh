#!/bin/bash
# data.sh - trit data: kinds of files and documents, duplicates, what is held out, damaged input, and training on it.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
text=$DATA/train/garden.txt
common="--vocab-size 300 --val-share 0.2 -t 2"

# Folders are made whole, the same from the same, and described.
expect 0 "$T" data "$text" --out one $common
has out "one: 40 documents" "tokens from .* of text"
expect 0 "$T" data "$text" --out two $common
for f in one/*; do
	same "$f" "two/${f#one/}"
done
expect 0 "$T" data --stats one
has out "^tokens +[0-9]+ for training, [0-9]+ held out, in 2 shards" "^vocabulary +300 tokens" \
	"garden.txt: 1 files, 40 documents"
expect 0 "$T" data --stats one --json
if command -v python3 >/dev/null; then
	python3 -c 'import json,sys; d=json.load(open("out")); assert d["sources"][0]["documents"]["kept"] == 40
assert d["documents"] == d["runs"] == sum(d["lengths"].values()) == 40' || fail "--stats --json"
fi
refuse 1 'one: there are files in it already' "$T" data "$text" --out one $common
expect 0 "$T" data "$text" --out one --force $common
same one/train-00000.safetensors two/train-00000.safetensors

# The same documents as JSON lines, packed, in parts: the same tokens.
awk 'BEGIN { RS = "\n<\\|endoftext\\|>\n" } { gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); gsub(/\n/, "\\n")
	printf "{\"n\": 1, \"meta\": {\"parts\": [{\"body\": \"%s\"}]}}\r\n", $0 }' "$text" >garden.jsonl
expect 0 "$T" data garden.jsonl --out json --field meta.parts.0.body --tokenizer one $common
same json/train-00000.safetensors one/train-00000.safetensors "JSON lines"
mkdir parts
head -n 50 "$text" >a
cp "$text" all
tail -n +51 "$text" >b
if gzip -k a b all 2>/dev/null; then
	cat a.gz b.gz >parts/all.gz
	"$T" data parts --out packed --tokenizer one $common >out 2>err
	if ! grep -q 'made without' err; then
		same packed/train-00000.safetensors one/train-00000.safetensors "two members of gzip"
		head -c 1000 all.gz >cut.gz
		refuse 1 'cut.gz: the gzip data ends in the middle' "$T" data cut.gz --out new $common
		(cat a.gz; echo more) >more.gz
		refuse 1 'more.gz: something follows the gzip data' "$T" data more.gz --out new $common
		(head -c 300 all.gz; head -c 700 /dev/zero; tail -c +1001 all.gz) >bad.gz
		refuse 1 'bad.gz: ' "$T" data bad.gz --out new $common
	fi
	rm parts/*
fi
if zstd -q a b all 2>/dev/null; then
	cat a.zst b.zst >parts/all
	"$T" data parts --out packed2 --tokenizer one $common >out 2>err
	if ! grep -q 'made without' err; then
		same packed2/train-00000.safetensors one/train-00000.safetensors "two frames of zstd"
		head -c 1000 all.zst >cut.zst
		refuse 1 'cut.zst: the Zstandard data ends in the middle' "$T" data cut.zst --out new $common
	fi
fi

# Blank lines, whole files, CR LF and a byte order mark.
printf '\357\273\277first one\r\nits second line\r\n\r\n \r\nsecond one\r\n' >crlf.txt
expect 0 "$T" data crlf.txt --out blank --documents blank --tokenizer one --val-share 0
has out "blank: 2 documents" "35 B of text"
expect 0 "$T" data crlf.txt --out file --documents file --keep-crlf --tokenizer one --val-share 0
has out "file: 1 documents" "43 B of text"

# Duplicates but for case and space, near duplicates, lengths.
{
	for i in $(seq 100); do echo -n "word$i "; done; echo; echo
	for i in $(seq 100); do echo -n "WORD$i  "; done; echo; echo
	for i in $(seq 98) other other; do echo -n "word$i "; done; echo; echo
	for i in $(seq 101 200); do echo -n "word$i "; done; echo; echo
	echo short
} >copies.txt
expect 0 "$T" data copies.txt --out d1 --documents blank --dedup none --tokenizer one --val-share 0
has out "d1: 5 documents$"
expect 0 "$T" data copies.txt --out d2 --documents blank --tokenizer one --val-share 0
has out "d2: 4 documents, 1 duplicates$"
expect 0 "$T" data copies.txt --out d3 --documents blank --dedup near --min-chars 10 --tokenizer one --val-share 0
has out "d3: 2 documents, 1 too-short, 1 duplicates, 1 near-duplicates$"
expect 0 "$T" data --stats d3
has out "duplicates +40.00 %"

# Copies are on one side, in any order; that side is the same in any run.
expect 0 "$T" data "$text" "$text" --out both --dedup none --tokenizer one $common
tail -n +51 "$text" >second
expect 0 "$T" data second a "$text" --out mixed --tokenizer one $common
mv out kept
n=$("$T" data --stats one | sed -n 's/.* training, \([0-9]*\) held out.*/\1/p')
m=$("$T" data --stats both | sed -n 's/.* training, \([0-9]*\) held out.*/\1/p')
[ "$m" -eq $((2 * n)) ] || fail "$m tokens held out of the text twice, $n of it once"

# What cannot be read is named with its place.
printf 'good\n<|endoftext|>\nbad \377 text\n' >bad.txt
refuse 1 'bad.txt: byte 23 is not valid UTF-8; --invalid replace or skip' "$T" data bad.txt --out new $common
expect 0 "$T" data bad.txt --out skipped --invalid skip --tokenizer one --val-share 0
has out "skipped: 1 documents, 1 invalid"
expect 0 "$T" data bad.txt --out replaced --invalid replace --tokenizer one --val-share 0
has out "replaced: 2 documents$"
printf '{"text": "one"}\n\n{"text": "two"\n' >bad.jsonl
refuse 1 'bad.jsonl: line 3: column [0-9]+: .*--invalid skip' "$T" data bad.jsonl --out new $common
printf '{"text": "one"}\n{"body": "two"}\n' >other.jsonl
refuse 1 'other.jsonl: line 2: no member "text" \(--field' "$T" data other.jsonl --out new $common
printf '{"text": 5}' >number.jsonl
refuse 1 'number.jsonl: line 1: "text" is no text' "$T" data number.jsonl --out new $common
printf '{"text": "a\\u0000b"}' >nul.jsonl
refuse 1 'nul.jsonl: line 1: byte 1 is NUL' "$T" data nul.jsonl --out new $common
: >empty.txt
mkdir empty
refuse 1 'empty.txt: no text' "$T" data empty.txt --out new $common
refuse 1 'empty: the folder has no files' "$T" data empty --out new $common
refuse 1 'none.txt: no such file' "$T" data none.txt --out new $common
mkfifo pipe
refuse 1 'pipe: neither a file nor a folder' "$T" data pipe --out new $common
refuse 2 'no text: name files' "$T" data --out new
refuse 2 '--out DIR is missing' "$T" data "$text"
refuse 2 'leave the rest out' "$T" data "$text" --stats one
if [ "$(id -u)" -ne 0 ]; then
	echo text >locked.txt
	chmod 0 locked.txt
	refuse 1 'locked.txt: cannot open' "$T" data locked.txt --out new $common
fi
# A file that may not grow, as a disk that is full.
(ulimit -f 4; "$T" data "$text" --out new --vocab-size 4000 >out 2>err) && fail "a full disk is no error"
has err "cannot write"
[ -e new ] && fail "a refused run leaves its folder"
ls -d new.tmp* 2>/dev/null && fail "a refused run leaves a temporary folder"

# Ctrl-C ends it and leaves nothing.
for i in $(seq 1600); do echo "$i"; cat "$text"; done >large.txt
"$T" data large.txt --out new $common --dedup none >out 2>err &
pid=$!
for _ in $(seq 300); do
	ls -d new.tmp* >/dev/null 2>&1 && break
	sleep 0.02
done
kill -INT $pid
wait $pid
status=$?
if [ $status -eq 130 ]; then
	has err "stopped while preparing"
	ls -d new* 2>/dev/null && fail "Ctrl-C leaves files"
else
	[ $status -eq 0 ] || fail "Ctrl-C ends with $status"
	rm -r new
fi
rm large.txt

# Damage is found.
cp -r one damaged
printf '\1' | dd of=damaged/train-00000.safetensors bs=1 seek=300 conv=notrunc 2>/dev/null
refuse 1 'train-00000.safetensors: is not the file that the manifest tells of' "$T" data --stats damaged
refuse 1 'empty: no folder that trit data prepared' "$T" data --stats empty

# Training on prepared data, in place; on mixes; resumed.
small="--size 260k --seq-len 32 --batch 4 --layers 1 -t 2"
expect 0 "$T" train --data one --out run $small --steps 4
[ -e run/data ] && fail "prepared data was copied"
same run/vocab.gguf one/vocab.gguf
expect 0 "$T" train --data "$text" --out raw $small --steps 4 --vocab-size 300 --val-share 0.2
sed 's/"tokens_per_s": [^,]*,//' run/metrics.jsonl >run.metrics
sed 's/"tokens_per_s": [^,]*,//' raw/metrics.jsonl >raw.metrics
same run.metrics raw.metrics "prepared before and in the run"
expect 0 "$T" train --data one:0.7 "$text":0.3 --out mix $small --steps 6
has mix/data.json '"weight": "0.69' '"path": "data"' || true
"$T" train --data one:0.7 "$text":0.3 --out mixcut $small --steps 6 --save-every 1 2>err &
pid=$!
for _ in $(seq 300); do
	[ -s mixcut/metrics.jsonl ] && break
	sleep 0.02
done
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
expect 0 "$T" train --resume --out mixcut
same mix/checkpoint.safetensors mixcut/checkpoint.safetensors "a mix killed and resumed"
refuse 1 'some sources have a weight' "$T" train --data one:0.7 "$text" --out new $small --steps 1
refuse 1 'the weight is not above 0' "$T" train --data one:0 "$text":1 --out new $small --steps 1
expect 0 "$T" data a --out foreign --vocab-size 280
refuse 1 'prepared with another vocabulary' "$T" train --data one foreign --out new $small --steps 1
mv one moved
refuse 1 'one' "$T" train --resume --out run
exit 0
