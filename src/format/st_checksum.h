/*
 * st_checksum.h - checksums in a safetensors file's metadata, so that damage is found, whatever it hit.
 *
 *     "checksums"   XXH64 of each tensor's bytes, 16 hexadecimal digits each, in the order of the data
 *     "checksum"    of the header: the sum, modulo 2^64, of hash(NAME, VALUE) over all other metadata and of
 *                   hash(NAME, "DTYPE DIM DIM ...") over the tensors; hash(a, b) is XXH64 of b seeded with XXH64 of a
 *
 * A sum does not depend on order, which JSON objects do not keep.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_ST_CHECKSUM_H
#define TRIT_FORMAT_ST_CHECKSUM_H

#include <stdbool.h>

#include "format/safetensors.h"

#define TRIT_ST_CHECKSUM "checksum"
#define TRIT_ST_CHECKSUMS "checksums"

/** Of one tensor's bytes. */
uint64_t trit_st_sum_bytes(size_t len, const void *bytes);
/** The parts of the header's sum. */
uint64_t trit_st_sum_meta(const char *name, const char *value);
uint64_t trit_st_sum_tensor(const char *name, enum trit_dtype dtype, int n_dims, const uint64_t *shape);

/** Whether the file carries checksums. */
bool trit_st_has_checksums(const struct trit_safetensors *s);
/** Checks the header. Errors: FORMAT (it has none or another). */
TRIT_MUST_CHECK int trit_st_check_header(const struct trit_safetensors *s, struct trit_error *err);
/** Checks header and data; the error names the tensor. Errors: FORMAT. */
TRIT_MUST_CHECK int trit_st_check(const struct trit_safetensors *s, struct trit_error *err);

#endif
