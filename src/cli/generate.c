/*
 * generate.c - writing text with a model.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <time.h>
#include <unistd.h>

#include "cli/generate.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/model.h"

/* Tokens of a prompt between two looks at trit_interrupts. */
#define FEED_PIECE 256

struct trit_generate_options trit_generate_defaults(void)
{
	struct trit_generate_options o = { .sampler = trit_sampler_defaults() };
	/* 32 bits, so that it is easily typed again */
	o.sampler.seed = trit_hash64((uint64_t)time(NULL) * 1000003 + (uint64_t)getpid()) >> 32;
	return o;
}

int trit_generator_init(struct trit_generator *g, const struct trit_model *model, struct trit_session *take_session,
                        const struct trit_generate_options *o, struct trit_error *err)
{
	*g = (struct trit_generator){ .model = model, .session = take_session };
	int e = trit_sampler_new(&g->sampler, trit_model_vocab_size(model), &o->sampler, err);
	if (!e && o->ignore_end) {
		g->logits = trit_calloc((size_t)trit_model_vocab_size(model), sizeof *g->logits);
		if (!g->logits)
			e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %d logits", trit_model_vocab_size(model));
	}
	if (!e && model->tokenizer) {
		trit_detokenizer_init(&g->text, model->tokenizer, false);
		g->piece = trit_calloc(trit_detokenizer_room(model->tokenizer), 1);
		if (!g->piece)
			e = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the text of a token");
	}
	if (e)
		trit_generator_release(g);
	return e;
}

void trit_generator_release(struct trit_generator *g)
{
	trit_session_free(g->session);
	trit_sampler_free(g->sampler);
	trit_free(g->logits);
	trit_free(g->piece);
	*g = (struct trit_generator){ 0 };
}

int trit_generator_feed(struct trit_generator *g, size_t n, const trit_token *tokens, struct trit_error *err)
{
	double start = trit_clock();
	int e = TRIT_OK;
	for (size_t done = 0; done < n && !e && !trit_interrupts;) {
		size_t piece = n - done < FEED_PIECE ? n - done : FEED_PIECE;
		e = trit_session_feed(g->session, piece, tokens + done, err);
		for (size_t i = 0; i < piece && !e; i++)
			trit_sampler_accept(g->sampler, tokens[done + i]);
		done += piece;
		g->n_prompt += e ? 0 : (int)piece;
	}
	g->prompt_seconds += trit_clock() - start;
	return e;
}

int trit_generator_next(struct trit_generator *g, trit_token previous, struct trit_error *err)
{
	double start = trit_clock();
	if (previous >= 0) {
		int e = trit_session_feed(g->session, 1, &previous, err);
		if (e)
			return e;
	}
	const float *logits = trit_session_logits(g->session);
	if (g->logits) {
		int n = trit_model_vocab_size(g->model);
		for (int i = 0; i < n; i++)
			g->logits[i] = trit_token_is_end(g->model, i) ? -INFINITY : logits[i];
		logits = g->logits;
	}
	trit_token token = trit_sampler_next(g->sampler, logits);
	g->n_generated++;
	g->generate_seconds += trit_clock() - start;
	return token;
}

static void print(struct trit_generator *g, size_t len, const char *text)
{
	if (!len)
		return;
	trit_out_text(len, text);
	g->last = text[len - 1];
}

void trit_generator_echo(struct trit_generator *g, size_t len, const char *text)
{
	print(g, len, text);
	trit_out_flush();
}

void trit_generator_begin_text(struct trit_generator *g)
{
	if (g->piece)
		trit_detokenizer_init(&g->text, g->model->tokenizer, true);
}

void trit_generator_print(struct trit_generator *g, trit_token token)
{
	if (g->piece && token < trit_tokenizer_vocab(g->model->tokenizer)->n_tokens)
		print(g, trit_detokenizer_feed(&g->text, token, g->piece), g->piece);
	trit_out_flush();
}

void trit_generator_end_line(struct trit_generator *g)
{
	char text[12];
	print(g, trit_detokenizer_end(&g->text, text), text);
	if (g->last != '\n')
		print(g, 1, "\n");
	trit_out_flush();
}

void trit_generator_report(struct trit_generator *g)
{
	fprintf(stderr, "[ Prompt: %.1f t/s | Generation: %.1f t/s ]\n",
	        g->prompt_seconds > 0 ? g->n_prompt / g->prompt_seconds : 0,
	        g->generate_seconds > 0 ? g->n_generated / g->generate_seconds : 0);
	g->n_prompt = g->n_generated = 0;
	g->prompt_seconds = g->generate_seconds = 0;
}
