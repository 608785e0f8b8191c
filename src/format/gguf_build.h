/*
 * gguf_build.h - makes a struct trit_gguf, as if a file had been read, from keys and tensors in memory: the form in
 * which checkpoints of every other kind are handed on.
 *
 * Names and values of keys are copied. Tensors point where they are told to - usually into a file's mapping, which must
 * outlive the result - or into memory of the builder's that becomes the result's own, freed by trit_gguf_close.
 *
 * An error (no memory, an impossible shape) is remembered; every later call does nothing, and _finish reports it. So
 * only _finish has to be checked.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_GGUF_BUILD_H
#define TRIT_FORMAT_GGUF_BUILD_H

#include "format/gguf.h"

/** Zeroed: an empty one. */
struct trit_gguf_build {
	struct trit_gguf gguf;  /* private, as all the rest */
	size_t keys_cap, tensors_cap;
	struct trit_error error; /* the first; status TRIT_OK: none */
};

void trit_gguf_build_release(struct trit_gguf_build *b);

/** Keys, by names that are not there yet (else an error FORMAT at _finish). */
void trit_gguf_build_u32(struct trit_gguf_build *b, const char *name, uint32_t v);
void trit_gguf_build_f32(struct trit_gguf_build *b, const char *name, float v);
void trit_gguf_build_bool(struct trit_gguf_build *b, const char *name, bool v);
void trit_gguf_build_string(struct trit_gguf_build *b, const char *name, size_t len, const char *text);
void trit_gguf_build_strings(struct trit_gguf_build *b, const char *name, size_t n, const char *const *texts);
/** n elements of a number type, as raw little-endian bytes. */
void trit_gguf_build_array(struct trit_gguf_build *b, const char *name, enum trit_gguf_type type, uint64_t n,
                           const void *elements);
/** A copy of a key of another file. */
void trit_gguf_build_key(struct trit_gguf_build *b, const struct trit_gguf_key *k);
/** Whether such a key has been added. */
bool trit_gguf_build_has_key(const struct trit_gguf_build *b, const char *name);

/** A tensor whose data, as long as its type and dims say, is at `data`. dims[0] fastest. Returns where it is in the
 * list, for changes until the next call; NULL after an error. */
struct trit_gguf_tensor *trit_gguf_build_tensor(struct trit_gguf_build *b, const char *name, uint32_t type,
                                                uint32_t n_dims, const uint64_t *dims, const unsigned char *data);
/** n * size zeroed bytes that belong to the result, aligned to 64; NULL after an error. */
void *trit_gguf_build_take(struct trit_gguf_build *b, size_t n, size_t size);

/** Hands the result over and empties the builder, whether it succeeds or not. Errors: those remembered; FORMAT for a
 * name given twice; MEMORY. */
TRIT_MUST_CHECK int trit_gguf_build_finish(struct trit_gguf_build *b, struct trit_gguf *out, struct trit_error *err);

#endif
