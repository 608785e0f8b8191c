/*
 * cmd_bench.c - trit bench: how fast models read prompts and write text; options and output are llama-bench's.
 *
 * Most options are lists, and what is measured is their product.
 *
 * SPDX-License-Identifier: MIT
 */
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "cli/bench_train.h"
#include "cli/bench_report.h"

#include "base/file.h"
#include "run/batch.h"

/* ---- lists ------------------------------------------------------------------------------------------------------- */

enum { MOST = 128, MOST_TESTS = 100000 }; /* values of an option; all options multiplied */

struct numbers {
	int v[MOST], n;
};

struct words {
	const char *v[MOST];
	int n;
};

/* "5", "1-4", "1-8+2" or "1-8*2" in text[0..len): first, last and how to get from one to the next. False: not so. */
static bool read_range(const char *text, size_t len, long *first, long *last, long *plus, long *times)
{
	const char *end = text + len;
	char *at;
	*plus = *times = 1;
	if (len == 0 || text[0] < '0' || text[0] > '9')
		return false;
	*first = *last = strtol(text, &at, 10);
	if (at == end)
		return true;
	if (*at != '-' || at[1] < '0' || at[1] > '9')
		return false;
	*last = strtol(at + 1, &at, 10);
	if (at == end)
		return true;
	char sign = *at;
	if ((sign != '+' && sign != '*') || at[1] < '0' || at[1] > '9')
		return false;
	long step = strtol(at + 1, &at, 10);
	*plus = sign == '+' ? step : 0;
	*times = sign == '*' ? step : 1;
	return at == end && step >= (sign == '*' ? 2 : 1);
}

/* One value or range of an option. Returns -1 or an exit status. */
static int add_numbers(struct numbers *out, const struct trit_opt_table *t, const char *name, const char *text,
                       size_t len, int min, int max)
{
	long first, last, plus, times;
	if (!read_range(text, len, &first, &last, &plus, &times) || first < min || last > max || first > last ||
	    (first == 0 && last > 0 && plus == 0) || plus > max || times > max)
		return trit_opt_error(t, "%s: \"%.*s\" is no number or range (1-4, 1-8+2, 1-8*2) within %d to %d", name,
		                      len < 60 ? (int)len : 60, text, min, max);
	for (long v = first; v <= last; v = v * times + plus) {
		if (out->n == MOST)
			return trit_opt_error(t, "%s: more than %d values", name, MOST);
		out->v[out->n++] = (int)v;
	}
	return -1;
}

/* All values of an option, or one default. Returns -1 or an exit status. */
static int read_numbers(struct numbers *out, const struct trit_opt_table *t, const char *name,
                        const struct trit_opt_list *list, int min, int max, int preset)
{
	int status = -1;
	out->n = 0;
	for (int i = 0; i < list->n && status < 0; i++) {
		for (const char *at = list->items[i]; status < 0; at++) {
			size_t len = strcspn(at, ",");
			status = add_numbers(out, t, name, at, len, min, max);
			at += len;
			if (!*at)
				break;
		}
	}
	if (!list->n)
		out->v[out->n++] = preset;
	return status;
}

/* Words between commas, or a NULL if there are none; a file whose name has commas is one word. Returns -1 or an exit
 * status. */
static int read_words(struct words *out, const struct trit_opt_table *t, const char *name,
                      const struct trit_opt_list *list, bool files)
{
	out->n = 0;
	for (int i = 0; i < list->n; i++) {
		for (char *at = list->items[i], *comma; at; at = comma ? comma + 1 : NULL) {
			comma = files && trit_path_kind(at) >= 0 ? NULL : strchr(at, ',');
			if (comma)
				*comma = 0;
			if (!*at)
				return trit_opt_error(t, "%s: an empty name in the list", name);
			if (out->n == MOST)
				return trit_opt_error(t, "%s: more than %d values", name, MOST);
			out->v[out->n++] = at;
		}
	}
	if (!list->n)
		out->v[out->n++] = NULL;
	return -1;
}

