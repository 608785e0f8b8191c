/*
 * label_source.h - a model with a head of labels that it has not in its file: what training the head alone gives.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_LABEL_SOURCE_H
#define TRIT_CONVERT_LABEL_SOURCE_H

#include "convert/export.h"

/** What is put over a model. */
struct trit_label_overlay {
	const struct trit_config *config; /* of the classifier */
	const float *w, *bias;            /* [labels, D] [labels] or NULL */
	const struct trit_vocab *vocab;
	const char *folder;               /* of the run: its labels.gguf */
};

/** trit_export of the model `in` with a head of labels over it. Errors: those of opening and writing. */
TRIT_MUST_CHECK int trit_convert_labelled(const char *in, const char *out, const struct trit_label_overlay *l,
                                          const struct trit_export_options *o, struct trit_error *err);

#endif
