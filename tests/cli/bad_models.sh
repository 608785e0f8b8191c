#!/bin/bash
# bad_models.sh - files that are no model, or a damaged one: one line that names the file, status 1, nothing on stdout.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
size=$(wc -c <"$MODEL")

# Every command that opens a model.
try()
{
	refuse 1 "$1" "$T" info "$2"
	refuse 1 "$1" "$T" run -m "$2" -p hi -n 1
	refuse 1 "$1" "$T" chat -m "$2" </dev/null
	refuse 1 "$1" "$T" tokenize -m "$2" hi
	refuse 1 "$1" "$T" perplexity -m "$2" -f "$DATA/train/garden.txt" -c 8
}

try 'missing.gguf: .*No such file' missing.gguf
mkdir folder
try 'folder: .*directory' folder
: >empty.gguf
try 'empty.gguf: ' empty.gguf
echo 'just some text' >text.gguf
try 'text.gguf: ' text.gguf
printf '<!DOCTYPE html><html></html>' >page.gguf
try 'page.gguf: .*web page' page.gguf
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' >pointer.gguf
try 'pointer.gguf: .*[Ll][Ff][Ss]' pointer.gguf
printf '{"a"' >a.json
refuse 1 'a.json: ' "$T" info a.json
if [ "$(id -u)" -ne 0 ]; then
	cp "$MODEL" secret.gguf
	chmod 0 secret.gguf
	try 'secret.gguf: .*[Pp]ermission' secret.gguf
fi

for bytes in 1 4 7 12 24 25 100 1000 5000 $((size / 2)) $((size - 1)); do
	head -c "$bytes" "$MODEL" >short.gguf
	refuse 1 'short.gguf: ' "$T" info short.gguf
	refuse 1 'short.gguf: ' "$T" run -m short.gguf -p hi
done
# One byte of the head of the file changed at a time: an error or a model, never a crash.
for at in $(seq 0 97 6000); do
	cp "$MODEL" changed.gguf
	printf '\377' | dd of=changed.gguf bs=1 seek="$at" conv=notrunc status=none
	"$T" run -m changed.gguf -p hi -n 2 -t 1 >out 2>err </dev/null
	status=$?
	[ $status -eq 0 ] || [ $status -eq 1 ] || fail "byte $at changed: status $status"
	[ $status -eq 0 ] || [ "$(wc -l <err)" -eq 1 ] || fail "byte $at changed: not one line"
done
exit 0
