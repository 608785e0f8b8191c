/*
 * test_kept.c - checkpoints under damage: every bit of the header, bits of the data, any length; how many are kept, and
 * which of them a run goes on from.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* truncate */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"
#include "base/num.h"
#include "base/rng.h"
#include "base/xxh64.h"
#include "train/kept.h"

static struct trit_error err;
static struct trit_recipe recipe;
static struct trit_config config;
static struct trit_params params;

static int set_up(void **state)
{
	recipe = trit_recipe_defaults();
	recipe.n_vocab = 300, recipe.n_layers = 1, recipe.d_model = 16, recipe.d_ff = 16, recipe.n_heads = 1;
	recipe.n_kv_heads = 1, recipe.head_dim = 16, recipe.seq_len = 8, recipe.batch = 1;
	if (scratch_enter(state) || trit_recipe_apply_size(&recipe, "260k", &err) ||
	    trit_recipe_config(&recipe, &config, &err) || trit_params_init(&params, &config, &err))
		return -1;
	trit_params_randomise(&params, &config, 1);
	return 0;
}

static int tear_down(void **state)
{
	trit_params_release(&params);
	return scratch_leave(state);
}

static void save(const char *dir, int keep, int step)
{
	struct trit_progress progress = { .step = step, .steps = 1000, .train_tokens = 77 };
	params.w[0] = (float)step;
	if (trit_kept_save(dir, keep, &params, &recipe, &config, progress, &err))
		fail_msg("%s", err.message);
}

/* Steps of the checkpoints there, newest first: "30 20 10"; the older ones by name and content. */
static void check_steps(const char *dir, const char *want)
{
	char path[TRIT_KEPT_PATH_BYTES], got[200];
	struct trit_kept k;
	struct trit_progress at;
	assert_int_equal(trit_kept_list(&k, dir, &err), 0);
	size_t used = 0;
	for (int i = -1; i < k.n; i++) {
		assert_int_equal(trit_kept_path(path, dir, i < 0 ? -1 : k.steps[i], &err), 0);
		assert_int_equal(trit_checkpoint_check(path, &at, &err), 0);
		assert_true(i < 0 || at.step == k.steps[i]);
		used += (size_t)snprintf(got + used, sizeof got - used, "%s%d", i < 0 ? "" : " ", at.step);
	}
	assert_string_equal(got, want);
	trit_kept_release(&k);
}

/* Values of the reference implementation (Python: xxhash.xxh64_intdigest), over the bytes of its own sanity check. */
static void test_xxh64(void **state)
{
	unsigned char bytes[101];
	uint64_t generator = 2654435761u; /* the sanity check of the reference implementation */
	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (unsigned char)(generator >> 56);
		generator *= UINT64_C(11400714785074694797);
	}
	assert_true(trit_xxh64(0, "", 0) == UINT64_C(0xEF46DB3751D8E999));
	assert_true(trit_xxh64(0, "", 2654435761u) == UINT64_C(0xAC75FDA2929B17EF));
	assert_true(trit_xxh64(1, bytes, 0) == UINT64_C(0xE934A84ADB052768));
	assert_true(trit_xxh64(1, bytes, 2654435761u) == UINT64_C(0x5014607643A9B4C3));
	assert_true(trit_xxh64(4, bytes, 0) == UINT64_C(0x9136A0DCA57457EE));
	assert_true(trit_xxh64(14, bytes, 0) == UINT64_C(0x8282DCC4994E35C8));
	assert_true(trit_xxh64(14, bytes, 2654435761u) == UINT64_C(0xC3BD6BF63DEB6DF0));
	assert_true(trit_xxh64(32, bytes, 0) == UINT64_C(0x18B216492BB44B70));
	assert_true(trit_xxh64(101, bytes, 0) == UINT64_C(0xA51EA2101B2D114C));
	assert_true(trit_xxh64(101, bytes, 2654435761u) == UINT64_C(0x6B38A5BBBA1F049C));
	assert_true(trit_xxh64(3, "abc", 0) == UINT64_C(0x44BC2CF5AD770999));
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

