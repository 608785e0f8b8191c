#!/bin/sh
# checks.sh - the checks of tools/ find what they are for: each bad sample is named with file and line, good ones
# pass.
#
# SPDX-License-Identifier: MIT
set -u
tools=$TRIT_SOURCE/tools
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failures=0

# expect OUTPUT COMMAND...: the command fails and prints OUTPUT (a whole line). With "" it succeeds and prints nothing.
expect() {
	wanted=$1
	shift
	output=$("$@" 2>&1)
	result=$?
	if [ -z "$wanted" ] && [ $result = 0 ] && [ -z "$output" ]; then
		return
	fi
	if [ -n "$wanted" ] && [ $result = 1 ] && printf '%s\n' "$output" | grep -qxF -- "$wanted"; then
		return
	fi
	echo "$*: exit status $result, wanted: ${wanted:-nothing}"
	printf '%s\n' "$output" | sed 's/^/    /'
	failures=$((failures + 1))
}

# source PATH [LINE...]: a C file that follows the rules, with these lines at its end (printf's escapes).
source_file() {
	path=$dir/$1
	shift
	mkdir -p "$(dirname "$path")"
	printf '/*\n * %s - a sample.\n *\n * SPDX-License-Identifier: MIT\n */\n' "$(basename "$path")" >"$path"
	for line; do
		# shellcheck disable=SC2059 # escapes are wanted
		printf "$line\n" >>"$path"
	done
}

fresh() {
	rm -rf "$dir"
	mkdir -p "$dir/src"
}

# ---- layers ----

layers() { # LAYER INCLUDE
	fresh
	source_file "src/$1/sample.c" "#include $2"
	"$tools/check-layers" "$dir"
}

expect '' layers base '"base/mem.h"'
expect '' layers base '<base/none.h>'
expect '' layers run '"model/model.h"'
expect '' layers cli '"train/trainer.h"'
expect '' layers train '"format/gguf.h"'
expect '' layers kernel/x86 '"kernel/x86/init.h"'
expect '' layers eval '"trit.h"'
expect 'src/base/sample.c:6: base may not include kernel ("kernel/pack.h")' layers base '"kernel/pack.h"'
expect 'src/run/sample.c:6: run may not include train ("train/net.h")' layers run '"train/net.h"'
expect 'src/run/sample.c:6: run may not include format ("format/gguf.h")' layers run '"format/gguf.h"'
expect 'src/train/sample.c:6: train may not include run ("run/sampler.h")' layers train '"run/sampler.h"'
expect 'src/text/sample.c:6: text may not include format ("format/gguf.h")' layers text '"format/gguf.h"'
expect 'src/convert/sample.c:6: convert may not include run ("run/session.h")' layers convert '"run/session.h"'
expect 'src/kernel/x86/sample.c:6: kernel may not include model ("model/kv.h")' layers kernel/x86 '"model/kv.h"'
expect 'src/base/sample.c:6: "mem.h": write the path from src/' layers base '"mem.h"'
expect 'src/other/sample.c:1: src/other is not a layer (the table is in tools/check-layers)' layers other '"trit.h"'
fresh
source_file examples/sample.c '#include "base/mem.h"'
expect 'examples/sample.c:6: examples may not include base ("base/mem.h")' "$tools/check-layers" "$dir"

# ---- style ----

style() { # LINE...
	fresh
	source_file src/base/sample.c "$@"
	"$tools/check-style" "$dir"
}

# 121 columns: a tab and 117 letters
long=$(awk 'BEGIN { for (i = 0; i < 117; i++) printf "x" }')
expect '' style 'int f(int a,\n      int b)\n{\n\treturn a +\n\t       b;\n}'
expect '' style "\\t${long%x}"
expect '' style "$(awk 'BEGIN { for (i = 0; i < 120; i++) printf "\\303\\274" }')"
expect 'src/base/sample.c:6: 121 columns' style "\\t$long"
expect 'src/base/sample.c:8: indented with spaces' style 'int f(void)\n{\n    return 0;\n}'
expect 'src/base/sample.c:8: a space before a tab in the indentation' style 'int f(void)\n{\n  \treturn 0;\n}'
expect 'src/base/sample.c:6: blanks at the end of the line' style 'int a; '
expect 'src/base/sample.c:6: a carriage return' style 'int a;\r'
expect 'src/base/sample.c:6: a note to self' style '/* TO''DO: more */'
expect 'src/base/sample.c:6: a note to self' style '/* XX''X */'
expect '' style 'char name[] = "XX''XXXX";'
expect 'src/base/sample.c:6: code switched off; delete it' style '#if 0\n#endif'
fresh
source_file src/base/sample.c
printf 'int a;' >>"$dir/src/base/sample.c"
expect 'src/base/sample.c: no newline at the end of the file' "$tools/check-style" "$dir"
fresh
printf '/*\n * sample.c - no licence.\n */\n' >"$dir/src/sample.c"
expect 'src/sample.c:1: no SPDX-License-Identifier' "$tools/check-style" "$dir"
fresh
printf '/*\n * other.c - a wrong name.\n *\n * SPDX-License-Identifier: MIT\n */\n' >"$dir/src/sample.c"
expect 'src/sample.c:2: the first comment does not begin with "sample.c - "' "$tools/check-style" "$dir"
fresh
printf 'int a; /* SPDX-License-Identifier: MIT */\n' >"$dir/src/sample.c"
expect 'src/sample.c:1: the file does not begin with a comment' "$tools/check-style" "$dir"
fresh
mkdir "$dir/tools"
printf '#!/bin/sh\n# sample: wrong.\n# SPDX-License-Identifier: MIT\n' >"$dir/tools/sample"
expect 'tools/sample:3: the first comment does not begin with "sample - "' "$tools/check-style" "$dir"
fresh
source_file src/base/sample.h
source_file src/run/sample.h
expect 'src/run/sample.h:1: another file has this name: src/base/sample.h' "$tools/check-style" "$dir"

# ---- symbols ----

symbols() { # C-TEXT
	fresh
	printf '%s\n' "$1" >"$dir/sample.c"
	(cd "$dir" && ${CC:-cc} -c sample.c && ar rc libsample.a sample.o && "$tools/check-symbols" libsample.a)
}

expect '' symbols 'int trit_a; static int b; int trit_c(void) { return b; } extern int printf(const char *, ...);'
expect 'libsample.a:sample.o: helper does not begin with trit_' symbols 'int helper(void) { return 0; }'
expect 'libsample.a:sample.o: table does not begin with trit_' symbols 'int table[3];'
shared() { # C-TEXT
	fresh
	printf '%s\n' "$1" >"$dir/sample.c"
	(cd "$dir" && ${CC:-cc} -shared -fPIC -o libsample.so sample.c && "$tools/check-symbols" libsample.so)
}
expect 'libsample.so: trit_secret: declared in trit.h or shown by the library, but not both' \
	shared 'int trit_secret(void) { return 0; }'
expect 'libsample.so: trit_version: declared in trit.h or shown by the library, but not both' \
	shared 'int trit_secret(void) { return 0; }'

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
