/*
 * tile.c - the AMX instructions of kernel/x86/tile.h as C functions, for tests on CPUs without them.
 *
 * Palette 1: eight tiles of up to 16 rows of 64 bytes. What the manual lets trap (#GP, #UD) aborts here. Whatever lies
 * beyond a tile's configured rows and bytes is 0 after an instruction has written the tile, as in the hardware.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_TILE_EMULATED
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/x86/tile.h"

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 };

static struct {
	bool configured;
	struct trit_tile_config config;
	uint8_t tile[TILES][ROWS][ROW_BYTES];
} unit;

static void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "emulated tiles: %s\n", what);
	abort();
}

/* The shape of a tile an instruction may name. */
static int rows_of(int tile)
{
	require(unit.configured, "not configured");
	require(tile >= 0 && tile < TILES, "no such tile");
	require(unit.config.rows[tile] > 0, "a tile without rows");
	return unit.config.rows[tile];
}
static int row_bytes_of(int tile)
{
	return unit.config.row_bytes[tile];
}

void trit_emulated_configure(const struct trit_tile_config *config)
{
	uint8_t bytes[64];

	memcpy(bytes, config, sizeof bytes);
	require(bytes[0] == 1, "palette");
	for (int i = 1; i < 16; i++)
		require(bytes[i] == 0, "start row or reserved bytes");
	for (int i = 0; i < 16; i++) {
		int row_bytes = bytes[16 + 2 * i] | bytes[17 + 2 * i] << 8, rows = bytes[48 + i];
		require(i < TILES || (row_bytes == 0 && rows == 0), "shape of a tile that is not there");
		require(row_bytes <= ROW_BYTES && rows <= ROWS && (row_bytes == 0) == (rows == 0), "shape");
	}
	memset(&unit, 0, sizeof unit);
	unit.config = *config;
	unit.configured = true;
}

void trit_emulated_release(void)
{
	require(unit.configured, "released without being configured");
	memset(&unit, 0, sizeof unit);
}

void trit_emulated_zero(int tile)
{
	rows_of(tile);
	memset(unit.tile[tile], 0, sizeof unit.tile[tile]);
}

void trit_emulated_load(int tile, const void *from, size_t stride)
{
	int rows = rows_of(tile);

	memset(unit.tile[tile], 0, sizeof unit.tile[tile]);
	for (int r = 0; r < rows; r++)
		memcpy(unit.tile[tile][r], (const uint8_t *)from + (size_t)r * stride, (size_t)row_bytes_of(tile));
}

void trit_emulated_store(int tile, void *to, size_t stride)
{
	int rows = rows_of(tile);

	for (int r = 0; r < rows; r++)
		memcpy((uint8_t *)to + (size_t)r * stride, unit.tile[tile][r], (size_t)row_bytes_of(tile));
}

/* One row of C: the 16 sums, each of four products a step. */
static void dot_row(uint8_t *c, const uint8_t *a, uint8_t (*b)[ROW_BYTES], int steps, int n)
{
	uint32_t sums[ROW_BYTES / 4];

	memcpy(sums, c, sizeof sums);
	for (int k = 0; k < steps; k++)
		for (int i = 0; i < n; i++)
			for (int j = 0; j < 4; j++)
				sums[i] += (uint32_t)((int8_t)a[4 * k + j] * (int8_t)b[k][4 * i + j]);
	memcpy(c, sums, 4 * (size_t)n);
	memset(c + 4 * n, 0, ROW_BYTES - 4 * (size_t)n);
}

/* A denormal number counts as zero, before an operation and after. */
static float flushed(float x)
{
	return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}

static float bf16(const uint8_t *at)
{
	uint32_t bits = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 24;
	float x;

	memcpy(&x, &bits, sizeof x);
	return flushed(x);
}

/* One row of C: 16 sums of two chains of fused steps. */
static void dot_row_bf16(uint8_t *c, const uint8_t *a, uint8_t (*b)[ROW_BYTES], int steps, int n)
{
	for (int i = 0; i < n; i++) {
		float sum, chain[2] = {0, 0};

		for (int k = 0; k < steps; k++)
			for (int j = 0; j < 2; j++)
				chain[j] = flushed(fmaf(bf16(a + 4 * k + 2 * j), bf16(b[k] + 4 * i + 2 * j), chain[j]));
		memcpy(&sum, c + 4 * i, sizeof sum);
		sum = flushed(flushed(sum) + flushed(chain[0] + chain[1]));
		memcpy(c + 4 * i, &sum, sizeof sum);
	}
	memset(c + 4 * n, 0, ROW_BYTES - 4 * (size_t)n);
}

typedef void dot_row_fn(uint8_t *c, const uint8_t *a, uint8_t (*b)[ROW_BYTES], int steps, int n);

/* Either product: the shapes are bound by the same rules. */
static void dot(int c, int a, int b, dot_row_fn *row)
{
	int rows = rows_of(c), steps = rows_of(b), n = row_bytes_of(c) / 4;

	require(c != a && c != b && a != b, "a product: a tile twice");
	require(rows_of(a) == rows, "a product: rows of A and C");
	require(row_bytes_of(b) == row_bytes_of(c), "a product: row bytes of B and C");
	require(row_bytes_of(a) == 4 * steps, "a product: row bytes of A, rows of B");
	require(row_bytes_of(c) % 4 == 0, "a product: row bytes of C");
	for (int r = 0; r < rows; r++)
		row(unit.tile[c][r], unit.tile[a][r], unit.tile[b], steps, n);
	memset(unit.tile[c][rows], 0, (size_t)(ROWS - rows) * ROW_BYTES);
}

void trit_emulated_dot(int c, int a, int b)
{
	dot(c, a, b, dot_row);
}

void trit_emulated_dot_bf16(int c, int a, int b)
{
	dot(c, a, b, dot_row_bf16);
}
