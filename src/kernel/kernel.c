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
#endif

static void init_c(struct trit_kernels *k)
{
	trit_ternary_init_c(k);
	trit_gemm_init_c(k);
	trit_float_init_c(k);
}

/* In ascending order: a CPU that has a tier has all before it. A tier of another architecture has no init. */
static const struct {
	const char *name;
	unsigned needs; /* flags of cpu.h */
	trit_tier_init_fn *init;
} tiers[TRIT_N_TIERS] = {
	[TRIT_TIER_C] = {"c", 0, init_c},
#if defined(__x86_64__)
	[TRIT_TIER_AVX2] = {"avx2", TRIT_CPU_AVX2, trit_x86_init_avx2},
	[TRIT_TIER_AVX512] = {"avx512", TRIT_CPU_AVX512, trit_x86_init_avx512},
#else
	[TRIT_TIER_AVX2] = {"avx2", TRIT_CPU_AVX2, NULL},
	[TRIT_TIER_AVX512] = {"avx512", TRIT_CPU_AVX512, NULL},
#endif
};

const char *trit_tier_name(enum trit_tier tier)
{
	return tiers[tier].name;
}

enum trit_tier trit_best_tier(void)
{
	unsigned flags = trit_cpu_flags();
	int best = TRIT_TIER_C;
	for (int i = 0; i < TRIT_N_TIERS; i++)
		if (tiers[i].init && (flags & tiers[i].needs) == tiers[i].needs)
			best = i;
	return (enum trit_tier)best;
}

void trit_kernels_fill(struct trit_kernels *k, enum trit_tier tier)
{
	int best = (int)trit_best_tier();
	*k = (struct trit_kernels){.tier = TRIT_TIER_C};
	for (int i = 0; i <= (int)tier && i <= best; i++)
		if (tiers[i].init) {
			tiers[i].init(k);
			k->tier = (enum trit_tier)i;
		}
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
			return trit_fail(err, TRIT_ERR_ARG, "%s=%s: no such instruction set; there are c, avx2 and avx512", from,
			                 cpu);
		if (i > (int)best)
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
