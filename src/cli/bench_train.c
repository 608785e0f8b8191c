/*
 * bench_train.c - trit bench --train: whole training steps of a size, ternary beside full precision.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "cli/bench_train.h"

#include "base/pool.h"
#include "bench/bench.h"
#include "bench/training.h"
#include "cli/cmd.h"
#include "cli/setting_row.h"

enum { MD, CSV, JSON };
enum { N_FIXED = 8, MAX_OPTIONS = 100 };

struct train_bench_options {
	struct trit_training_test test;
	const char *size;
	int output;
	bool one; /* kind of weights, the recipe's; else ternary beside full */
};

static int parse(struct train_bench_options *o, int argc, char **argv)
{
	static const char *const outputs[] = { "md", "csv", "json", NULL };
	bool train = true;
	struct trit_recipe *r = &o->test.recipe;
	*o = (struct train_bench_options){ .size = "25m", .test = { .n_repetitions = 3 } };
	*r = trit_recipe_defaults();
	r->seq_len = 512;
	r->batch = 8;
	struct trit_opt options[MAX_OPTIONS] = {
		{ 0, "train", TRIT_OPT_FLAG, &train, .help = "this test" },
		{ 'r', "repetitions", TRIT_OPT_INT, &o->test.n_repetitions, .min = 1, .max = TRIT_TRAINING_MOST,
		  .metavar = "N", .help = "steps that are measured" },
		TRIT_ROW_THREADS(o->test.n_threads),
		TRIT_ROW_CPU(o->test.cpu),
		{ 0, "recompute", TRIT_OPT_FLAG, &o->test.recompute,
		  .help = "compute activations again in the backward pass" },
		{ 'o', "output", TRIT_OPT_CHOICE, &o->output, .choices = outputs, .metavar = "FORM",
		  .help = "form of the results" },
		{ .type = TRIT_OPT_HEADING, .help = "The network and the run, as of trit train" },
		{ 0, "size", TRIT_OPT_STRING, &o->size, .metavar = "NAME", .help = trit_recipe_sizes() },
	};
	int n = N_FIXED, weights = 0;
	for (int i = 0; i < trit_n_settings && n < MAX_OPTIONS; i++) {
		if (trit_setting_is_tuning(&trit_settings[i]) || trit_setting_of_teacher(&trit_settings[i]) ||
		    trit_setting_of_labels(&trit_settings[i]))
			continue;
		if (trit_settings[i].offset == offsetof(struct trit_recipe, weights))
			weights = n;
		options[n++] = trit_setting_row(r, &trit_settings[i]);
	}
	options[weights].shown = "ternary, then full";
	struct trit_opt_table table = {
		.command = "bench",
		.usage = "--train [--size NAME] [--weights KIND] [OPTIONS]",
		.about = "Measures training: tokens a second of whole steps on random tokens, optimiser included, of a\n"
		         "ternary model and of one in full precision; operations as the field counts them (6 a weight\n"
		         "and token, and attention), and their share of what all threads can do in fp32, in bfloat16\n"
		         "where that is fast, and in 8 bits, measured in between.",
		.options = options,
		.n_options = n,
	};
	int status = trit_opt_parse(&table, argc, argv);
	o->one = options[weights].given;
	if (!o->test.n_threads)
		o->test.n_threads = trit_cpu_count();
	return status;
}

