/*
 * examples.h - examples to fine-tune on: JSON records of the forms that people have, to tokens and which of them are to
 * be learnt.
 *
 * A file has a record a line (JSONL) or is one JSON list of them. A record is one of
 *
 *     {"messages": [{"role", "content"}, ...]}            "tools" and "chat_template_kwargs" go to the template; a
 *     {"conversations": [{"from", "value"}, ...]}         message with "weight": 0 is not learnt
 *     {"instruction", "input", "output"}                  input and "system" may be missing
 *     {"prompt", "completion"}                            texts, or lists of messages
 *     {"text"}
 *
 * Conversations are written with the model's chat template, up to where an answer begins exactly as `trit chat` does
 * before it generates. The answer is what the template adds when the message is there: text and the token that ends the
 * turn, but not what a template writes behind that. So the template must be stable: what it writes for the first
 * messages must not change when more follow. Texts of a record never become control tokens. Plain prompts and texts
 * begin with BOS if the vocabulary asks for it and end with EOS.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_EXAMPLES_H
#define TRIT_TRAIN_EXAMPLES_H

#include "text/chat.h"
#include "text/tokenizer.h"

enum trit_loss_on {
	TRIT_LOSS_ANSWERS, /* of the assistant, and completions; all of a plain text */
	TRIT_LOSS_LAST,    /* the last answer only */
	TRIT_LOSS_ALL,     /* every token */
};

struct trit_example_options {
	const struct trit_tokenizer *tokenizer;
	const struct trit_chat_template *chat; /* without one conversations are an error */
	enum trit_loss_on loss;
	bool skip_bad;                         /* records that cannot be used: count them instead of an error */
	size_t max_tokens;                     /* longer examples are cut */
	int64_t now;                           /* for templates that say the date */
};

struct trit_example_counts {
	uint64_t examples, tokens, learnt; /* learnt: tokens to be predicted */
	uint64_t bad, cut, too_long;       /* too_long: nothing to learn was left, left out */
	uint64_t endless;                  /* answers that the template ends with no end token; EOS was added to the last */
	uint64_t bytes, done;              /* of all files; so far */
	struct trit_error first_bad;       /* the error that was skipped first */
};

/** An example: loss[i] says whether token i is to be predicted; the first never is. key: a hash of the record. Returns
 * 0 to go on or a negative status, which is handed up. */
typedef int trit_example_fn(void *arg, size_t n, const trit_token *tokens, const bool *loss, uint64_t key,
                            struct trit_error *err);

/** Calls fn for the examples of all files in order. Errors: FORMAT (file, line, what is wrong with the record), ARG (no
 * chat template; one that is not stable: what to do), LIMIT (no examples at all), UNSUPPORTED (a build without
 * jansson), IO, MEMORY; those of fn. */
TRIT_MUST_CHECK int trit_examples_each(size_t n_paths, char *const *paths, const struct trit_example_options *o,
                                       trit_example_fn *fn, void *arg, struct trit_example_counts *counts,
                                       struct trit_error *err);

#endif
