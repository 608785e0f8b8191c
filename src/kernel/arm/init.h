/*
 * init.h - the tiers of 64-bit Arm.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_ARM_INIT_H
#define TRIT_KERNEL_ARM_INIT_H

#include "kernel/tiers.h"

/** Every kernel the tier has a form of; the CPU must have it. */
trit_tier_init_fn trit_arm_init_neon, trit_arm_init_dotprod, trit_arm_init_i8mm;

#endif
