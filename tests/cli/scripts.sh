#!/bin/bash
# scripts.sh - the Python scripts of bench/ and models/ that work on training runs and their text: what they compute,
# what they keep, and how they fail.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
command -v python3 >/dev/null || { echo 'skipped: no python3'; exit 77; }
stories=$TRIT_SOURCE/models/make-stories
export PYTHONDONTWRITEBYTECODE=1
unset PYTHONUNBUFFERED

# Stories: the same bytes for the same seed, more of them begin with the same ones, others for another; plans that are
# wrong are named.
"$stories" --count 60 --seed 1 >told || fail 'make-stories'
"$stories" --count 60 --seed 1 --openings 0 >again
same told again 'the same seed'
"$stories" --count 20 --seed 1 >fewer
head -c "$(wc -c <fewer)" told | cmp -s - fewer || fail 'more stories do not begin with the same ones'
"$stories" --count 60 --seed 2 | cmp -s - told && fail 'another seed, the same stories'
[ "$(grep -c '^<|endoftext|>$' told)" -eq 60 ] || fail 'not 60 ends'
LC_ALL=C grep -q '[^ -~]' told && fail 'a character that is not ASCII'
"$stories" --count 60 --seed 1 --openings 1 >out
has out '^(Once upon a time,? there was|There once was|There was once) a (little |small )?(girl|boy) named [A-Z]'
plan()
{
	printf '%b' "$1" >p.plan
	refuse 1 "$2" "$stories" --count 3 p.plan
}
plan 'story x\nA [b|c.\n' 'p.plan:2: a \[ without its \]'
plan 'story x\nX = nobody\n{X} ran.\n' 'p.plan:2: there is no list "nobody"'
plan 'list x(a/b): 1/2\n' 'p.plan:1: none of the fields a/b is "name"'
plan 'list x(name/he): rain/zzz\n' '"zzz" is none of he'
plan 'story x\nA \0001 b.\n' 'p.plan:2: a character that cannot be printed'
plan 'story x\nA\0303.\n' 'is not ASCII'
plan '# none\n' 'no stories in p.plan'
printf 'story x\n[A|B] c.\n' >p.plan
expect 1 "$stories" --count 3 p.plan
[ "$(grep -c '^[AB] c\.$' out)" -eq 2 ] || fail 'not both tellings'
has err 'only 2 different stories'
refuse 1 'count -1' "$stories" --count -1
refuse 1 'nowhere' "$stories" nowhere
closed()
{
	"$@" 2>err | head -n 1 >/dev/null
	[ "${PIPESTATUS[0]}" -eq 1 ] && [ ! -s err ] || fail "$*: a pipe that closes"
}
closed "$stories" --count 2000
closed "$stories" --check
"$stories" --count 3 >/dev/full 2>err && fail 'a full disk'
has err '^make-stories: standard output: No space left on device$'

# Ablations: a table; nothing is run twice, nor taken for another setting; a setting that never ran may be mended.
printf 'base:\nlow: --lr 0.002\n' >list
ablations=("$TRIT_SOURCE/bench/ablations" --trit "$T" --data told --out ab --size 260k --steps 3 --val-windows 4
           --jobs 1)
own=(-- --vocab-size 300 --seq-len 32 --batch 2)
"$T" train --data told --out probe --size 260k --vocab-size 300 --seq-len 32 --batch 2 --steps 1 >out 2>err ||
	{ grep 'without jansson' err && exit 77; fail 'trit train'; }
expect 0 "${ablations[@]}" --seeds 1,2 --list list "${own[@]}"
has out '^\| base \|' '^\| low \| `--lr 0.002` \| [0-9.]+ \| [0-9.]+ \| [-+][0-9.]+ ± [0-9.]+ \| 2 \|$'
cp out first
expect 0 "${ablations[@]}" --seeds 1,2 --list list "${own[@]}"
[ -s err ] && fail 'something was run again'
same out first 'the table again'
"${ablations[@]}" --seeds 1,2 --list list --table "${own[@]}" >/dev/full 2>err && fail 'a full disk'
has err '^ablations: No space left on device$'
refuse 1 'vocabulary was learnt of other text' "${ablations[@]}" --seeds 3 --list list -- --vocab-size 400 --seq-len 32
printf 'base:\nlow: --lr 0.003\n' >other
refuse 1 'low.seed1 was run with other options' "${ablations[@]}" --seeds 1 --list other --table "${own[@]}"
printf 'base:\nbad: --nope\n' >bad
expect 1 "${ablations[@]}" --seeds 1 --list bad "${own[@]}"
has err 'unknown option --nope'
printf 'base:\nbad: --lr 0.01\n' >bad
expect 0 "${ablations[@]}" --seeds 1 --list bad "${own[@]}"
printf 'a b:\na_b: --lr 1\n' >bad
refuse 1 'have the same folder' "${ablations[@]}" --seeds 1 --list bad
printf 'a: "\n' >bad
refuse 1 'line 1 of the list' "${ablations[@]}" --seeds 1 --list bad
refuse 1 'seeds 1,x' "${ablations[@]}" --seeds 1,x
refuse 1 'there twice' "${ablations[@]}" --seeds 1,1

# Sizes: one row for each network and kind of weights, the better of two runs; measurements are kept by model and text.
for kind in ternary binary full; do
	"$T" train --data told --out $kind --size 260k --vocab-size 300 --seq-len 32 --batch 2 --steps 3 --val-windows 4 \
		--weights $kind >out 2>err || fail "training $kind"
done
sizes=("$TRIT_SOURCE/bench/sizes" --trit "$T" --json kept.json)
expect 0 "${sizes[@]}" ab/base.seed1 ab/low.seed1 ternary binary full --rounds 1 --text told
[ "$(grep -c '| ternary |' out)" -eq 1 ] && [ "$(grep -c '| binary |' out)" -eq 1 ] || fail 'rows of a kind'
[ "$(grep -c '| full precision |' out)" -eq 1 ] || fail 'no row of full precision'
best=$(cat ab/base.seed1/metrics.jsonl ab/low.seed1/metrics.jsonl ternary/metrics.jsonl | grep '"step": 3' |
	sed 's/.*"val_loss": \([0-9.]*\).*/\1/' |
	sort -n | head -n 1 | xargs printf '%.3f')
has out "\| ternary \| $best \|"
cp out first
expect 0 "${sizes[@]}" full --rounds 0
has out '\| full precision \| [0-9.]+ \| - \|'
expect 0 "${sizes[@]}" ab/base.seed1 ab/low.seed1 ternary binary full --rounds 1 --text told
same out first 'kept measurements'
echo '[1' >broken.json
refuse 1 'broken.json' "$TRIT_SOURCE/bench/sizes" --trit "$T" full --rounds 0 --json broken.json
refuse 1 'nowhere' "${sizes[@]}" nowhere
refuse 1 'prints no JSON' "$TRIT_SOURCE/bench/sizes" --trit /bin/true full --rounds 0
sed -i '$d' full/metrics.jsonl
refuse 1 'full/metrics.jsonl: its last line has no' "${sizes[@]}" full --rounds 0
sed -i 's/"val_loss": null/"val_loss": 5/; s/}$/, "val_loss": 5}/' full/metrics.jsonl
refuse 1 'full: the run is at step 2 of 3' "${sizes[@]}" full --rounds 0
refuse 1 'different numbers of tokens' "${sizes[@]}" ternary probe --rounds 0
