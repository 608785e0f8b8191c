#!/bin/bash
# report.sh - trit report: one page for several runs, whatever they are called; errors that name file and line.
#
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"
mkdir -p one 'two </script><b>"&'
line()
{
	printf '{"step": %d, "tokens": %d, "loss": %s, "lr": 0.001, "tokens_per_s": 10, "grad_norm": null}\n' "$@"
}
{
	line 1 64 5.5
	line 2 128 4.25
} >one/metrics.jsonl
line 1 64 3.75 >'two </script><b>"&/metrics.jsonl'
if ! "$T" report one >/dev/null 2>err && grep -q 'without jansson' err; then
	echo 'built without jansson'
	exit 77
fi
rm -f report.html

expect 0 "$T" report one 'two </script><b>"&'
has err '^trit report: note: wrote report.html$'
cp report.html out
has out '"name": "one"' '"loss": \[5.5,4.25\]' '"val_loss": \[null,null\]' '"loss": \[3.75\]' \
	'"name": "two \\u003c/script\\u003e\\u003cb\\u003e\\"?'
[ "$(grep -c '</script>' out)" -eq 1 ] || fail "a name ends the script"
[ "$(tail -n 1 out)" = '</script>' ] || fail "the page is not whole"
grep -qE '(src|href)=' out && fail "the page asks for another file"
expect 0 "$T" report one/metrics.jsonl -o -
has out '"name": "one/metrics.jsonl"'

rm report.html
refuse 2 'DIR' "$T" report
refuse 1 'none/metrics.jsonl|none: ' "$T" report none
echo '{"step": 1' >one/metrics.jsonl
echo >>one/metrics.jsonl
refuse 1 'one/metrics.jsonl, line 1' "$T" report one
: >one/metrics.jsonl
refuse 1 'no steps in it yet' "$T" report one
[ ! -e report.html ] || fail "a failed report left a page"
