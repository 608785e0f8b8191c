/*
 * gemm_amx.c - the dense product of training in bfloat16, with AMX tiles.
 *
 * One TDPBF16PS multiplies a tile A with a tile B of gemm_bf16_body.h and adds to a tile C, 16 x 16 sums in fp32, in 16
 * cycles. Four tiles C stay while a panel of B meets a panel of A: 4 products for 4 tiles loaded, 64 cycles. Panels are
 * ten steps long, as in ternary_amx.c and for its reasons: B's tiles come from the first level, while A's, and C's once
 * in ten steps, come from the second: 58 + 26 cycles a step.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel/x86/gemm_bf16_body.h" /* before error.h, which bans what immintrin.h uses */

#include "kernel/x86/init.h"
#include "kernel/x86/tile.h"

_Static_assert(TILE * sizeof(uint16_t) == TRIT_TILE_BYTES, "a tile is whole");

static void multiply_panels(float *c, size_t ldc, const uint16_t *a, const uint16_t *b, int n_steps, bool load)
{
	size_t stride = ldc * sizeof *c;

	if (load) {
		TRIT_TILE_LOAD(0, c, stride);
		TRIT_TILE_LOAD(1, c + LINES, stride);
		TRIT_TILE_LOAD(2, c + LINES * ldc, stride);
		TRIT_TILE_LOAD(3, c + LINES * ldc + LINES, stride);
	} else {
		TRIT_TILE_ZERO(0);
		TRIT_TILE_ZERO(1);
		TRIT_TILE_ZERO(2);
		TRIT_TILE_ZERO(3);
	}
	for (int s = 0; s < n_steps; s++, a += 2 * TILE, b += 2 * TILE) {
		TRIT_TILE_LOAD(6, b, 64);
		TRIT_TILE_LOAD(4, a, 64);
		TRIT_TILE_DOT_BF16(0, 4, 6);
		TRIT_TILE_LOAD(7, b + TILE, 64);
		TRIT_TILE_DOT_BF16(1, 4, 7);
		TRIT_TILE_LOAD(5, a + TILE, 64);
		TRIT_TILE_DOT_BF16(2, 5, 6);
		TRIT_TILE_DOT_BF16(3, 5, 7);
	}
	TRIT_TILE_STORE(0, c, stride);
	TRIT_TILE_STORE(1, c + LINES, stride);
	TRIT_TILE_STORE(2, c + LINES * ldc, stride);
	TRIT_TILE_STORE(3, c + LINES * ldc + LINES, stride);
}

static void begin_products(void)
{
	static const struct trit_tile_config config = {
		.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

	TRIT_TILE_CONFIGURE(&config);
}

static void end_products(void)
{
	TRIT_TILE_RELEASE();
}

/* As of 8-bit products in ternary_amx.c. */
static double bf16_peak(int rounds)
{
	enum { TURNS = 100 };

	begin_products();
	for (int t = 0; t < rounds * TURNS; t++) {
		TRIT_TILE_DOT_BF16(0, 4, 6);
		TRIT_TILE_DOT_BF16(1, 4, 7);
		TRIT_TILE_DOT_BF16(2, 5, 6);
		TRIT_TILE_DOT_BF16(3, 5, 7);
	}
	end_products();
	return 4.0 * 2 * LINES * LINES * STEPS * TURNS * rounds;
}

void trit_gemm_init_amx(struct trit_kernels *k)
{
	k->gemm_bf16 = gemm_bf16;
	k->bf16_peak = bf16_peak;
}
