#!/bin/bash
# mpi.sh - trit train on several processes by Open MPI, on this machine: the same as one process, killed, stopped,
# resumed on another number, and what it refuses.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
command -v mpirun >/dev/null || { echo "mpi.sh: no mpirun (libopenmpi-dev, openmpi-bin): skipped"; exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl=self,vader,tcp PMIX_MCA_gds=hash
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 # Open MPI's own, from parts it has unloaded by then
mpirun -np 2 true >out 2>err || { echo "mpi.sh: mpirun does not run here: skipped"; cat err; exit 77; }
mpirun -np 2 "$T" train --data x --out x >out 2>err
grep -q 'built without MPI' err && { echo "mpi.sh: trit was built without MPI: skipped"; exit 77; }

text=$DATA/train/garden.txt
small="--size 260k --vocab-size 300 --seq-len 32 --batch 12 --layers 2 -t 1"
short="$small --steps 12 --val-share 0.1 --val-every 6"

# N processes give the bits of one that sums the same parts; files and metrics, too.
expect 0 "$T" train --data "$text" --out one $short --parts 4
for n in 2 4; do
	expect 0 mpirun -np $n "$T" train --data "$text" --out $n $short --parts 4
	has err "^$n processes, $n on this machine, $((12 / n)) x 32 tokens a step each"
	[ "$(grep -c 'step 12/12' err)" -eq 1 ] || fail "not only the first process shows the steps"
	same one/checkpoint.safetensors $n/checkpoint.safetensors "$n processes"
	for run in one $n; do
		sed -E 's/, "(tokens_per_s|exchange_s|wait_s|sent)": [^,}]*//g' $run/metrics.jsonl >$run.metrics
	done
	same one.metrics $n.metrics "metrics of $n processes"
	[ -s $n/model.gguf ] || fail "no $n/model.gguf"
done

# Classifiers too, what they are right about included.
for i in $(seq 20); do
	printf 'a rose %d\tflower\na stone %d\trock\n' $i $i
done >labels.tsv
for n in 1 2; do
	expect 0 mpirun -np $n "$T" classify train -m one/model.gguf --data labels.tsv --out labels$n --seq-len 32 \
		--batch 4 --parts 2 --steps 4 --val-share 0.3 -t 1
done
same labels1/checkpoint.safetensors labels2/checkpoint.safetensors "a classifier by 2 processes"
[ "$(grep -o '"val_accuracy": .*' labels1/metrics.jsonl)" = "$(grep -o '"val_accuracy": .*' labels2/metrics.jsonl)" ] ||
	fail "another accuracy by 2 processes"

# kill -9 of any process ends all, at any moment after the first step (before, mpirun itself may hang); the checkpoint
# goes on on another number of processes, to the same end.
begin()
{
	: >err # or await would find what was there before
	timeout -k 1 60 mpirun -np "$@" >out 2>err &
	pid=$!
}
# waits for a line in err
await()
{
	for _ in $(seq 500); do
		grep -qE "$1" err && return
		sleep 0.02
	done
	fail "no \"$1\" on stderr"
}
processes()
{
	pgrep -f "^$T train .*--out $1( |\$)"
}
expect 0 "$T" train --data "$text" --out whole $small --steps 150 --parts 4
begin 4 "$T" train --data "$text" --out killed $small --steps 150 --parts 4 --save-every 3
for n in 2 4 1; do
	await "^step "
	sleep 0.$((RANDOM % 3))$((RANDOM % 10))
	victims=($(processes killed))
	[ ${#victims[@]} -gt 0 ] || break # it was quick
	kill -9 ${victims[$((RANDOM % ${#victims[@]}))]}
	wait $pid && fail "mpirun succeeds after a kill"
	[ -z "$(processes killed)" ] || sleep 1
	[ -z "$(processes killed)" ] || fail "a process lives on after another was killed"
	begin $n "$T" train --resume --out killed -t 1 --save-every 3
done
wait $pid || fail "the resumed run fails"
same whole/checkpoint.safetensors killed/checkpoint.safetensors "killed and resumed"
ls killed | grep -q '\.tmp\.' && fail "a half-written file is left"

# SIGTERM: all finish the step, the first saves.
begin 2 "$T" train --data "$text" --out stopped $small --steps 100000
await "^step "
kill -TERM $(processes stopped)
wait $pid
has err "stopped at step [0-9]+ of 100000 and saved; go on with: trit train --resume --out stopped"
step=$(sed -n 's/.*stopped at step \([0-9]*\) .*/\1/p' err)
[ "$(wc -l <stopped/metrics.jsonl)" -eq "$step" ] || fail "stopped at step $step, but metrics say otherwise"

# A process that says nothing any more - here it is stopped; elsewhere a cable was cut - is given up.
begin 2 "$T" train --data "$text" --out silent $small --steps 100000 --patience 1
await "^step "
kill -STOP $(processes silent | tail -1)
await 'process 0 on .* has waited 1 s for the others: a machine or the network has failed; go on .* with --resume'
wait $pid && fail "mpirun succeeds though a process was given up"

# What differs or does not fit is found at the start, said once and by name.
said()
{
	[ "$(grep -cE "^trit train: .*$1" err)" -eq 1 ] || fail "not once on stderr: $1"
	[ -e new ] && fail "a refused run leaves its folder"
}
new="$T train --data $text --out new $short"
expect 1 mpirun -np 1 $new : -np 1 $new --seed 7
said 'process 1 on .* has not the same version and settings as process 0'
expect 1 mpirun -np 1 $new --cpu c : -np 1 $new --cpu c --threads 3 : -np 1 $new --out other
said 'process 2 on .*other'
if "$T" info "$MODEL" | grep -qiE 'avx2|neon'; then
	expect 1 mpirun -np 1 $new : -np 1 $new --cpu c
	said 'process 1 on .* has not the same kernels \(--cpu NAME\)'
fi
expect 1 mpirun -np 5 $new
said '12 sequences does not divide among 5 processes'
expect 1 mpirun -np 2 "$T" train --data missing.txt --out new $short
said 'missing.txt'
expect 2 mpirun -np 2 "$T" train --data "$text" --out new --size 4m
said 'no size is called "4m"'
exit 0
