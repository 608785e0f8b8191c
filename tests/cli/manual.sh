#!/bin/bash
# manual.sh - the manual page names exactly the options that the commands have.
#
# SPDX-License-Identifier: MIT
set -eu
trit=$1
page=$TRIT_SOURCE/docs/trit.1

commands=$("$trit" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
[ "$(echo "$commands" | wc -w)" -ge 7 ] || { echo "trit --help lists no commands"; exit 1; }

# The options at the start of the help's lines; an option has at most two names before its explanation.
of_program=$(for command in $commands "classify train" "classify eval" "classify predict"; do
	"$trit" $command --help | grep -E '^  (-.,|   ) --' | grep -oE -- '^.{6}--[a-z0-9-]+'
done | grep -oE -- '--[a-z0-9-]+' | sort -u)
of_page=$(sed 's/\\-/-/g' "$page" | grep -v '^\.\\"' | grep -oE -- '--[a-z0-9-]+' | sort -u |
	grep -vxE -- '--(version|n-predict)')
difference=$(diff <(echo "$of_program") <(echo "$of_page")) || {
	echo "options of the program (<) and of docs/trit.1 (>) differ:"
	echo "$difference"
	exit 1
}
for command in $commands; do
	grep -qi "^\.SH TRIT $command\$" "$page" || { echo "docs/trit.1 has no section on trit $command"; exit 1; }
done