static void print_head(int form)
{
	if (form == MD)
		printf("| model | params | weights | threads | kernels | tokens/s | GFLOP/s | of fp32 peak | of bf16 peak | "
		       "of int8 peak | memory | peak memory |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
	else if (form == CSV)
		printf("\"size\",\"weights\",\"n_threads\",\"kernels\",\"seq_len\",\"batch\",\"tokens_per_s\","
		       "\"tokens_per_s_stddev\",\"flops\",\"f32_peak\",\"int8_peak\",\"memory_bytes\",\"peak_rss_bytes\","
		       "\"loss\",\"precision\",\"bf16_peak\",\"backward\",\"parameters\"\n");
	else
		printf("[");
}

/* Of a limit, if there is one. */
static void print_share(double flops, double peak)
{
	if (peak > 0)
		printf(" %.1f %% of %.0f |", 100 * flops / peak, peak / 1e9);
	else
		printf(" - |");
}

static void print_result(const struct train_bench_options *o, const char *weights, const struct trit_training_result *r,
                         bool first)
{
	const struct trit_training_test *t = &o->test;
	const char *precision = r->bf16 ? "bf16" : "f32";
	char text[TRIT_SETTING_BYTES];
	double speeds[TRIT_TRAINING_MOST];
	char memory[TRIT_NUMBER_BYTES], peak[TRIT_NUMBER_BYTES], params[TRIT_NUMBER_BYTES];
	for (int i = 0; i < r->n_samples; i++)
		speeds[i] = r->tokens / r->seconds[i];
	struct trit_statistics s = trit_statistics_of(speeds, r->n_samples);
	double flops = s.median * r->operations / r->tokens;
	trit_setting_print(text, trit_setting_by_name("backward"), &t->recipe);
	const char *backward = t->recipe.weights == TRIT_WEIGHT_FULL ? precision : text;
	if (o->output == MD) {
		printf("| %s | %s | %s | %d | %s%s%s%s | %.0f ± %.0f | %.0f |", o->size, trit_text_count(params, r->parameters),
		       weights, t->n_threads, r->tier, r->bf16 ? ", bf16" : "", backward == text ? ", backward " : "",
		       backward == text ? text : "", s.median, s.deviation, flops / 1e9);
		print_share(flops, r->f32_peak);
		print_share(flops, r->bf16_peak);
		print_share(flops, r->int8_peak);
		printf(" %s | %s |\n", trit_text_bytes(memory, r->memory), trit_text_bytes(peak, r->peak_memory));
	} else if (o->output == CSV) {
		printf("\"%s\",\"%s\",\"%d\",\"%s\",\"%d\",\"%d\",", o->size, weights, t->n_threads, r->tier,
		       t->recipe.seq_len, t->recipe.batch);
		printf("\"%.2f\",\"%.2f\",\"%.0f\",\"%.0f\",\"%.0f\",\"%.0f\",\"%.0f\",\"%.6f\",\"%s\",\"%.0f\",\"%s\",",
		       s.median, s.deviation, flops, r->f32_peak, r->int8_peak, r->memory, r->peak_memory, r->loss, precision,
		       r->bf16_peak, backward);
		printf("\"%.0f\"\n", r->parameters);
	} else {
		printf("%s\n  {\"size\": \"%s\", \"parameters\": %.0f, \"weights\": \"%s\", \"n_threads\": %d, ",
		       first ? "" : ",", o->size, r->parameters, weights, t->n_threads);
		printf("\"kernels\": \"%s\",", r->tier);
		printf(" \"precision\": \"%s\", \"backward\": \"%s\", \"seq_len\": %d, \"batch\": %d, ", precision,
		       backward, t->recipe.seq_len, t->recipe.batch);
		printf("\"tokens_per_s\": %.2f, \"tokens_per_s_stddev\": %.2f, \"flops\": %.0f, ", s.median, s.deviation,
		       flops);
		printf("\"f32_peak\": %.0f, \"bf16_peak\": %.0f, \"int8_peak\": %.0f, ", r->f32_peak, r->bf16_peak,
		       r->int8_peak);
		printf("\"memory_bytes\": %.0f, \"peak_rss_bytes\": %.0f, ", r->memory, r->peak_memory);
		printf("\"loss\": %.6f}", r->loss);
	}
	trit_out_flush();
}

int trit_bench_train(int argc, char **argv)
{
	static const char *const names[] = { [TRIT_WEIGHT_TERNARY] = "ternary", [TRIT_WEIGHT_BINARY] = "binary",
		                             [TRIT_WEIGHT_FULL] = "full" };
	struct train_bench_options o;
	struct trit_training_result r;
	struct trit_error err;
	int status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	struct trit_recipe given = o.test.recipe;
	struct trit_config ignored;
	int kinds[] = { o.one ? given.weights : TRIT_WEIGHT_TERNARY, TRIT_WEIGHT_FULL };
	o.test.recipe.weights = TRIT_WEIGHT_FULL;
	if (!o.one && (trit_recipe_apply_size(&o.test.recipe, o.size, &err) ||
	               trit_recipe_config(&o.test.recipe, &ignored, &err))) {
		trit_cmd_note("bench", "ternary weights alone: in full precision %s", err.message);
		o.one = true;
	}
	for (int i = 0; i < (o.one ? 1 : 2); i++) {
		o.test.recipe = given;
		o.test.recipe.weights = kinds[i];
		if (trit_recipe_apply_size(&o.test.recipe, o.size, &err) || trit_training_run(&r, &o.test, &err))
			return trit_out_finish("bench", trit_cmd_fail("bench", &err));
		if (i == 0)
			print_head(o.output);
		print_result(&o, names[kinds[i]], &r, i == 0);
	}
	if (o.output == JSON)
		printf("\n]\n");
	return trit_out_finish("bench", 0);
}
