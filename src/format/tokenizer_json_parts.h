/*
 * tokenizer_json_parts.h - shared by tokenizer_json.c (tokens, merges, specials) and tokenizer_json_steps.c (how text
 * is prepared and cut).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_TOKENIZER_JSON_PARTS_H
#define TRIT_FORMAT_TOKENIZER_JSON_PARTS_H

#include <jansson.h>

#include "text/vocab.h"

/** What kind of tokenizer a file has. */
enum trit_json_kind {
	TRIT_JSON_BYTE_LEVEL, /* BPE with ByteLevel */
	TRIT_JSON_SPM,        /* BPE of characters with U+2581 for a space */
	TRIT_JSON_UNIGRAM,
	TRIT_JSON_WORDPIECE,
};

#define TRIT_MAX_JSON_STEPS 32

/** The parts of a normalizer, pre-tokeniser, decoder or post-processor, sequences taken apart. */
struct trit_json_steps {
	const json_t *at[TRIT_MAX_JSON_STEPS];
	int n;
};

bool trit_json_is_type(const json_t *object, const char *type);
/** "type" of an object for messages. */
const char *trit_json_type_of(const json_t *object);
/** True for what means "not used": absent, null or an empty string. */
bool trit_json_is_unused(const json_t *v);
/** Takes sequences apart, whose parts are in one of "normalizers", "pretokenizers", "decoders", "processors". `what`
 * names them in an error. Errors: LIMIT (too many, too deep). */
TRIT_MUST_CHECK int trit_json_list_steps(struct trit_json_steps *out, const json_t *step, const char *what,
                                         struct trit_error *err);
/** Which kind a BPE is. Errors: UNSUPPORTED, LIMIT. */
TRIT_MUST_CHECK int trit_json_bpe_kind(enum trit_json_kind *kind, const json_t *root, struct trit_error *err);
/** The vocabulary of a whole tokenizer.json. Errors: FORMAT, MEMORY, LIMIT, UNSUPPORTED. */
TRIT_MUST_CHECK int trit_tokenizer_json_build(const json_t *root, struct trit_vocab *out, struct trit_error *err);
/** Reads normalizer, pre_tokenizer and decoder into v, and finds the name that GGUF has for them. Errors: UNSUPPORTED
 * (names the step), FORMAT, LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_json_read_steps(struct trit_vocab *v, enum trit_json_kind kind, const json_t *root,
                                         struct trit_error *err);

#endif
