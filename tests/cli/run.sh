#!/bin/bash
# run.sh - trit run: what is printed where, prompts from everywhere, the same text from the same seed, limits, Ctrl-C.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
run() { expect 0 "$T" run -m "$MODEL" "$@" </dev/null; }
prompt='Once upon a time'

# Text on stdout, the closing line and the seed on stderr.
run -p "$prompt" -n 20
has out "^$prompt"
has err '^trit run: seed [0-9]+$' '^\[ Prompt: [0-9.]+ t/s \| Generation: [0-9.]+ t/s \]$'
[ "$(wc -l <err)" -eq 2 ] || fail "more than seed and speed on stderr"
seed=$(sed -n 's/.*seed //p' err)
cp out first
run -p "$prompt" -n 20 -s "$seed"
same out first "the printed seed gives another text"
[ "$(wc -l <err)" -eq 1 ] || fail "a seed that was given is printed"

# The same bits from any number of threads, batch size and instruction set.
run -p "$prompt" -n 60 -s 5
cp out first
for more in '-t 1' '-t 3' '-b 1' '-b 3' '--cpu c' '--cpu avx2' '--cpu avx512' '-c 100'; do
	# shellcheck disable=SC2086
	"$T" run -m "$MODEL" -p "$prompt" -n 60 -s 5 $more >out 2>err </dev/null ||
		grep -q 'this CPU' err || fail "run $more"
	grep -q 'this CPU' err || same out first "$more"
done
expect 0 "$T" run -m "$MODEL" -p "$prompt" -n 60 -s 5 --kv-type q8
same out first "--kv-type q8, the default of ternary models"
run -p "$prompt" -n 60 -s 5 --kv-type q4 -t 1
cp out quantised
run -p "$prompt" -n 60 -s 5 --kv-type q4 -t 3 -b 3
same out quantised "--kv-type q4 with more threads"
refuse 2 'is none of: auto, f16, q4, f32, q8' "$T" run -m "$MODEL" -p a --kv-type q5
TRIT_CPU=c TRIT_THREADS=2 TRIT_SEED=5 TRIT_MODEL=$MODEL expect 0 "$T" run -p "$prompt" -n 60
same out first "from the environment"

# The prompt from a file, from a pipe, and not printed.
echo "$prompt" >prompt
run -f prompt -n 60 -s 5
same out first "-f FILE"
"$T" run -m "$MODEL" -n 60 -s 5 <prompt >out 2>err || fail "pipe"
same out first "pipe"
printf '%s' "$prompt" | "$T" run -m "$MODEL" -f - -n 60 -s 5 >out 2>err || fail "-f -"
same out first "-f -"
run -p "$prompt" -n 60 -s 5 --no-echo
{ printf '%s' "$prompt"; cat out; } >whole
same whole first "--no-echo"
run -p "$prompt" -n 0
echo "$prompt" >want
same out want "-n 0"
run -p '' -n 5
[ -s out ] || fail "nothing follows an empty prompt"

# Greedy needs no seed; sampling options are taken.
run -p "$prompt" -n 40 --temp 0
cp out greedy
has err '^\[ Prompt'
grep -q seed err && fail "a seed with --temp 0"
run -p "$prompt" -n 40 --top-k 1 -s 9
same out greedy "--top-k 1"
run -p "$prompt" -n 40 --top-p 0 -s 9
same out greedy "--top-p 0"
run -p "$prompt" -n 40 --min-p 1 -s 9
same out greedy "--min-p 1"
run -p "$prompt" -n 40 --temp 0 --repeat-penalty 50
cmp -s out greedy && fail "the repeat penalty changes nothing"

# Until the context is full. --ignore-eos: only then.
run -p "$prompt" -n -1 -c 64 --ignore-eos -s 1
has err 'note: the context of 64 tokens is full'
refuse 1 'context of 99999 tokens: the model was trained for' "$T" run -m "$MODEL" -p hi -c 99999
seq 2000 >long
refuse 1 'the prompt has [0-9]+ tokens, the context [0-9]+: shorten it$' "$T" run -m "$MODEL" -f long
refuse 1 'the context 8: shorten it or raise -c$' "$T" run -m "$MODEL" -p "$prompt, in a land far away" -c 8

# A prompt on the command line may be any bytes; a file must be text.
expect 0 "$T" run -m "$MODEL" -p "$(printf 'a\377\376\303 \340\200z')" -n 5 -s 1
printf 'a\377b' >latin1
refuse 1 'latin1: byte 1 is not valid UTF-8; .*iconv' "$T" run -m "$MODEL" -f latin1
printf 'a\0b' >nul
refuse 1 'nul: byte 1 is NUL' "$T" run -m "$MODEL" -f nul

refuse 2 'both --prompt and --file' "$T" run -m "$MODEL" -p a -f b
refuse 1 'no-such-file: ' "$T" run -m "$MODEL" -f no-such-file
refuse 2 'model FILE is missing' "$T" run -p a
refuse 2 '--temp: "hot" is not a number' "$T" run -m "$MODEL" -p a --temp hot
refuse 2 'unexpected argument "word"' "$T" run -m "$MODEL" -p a word
refuse 1 'z80' "$T" run -m "$MODEL" -p a --cpu z80

# Ctrl-C, while it waits for a pipe that nobody reads: the pipe is full, so it cannot be done before the signal.
mkfifo pipe
sleep 60 <pipe &
reader=$!
exec 3>pipe
dd if=/dev/zero of=pipe bs=4096 count=1000 oflag=nonblock 2>/dev/null
"$T" run -m "$MODEL" -p "$prompt" -n -1 >&3 2>err &
pid=$!
for _ in $(seq 100); do
	sleep 0.1
	grep -q seed err && break
done
sleep 0.3
kill -INT $pid
sleep 0.2
kill -INT $pid 2>/dev/null
wait $pid
status=$?
kill $reader
[ $status -eq 130 ] || fail "Ctrl-C gives status $status"
has err '^\[ Prompt'
exit 0
