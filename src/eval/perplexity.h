/*
 * perplexity.h - the perplexity of a text, by llama-perplexity's rule: values compare with published ones.
 *
 *     The text's tokens (BOS first, where the model asks for it) are cut into chunks of n_ctx; what is left over is not
 *     used. Each chunk is read by itself, its first token replaced by BOS where the model asks for it. Only its second
 *     half is scored: for j = n_ctx/2 .. n_ctx-2 the logits at j predict token j+1.
 *
 *     Windows are another rule, the validation's of a training run: n_ctx + 1 tokens each, read as they are, each of
 *     the n_ctx predictions scored, or those that have a weight.
 *
 *     nll_i = ln sum_v exp(l_v) - l_target     m = mean(nll)     PPL = exp(m)
 *     error = PPL sqrt((mean(nll^2) - m^2) / (count - 1))
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_EVAL_PERPLEXITY_H
#define TRIT_EVAL_PERPLEXITY_H

#include "model/model.h"

struct trit_perplexity {
	int n_chunks;     /* done */
	int64_t count;    /* tokens scored */
	double nll, nll2; /* sums over them, in nats */
};

/** exp of the mean; NaN before the first chunk. */
double trit_perplexity_value(const struct trit_perplexity *p);
/** Standard error of that. */
double trit_perplexity_error(const struct trit_perplexity *p);

struct trit_perplexity_options {
	int n_ctx;     /* tokens a chunk, at least 4 */
	int n_batch;   /* tokens computed together; 0: 512 */
	int n_threads; /* 0: one a core */
	int n_chunks;  /* at most so many; 0: all */
	enum trit_kv_type kv_type;
	bool windows;          /* tokens are [n_tokens / (n_ctx + 1), n_ctx + 1] */
	const float *weights;  /* of windows [.., n_ctx]: 0 for a prediction that does not count; NULL: all count */
	/* Called after each chunk; false ends the measurement early. NULL: nobody. */
	bool (*progress)(void *arg, const struct trit_perplexity *so_far, int n_chunks);
	void *arg;
};

/** Measures. The result is the same to the bit for any number of threads, batch size and instruction set. Memory for
 * logits stays below 64 MiB (or one row). Errors: ARG (sizes; fewer than 2 n_ctx tokens), MEMORY. */
TRIT_MUST_CHECK int trit_perplexity_measure(struct trit_perplexity *out, const struct trit_model *model,
                                            size_t n_tokens, const trit_token *tokens,
                                            const struct trit_perplexity_options *options, struct trit_error *err);

#endif
