/*
 * figures.c - names, statistics and shares of what was measured; memory used.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <sys/resource.h>

#include "base/file.h"
#include "bench/bench.h"

const char *trit_bench_name(char text[TRIT_BENCH_NAME_BYTES], const struct trit_bench_test *t)
{
	char prompt[20] = "", gen[20] = "", sequences[20] = "", depth[20] = "";
	if (t->n_prompt)
		snprintf(prompt, sizeof prompt, "pp%d", t->n_prompt);
	if (t->n_gen)
		snprintf(gen, sizeof gen, "tg%d", t->n_gen);
	if (t->n_sequences > 1)
		snprintf(sequences, sizeof sequences, " x %d", t->n_sequences);
	if (t->n_depth)
		snprintf(depth, sizeof depth, " @ d%d", t->n_depth);
	snprintf(text, TRIT_BENCH_NAME_BYTES, "%s%s%s%s%s", prompt, t->n_prompt && t->n_gen ? "+" : "", gen, sequences,
	         depth);
	return text;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

struct trit_statistics trit_statistics_of(double *x, int n)
{
	double sum = 0, squares = 0;
	for (int i = 0; i < n; i++)
		sum += x[i];
	double mean = sum / n;
	for (int i = 0; i < n; i++)
		squares += (x[i] - mean) * (x[i] - mean);
	qsort(x, (size_t)n, sizeof *x, compare);
	return (struct trit_statistics){
		.mean = mean,
		.deviation = n > 1 ? sqrt(squares / (n - 1)) : 0,
		.median = (x[(n - 1) / 2] + x[n / 2]) / 2,
		.min = x[0],
		.max = x[n - 1],
	};
}

double trit_bench_figure_of(const struct trit_bench_result *r, const struct trit_bench_sample *s,
                            enum trit_bench_figure figure)
{
	switch (figure) {
	case TRIT_BENCH_SECONDS:
		return s->seconds;
	case TRIT_BENCH_SPEED:
		return r->tokens / s->seconds;
	case TRIT_BENCH_FIRST_TOKEN:
		return s->prompt_seconds;
	case TRIT_BENCH_READ_LIMIT:
		return s->read_limit;
	case TRIT_BENCH_INT8_LIMIT:
		return s->int8_limit;
	case TRIT_BENCH_READ_SHARE:
		return r->bytes / s->seconds / s->read_limit;
	case TRIT_BENCH_INT8_SHARE:
		return r->int8_ops / s->seconds / s->int8_limit;
	}
	return 0;
}

struct trit_statistics trit_bench_statistics(const struct trit_bench_result *r, enum trit_bench_figure figure,
                                             double *scratch)
{
	for (int i = 0; i < r->n_samples; i++)
		scratch[i] = trit_bench_figure_of(r, &r->samples[i], figure);
	return trit_statistics_of(scratch, r->n_samples);
}

/* Linux remembers in ru_maxrss what the process held before exec, a parent's memory; VmHWM is the program's own. */
uint64_t trit_peak_memory(void)
{
	static const char key[] = "\nVmHWM:";
	struct rusage usage;
	struct trit_buf status;
	uint64_t kib = 0;
	trit_buf_init(&status, 1 << 16);
	if (!trit_file_read(&status, "/proc/self/status", NULL) && status.data) {
		const char *line = strstr(status.data, key);
		kib = line ? strtoull(line + sizeof key - 1, NULL, 10) : 0;
	}
	trit_buf_release(&status);
	if (kib || getrusage(RUSAGE_SELF, &usage))
		return kib * 1024;
#ifdef __APPLE__
	return (uint64_t)usage.ru_maxrss;
#else
	return (uint64_t)usage.ru_maxrss * 1024;
#endif
}
