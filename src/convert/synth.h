/*
 * synth.h - models of random weights, so that speed and memory of a size can be measured without its weights.
 *
 * Every row is drawn from the seed, its tensor and its number, so the same seed gives the same weights in every file
 * type and any number of rows may be made at once. Codes are -1, 0 and +1 alike often (binary: -1 and +1), scales such
 * that a projection keeps the size of its input, norms 1, embeddings about normal with deviation 0.02. The file has no
 * vocabulary.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_SYNTH_H
#define TRIT_CONVERT_SYNTH_H

#include "convert/export.h"

struct trit_synth {
	struct trit_config config;
	enum trit_scaling scaling; /* of the projections */
	bool binary;
	uint64_t seed;
};

/** Fills in the sizes of a published model: "2b4t", or one of the paper's, "700m" to "70b". Errors: ARG. */
TRIT_MUST_CHECK int trit_synth_size(struct trit_config *c, const char *name, struct trit_error *err);
/** "700m, 1.3b, ..." */
const char *trit_synth_sizes(void);
/** Errors: ARG (sizes that cannot be; name what is wrong), those of trit_export. */
TRIT_MUST_CHECK int trit_synth(const char *path, const struct trit_synth *s, const struct trit_export_options *o,
                               struct trit_error *err);

#endif
