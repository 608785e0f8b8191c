/*
 * cpu.c - CPUID and XGETBV on x86-64, the auxiliary vector on Linux for Arm.
 *
 * References: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 14.3 and 15.2 (the order of the
 * checks), volume 2, CPUID.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* syscall */
#include "kernel/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Which register states the system saves at a context switch. Only when CPUID says OSXSAVE. */
static uint64_t saved_states(void)
{
	uint32_t low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static bool has(unsigned bits, unsigned wanted)
{
	return (bits & wanted) == wanted;
}

/* Whose VDPBF16PS starts as often as a fused multiply-add of fp32, for twice the work. */
static bool made_by_amd(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx && c == signature_AMD_ecx &&
	       d == signature_AMD_edx;
}

/* Tile data (8 KB a thread) is off until a process asks for it. */
static bool tiles_allowed(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
	const long request_permission = 0x1023, tile_data = 18; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
	return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
	return false;
#endif
}

unsigned trit_cpu_flags(void)
{
	const unsigned leaf1_c = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
	const unsigned leaf7_b = bit_AVX2 | bit_BMI | bit_BMI2;
	const unsigned leaf7_b_512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
	const unsigned leaf7_c_512 = bit_AVX512VNNI | bit_AVX512VBMI;
	const unsigned leaf7_d_amx = 1u << 22 | 1u << 24 | 1u << 25; /* AMX-BF16, AMX-TILE, AMX-INT8 */
	const unsigned leaf7_1_a_vnni = 1u << 4, leaf7_1_a_bf16 = 1u << 5;
	/* xmm, ymm | opmask, zmm 0-15, zmm 16-31 | tile configuration, tile data */
	const unsigned states = 0x06, states_512 = 0xE6, states_amx = 0x60000;
	unsigned a, b, c, d, flags = 0;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, leaf1_c))
		return 0;
	uint64_t saved = saved_states();
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, leaf7_b) || !has((unsigned)saved, states))
		return 0;
	flags |= TRIT_CPU_AVX2;
	if (has(b, leaf7_b_512) && has(c, leaf7_c_512) && has((unsigned)saved, states_512))
		flags |= TRIT_CPU_AVX512;
	bool tiles = (flags & TRIT_CPU_AVX512) && has(d, leaf7_d_amx) && has((unsigned)saved, states_amx);
	if (!__get_cpuid_count(7, 1, &a, &b, &c, &d))
		return flags;
	if (has(a, leaf7_1_a_vnni))
		flags |= TRIT_CPU_AVXVNNI;
	if ((flags & TRIT_CPU_AVX512) && has(a, leaf7_1_a_bf16) && made_by_amd())
		flags |= TRIT_CPU_AVX512BF16;
	if (tiles && has(a, leaf7_1_a_bf16) && tiles_allowed())
		flags |= TRIT_CPU_AMX;
	return flags;
}

#elif defined(__aarch64__)

#if defined(__linux__)
#include <sys/auxv.h>
#endif

unsigned trit_cpu_flags(void)
{
	unsigned flags = TRIT_CPU_NEON; /* part of the architecture's baseline */
#if defined(__linux__)
	const unsigned long dot_product = 1ul << 20, i8mm = 1ul << 13; /* HWCAP_ASIMDDP, HWCAP2_I8MM */
	if (getauxval(AT_HWCAP) & dot_product)
		flags |= TRIT_CPU_DOTPROD;
	if ((flags & TRIT_CPU_DOTPROD) && getauxval(AT_HWCAP2) & i8mm)
		flags |= TRIT_CPU_I8MM;
#endif
	return flags;
}

#else

unsigned trit_cpu_flags(void)
{
	return 0;
}

#endif
