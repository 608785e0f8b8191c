/*
 * cpu.h - what this CPU and operating system can run, in few coarse steps.
 *
 * One flag stands for all the instruction sets that a tier's files are compiled for (CMakeLists.txt, trit_isa_*), and
 * for the system saving the registers they use.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_CPU_H
#define TRIT_KERNEL_CPU_H

enum {
	TRIT_CPU_AVX2 = 1,   /* AVX2, FMA, F16C, BMI1, BMI2: Haswell (2013), Zen (2017) and later */
	TRIT_CPU_AVX512 = 2, /* and AVX-512 F, BW, DQ, VL, VNNI, VBMI: Ice Lake (2019), Zen 4 (2022) and later */
	TRIT_CPU_AVXVNNI = 4, /* AVX2 and the VEX form of VNNI: Alder Lake (2021), Zen 5 and later */
	TRIT_CPU_AMX = 8, /* AVX-512 and its BF16, AMX-TILE, -INT8, -BF16, tile data allowed: Sapphire Rapids (2023) */
	TRIT_CPU_NEON = 16,   /* every aarch64 */
	TRIT_CPU_DOTPROD = 32, /* and SDOT: Cortex-A76 (2018), Apple A11 and later */
	TRIT_CPU_I8MM = 64,    /* and SMMLA: Neoverse V1/N2, Cortex-A510/A710, Apple M2 and later */
	/* AVX-512 and its BF16, with dot products at twice the speed of fp32: AMD's Zen 4 (2022) and later. Intel's take
	 * twice as long as products in fp32. */
	TRIT_CPU_AVX512BF16 = 128,
};

/**
 * The flags of this machine; 0 on architectures without any. Asks the system for the use of tile registers where the
 * CPU has them (Linux grants it to the whole process).
 */
unsigned trit_cpu_flags(void);

#endif
