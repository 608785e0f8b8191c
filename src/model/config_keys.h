/*
 * config_keys.h - a configuration's way into keys: of a GGUF file, or the metadata of a training checkpoint.
 *
 * Both have the same keys, so that one reader (trit_config_read) serves both. A checkpoint has besides what a GGUF file
 * need not say, because its tensors are written to suit the architecture: the order of rotary pairs; and LLaMA 3's
 * rotary scaling by its name, where a GGUF file has divisors.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_CONFIG_KEYS_H
#define TRIT_MODEL_CONFIG_KEYS_H

#include "model/config.h"

/** Floats that are 0, or what the architecture says, where there is no key ARCH.SUFFIX. */
struct trit_config_float {
	const char *suffix;
	size_t offset; /* in struct trit_config */
};
extern const struct trit_config_float trit_config_floats[];
extern const int trit_n_config_floats;

/** The suffix of the norms' epsilon. */
const char *trit_config_eps_key(const struct trit_arch *arch);

/** Writes general.architecture (first), general.name and the architecture's keys. */
TRIT_MUST_CHECK int trit_config_put(const struct trit_config *c, struct trit_gguf_writer *w, int file_type,
                                    struct trit_error *err);
/** The architecture's keys as text, in the metadata of a training checkpoint: all that trit_config_read_meta needs to
 * give the same configuration, but for the name. */
TRIT_MUST_CHECK int trit_config_put_meta(const struct trit_config *c, struct trit_st_writer *w, struct trit_error *err);
/** Reads it from there, and from which tensors the checkpoint has. Errors: FORMAT, UNSUPPORTED, MEMORY. */
TRIT_MUST_CHECK int trit_config_read_meta(struct trit_config *c, const struct trit_safetensors *s,
                                          struct trit_error *err);

#endif
