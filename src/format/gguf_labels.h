/*
 * gguf_labels.h - a classifier's labels in a GGUF file.
 *
 *     ARCH.classifier.output_labels   the names, in the order of the rows of cls.output.weight, as llama.cpp has them
 *     trit.classifier.template        how texts are put to it, if not as they are
 *     trit.classifier.max_tokens      longer texts were cut to so many in training
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_GGUF_LABELS_H
#define TRIT_FORMAT_GGUF_LABELS_H

#include "format/gguf.h"
#include "text/labels.h"

/** *out is empty where the file has none. Errors: FORMAT (no array of names, names that are none), LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_gguf_read_labels(const struct trit_gguf *g, struct trit_labels *out, struct trit_error *err);
/** Writes nothing where there are none. arch: general.architecture of the file. */
TRIT_MUST_CHECK int trit_gguf_put_labels(struct trit_gguf_writer *w, const char *arch, const struct trit_labels *l,
                                         struct trit_error *err);

/** A file with nothing else in it: labels.gguf of a training run. */
TRIT_MUST_CHECK int trit_labels_file_write(const char *path, const struct trit_labels *l, struct trit_error *err);
TRIT_MUST_CHECK int trit_labels_file_read(const char *path, struct trit_labels *out, struct trit_error *err);

#endif
