#!/bin/sh
# install.sh - the installed package works, also when it is moved: a program outside the tree is built with pkg-config
# and with find_package, and runs.
#
# SPDX-License-Identifier: MIT
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
: "${CC:=cc}" "${CFLAGS:=}"
model=$TRIT_SOURCE/models/stories.gguf

fail() {
	echo "$*" >&2
	exit 1
}

# The story that PROGRAM writes, checked to be one.
run_example() {
	"$1" "$model" "Once upon a time" >"$dir/story" || fail "$1 failed"
	[ "$(wc -w <"$dir/story")" -gt 5 ] || fail "$1 wrote no story: $(cat "$dir/story")"
}

DESTDIR=$dir/stage cmake --install "$TRIT_BUILD" --prefix /opt/trit >"$dir/log" || { cat "$dir/log"; exit 1; }
# Moved: nothing in the package may name the place it was installed to.
mv "$dir/stage/opt/trit" "$dir/moved"
prefix=$dir/moved
for file in bin/trit include/trit.h share/man/man1/trit.1; do
	[ -f "$prefix/$file" ] || fail "$file is not installed"
done
[ -d "$prefix/lib" ] || fail "lib is not installed"

version=$(sed -n 's/^project(trit VERSION \([0-9.]*\).*/\1/p' "$TRIT_SOURCE/CMakeLists.txt")
[ -n "$version" ] || fail "no version in CMakeLists.txt"
grep -q "Trit $version" "$prefix/share/man/man1/trit.1" || fail "the man page does not say version $version"

PKG_CONFIG_PATH=$prefix/lib/pkgconfig
LD_LIBRARY_PATH=$prefix/lib # for a shared library
export PKG_CONFIG_PATH LD_LIBRARY_PATH
[ "$(pkg-config --modversion trit)" = "$version" ] || fail "pkg-config does not say version $version"
# shellcheck disable=SC2046,SC2086 # lists of words
$CC $CFLAGS "$TRIT_SOURCE/examples/generate.c" -o "$dir/by-pkg-config" $(pkg-config --cflags --libs trit)
run_example "$dir/by-pkg-config"

mkdir "$dir/user"
cp "$TRIT_SOURCE/examples/generate.c" "$dir/user"
cat >"$dir/user/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(user C)
find_package(Trit $version REQUIRED)
add_executable(generate generate.c)
target_link_libraries(generate PRIVATE Trit::trit)
END
{
	CFLAGS=$CFLAGS cmake -S "$dir/user" -B "$dir/user/build" \
		-DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" &&
	cmake --build "$dir/user/build"
} >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
run_example "$dir/user/build/generate"
