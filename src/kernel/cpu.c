/*
 * cpu.c - CPUID and XGETBV.
 *
 * References: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 14.3 and 15.2 (the order of the
 * checks), volume 2, CPUID.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>

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

unsigned trit_cpu_flags(void)
{
	const unsigned leaf1_c = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
	const unsigned leaf7_b = bit_AVX2 | bit_BMI | bit_BMI2;
	const unsigned leaf7_b_512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
	const unsigned leaf7_c_512 = bit_AVX512VNNI | bit_AVX512VBMI;
	const unsigned states = 0x06, states_512 = 0xE6; /* xmm, ymm | opmask, zmm 0-15, zmm 16-31 */
	unsigned a, b, c, d, flags = 0;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, leaf1_c))
		return 0;
	uint64_t saved = saved_states();
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, leaf7_b) || !has((unsigned)saved, states))
		return 0;
	flags |= TRIT_CPU_AVX2;
	if (has(b, leaf7_b_512) && has(c, leaf7_c_512) && has((unsigned)saved, states_512))
		flags |= TRIT_CPU_AVX512;
	return flags;
}

#else

unsigned trit_cpu_flags(void)
{
	return 0;
}

#endif
