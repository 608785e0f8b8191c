# aarch64-linux-gnu.cmake - builds for 64-bit Arm Linux on another machine, with Debian's cross compiler; tests run
# under qemu's emulation of user programs. Programs are static: what runs them needs no Arm libraries.
#
# SPDX-License-Identifier: MIT
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)
# Not the libraries of the machine that builds: optional ones only where the cross compiler's own are.
set(ENV{PKG_CONFIG_LIBDIR} /usr/aarch64-linux-gnu/lib/pkgconfig)
