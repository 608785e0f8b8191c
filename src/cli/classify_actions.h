/*
 * classify_actions.h - what the actions of trit classify share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_CLASSIFY_ACTIONS_H
#define TRIT_CLI_CLASSIFY_ACTIONS_H

#include "cli/cmd.h"

/** A label's name without control characters, which may come from anywhere; in *storage. */
const char *trit_label_printable(struct trit_error *storage, const char *name);

/** Names of enum trit_label_form. */
extern const char *const trit_label_forms[];

trit_cmd_fn trit_classify_eval, trit_classify_predict;

#define TRIT_CLASSIFY_DATA_HELP                                                                                        \
	"texts with labels: .csv, .tsv, .jsonl; LABEL=FILE, a text a line; LABEL=DIR or "                                  \
	"DIR with a folder for each label, a text a file"

/** Of a struct trit_label_options; form: an int that becomes one of enum trit_label_form. */
#define TRIT_ROWS_COLUMNS(o, form)                                                                                  \
	{ 0, "format", TRIT_OPT_CHOICE, &(form), .metavar = "NAME", .choices = trit_label_forms,                           \
	  .help = "of the data, whatever the files' names" },                                                              \
	{ 0, "text-column", TRIT_OPT_STRING, &(o).text_column, .metavar = "NAME",                                          \
	  .help = "column or member of the texts, or its number from 1", .shown = "text, sentence, ..., or the first" },   \
	{ 0, "label-column", TRIT_OPT_STRING, &(o).label_column, .metavar = "NAME",                                        \
	  .help = "that of the labels", .shown = "label, sentiment, ..., or the second" }

#endif
