/*
 * bench.h - measures how fast a model reads prompts and writes text, by the rules of llama-bench.
 *
 * A test: each of n_sequences sequences already holds n_depth tokens; then n_prompt tokens of each are computed in
 * batches, the logits after the last included; then n_gen times one token of each, all sequences in one run, with
 * logits. Tokens are random ones from a fixed seed: speed does not depend on what they say, and nothing is sampled.
 * Afterwards the sequences are rewound to n_depth, and the test is repeated. Before each repetition the limits of the
 * machine are measured (limits.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BENCH_BENCH_H
#define TRIT_BENCH_BENCH_H

#include "bench/cost.h"

struct trit_bench_test {
	int n_prompt, n_gen; /* one of them may be 0 */
	int n_depth, n_sequences, n_batch, n_threads;
	enum trit_kv_type kv_type;
};

/** "pp512", "tg128", "pp512+tg128", with " x 16" for 16 sequences and " @ d4096" for a depth. Returns text. */
#define TRIT_BENCH_NAME_BYTES 80
const char *trit_bench_name(char text[TRIT_BENCH_NAME_BYTES], const struct trit_bench_test *t);

/** One repetition. */
struct trit_bench_sample {
	double seconds;
	double prompt_seconds;        /* of the prompt alone */
	double read_limit, int8_limit; /* bytes, operations a second */
};

struct trit_bench_result {
	struct trit_bench_test test;
	struct trit_bench_sample *samples; /* [n_samples], the caller's to trit_free */
	int n_samples;            /* repetitions that were finished */
	double tokens;            /* of a repetition: those of all sequences */
	double bytes, int8_ops;   /* of a repetition: what must be read, 8-bit operations of the projections */
	uint64_t peak_memory;     /* bytes, of the process up to the end of this test; 0: unknown */
	int64_t time;             /* when the test began, seconds since 1970 */
};

/** Called now and then with how many repetitions are done; false: stop, keeping what is finished. */
typedef bool trit_bench_go_on_fn(void *arg, int done);

struct trit_bench_options {
	int n_repetitions;
	bool no_warm_up;     /* else a prompt or a token is computed before the first repetition */
	size_t read_buffer;  /* bytes; 0: the read limit is measured on the weights in place */
	trit_bench_go_on_fn *go_on; /* may be NULL */
	void *arg;
};

/** Runs one test. Errors: ARG, LIMIT, MEMORY. */
TRIT_MUST_CHECK int trit_bench_run(struct trit_bench_result *out, const struct trit_model *m,
                                   const struct trit_bench_test *t, const struct trit_bench_options *o,
                                   struct trit_error *err);

/** Whether the test is one: numbers in range, something to do. Errors: ARG, LIMIT. */
TRIT_MUST_CHECK int trit_bench_check(const struct trit_bench_test *t, struct trit_error *err);

/** Bytes of memory that this process has used at most; 0: unknown. */
uint64_t trit_peak_memory(void);

/* ---- statistics -------------------------------------------------------------------------------------------------- */

struct trit_statistics {
	double mean, deviation; /* of the sample: n - 1 */
	double median, min, max;
};

/** n >= 1; sorts x. */
struct trit_statistics trit_statistics_of(double *x, int n);

enum trit_bench_figure {
	TRIT_BENCH_SECONDS,
	TRIT_BENCH_SPEED,        /* tokens a second */
	TRIT_BENCH_FIRST_TOKEN,  /* seconds from the prompt to its logits */
	TRIT_BENCH_READ_LIMIT,   /* bytes a second */
	TRIT_BENCH_INT8_LIMIT,   /* operations a second */
	TRIT_BENCH_READ_SHARE,   /* bytes the test must read a second, over the limit */
	TRIT_BENCH_INT8_SHARE,
};

/** One figure of one repetition. */
double trit_bench_figure_of(const struct trit_bench_result *r, const struct trit_bench_sample *s,
                            enum trit_bench_figure figure);
/** Over the repetitions, at least one. `scratch` [n_samples]. */
struct trit_statistics trit_bench_statistics(const struct trit_bench_result *r, enum trit_bench_figure figure,
                                             double *scratch);

#endif
