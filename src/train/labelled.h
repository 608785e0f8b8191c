/*
 * labelled.h - what a training run of a classifier has beside others: labelled texts in windows, a head of labels, its
 * first weights.
 *
 * The folder of the run has labels.gguf (format/gguf_labels.h), and in vocab.gguf the vocabulary, which asks for an end
 * token where the head reads the last state: that token's, whatever the text ends with.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_LABELLED_H
#define TRIT_TRAIN_LABELLED_H

#include "train/init.h"
#include "train/label_data.h"
#include "train/label_head.h"
#include "train/windows.h"

/** What a run of a classifier begins with. */
struct trit_classify_options {
	struct trit_labels labels;  /* and the template */
	char *const *words;         /* [labels.n] whose rows of the vocabulary's head are the first weights; NULL: 0 */
	size_t n_val;
	char *const *val;           /* files to validate on; none: a share of the texts */
	struct trit_label_options rows;
};

/** What the texts were. */
struct trit_classify_counts {
	struct trit_label_counts rows[2]; /* of training, of validation in files of its own */
	uint64_t cut;                     /* texts longer than the windows */
	uint64_t *of_label;               /* [2, labels]: texts of training, of validation; the caller's to trit_free */
};

/** Writes the windows of a run in `dir` (train/windows.h). */
TRIT_MUST_CHECK int trit_classify_prepare(const struct trit_classify_options *o, size_t n_paths, char *const *paths,
                                          const struct trit_tokenizer *t, const struct trit_windows_options *wo,
                                          const char *dir, struct trit_classify_counts *counts,
                                          struct trit_error *err);

/** Accuracy, and the mean over labels of F1, of what a head counted; NaN where it counted nothing. A label that neither
 * is there nor was predicted does not count. */
void trit_classify_scores(const struct trit_label_head *h, double *accuracy, double *f1);

#endif
