/*
 * dialogue.h - the messages of a conversation, and the tokens that a chat template makes of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_DIALOGUE_H
#define TRIT_CLI_DIALOGUE_H

#include "text/chat.h"
#include "text/tokenizer.h"

#define TRIT_MAX_DIALOGUE_BYTES ((size_t)1 << 26) /* of all messages */

struct trit_message {
	const char *role; /* "system", "user", "assistant" */
	struct trit_buf text;
};

struct trit_dialogue {
	const struct trit_chat_template *chat; /* both outlive it */
	const struct trit_tokenizer *tokenizer;
	struct trit_encoder *encoder;
	struct trit_message *messages; /* [n] */
	size_t n, cap;
};

TRIT_MUST_CHECK int trit_dialogue_init(struct trit_dialogue *d, const struct trit_chat_template *chat,
                                       const struct trit_tokenizer *tokenizer, struct trit_error *err);
void trit_dialogue_release(struct trit_dialogue *d);
/** Appends a message; role is a constant. */
TRIT_MUST_CHECK int trit_dialogue_add(struct trit_dialogue *d, const char *role, size_t len, const char *text,
                                      struct trit_error *err);
/** Forgets all messages after the first n. */
void trit_dialogue_cut(struct trit_dialogue *d, size_t n);
/** Forgets the oldest message and its answer, but not a system message, nor the last message. False: nothing is left
 * to forget. */
bool trit_dialogue_forget(struct trit_dialogue *d);
/** Replaces *out by the tokens of the conversation, up to where the next answer begins. */
TRIT_MUST_CHECK int trit_dialogue_tokens(struct trit_dialogue *d, struct trit_tokens *out, struct trit_error *err);
/** The tokens of rendered text: what came with the messages becomes no special token. Appended to *out. */
TRIT_MUST_CHECK int trit_encode_rendered(struct trit_encoder *e, struct trit_string text, struct trit_tokens *out,
                                         struct trit_error *err);

#endif