static bool is_refused(const char *path)
{
	struct trit_progress at;
	return trit_checkpoint_check(path, &at, &err) == TRIT_ERR_FORMAT; /* else no older one would be tried */
}

static void test_bit_flips(void **state)
{
	struct trit_rng rng;
	size_t len;
	(void)state;
	assert_int_equal(trit_make_dirs("flips", &err), 0);
	save("flips", 1, 5);
	const char *path = "flips/checkpoint.safetensors";
	char *bytes = scratch_read(path, &len);
	size_t header = 8 + (size_t)trit_get64(bytes);
	int fd = open(path, O_WRONLY);
	trit_rng_init(&rng, 3);
	assert_true(fd >= 0);
	assert_false(is_refused(path));
	/* One bit of each byte of the header, then any of the data. */
	for (size_t i = 0; i < header + 2000; i++) {
		size_t at = i < header ? i : header + (size_t)trit_rng_below(&rng, len - header);
		char flipped = (char)(bytes[at] ^ 1 << trit_rng_below(&rng, 8));
		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
		if (!is_refused(path))
			fail_msg("byte %zu, '%c' became '%c': not noticed", at, bytes[at], flipped);
		assert_int_equal(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
	}
	assert_false(is_refused(path));
	close(fd);
	trit_free(bytes);
}

static void test_damage_is_named(void **state)
{
	struct trit_progress at;
	size_t len;
	(void)state;
	assert_int_equal(trit_make_dirs("named", &err), 0);
	save("named", 1, 5);
	char *bytes = scratch_read("named/checkpoint.safetensors", &len);
	bytes[len - 3] ^= 1;
	scratch_write("damaged.safetensors", len, bytes);
	assert_int_equal(trit_checkpoint_check("damaged.safetensors", &at, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "damaged.safetensors: tensor v."));
	assert_int_equal(trit_checkpoint_load("damaged.safetensors", &params, &err), TRIT_ERR_FORMAT);
	bytes[len - 3] ^= 1;
	memcpy(strstr(bytes + 8, "\"lr\":\"0.0"), "\"lr\":\"0.1", 9); /* a number as good as the one that was there */
	scratch_write("damaged.safetensors", len, bytes);
	assert_int_equal(trit_checkpoint_check("damaged.safetensors", &at, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "damaged.safetensors: the header is not what was written"));
	assert_int_equal(trit_checkpoint_read_recipe("damaged.safetensors", &recipe, &config, &at, &err),
	                 TRIT_ERR_FORMAT);
	trit_free(bytes);
}

static void test_truncations(void **state)
{
	size_t len;
	(void)state;
	assert_int_equal(trit_make_dirs("cut", &err), 0);
	save("cut", 1, 5);
	char *bytes = scratch_read("cut/checkpoint.safetensors", &len);
	for (size_t cut = len - 1; cut > 0; cut -= cut < 64 || len - cut < 64 ? 1 : 61) {
		assert_int_equal(truncate("cut/checkpoint.safetensors", (off_t)cut), 0);
		assert_true(is_refused("cut/checkpoint.safetensors"));
	}
	trit_free(bytes);
}

/* Weights that are no numbers do not take the place of those that are. */
static void test_not_finite(void **state)
{
	struct trit_progress progress = { .step = 6, .steps = 1000, .train_tokens = 77 };
	(void)state;
	assert_int_equal(trit_make_dirs("nan", &err), 0);
	save("nan", 2, 5);
	params.v[params.list[1].offset] = INFINITY;
	assert_int_equal(trit_kept_save("nan", 2, &params, &recipe, &config, progress, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "tensor v.blk.0.attn_norm.weight has numbers that are not finite"));
	params.v[params.list[1].offset] = 0;
	assert_int_equal(trit_checkpoint_check("nan/checkpoint.safetensors", &progress, &err), 0);
	assert_int_equal(progress.step, 5);
}

/* ---- how many are kept ------------------------------------------------------------------------------------------- */

static void test_keeps(void **state)
{
	(void)state;
	assert_int_equal(trit_make_dirs("many", &err), 0);
	assert_false(trit_kept_any("many"));
	assert_false(trit_kept_any("nowhere"));
	for (int step = 0; step <= 50; step += 10)
		save("many", 3, step);
	assert_true(trit_kept_any("many"));
	check_steps("many", "50 40 30");
	save("many", 3, 50); /* again */
	check_steps("many", "50 40 30");
	save("many", 2, 60);
	check_steps("many", "60 50");
	/* Taken up again from further back: what was ahead goes, what was behind stays. */
	save("many", 4, 70);
	save("many", 4, 55);
	check_steps("many", "55 50");
	save("many", 1, 57);
	check_steps("many", "57");
	/* Other names are not ours. */
	scratch_write("many/checkpoint-12.safetensors.old", 1, "x");
	scratch_write("many/checkpoint-012.safetensors", 1, "x");
	scratch_write("many/checkpoint-x.safetensors", 1, "x");
	check_steps("many", "57");
	assert_int_equal(unlink("many/checkpoint.safetensors"), 0);
	assert_false(trit_kept_any("many"));
}

static void spoil(const char *path)
{
	size_t len;
	char *bytes = scratch_read(path, &len);
	bytes[len / 2] ^= 4;
	scratch_write(path, len, bytes);
	trit_free(bytes);
}

static void check_finds(const char *from, const char *want, size_t n_notes)
{
	char path[TRIT_KEPT_PATH_BYTES];
	struct trit_notes notes = { 0 };
	if (trit_kept_find(path, "find", from, &notes, &err))
		fail_msg("%s", err.message);
	assert_string_equal(path, want);
	assert_int_equal(notes.n, n_notes);
	trit_notes_release(&notes);
}

static void test_finds(void **state)
{
	char path[TRIT_KEPT_PATH_BYTES];
	(void)state;
	assert_int_equal(trit_make_dirs("find", &err), 0);
	assert_int_equal(trit_kept_find(path, "find", NULL, NULL, &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "leave --resume out"));
	for (int step = 10; step <= 30; step += 10)
		save("find", 3, step);
	check_finds(NULL, "find/checkpoint.safetensors", 0);
	check_finds("30", "find/checkpoint.safetensors", 0);
	check_finds("10", "find/checkpoint-10.safetensors", 0);
	check_finds("find/checkpoint-20.safetensors", "find/checkpoint-20.safetensors", 0);
	assert_int_equal(trit_kept_find(path, "find", "25", NULL, &err), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "there are those of steps 30, 20, 10"));
	assert_true(trit_kept_bytes("find") > 3 * 12.0 * (double)params.total);
	spoil("find/checkpoint.safetensors");
	check_finds(NULL, "find/checkpoint-20.safetensors", 1);
	spoil("find/checkpoint-20.safetensors");
	check_finds(NULL, "find/checkpoint-10.safetensors", 2);
	assert_int_equal(trit_kept_find(path, "find", "20", NULL, &err), TRIT_ERR_FORMAT);
	/* A damaged one is not kept by its step: it would take the place of a sound one. */
	save("find", 3, 40);
	assert_int_equal(trit_path_kind("find/checkpoint-30.safetensors"), -1);
	assert_int_equal(unlink("find/checkpoint.safetensors"), 0);
	check_finds(NULL, "find/checkpoint-10.safetensors", 1);
	spoil("find/checkpoint-10.safetensors");
	assert_int_equal(trit_kept_find(path, "find", NULL, NULL, &err), TRIT_ERR_FORMAT);
	assert_non_null(strstr(err.message, "none of the 2 checkpoints is sound"));
	assert_non_null(strstr(err.message, "checkpoint-10"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xxh64),       cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_damage_is_named), cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_not_finite),  cmocka_unit_test(test_keeps),
		cmocka_unit_test(test_finds),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
