/*
 * generate.h - writing text with a model, for run and chat: feeding, choosing, printing, timing, and their options.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_GENERATE_H
#define TRIT_CLI_GENERATE_H

#include "cli/cmd.h"

#include "text/detokenizer.h"

/** What the options say. */
struct trit_generate_options {
	struct trit_sampler_options sampler;
	bool ignore_end; /* never choose a token that ends the text */
};

/** Defaults; the seed is from the clock. */
struct trit_generate_options trit_generate_defaults(void);

#define TRIT_ROWS_SAMPLING(o)                                                                                          \
	{ .type = TRIT_OPT_HEADING, .help = "Choosing tokens, in this order" },                                        \
	{ 0, "repeat-penalty", TRIT_OPT_FLOAT, &(o).sampler.repeat_penalty, .min = 0.01, .max = 100, .metavar = "X",   \
	  .help = "lower the logits of recent tokens by this factor; 1: off" },                                        \
	{ 0, "repeat-last-n", TRIT_OPT_INT, &(o).sampler.repeat_last_n, .max = 1 << 24, .metavar = "N",                \
	  .help = "how many tokens are recent" },                                                                      \
	{ 0, "top-k", TRIT_OPT_INT, &(o).sampler.top_k, .max = INT32_MAX, .metavar = "N",                              \
	  .help = "keep the N most likely tokens; 0: all" },                                                           \
	{ 0, "top-p", TRIT_OPT_FLOAT, &(o).sampler.top_p, .max = 1, .metavar = "P",                                    \
	  .help = "keep the smallest set with probability P; 1: all" },                                                \
	{ 0, "min-p", TRIT_OPT_FLOAT, &(o).sampler.min_p, .max = 1, .metavar = "P",                                    \
	  .help = "drop tokens less than P times as likely as the first" },                                            \
	{ 0, "temp,temperature", TRIT_OPT_FLOAT, &(o).sampler.temperature, .max = 1e6, .metavar = "T",                 \
	  .help = "below 1 safer, above 1 wilder; 0: the likeliest token" },                                           \
	{ 's', "seed", TRIT_OPT_UINT64, &(o).sampler.seed, .metavar = "N",                                             \
	  .help = "the same seed gives the same text", .shown = "from the clock, printed", .env = "TRIT_SEED" }

struct trit_generator {
	const struct trit_model *model;
	struct trit_session *session;
	struct trit_sampler *sampler;
	float *logits; /* [V], a copy to edit; NULL when nothing is edited */

	struct trit_detokenizer text;
	char *piece; /* what a token adds to the text; NULL when the model has no vocabulary */
	char last; /* last byte printed, 0 before the first */

	int n_prompt, n_generated; /* how many tokens were fed by _feed and chosen by _next, */
	double prompt_seconds, generate_seconds; /* and how long that took */
};

/** `session` becomes the generator's, also on failure. */
TRIT_MUST_CHECK int trit_generator_init(struct trit_generator *g, const struct trit_model *model,
                                        struct trit_session *take_session, const struct trit_generate_options *o,
                                        struct trit_error *err);
void trit_generator_release(struct trit_generator *g);
/** Feeds tokens of a prompt and tells the sampler of them, in pieces, so that an interrupt stops it: look at
 * trit_interrupts afterwards. */
TRIT_MUST_CHECK int trit_generator_feed(struct trit_generator *g, size_t n, const trit_token *tokens,
                                        struct trit_error *err);
/** Feeds the token chosen last and chooses the next one. previous: -1 right after _feed. The session must have room.
 * Returns the token, or a negative status. */
int trit_generator_next(struct trit_generator *g, trit_token previous, struct trit_error *err);
/** Prints the text of a prompt. */
void trit_generator_echo(struct trit_generator *g, size_t len, const char *text);
/** The tokens to be printed next are a text of their own, an answer, not the continuation of a prompt: it does not
 * begin with the space that SentencePiece puts before words. */
void trit_generator_begin_text(struct trit_generator *g);
/** Prints a token as far as it makes whole characters. */
void trit_generator_print(struct trit_generator *g, trit_token token);
/** Ends a text: prints what is unfinished, and a newline unless one was just printed. */
void trit_generator_end_line(struct trit_generator *g);
/** The line "[ Prompt: x t/s | Generation: y t/s ]" on stderr; resets counts and times. */
void trit_generator_report(struct trit_generator *g);

#endif
