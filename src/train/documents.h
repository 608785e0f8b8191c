/*
 * documents.h - files to documents: opens one after the other, unpacks it, and cuts it where documents end.
 *
 * Read as a stream: no more than one document is held. How a file is cut:
 *
 *     mark    a line "<|endoftext|>" ends a document
 *     blank   blank lines do
 *     file    a file is a document
 *     jsonl   a line is a JSON object, which has the document in it
 *     auto    jsonl for files named .jsonl or .ndjson (also packed: .jsonl.gz, .jsonl.zst), else mark
 *
 * What is longer than TRIT_DOCUMENT_BYTES comes in parts, cut at ends of lines where there are any; only of JSONL such
 * a line is an error. Blank space at both ends is dropped, and empty documents with it. A byte order mark is not text.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_DOCUMENTS_H
#define TRIT_TRAIN_DOCUMENTS_H

#include <stdbool.h>

#include "train/corpus.h"

#define TRIT_DOCUMENT_BYTES ((size_t)1 << 26)

enum trit_documents { TRIT_DOCUMENTS_AUTO, TRIT_DOCUMENTS_MARK, TRIT_DOCUMENTS_BLANK, TRIT_DOCUMENTS_FILE,
                      TRIT_DOCUMENTS_JSONL };

/** A document as it stands in its file. */
struct trit_document {
	const char *text; /* inside the reader until the next call */
	size_t len;
	size_t file;      /* of the corpus */
	uint64_t line;    /* the first is 1 */
	uint64_t at;      /* byte of the unpacked file */
	bool jsonl;       /* a line of JSON, to be taken apart */
	bool continued;   /* the next part of the document before */
	bool too_long;    /* a line of JSON that was not kept: there is no text */
};

struct trit_reader;

/** The corpus must outlive it. `skip_long`: a line of JSONL that is too long is a document without text, not an
 * error. */
TRIT_MUST_CHECK int trit_reader_open(struct trit_reader **out, const struct trit_corpus *c, enum trit_documents how,
                                     bool skip_long, struct trit_error *err);
void trit_reader_close(struct trit_reader *r);
/** 1: *d is the next document; 0: there is none. Errors: those of trit_unpack_open and _read; LIMIT (a line of JSONL
 * that is too long), MEMORY. */
TRIT_MUST_CHECK int trit_reader_next(struct trit_reader *r, struct trit_document *d, struct trit_error *err);
/** Bytes of all files read so far, packed as they are. */
uint64_t trit_reader_position(const struct trit_reader *r);

#endif
