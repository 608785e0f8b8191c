/*
 * label_data.h - texts with labels, as people have them.
 *
 *     FILE.csv, FILE.tsv    tables (format/csv.h); .tab is .tsv. The first line has names of columns if those of text
 *                           and label are among them; else the first column is the text and the second the label
 *     FILE.jsonl, .json     a record a line, or a list of them, with members of those names
 *     LABEL=FILE            a text a line, all with this label
 *     LABEL=DIR, DIR        a text a file; of DIR alone, the folders in it are the labels and hold the texts
 *
 * Columns are called text and label, or what the options say: by name, or by number from 1. Without names given others
 * that are usual are known too (sentence, review, content; sentiment, class). A label that is a number is its digits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_LABEL_DATA_H
#define TRIT_TRAIN_LABEL_DATA_H

#include "base/error.h"
#include "text/labels.h"

enum trit_label_form {
	TRIT_LABEL_FORM_AUTO, /* by the file's name */
	TRIT_LABEL_FORM_CSV,
	TRIT_LABEL_FORM_TSV,
	TRIT_LABEL_FORM_JSONL,
	TRIT_LABEL_FORM_LINES,
};

struct trit_label_options {
	enum trit_label_form form;
	const char *text_column, *label_column; /* NULL: the usual ones */
	bool unlabelled; /* texts without labels are fine */
	bool skip_bad;   /* records that cannot be used: count them instead of an error */
};

struct trit_label_row {
	const char *text, *label; /* label NULL: none */
	size_t text_len, label_len;
	const char *path;
	uint64_t line; /* 0: a file by itself */
};

struct trit_label_counts {
	uint64_t rows, bad, empty; /* empty: texts of white space alone, left out */
	uint64_t bytes, done;      /* of all files; so far */
	struct trit_error first_bad;
};

/** 0 to go on or a negative status, which is handed up. ARG and FORMAT say that the record cannot be used, and are
 * handed up with its place. */
typedef int trit_label_row_fn(void *arg, const struct trit_label_row *row, struct trit_error *err);

/** Calls fn for the texts of all paths in order. Errors: FORMAT (file, line, what is wrong), ARG (a column that is not
 * there), LIMIT (no texts at all), UNSUPPORTED (JSON in a build without jansson), IO, MEMORY; those of fn. */
TRIT_MUST_CHECK int trit_label_rows_each(size_t n_paths, char *const *paths, const struct trit_label_options *o,
                                         trit_label_row_fn *fn, void *arg, struct trit_label_counts *counts,
                                         struct trit_error *err);

/** Which labels there are, in order. *labels is the caller's to release. Errors: as above; FORMAT (only one). */
TRIT_MUST_CHECK int trit_label_census(struct trit_labels *labels, size_t n_paths, char *const *paths,
                                      const struct trit_label_options *o, struct trit_error *err);

/** The label of a row among known ones: its name, or its number from 0 where no name is so. Errors: FORMAT (not known;
 * which there are). */
TRIT_MUST_CHECK int trit_label_of_row(const struct trit_labels *l, const struct trit_label_row *row,
                                      struct trit_error *err);

#endif
