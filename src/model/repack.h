/*
 * repack.h - turns tensors of a file into the layouts that kernels read, a few rows at a time, on several threads.
 *
 * Beside the result there is never more than those few rows of each thread: no copy of a whole matrix in fp32 or int8.
 * Pages of the file are given back to the system as soon as they are read.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_REPACK_H
#define TRIT_MODEL_REPACK_H

#include "base/pool.h"
#include "kernel/kernel.h"
#include "model/tensor_form.h"

/** Zeroed: nothing to release. */
struct trit_repack {
	struct trit_pool *pool;             /* NULL: one thread */
	struct trit_repack_thread *threads; /* scratch of each */
	size_t scratch;                     /* weights in each thread's scratch */
};

/** Scratch for tensors of up to `cols` columns. Errors: MEMORY, IO (no threads). */
TRIT_MUST_CHECK int trit_repack_init(struct trit_repack *r, int n_threads, size_t cols, struct trit_error *err);
void trit_repack_release(struct trit_repack *r);

/** The integer weights of a tensor in `layout`. Errors: as trit_tensor_codes; FORMAT for a 0 where the layout is b1. */
TRIT_MUST_CHECK int trit_repack_codes(struct trit_repack *r, enum trit_layout layout, unsigned char *out,
                                      const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                                      struct trit_error *err);
/** The numbers of a tensor, quantised to `layout` (i8, i6, i4; quant.h). Errors: as trit_tensor_floats; FORMAT for a
 * number that is not finite. */
TRIT_MUST_CHECK int trit_repack_quantise(struct trit_repack *r, enum trit_layout layout, enum trit_scaling scaling,
                                         unsigned char *out, float *scales, const struct trit_kernels *k,
                                         const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                                         struct trit_error *err);

/** Looks at all of a tensor that needs it (tensor_form.h). Errors: as trit_survey_rows. */
TRIT_MUST_CHECK int trit_repack_survey(struct trit_repack *r, struct trit_form *form, const struct trit_tensor_walk *w,
                                       const struct trit_gguf_tensor *t, struct trit_error *err);
/** Whether all of a tensor's numbers are ternary with one scale. */
bool trit_repack_is_ternary(struct trit_repack *r, const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t);
/** Master weights (F32, F16, BF16), quantised as in training (quant.h), and their scale. Errors: MEMORY; UNSUPPORTED
 * (another type); FORMAT for a number that is not finite, or a 0 where the layout is b1. */
TRIT_MUST_CHECK int trit_repack_ternarise(struct trit_repack *r, enum trit_layout layout, unsigned char *out,
                                          float *scale, const struct trit_kernels *k, const struct trit_tensor_walk *w,
                                          const struct trit_gguf_tensor *t, struct trit_error *err);
/** The numbers of a tensor, [rows, cols]. Errors: as trit_tensor_floats. */
TRIT_MUST_CHECK int trit_repack_floats(struct trit_repack *r, float *out, const struct trit_kernels *k,
                                       const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                                       struct trit_error *err);
/** The same in IEEE half, rounded to nearest. Errors: also UNSUPPORTED for a number beyond its range, or none. */
TRIT_MUST_CHECK int trit_repack_halves(struct trit_repack *r, uint16_t *out, const struct trit_kernels *k,
                                       const struct trit_tensor_walk *w, const struct trit_gguf_tensor *t,
                                       struct trit_error *err);

/** Counts the weights -1, 0 and +1 of a matrix in layout t2, t5 or b1. */
void trit_count_codes(struct trit_repack *r, uint64_t counts[3], enum trit_layout layout, const unsigned char *w,
                      size_t rows, size_t cols);

/** The kernels' name of a type of numbers; -1 for one they do not read. */
int trit_dense_type(uint32_t ggml_type);

#endif
