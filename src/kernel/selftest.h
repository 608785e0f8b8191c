/*
 * selftest.h - one tiny case for every kernel of a table, against plain C, before the table is used.
 *
 * Finds a miscompiled kernel, an emulator's wrong instruction, a broken CPU; the thorough test is tests/checkasm/.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_SELFTEST_H
#define TRIT_KERNEL_SELFTEST_H

#include "kernel/kernel.h"

/**
 * Puts the function of `c` (plain C) back into *k wherever a result's bits differ, and logs a warning for each. Under a
 * millisecond.
 */
void trit_kernels_selftest(struct trit_kernels *k, const struct trit_kernels *c);

#endif
