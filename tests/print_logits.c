/*
 * print_logits.c - prints fingerprints of what a model computes: print_logits MODEL; or, for these tokens, the logits
 * after each: print_logits MODEL TOKEN...
 *
 * Lines that must be the same wherever the program runs; tools/qemu-arm.sh compares those of two architectures. Works
 * without a tokenizer: the tokens are made up, then the likeliest follow. TRIT_CPU chooses the kernels.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <stdio.h>
#include <stdlib.h>

#include <trit.h>

#include "base/rng.h"

enum { PROMPT = 20, MORE = 12 };

struct way {
	const char *layout, *head;
	enum trit_kv_type kv_type;
};

static trit_token likeliest(const float *logits, int n)
{
	int best = 0;
	for (int i = 1; i < n; i++)
		best = logits[i] > logits[best] ? i : best;
	return best;
}

/* One line: the hash of all logits after the prompt and each token that follows, and the last of these tokens. */
static int print_line(const char *path, const struct way *way, struct trit_error *err)
{
	struct trit_model_options model_options = {.layout = way->layout, .head = way->head, .n_threads = 1};
	struct trit_session_options session_options = {.n_ctx = PROMPT + MORE, .n_threads = 2, .kv_type = way->kv_type};
	struct trit_model *m = NULL;
	struct trit_session *s = NULL;
	trit_token tokens[PROMPT];
	uint64_t hash = 0;
	int e;

	if ((e = trit_model_open_with(&m, path, &model_options, err)) ||
	    (e = trit_session_new(&s, m, &session_options, err)))
		goto out;
	int n_vocab = trit_model_vocab_size(m);
	for (int i = 0; i < PROMPT; i++)
		tokens[i] = (i * 7919 + i * i) % n_vocab;
	e = trit_session_feed(s, PROMPT, tokens, err);
	for (int i = 0; i < MORE && !e; i++) {
		const float *logits = trit_session_logits(s);
		hash = trit_hash_bytes(hash, logits, (size_t)n_vocab * sizeof *logits);
		tokens[0] = likeliest(logits, n_vocab);
		e = trit_session_feed(s, 1, tokens, err);
	}
	if (!e)
		printf("layout %s, head %s, cache %d: %016llx, token %d\n", way->layout, way->head, (int)way->kv_type,
		       (unsigned long long)hash, (int)tokens[0]);
out:
	trit_session_free(s);
	trit_model_close(m);
	return e;
}

/* A line of all logits after each of the tokens. */
static int print_all(const char *path, int n, char **tokens, struct trit_error *err)
{
	struct trit_model_options model_options = {.head = "exact", .n_threads = 1};
	struct trit_session_options session_options = {.n_ctx = n, .n_threads = 1, .kv_type = TRIT_KV_F16};
	struct trit_model *m = NULL;
	struct trit_session *s = NULL;
	int e;

	if (!(e = trit_model_open_with(&m, path, &model_options, err)))
		e = trit_session_new(&s, m, &session_options, err);
	for (int i = 0; i < n && !e; i++) {
		trit_token token = (trit_token)strtol(tokens[i], NULL, 10);
		e = trit_session_feed(s, 1, &token, err);
		for (int j = 0; j < trit_model_vocab_size(m) && !e; j++)
			printf("%.9g ", (double)trit_session_logits(s)[j]);
		printf("\n");
	}
	trit_session_free(s);
	trit_model_close(m);
	return e;
}

int main(int argc, char **argv)
{
	static const struct way ways[] = {
		{"t2", "exact", TRIT_KV_F16}, {"t5", "i8", TRIT_KV_Q8}, {"t2", "i6", TRIT_KV_Q4}, {"t5", "i4", TRIT_KV_F16}};
	struct trit_error err;

	if (argc < 2) {
		fprintf(stderr, "usage: %s MODEL [TOKEN...]\n", argv[0]);
		return 2;
	}
	if (argc > 2) {
		if (print_all(argv[1], argc - 2, argv + 2, &err)) {
			fprintf(stderr, "%s: %s\n", argv[0], err.message);
			return 1;
		}
		return 0;
	}
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (print_line(argv[1], &ways[i], &err)) {
			fprintf(stderr, "%s: %s\n", argv[0], err.message);
			return 1;
		}
	return 0;
}
