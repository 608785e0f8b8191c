/*
 * tile.h - the AMX instructions, as macros: tiles are named by literal numbers 0 to 7.
 *
 * Not the compilers' intrinsics: gcc 12's _tile_loadd does not tell the compiler that it reads memory, so the stores
 * that fill what it loads may be moved behind it, or dropped. Here each instruction that touches memory is a barrier
 * for the compiler.
 *
 * A thread may use tiles after TRIT_TILE_CONFIGURE, which also zeroes them, until TRIT_TILE_RELEASE; the process must
 * have asked the system for them (cpu.c). No function called in between touches tiles.
 *
 * With TRIT_TILE_EMULATED defined each is a call of a C function that does the same and aborts where the instruction
 * would trap: tests/emulated/.
 *
 * Reference: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18, and volume 2.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_KERNEL_X86_TILE_H
#define TRIT_KERNEL_X86_TILE_H

#include <stddef.h>
#include <stdint.h>

/** What LDTILECFG loads: the shapes of the tiles. Tiles that are not used have shape 0, 0. */
struct trit_tile_config {
	uint8_t palette;   /* 1 */
	uint8_t start_row; /* 0 */
	uint8_t zero[14];
	uint16_t row_bytes[16]; /* at most 64; 8 to 15 are 0 */
	uint8_t rows[16];       /* at most 16; 8 to 15 are 0 */
};
_Static_assert(sizeof(struct trit_tile_config) == 64, "64 bytes, no gaps");

/** Bytes of a whole tile, 16 rows of 64. */
enum { TRIT_TILE_BYTES = 1024 };

#ifdef TRIT_TILE_EMULATED

void trit_emulated_configure(const struct trit_tile_config *config);
void trit_emulated_release(void);
void trit_emulated_zero(int tile);
void trit_emulated_load(int tile, const void *from, size_t stride);
void trit_emulated_store(int tile, void *to, size_t stride);
void trit_emulated_dot(int c, int a, int b);
void trit_emulated_dot_bf16(int c, int a, int b);

#define TRIT_TILE_CONFIGURE(config) trit_emulated_configure(config)
#define TRIT_TILE_RELEASE() trit_emulated_release()
#define TRIT_TILE_ZERO(tile) trit_emulated_zero(tile)
#define TRIT_TILE_LOAD(tile, from, stride) trit_emulated_load(tile, from, stride)
#define TRIT_TILE_STORE(tile, to, stride) trit_emulated_store(tile, to, stride)
#define TRIT_TILE_DOT(c, a, b) trit_emulated_dot(c, a, b)
#define TRIT_TILE_DOT_BF16(c, a, b) trit_emulated_dot_bf16(c, a, b)

#else

#define TRIT_TILE_CONFIGURE(config) __asm__ volatile("ldtilecfg %0" : : "m"(*(config)))
#define TRIT_TILE_RELEASE() __asm__ volatile("tilerelease")
#define TRIT_TILE_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile : :)
/** Rows of the tile from `from`, `stride` bytes apart; the rest of the tile becomes 0. */
#define TRIT_TILE_LOAD(tile, from, stride)                                                                             \
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(from), "r"((size_t)(stride)) : "memory")
#define TRIT_TILE_STORE(tile, to, stride)                                                                              \
	__asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(to), "r"((size_t)(stride)) : "memory")
/** c[m][n] += sum over k, j of a[m][4 k + j] * b[k][4 n + j]: 32-bit sums of products of signed bytes. */
#define TRIT_TILE_DOT(c, a, b) __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
/** c[m][n] += sum over k of a[m][2 k] * b[k][2 n] + the same of a[m][2 k + 1] * b[k][2 n + 1]: of bfloat16 in fp32. */
#define TRIT_TILE_DOT_BF16(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

#endif

#endif
