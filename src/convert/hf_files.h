/*
 * hf_files.h - the files of a Hugging Face folder that are not weights: configuration and tokenizer.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_HF_FILES_H
#define TRIT_CONVERT_HF_FILES_H

#include "base/folder.h"
#include "convert/hf_config.h"

/** config.json, generation_config.json and the tokenizer's files: those of the Hugging Face folder `from` copied as
 * they stand where it has them, otherwise made from the description. from may be NULL. */
TRIT_MUST_CHECK int trit_hf_write_files(const struct trit_folder *f, const struct trit_hf_description *d,
                                        const char *from, struct trit_error *err);
/** A JSON file that `put` writes. */
TRIT_MUST_CHECK int trit_hf_write_json(const struct trit_folder *f, const char *name,
                                       void (*put)(struct trit_json *j, const void *arg), const void *arg,
                                       struct trit_error *err);
/** Whether a file of this name holds weights of a Hugging Face folder, or says where they are. */
bool trit_hf_is_weights(const char *name);

#endif
