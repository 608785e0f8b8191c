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
};

/** The flags of this machine; 0 on architectures without any. */
unsigned trit_cpu_flags(void);

#endif
