/*
 * test_same_bits.c - one text, one result: logits of a model of 3.4 million random weights on every tier, with 1 to 8
 * threads, in every layout of the weights, the prompt whole or cut, alone or beside fifteen other sequences, compared
 * bit by bit.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first */
#include <cmocka.h>

#include "convert/synth.h"
#include "model/model.h"
#include "run/batch.h"
#include "scratch.h"

enum { N_TOKENS = 150, N_SEQUENCES = 16, MINE = 11 };

struct way {
	const char *cpu, *layout, *head;
	enum trit_kv_type kv_type;
	int n_threads, chunk;
	bool crowded; /* among other sequences */
};

static int token_at(int sequence, int i)
{
	return (i * 7919 + sequence * 104729 + i * i) % 1000;
}

static int tier_by_name(const char *name)
{
	int tier = 0;
	while (strcmp(name, trit_tier_name((enum trit_tier)tier)) != 0)
		tier++;
	return tier;
}

/* Feeds all tokens of all sequences there are, `chunk` of each at a time; logits of the last token of ours. */
static void run(float *logits, const struct way *way)
{
	struct trit_model_options o = {.cpu = way->cpu, .layout = way->layout, .head = way->head, .n_threads = 1};
	int n_seq = way->crowded ? N_SEQUENCES : 1, mine = way->crowded ? MINE : 0;
	struct trit_model *m;
	struct trit_pool *pool;
	struct trit_batch *b;
	struct trit_error err;

	if (trit_model_open_with(&m, "model.gguf", &o, &err) ||
	    trit_pool_new(&pool, way->n_threads, &err) ||
	    trit_batch_new(&b, m, pool,
	                   &(struct trit_batch_options){.n_sequences = n_seq, .n_ctx = N_TOKENS, .kv_type = way->kv_type,
	                                                .n_batch = n_seq * way->chunk},
	                   &err))
		fail_msg("%s", err.message);
	for (int i = 0; i < N_TOKENS; i += way->chunk) {
		int n = N_TOKENS - i < way->chunk ? N_TOKENS - i : way->chunk;
		for (int s = 0; s < n_seq; s++) {
			trit_token tokens[N_TOKENS];
			for (int j = 0; j < n; j++)
				tokens[j] = token_at(s == mine ? 0 : s + 1, i + j);
			trit_batch_put(b, s, n, tokens, i + n == N_TOKENS);
		}
		trit_batch_run(b);
	}
	memcpy(logits, trit_batch_logits(b, mine), (size_t)trit_model_vocab_size(m) * sizeof *logits);
	trit_batch_free(b);
	trit_pool_free(pool);
	trit_model_close(m);
}

static void check_all(const char *head, enum trit_kv_type kv_type, const struct way *ways, size_t n)
{
	static float expected[16384], logits[16384];
	struct way first = {"c", "t2", head, kv_type, 1, 64, false};

	run(expected, &first);
	assert_true(expected[0] == expected[0]); /* a number */
	for (size_t i = 0; i < n; i++) {
		struct way way = ways[i];
		if (!trit_tier_here((enum trit_tier)tier_by_name(way.cpu)))
			continue;
		way.head = head;
		way.kv_type = kv_type;
		memset(logits, 0, sizeof logits);
		run(logits, &way);
		if (memcmp(logits, expected, sizeof logits) != 0)
			fail_msg("head %s, cache %d: %s %s, %d threads, %d tokens at a time%s: other logits", head, (int)kv_type,
			         way.cpu, way.layout, way.n_threads, way.chunk, way.crowded ? ", beside others" : "");
	}
}

static void every_tier_and_layout(void **state)
{
	static const char *const layouts[] = {"t2", "t5"};
	static const int chunks[] = {1, 7, 64, N_TOKENS};
	struct way ways[TRIT_N_TIERS * 8];
	size_t n = 0;

	(void)state;
	for (int tier = TRIT_TIER_AVX2; tier < TRIT_N_TIERS; tier++)
		for (size_t l = 0; l < 2; l++)
			for (size_t c = 0; c < 4; c++)
				ways[n++] = (struct way){.cpu = trit_tier_name((enum trit_tier)tier), .layout = layouts[l],
				                         .n_threads = 1 + (int)c % 2, .chunk = chunks[c]};
	check_all("i8", TRIT_KV_F16, ways, n);
	check_all("exact", TRIT_KV_F16, ways, n);
}

static void every_cache(void **state)
{
	struct way ways[TRIT_N_TIERS * 2];
	size_t n = 0;

	(void)state;
	for (int tier = TRIT_TIER_C; tier < TRIT_N_TIERS; tier++)
		for (int chunk = 3; chunk <= 53; chunk += 50)
			ways[n++] = (struct way){.cpu = trit_tier_name((enum trit_tier)tier), .layout = "t5", .n_threads = 2,
			                         .chunk = chunk};
	for (int type = TRIT_KV_F16 + 1; type < TRIT_N_KV_TYPES; type++)
		check_all(type == TRIT_KV_Q8 ? "i6" : "i4", (enum trit_kv_type)type, ways, n);
}

static void every_number_of_threads(void **state)
{
	struct way ways[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		ways[i] = (struct way){.cpu = trit_tier_name(trit_best_tier()), .layout = "t5", .n_threads = 1 + i,
		                       .chunk = 32};
	check_all("i8", TRIT_KV_F16, ways, 8);
}

static void beside_others(void **state)
{
	const char *best = trit_tier_name(trit_best_tier());
	const struct way ways[] = {
	    {.cpu = best, .layout = "t5", .n_threads = 2, .chunk = 1, .crowded = true},
	    {.cpu = best, .layout = "t2", .n_threads = 1, .chunk = 7, .crowded = true},
	};

	(void)state;
	check_all("i8", TRIT_KV_F16, ways, 2);
}

static int make_model(void **state)
{
	const struct trit_export_options o = { .type = -1, .embedding_type = -1, .head_type = -1 };
	struct trit_synth s = { .config = { .n_vocab = 4096, .n_layers = 4, .d_model = 256, .d_ff = 512, .n_heads = 8,
		                            .n_kv_heads = 4, .head_dim = 32, .n_rot = 32, .n_ctx = 512, .rope_base = 10000,
		                            .eps = 1e-5f, .tied = true, .name = "random" }, .seed = 1 };
	trit_config_set_arch(&s.config, trit_arch_by_name("bitnet", 6));
	return scratch_enter(state) || trit_synth("model.gguf", &s, &o, NULL) ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_tier_and_layout),
	    cmocka_unit_test(every_cache),
	    cmocka_unit_test(every_number_of_threads),
	    cmocka_unit_test(beside_others),
	};
	return cmocka_run_group_tests(tests, make_model, scratch_leave);
}
