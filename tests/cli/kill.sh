#!/bin/bash
# kill.sh - kill -9 at random moments, and damage: a run goes on from a whole checkpoint and ends as if nothing had
# been, or says what is wrong. TRIT_KILLS=N for more than a few.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
kills=${TRIT_KILLS:-8}
options="--data $DATA/train/garden.txt --size 260k --vocab-size 300 --seq-len 32 --batch 4 --layers 1 -t 1"
options="$options --steps 200 --val-share 0.1"
often="--save-every 3 --val-every 50 --keep 3"
RANDOM=$$
echo "seed $$"

expect 0 "$T" train $options $often --out whole

# With the first checkpoint there is a run to go on with; before it, nothing stands in the way of beginning again.
n=0
while [ $n -lt "$kills" ]; do
	if ls cut/checkpoint*.safetensors >/dev/null 2>&1; then
		"$T" train --resume $often --out cut 2>err &
	else
		rm -rf cut
		"$T" train $options $often --out cut 2>err &
	fi
	pid=$!
	sleep "0.$(printf %03d $((RANDOM % 250)))"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	status=$?
	[ $status -eq 137 ] || [ $status -eq 0 ] || fail "after $n kills a run ends with $status"
	grep -q "damaged" err && fail "after $n kills a checkpoint was damaged"
	n=$((n + 1))
	[ $status -eq 0 ] && rm -rf cut
done
if [ -e cut/checkpoint.safetensors ]; then
	expect 0 "$T" train --resume $often --out cut
else
	rm -rf cut
	expect 0 "$T" train $options $often --out cut
fi
same whole/checkpoint.safetensors cut/checkpoint.safetensors "killed and resumed"
for run in whole cut; do
	sed 's/"tokens_per_s": [^,]*,//' $run/metrics.jsonl >$run.metrics
done
same whole.metrics cut.metrics "metrics of the resumed run"
ls cut/*.tmp.* >/dev/null 2>&1 && fail "leftovers"
expect 0 "$T" doctor cut
has out "checkpoint.safetensors: step 200 of 200, every checksum is right" "checkpoint-198.safetensors: step 198"

# damage FILE BYTE: another byte there.
damage()
{
	local old new
	old=$(dd if="$1" bs=1 skip="$2" count=1 2>/dev/null | od -An -tu1)
	new=$(((old + 1 + RANDOM % 255) % 256))
	printf "\\$(printf %03o $new)" | dd of="$1" bs=1 seek="$2" count=1 conv=notrunc 2>/dev/null
}

# A damaged checkpoint is passed over and named; the run still ends as it should have.
size=$(stat -c %s cut/checkpoint.safetensors)
damage cut/checkpoint.safetensors $((size / 3 + RANDOM * 20 % (size / 3)))
expect 1 "$T" doctor cut
has out "DAMAGE +checkpoints +cut/checkpoint.safetensors: tensor " "remark .*--resume --out cut goes on from"
refuse 1 "cut/checkpoint.safetensors: tensor .* damaged" "$T" convert cut bad.gguf
truncate -s $((size / 2)) cut/checkpoint-198.safetensors
expect 0 "$T" train --resume $often --out cut
has err "cut/checkpoint.safetensors: tensor .* damaged; trying an older one" \
	"cut/checkpoint-198.* trying an older one"
same whole/checkpoint.safetensors cut/checkpoint.safetensors "resumed from an older checkpoint"
sed 's/"tokens_per_s": [^,]*,//' cut/metrics.jsonl >cut.metrics
same whole.metrics cut.metrics "metrics of the run resumed from an older checkpoint"

# From the step asked for; all damaged: an error, and nothing is touched.
expect 0 "$T" train --resume-from 198 $often --out cut
same whole/checkpoint.safetensors cut/checkpoint.safetensors "resumed from a step"
refuse 1 "no checkpoint of step 7 is kept; there are those of steps 200, 198" "$T" train --resume-from 7 --out cut
for f in cut/checkpoint*.safetensors; do
	damage "$f" $((20 + RANDOM % 100))
done
cat cut/checkpoint*.safetensors >before
refuse 1 "cut: none of the [0-9] checkpoints is sound" "$T" train --resume --out cut 2>err
cat cut/checkpoint*.safetensors >after
same before after
expect 0 "$T" info --json whole
has out '"step": 200' '"lr": "0.0141421'
exit 0
