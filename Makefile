# Makefile - the front door: make run, make test. The build itself is CMake's (CMakeLists.txt, CMakePresets.json).
#
# SPDX-License-Identifier: MIT
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
DESTDIR ?=
DEPS ?= yes
MODEL ?= models/stories.gguf
PROMPT ?= Once upon a time
FUZZ_SECONDS ?= 10
# CMake runs a make of its own, which must not take itself for a part of this one.
BUILD = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake --build
# To the shell as variables: a prompt may hold quotes.
export MODEL PROMPT

.PHONY: all run test install uninstall debug asan tsan clang arm64 fuzz check clean help deps
# Installing packages comes before configuring, also with -j.
.NOTPARALLEL:

all: release

help:
	@echo 'make            build everything in build/release'
	@echo 'make run        build, then write a story from the model in models/ (PROMPT="...", MODEL=FILE)'
	@echo 'make test       build and run the tests'
	@echo 'make install    library, header, program, pkg-config file, CMake package, man page'
	@echo '                (PREFIX=$(PREFIX), DESTDIR=)'
	@echo 'make uninstall  remove what make install put there'
	@echo 'make check      the rules of the source tree: layers, style, symbols'
	@echo 'make debug | asan | tsan | clang    build and test in build/debug, ...: unoptimised, sanitizers, clang'
	@echo 'make arm64      build for 64-bit Arm in build/arm64 and test the kernels under qemu'
	@echo 'make fuzz       build the fuzz targets and run each for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make clean      remove build/'
	@echo 'What is missing on the machine is installed first, if that needs no password; not with DEPS=no.'

# New packages are seen by configuring anew.
deps:
ifneq ($(DEPS),no)
	@tools/install-deps --check || { tools/install-deps && rm -f build/*/configured build/*/CMakeCache.txt; }
endif

build/%/configured: CMakePresets.json | deps
	@cmake --preset $* $(CMAKE_FLAGS)
	@touch $@

.PHONY: build-release build-debug build-asan build-tsan build-clang build-arm64 build-fuzz
build-release build-debug build-asan build-tsan build-clang build-arm64 build-fuzz: build-%: build/%/configured
	@$(BUILD) build/$* --parallel $(JOBS)

.PHONY: release
release: build-release

run: build/release/configured
	@$(BUILD) build/release --parallel $(JOBS) --target trit
	@build/release/trit run -m "$$MODEL" -p "$$PROMPT" --temp 0.4

test: release
	@ctest --test-dir build/release --output-on-failure -j2

debug asan tsan clang: %: build-%
	@ctest --test-dir build/$* --output-on-failure -j2

# The release build computes what the emulated one must equal.
arm64: release build-arm64
	@ctest --test-dir build/arm64 --output-on-failure -R '^tools_qemu-arm$$'

fuzz: build-fuzz
	@find build/fuzz/tests/fuzz -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x | sort | \
		xargs -n 1 -P $(JOBS) tools/fuzz-target $(FUZZ_SECONDS)

check: release
	@tools/check-layers
	@tools/check-style
	@tools/check-symbols build/release/libtrit.a
	@echo 'layers, style and symbols: fine'

install: release
	@DESTDIR='$(DESTDIR)' cmake --install build/release --prefix '$(PREFIX)'

uninstall:
	@[ -f build/release/install_manifest.txt ] || { echo 'Nothing was installed from here.'; exit 1; }
	@while read -r file || [ -n "$$file" ]; do \
		echo "removing $(DESTDIR)$$file"; \
		rm -f "$(DESTDIR)$$file"; \
	done < build/release/install_manifest.txt
	@rmdir '$(DESTDIR)$(PREFIX)/lib/cmake/Trit' 2>/dev/null || true

clean:
	rm -rf build
