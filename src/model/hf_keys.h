/*
 * hf_keys.h - config.json of a Hugging Face model to the keys that a GGUF file of it would have. Needs jansson.
 *
 * A network of transformers is a row of hf_keys.c: which architecture of ours computes it, and what differs. What would
 * change the result and is not known here is an error, not a guess.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_HF_KEYS_H
#define TRIT_MODEL_HF_KEYS_H

#include "base/notes.h"
#include "format/gguf_build.h"
#include "model/config.h"

/** How ternary projections lie in the files: quantization_config. */
enum trit_hf_weights {
	TRIT_HF_NUMBERS,    /* nothing said: numbers, used as they are, or packed weights of which nothing is known */
	TRIT_HF_BY_DIVISOR, /* linear class bitlinear: packed, the product divided by weight_scale */
	TRIT_HF_BY_FACTOR,  /* autobitlinear, offline: packed, the product multiplied by weight_scale */
	TRIT_HF_MASTERS,    /* autobitlinear, online: masters, quantised whenever they are used */
};

/** What config.json says beyond keys. */
struct trit_hf_model {
	const struct trit_arch *arch;
	enum trit_hf_weights weights;
	int tied;            /* the head is the embedding: 1 yes, 0 no, -1 not said */
};

/** Adds the keys to b. Errors: FORMAT (no JSON, a key that is missing or makes no sense), UNSUPPORTED (a network,
 * activation, scaling or quantisation that is not known; no jansson), MEMORY. */
TRIT_MUST_CHECK int trit_hf_read_keys(struct trit_hf_model *out, struct trit_gguf_build *b, size_t len,
                                      const char *text, struct trit_notes *notes, struct trit_error *err);

#endif
