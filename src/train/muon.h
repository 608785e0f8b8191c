/*
 * muon.h - Muon: momentum whose matrix is made orthogonal before it is applied [Muon], with the steps of each row
 * evened out [NorMuon] or not.
 *
 *     m = mu m + (1 - mu) g'             u = (1 - mu) g' + mu m                      g': the clipped gradient; Nesterov
 *     X = u / |u|;  five times: A = X X^T,  X = a X + (b A + c A^2) X                a, b, c = 3.4445, -4.7750, 2.0315
 *         (computed on A alone: in fp32 within about 2e-4 of double precision)
 *     even: v_r = b2 v_r + (1 - b2) mean_c X_rc^2,  X_rc /= sqrt(v_r) + 1e-10
 *     w -= lr (0.2 sqrt(M K) / |X| X + wd w)                                         |.|: Frobenius norm
 *
 * So an update has the root mean square 0.2 lr, as AdamW's have about, and one learning rate serves both: matrices of
 * projections go by Muon, embeddings, head and norms by AdamW.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_MUON_H
#define TRIT_TRAIN_MUON_H

#include "kernel/kernel.h"

struct trit_muon {
	float lr, momentum, weight_decay;
	float g_scale; /* of the gradient: clipping */
	bool even;     /* NorMuon */
	float beta2;   /* of v */
};

/** Floats of scratch for matrices up to rows x cols, TRIT_GEMM_SCRATCH included. SIZE_MAX: too many. */
size_t trit_muon_scratch(size_t rows, size_t cols);
/** A step for one matrix w [rows, cols] with its momentum m [rows, cols], row moments v [rows] and gradient g [rows,
 * cols]. scratch is 64-byte aligned and the caller's alone. One thread; the same bits on every tier, unless
 * products are in bfloat16. */
void trit_muon_step(float *w, float *m, float *v, const float *g, size_t rows, size_t cols, const struct trit_muon *o,
                    const struct trit_kernels *k, float *scratch);

#endif
