/*
 * kernel.c - fills the table of kernels, tier by tier.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/kernel.h"

#include "kernel/cpu.h"
#include "kernel/selftest.h"
#include "kernel/tiers.h"
#if defined(__x86_64__)
#include "kernel/x86/init.h"
#define IF_X86(init) init
#else
#define IF_X86(init) NULL
#endif
#if defined(__aarch64__)
#include "kernel/arm/init.h"
#define IF_ARM(init) init
#else
#define IF_ARM(init) NULL
#endif

static void init_c(struct trit_kernels *k)
{
	trit_ternary_init_c(k);
	trit_gemm_init_c(k);
	trit_float_init_c(k);
}

/* A tier of another architecture has no init. */
static const struct {
	const char *name;
	unsigned needs; /* flags of cpu.h */
	trit_tier_init_fn *init;
} tiers[TRIT_N_TIERS] = {
	[TRIT_TIER_C] = {"c", 0, init_c},
	[TRIT_TIER_AVX2] = {"avx2", TRIT_CPU_AVX2, IF_X86(trit_x86_init_avx2)},
	[TRIT_TIER_AVXVNNI] = {"avxvnni", TRIT_CPU_AVX2 | TRIT_CPU_AVXVNNI, IF_X86(trit_x86_init_avxvnni)},
	[TRIT_TIER_AVX512] = {"avx512", TRIT_CPU_AVX2 | TRIT_CPU_AVX512, IF_X86(trit_x86_init_avx512)},
	[TRIT_TIER_AVX512BF16] = {"avx512bf16", TRIT_CPU_AVX2 | TRIT_CPU_AVX512 | TRIT_CPU_AVX512BF16,
	                          IF_X86(trit_x86_init_avx512bf16)},
	[TRIT_TIER_AMX] = {"amx", TRIT_CPU_AVX2 | TRIT_CPU_AVX512 | TRIT_CPU_AMX, IF_X86(trit_x86_init_amx)},
	[TRIT_TIER_NEON] = {"neon", TRIT_CPU_NEON, IF_ARM(trit_arm_init_neon)},
	[TRIT_TIER_DOTPROD] = {"dotprod", TRIT_CPU_NEON | TRIT_CPU_DOTPROD, IF_ARM(trit_arm_init_dotprod)},
	[TRIT_TIER_I8MM] = {"i8mm", TRIT_CPU_NEON | TRIT_CPU_DOTPROD | TRIT_CPU_I8MM, IF_ARM(trit_arm_init_i8mm)},
};

bool trit_tier_here(enum trit_tier tier)
{
	return tiers[tier].init && (trit_cpu_flags() & tiers[tier].needs) == tiers[tier].needs;
}

const char *trit_tier_name(enum trit_tier tier)
{
	return tiers[tier].name;
}

enum trit_tier trit_best_tier(void)
{
	int best = TRIT_TIER_C;
	for (int i = 0; i < TRIT_N_TIERS; i++)
		if (trit_tier_here((enum trit_tier)i))
			best = i;
	return (enum trit_tier)best;
}

void trit_kernels_fill(struct trit_kernels *k, enum trit_tier tier)
{
	*k = (struct trit_kernels){.tier = TRIT_TIER_C};
	for (int i = 0; i <= (int)tier; i++)
		if (trit_tier_here((enum trit_tier)i)) {
			tiers[i].init(k);
			k->tier = (enum trit_tier)i;
		}
}

bool trit_kernels_have_bf16(const struct trit_kernels *k)
{
	struct trit_kernels c;
	trit_kernels_fill(&c, TRIT_TIER_C);
	return k->gemm_bf16 != c.gemm_bf16;
}

int trit_kernels_select(struct trit_kernels *k, const char *cpu, struct trit_error *err)
{
	enum trit_tier best = trit_best_tier(), tier = best;
	const char *from = "--cpu";

	if (!cpu) {
		cpu = getenv("TRIT_CPU");
		from = "TRIT_CPU";
	}
	if (cpu && *cpu) {
		int i = 0;
		while (i < TRIT_N_TIERS && strcmp(cpu, tiers[i].name) != 0)
			i++;
		if (i == TRIT_N_TIERS)
			return trit_fail(err, TRIT_ERR_ARG,
			                 "%s=%s: no such instruction set; there are c, avx2, avxvnni, avx512, avx512bf16, amx, "
			                 "neon, dotprod and i8mm",
			                 from, cpu);
		if (!trit_tier_here((enum trit_tier)i))
			return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s=%s: this CPU lacks it; its best is %s", from, cpu,
			                 tiers[best].name);
		tier = (enum trit_tier)i;
	}
	trit_kernels_fill(k, tier);
	if (tier != TRIT_TIER_C) {
		struct trit_kernels c;
		trit_kernels_fill(&c, TRIT_TIER_C);
		trit_kernels_selftest(k, &c);
	}
	return 0;
}
