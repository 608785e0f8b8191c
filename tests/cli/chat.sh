#!/bin/bash
# chat.sh - trit chat over a pipe: answers on stdout only, its commands, a conversation longer than the context, Ctrl-C.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
chat() { expect 0 "$T" chat -m "$MODEL" -s 3 "$@" <lines; }

printf 'Once upon a time\n/exit\nnever read\n' >lines
chat -n 12
[ -s out ] || fail "no answer"
has err 'no chat template' '^\[ Prompt: .* Generation: .* \]$'
cp out answer
# The answer is what run writes after the same text.
expect 0 "$T" run -m "$MODEL" -s 3 -n 12 --no-echo -p 'Once upon a time'
same out answer "run and chat"

printf 'Once upon a time\n/clear\nOnce upon a time\n' >lines
chat -n 12 --temp 0
[ "$(wc -c <out)" -eq $((2 * $(head -c $(($(wc -c <out) / 2)) out | wc -c))) ] || fail "two answers of different length"
head -c $(($(wc -c <out) / 2)) out >one
tail -c $(($(wc -c <out) / 2)) out >two
same one two "/clear does not forget"
printf 'Once upon a time\n/regen\n' >lines
chat -n 12 --temp 0
cat one one >want
same out want "/regen at temperature 0 writes another answer"

printf '/help\n/regn\n/regen\n' >lines
chat
[ -s out ] && fail "commands write on stdout"
has err '/clear' 'unknown command /regn; did you mean /regen\?' 'there is no answer'

# Longer than the context, by the lines and by an answer.
for i in $(seq 30); do echo "Then the king of land number $i came along."; done >lines
chat -n 5 -c 64
has err 'note: the context of 64 tokens is full; forgetting the oldest [0-9]+$'
[ "$(grep -c Generation err)" -eq 30 ] || fail "not 30 answers"
echo hello >lines
seq 500 | tr '\n' ' ' >lines
expect 1 "$T" chat -m "$MODEL" -c 32 <lines
has err 'tokens at once do not fit the context of 32: write less or raise -c'

# With a chat template: the tokens of a conversation, and the same answer whether the session kept the beginning or not.
printf 'Once upon a time\n' >lines
chat -n 12 --temp 0 --chat-template plain
cp out one
has err '^\[ Prompt: '
expect 0 "$T" run -m "$MODEL" -n 12 --temp 0 --no-echo -p 'User: Once upon a time
Assistant:'
same one out "chat and run, the same text"
printf 'Once upon a time\n/regen\n/clear\n\nOnce upon a time\n' >lines
chat -n 12 --temp 0 --chat-template plain
cat one one one >want
same out want "/regen and /clear with a template"
printf 'User: Once upon a time\nAssistant:%s\nUser: And then?\nAssistant:' "$(cat one)" >prompt
printf 'Once upon a time\nAnd then?\n' >lines
chat -n 12 --temp 0 --chat-template plain
cp out both
expect 0 "$T" run -m "$MODEL" -n 12 --temp 0 --no-echo -f prompt
cat one out >want
same both want "the second answer"
chat -n 4 --system-prompt 'A test.' --chat-template '{{ messages[0].content }} {{ messages|length }}' -c 64
for i in $(seq 20); do echo "Then the king of land number $i came along."; done >lines
chat -n 5 -c 96 --chat-template chatml
has err 'the context of 96 tokens is full; forgetting the oldest [0-9]+ messages'
[ "$(grep -c Generation err)" -eq 20 ] || fail "not 20 answers"
expect 0 "$T" chat -m "$MODEL" --chat-template zephyr --show-template
has out 'add_generation_prompt'
echo hello >lines
expect 1 "$T" chat -m "$MODEL" --chat-template "{{ raise_exception('no greetings') }}" <lines
has err 'the template refuses these messages: no greetings'
refuse 1 'line 1, column 8: }} instead of an expression' "$T" chat -m "$MODEL" --chat-template '{{ 1 + }}'
refuse 1 'not the name of a built-in one' "$T" chat -m "$MODEL" --chat-template nothing

# Ctrl-C stops an answer without end, and the next line is answered.
mkfifo pipe
"$T" chat -m "$MODEL" -s 3 -c 64 -n -1 --repeat-penalty 1.1 <pipe >out 2>err &
pid=$!
exec 3>pipe
wait_for() # COUNT PATTERN: until stderr has so many lines that match
{
	for _ in $(seq 300); do
		[ "$(grep -cE "$2" err)" -ge "$1" ] && return
		sleep 0.05
	done
	fail "no \"$2\""
}
for turn in 1 2; do
	before=$(grep -cE 'Generation|context of 64' err)
	echo 'Once upon a time' >&3
	# The answer has begun when there is one more note of a full context, or it has ended by itself.
	wait_for $((before + 1)) 'Generation|context of 64'
	kill -INT $pid
	wait_for $turn Generation
done
exec 3>&-
wait $pid
status=$?
[ $status -eq 0 ] || [ $status -eq 130 ] || fail "status $status"
exit 0
