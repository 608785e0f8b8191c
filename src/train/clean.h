/*
 * clean.h - a document as it stands in its file to the text that is learnt: JSON taken apart, UTF-8 checked, line ends
 * and characters normalised, too short and too long ones left out, and a fingerprint.
 *
 * The fingerprint is of the text with ASCII letters in lower case and every run of white space as one space, so that
 * copies that differ in no more than that have the same one. It decides what is a duplicate and what is held out.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_CLEAN_H
#define TRIT_TRAIN_CLEAN_H

#include "text/normal.h"
#include "train/documents.h"

/** What is done with bytes that are not UTF-8, with NUL, and (only error and skip) with lines that are no JSON. */
enum trit_invalid { TRIT_INVALID_ERROR, TRIT_INVALID_REPLACE, TRIT_INVALID_SKIP };

/** What becomes of a document. */
enum trit_fate {
	TRIT_FATE_KEPT,
	TRIT_FATE_EMPTY,
	TRIT_FATE_INVALID,
	TRIT_FATE_SHORT,
	TRIT_FATE_LONG,
	TRIT_FATE_DUPLICATE,      /* the fingerprint of one before */
	TRIT_FATE_NEAR_DUPLICATE, /* almost the words of one before */
	TRIT_N_FATES
};

struct trit_clean_settings {
	const char *field;       /* of JSON: "text", "a.b", "list.0.text" */
	int invalid;             /* enum trit_invalid */
	bool keep_crlf;          /* else CR LF becomes LF */
	bool nfc;
	uint64_t min_chars, max_chars; /* 0: no maximum */
};

struct trit_fingerprint {
	uint64_t a, b;
};

/** Of any bytes as they are. */
struct trit_fingerprint trit_fingerprint_bytes(size_t len, const void *bytes);
/** Of a text, as above. */
struct trit_fingerprint trit_fingerprint_text(size_t len, const char *text);

/** Shared by threads; it does not own the settings. */
struct trit_cleaner;
/** Errors: ARG (the field), UNSUPPORTED (no utf8proc for nfc), MEMORY. */
TRIT_MUST_CHECK int trit_cleaner_new(struct trit_cleaner **out, const struct trit_clean_settings *s,
                                     struct trit_error *err);
void trit_cleaner_free(struct trit_cleaner *c);

/** A cleaned document. A zeroed struct is fine to release, and to be used again. */
struct trit_clean_text {
	char *text; /* inside the document's own bytes or in `own` */
	size_t len;
	enum trit_fate fate; /* KEPT, EMPTY, INVALID, SHORT or LONG */
	struct trit_fingerprint fingerprint; /* of what is kept */
	char *own;
};
void trit_clean_text_release(struct trit_clean_text *t);

/** Scratch memory of one thread: work. `bytes` are d's, and may be changed. Errors: FORMAT (file, line and byte,
 * remedy), MEMORY, UNSUPPORTED (JSON without jansson). */
TRIT_MUST_CHECK int trit_clean(const struct trit_cleaner *c, struct trit_normal_work *work,
                               const struct trit_document *d, const char *path, char *bytes,
                               struct trit_clean_text *out, struct trit_error *err);

#endif