/* Types of KV caches by their names. Returns -1 or an exit status. */
static int read_kv_types(struct numbers *out, const struct trit_opt_table *t, const struct trit_opt_list *list)
{
	struct words names;
	int status = read_words(&names, t, "--kv-type", list, false);
	out->n = 0;
	for (int i = 0; i < names.n && status < 0; i++) {
		int type = 0;
		while (names.v[i] && trit_kv_names[type] && strcmp(names.v[i], trit_kv_names[type]))
			type++;
		if (!trit_kv_names[type])
			status = trit_opt_error(t, "--kv-type: \"%.60s\" is none of: auto, f32, f16, q8, q4", names.v[i]);
		out->v[out->n++] = type;
	}
	return status;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

struct bench_options {
	struct words models, cpus, layouts, heads; /* a NULL among the last three: as trit_model_options has it */
	struct { int n_prompt, n_gen; } shapes[3 * MOST];
	int n_shapes;
	struct numbers kv_types, depths, sequences, batches, threads; /* 0 threads: as many as help */
	int output, delay, n_tests; /* tests of a model opened in one way */
	bool progress, with_batch, with_kv;
	struct trit_bench_options run;
};

static void add_shape(struct bench_options *o, int n_prompt, int n_gen)
{
	if (n_prompt == 0 && n_gen == 0)
		return;
	o->shapes[o->n_shapes].n_prompt = n_prompt;
	o->shapes[o->n_shapes].n_gen = n_gen;
	o->n_shapes++;
}

static int add_pairs(struct bench_options *o, const struct trit_opt_table *t, const struct trit_opt_list *pairs)
{
	for (int i = 0; i < pairs->n; i++) {
		struct trit_opt_list one = { &pairs->items[i], 1 };
		struct numbers pair;
		int status = read_numbers(&pair, t, "--pg", &one, 0, TRIT_MAX_CTX, 0);
		if (status >= 0)
			return status;
		if (pair.n != 2)
			return trit_opt_error(t, "--pg: \"%.60s\" is no pair of numbers such as 512,128", pairs->items[i]);
		if (i == MOST)
			return trit_opt_error(t, "--pg: more than %d values", MOST);
		add_shape(o, pair.v[0], pair.v[1]);
	}
	return -1;
}

/* What trit_bench_run would refuse, before any model is loaded. */
static int check_tests(const struct bench_options *o, const struct trit_opt_table *t)
{
	struct trit_error err;
	if (!o->n_shapes)
		return trit_opt_error(t, "nothing to measure: give -p, -n or -pg more than 0");
	for (int i = 0; i < o->n_shapes; i++) {
		for (int d = 0; d < o->depths.n; d++) {
			struct trit_bench_test test = {
				.n_prompt = o->shapes[i].n_prompt, .n_gen = o->shapes[i].n_gen, .n_depth = o->depths.v[d],
				.n_sequences = 1, .n_batch = 1, .n_threads = 1
			};
			if (trit_bench_check(&test, &err))
				return trit_opt_error(t, "%s", err.message);
		}
	}
	return -1;
}

/* The lists of the command line, as given. */
struct lists {
	struct trit_opt_list models, cpus, layouts, heads, kv_types, prompts, gens, pairs, depths, sequences, batches;
	struct trit_opt_list threads;
};

static int read_lists(struct bench_options *o, const struct trit_opt_table *t, const struct lists *l)
{
	struct numbers prompts, gens;
	struct trit_opt_list threads = l->threads;
	char *environment = getenv("TRIT_THREADS");
	int status;
	if (!threads.n && environment && *environment)
		threads = (struct trit_opt_list){ &environment, 1 };
	if ((status = read_words(&o->models, t, "--model", &l->models, true)) >= 0 ||
	    (status = read_words(&o->cpus, t, "--cpu", &l->cpus, false)) >= 0 ||
	    (status = read_words(&o->layouts, t, "--layout", &l->layouts, false)) >= 0 ||
	    (status = read_words(&o->heads, t, "--head", &l->heads, false)) >= 0 ||
	    (status = read_kv_types(&o->kv_types, t, &l->kv_types)) >= 0 ||
	    (status = read_numbers(&prompts, t, "--n-prompt", &l->prompts, 0, TRIT_MAX_CTX, 512)) >= 0 ||
	    (status = read_numbers(&gens, t, "--n-gen", &l->gens, 0, TRIT_MAX_CTX, 128)) >= 0 ||
	    (status = read_numbers(&o->depths, t, "--n-depth", &l->depths, 0, TRIT_MAX_CTX, 0)) >= 0 ||
	    (status = read_numbers(&o->sequences, t, "--np", &l->sequences, 1, TRIT_MAX_BATCH, 1)) >= 0 ||
	    (status = read_numbers(&o->batches, t, "--batch-size", &l->batches, 1, TRIT_MAX_BATCH,
	                           TRIT_DEFAULT_BATCH)) >= 0 ||
	    (status = read_numbers(&o->threads, t, "--threads", &threads, 1, TRIT_MAX_THREADS, 0)) >= 0)
		return status;
	if (!o->models.v[0])
		o->models.v[0] = getenv("TRIT_MODEL");
	if (!o->models.v[0] || !*o->models.v[0])
		return trit_opt_error(t, "-m, --model FILE is missing");
	for (int i = 0; i < prompts.n; i++)
		add_shape(o, prompts.v[i], 0);
	for (int i = 0; i < gens.n; i++)
		add_shape(o, 0, gens.v[i]);
	if ((status = add_pairs(o, t, &l->pairs)) >= 0)
		return status;
	o->with_batch = l->batches.n > 0;
	o->with_kv = l->kv_types.n > 0;
	double n = (double)o->kv_types.n * o->batches.n * o->threads.n * o->sequences.n * o->depths.n * o->n_shapes;
	if (n * o->models.n * o->cpus.n * o->layouts.n * o->heads.n > MOST_TESTS)
		return trit_opt_error(t, "the lists make more than %d tests", MOST_TESTS);
	o->n_tests = (int)n;
	return check_tests(o, t);
}

static int parse(struct bench_options *o, int argc, char **argv)
{
	static const char *const outputs[] = { "md", "csv", "json", "jsonl", NULL };
	struct lists l = { 0 };
	int read_buffer = 0;
	bool train = false;
	*o = (struct bench_options){ .run.n_repetitions = 5, .progress = isatty(STDERR_FILENO) };
	struct trit_opt options[] = {
		{ 'm', "model", TRIT_OPT_LIST, &l.models, .metavar = "FILE", .help = "models, GGUF files",
		  .shown = "$TRIT_MODEL" },
		{ 'p', "n-prompt", TRIT_OPT_LIST, &l.prompts, .metavar = "N", .help = "tokens of a prompt; 0: no such test",
		  .shown = "512" },
		{ 'n', "n-gen", TRIT_OPT_LIST, &l.gens, .metavar = "N", .help = "tokens to generate; 0: no such test",
		  .shown = "128" },
		{ 0, "pg", TRIT_OPT_LIST, &l.pairs, .metavar = "P,N",
		  .help = "a prompt of P tokens and then N to generate, in one test" },
		{ 'd', "n-depth", TRIT_OPT_LIST, &l.depths, .metavar = "N", .help = "tokens that the context holds already",
		  .shown = "0" },
		{ 0, "np", TRIT_OPT_LIST, &l.sequences, .metavar = "N", .help = "sequences at once, speeds being their sum",
		  .shown = "1" },
		{ 'r', "repetitions", TRIT_OPT_INT, &o->run.n_repetitions, .min = 1, .max = 100000, .metavar = "N",
		  .help = "how often each test is measured" },
		{ 0, "train", TRIT_OPT_FLAG, &train, .help = "measure training instead: see trit bench --train --help" },
		{ .type = TRIT_OPT_HEADING, .help = "Computing" },
		{ 't', "threads", TRIT_OPT_LIST, &l.threads, .metavar = "N", .help = "threads that compute",
		  .shown = "$TRIT_THREADS or as many as help" },
		{ 'b', "batch-size", TRIT_OPT_LIST, &l.batches, .metavar = "N", .help = "tokens of a prompt computed together",
		  .shown = "512" },
		{ 0, "cpu", TRIT_OPT_LIST, &l.cpus, .metavar = "NAME",
		  .help = "kernels: c, avx2, avx512 ... (trit info shows the best)", .shown = "the best" },
		{ 0, "kv-type", TRIT_OPT_LIST, &l.kv_types, .metavar = "NAME", .help = "KV cache: auto, f32, f16, q8, q4",
		  .shown = "auto" },
		{ 0, "layout", TRIT_OPT_LIST, &l.layouts, .metavar = "NAME",
		  .help = "of ternary weights in memory: auto, t2, t5, b1", .shown = "auto" },
		{ 0, "head", TRIT_OPT_LIST, &l.heads, .metavar = "NAME", .help = "output head: auto, exact, i8, i6, i4",
		  .shown = "auto" },
		{ .type = TRIT_OPT_HEADING, .help = "Measuring" },
		{ 0, "no-warmup", TRIT_OPT_FLAG, &o->run.no_warm_up, .help = "count the first run too" },
		{ 0, "delay", TRIT_OPT_INT, &o->delay, .max = 86400, .metavar = "S",
		  .help = "seconds to rest before each test" },
		{ 0, "read-buffer", TRIT_OPT_INT, &read_buffer, .max = 1 << 20, .metavar = "MIB",
		  .help = "measure the read limit on a fresh buffer in huge pages instead of on the weights in place (and "
		          "count it in the memory used)", .shown = "0" },
		{ .type = TRIT_OPT_HEADING, .help = "Output" },
		{ 'o', "output", TRIT_OPT_CHOICE, &o->output, .metavar = "FORM", .help = "form of the results",
		  .choices = outputs },
		{ 0, "progress", TRIT_OPT_FLAG, &o->progress, .help = "say on stderr what is being measured",
		  .shown = "on a terminal" },
	};
	struct trit_opt_table table = {
		.command = "bench",
		.usage = "-m FILE[,FILE] [OPTIONS]",
		.about = "Measures tokens a second as llama-bench does: pp512 is a prompt of 512 tokens, tg128 are 128\n"
		         "generated ones. Options with a list take values and ranges (1,2 or 1-4 or 1-8+2 or 1-8*2), also\n"
		         "several times; all combinations are measured. Beside the speed: the peak memory of the process,\n"
		         "the bytes that must be read for a token, and the share of what this machine can read or multiply\n"
		         "at most, measured in between with the same threads.",
		.options = options,
		.n_options = TRIT_N(options),
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status < 0) {
		struct trit_opt_list *const all[] = { &l.models, &l.cpus, &l.layouts, &l.heads, &l.kv_types, &l.prompts,
			                              &l.gens, &l.pairs, &l.depths, &l.sequences, &l.batches, &l.threads };
		status = read_lists(o, &table, &l);
		for (int i = 0; i < TRIT_N(all); i++)
			trit_free(all[i]->items); /* the words themselves are argv's */
	}
	o->run.read_buffer = (size_t)read_buffer << 20;
	return status;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

struct progress {
	const struct bench_options *o;
	const char *name; /* of the test */
	int test, n_tests;
	int shown; /* repetitions that the line on the terminal tells of; -1: no line there */
};

/* On a terminal one line that changes, else a line for each test. */
static bool show_progress(void *arg, int done)
{
	struct progress *p = arg;
	bool terminal = isatty(STDERR_FILENO);
	if (p->o->progress && (terminal ? done != p->shown : p->shown < 0)) {
		fprintf(stderr, terminal ? "\r\033[Ktest %d of %d, %s, repetition %d of %d"
		                         : "trit bench: test %d of %d, %s, repetition %d of %d\n",
		        p->test, p->n_tests, p->name, done + 1, p->o->run.n_repetitions);
		p->shown = done;
	}
	return !trit_interrupts && trit_out_alive();
}

static void clear_progress(struct progress *p)
{
	if (p->shown >= 0 && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	p->shown = -1;
}

/* The test with this number; the shapes change fastest, then threads, sequences, depths, batches, KV types. */
static struct trit_bench_test test_of(const struct bench_options *o, int number, const struct trit_config *c)
{
	struct trit_bench_test t;
	t.n_prompt = o->shapes[number % o->n_shapes].n_prompt;
	t.n_gen = o->shapes[number % o->n_shapes].n_gen;
	number /= o->n_shapes;
	t.n_threads = o->threads.v[number % o->threads.n];
	number /= o->threads.n;
	t.n_sequences = o->sequences.v[number % o->sequences.n];
	number /= o->sequences.n;
	t.n_depth = o->depths.v[number % o->depths.n];
	number /= o->depths.n;
	t.n_batch = o->batches.v[number % o->batches.n];
	t.kv_type = (enum trit_kv_type)o->kv_types.v[number / o->batches.n];
	if (!t.n_threads)
		t.n_threads = trit_default_threads(c);
	return t;
}

static void note_context(const struct bench_options *o, const struct trit_model *m, const char *path)
{
	int most = 0;
	for (int i = 0; i < o->n_tests; i++) {
		struct trit_bench_test t = test_of(o, i, &m->config);
		int n = t.n_depth + t.n_prompt + t.n_gen;
		most = n > most ? n : most;
	}
	if (most > m->config.n_ctx)
		trit_cmd_note("bench", "%s was trained for contexts of %d tokens; here there are up to %d", path,
		              m->config.n_ctx, most);
}

static void rest(int seconds)
{
	struct timespec left = { .tv_sec = seconds };
	while (!trit_interrupts && nanosleep(&left, &left))
		;
}

/* All tests of one model. */
static int run_tests(const struct bench_options *o, struct trit_report *report, struct progress *p,
                     const struct trit_model *m, const char *path, struct trit_error *err)
{
	struct trit_bench_options run = o->run;
	int e = TRIT_OK;
	run.go_on = show_progress;
	run.arg = p;
	for (int i = 0; i < o->n_tests && !e && !trit_interrupts && trit_out_alive(); i++) {
		struct trit_bench_test t = test_of(o, i, &m->config);
		struct trit_bench_result r;
		char name[TRIT_BENCH_NAME_BYTES];
		p->name = trit_bench_name(name, &t);
		p->test++;
		rest(o->delay);
		e = trit_bench_run(&r, m, &t, &run, err);
		clear_progress(p);
		if (e)
			return trit_fail_prefix(err, e, "%s", name);
		if (r.n_samples)
			e = trit_report_result(report, m, path, &r, err);
		trit_free(r.samples);
	}
	return e;
}

/* Opens the model in one of the ways asked for, runs all tests. */
static int run_model(const struct bench_options *o, struct trit_report *report, struct progress *p, const char *path,
                     int way, struct trit_error *err)
{
	struct trit_model *m = NULL;
	struct trit_model_options mo = {
		.cpu = o->cpus.v[way / (o->layouts.n * o->heads.n)],
		.layout = o->layouts.v[way / o->heads.n % o->layouts.n],
		.head = o->heads.v[way % o->heads.n],
	};
	int e = trit_model_open_with(&m, path, &mo, err);
	if (!e && way == 0)
		note_context(o, m, path);
	if (!e)
		e = run_tests(o, report, p, m, path, err);
	trit_model_close(m);
	return e;
}

static int bench(const struct bench_options *o, struct trit_error *err)
{
	int n_ways = o->cpus.n * o->layouts.n * o->heads.n;
	struct progress p = { .o = o, .n_tests = o->models.n * n_ways * o->n_tests, .shown = -1 };
	struct trit_report report;
	int e = TRIT_OK;
	trit_report_init(&report, (enum trit_report_form)o->output, o->with_batch, o->with_kv);
	for (int i = 0; i < o->models.n && !e; i++) { /* better now than after an hour */
		struct trit_map map;
		e = trit_map_open(&map, o->models.v[i], err);
		if (!e)
			trit_map_close(&map);
	}
	trit_interrupt_catch();
	for (int i = 0; i < o->models.n; i++)
		for (int way = 0; way < n_ways && !e && !trit_interrupts && trit_out_alive(); way++)
			e = run_model(o, &report, &p, o->models.v[i], way, err);
	trit_report_end(&report);
	return e;
}

int trit_cmd_bench(int argc, char **argv)
{
	struct bench_options o;
	struct trit_error err;
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--train"))
			return trit_bench_train(argc, argv);
	int status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	if (bench(&o, &err))
		return trit_out_finish("bench", trit_cmd_fail("bench", &err));
	return trit_out_finish("bench", trit_interrupts ? 130 : 0);
}
