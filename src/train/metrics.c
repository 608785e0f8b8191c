/*
 * metrics.c - writes metrics.jsonl.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <math.h>

#include "train/metrics.h"

#include "base/file.h"

#define MAX_METRICS_BYTES ((size_t)1 << 32)

/* The first line's step: 1, or a later one of a file that was begun anew since; 0: it is no such line. */
static int first_step(const char *text, size_t len)
{
	char begin[32] = "";
	int step = 0;
	if (len)
		memcpy(begin, text, len < sizeof begin ? len : sizeof begin - 1);
	return sscanf(begin, "{\"step\": %9d,", &step) == 1 && step > 0 ? step : 0;
}

/* Length of the whole lines at the beginning of text whose steps rise by one, up to `keep`. */
static size_t kept_length(const char *text, size_t len, int keep)
{
	size_t at = 0;
	int first = first_step(text, len);
	for (int step = first; first && step <= keep; step++) {
		char begin[32];
		int n = snprintf(begin, sizeof begin, "{\"step\": %d,", step);
		const char *end = at < len ? memchr(text + at, '\n', len - at) : NULL;
		if (!end || (size_t)(end - text) - at < (size_t)n || memcmp(text + at, begin, (size_t)n))
			break;
		at = (size_t)(end - text) + 1;
	}
	return at;
}

int trit_metrics_open(FILE **out, const char *path, int keep, struct trit_error *err)
{
	struct trit_buf old;
	int e = TRIT_OK;
	trit_buf_init(&old, MAX_METRICS_BYTES);
	if (keep > 0 && trit_path_kind(path) == 0)
		e = trit_file_read(&old, path, err);
	if (!e)
		e = trit_file_write(path, kept_length(old.data, old.len, keep), old.data, err);
	trit_buf_release(&old);
	if (e)
		return e;
	FILE *f = fopen(path, "a");
	if (!f)
		return trit_fail_errno(err, "cannot write %s", path);
	*out = f;
	return TRIT_OK;
}

static void put_number(FILE *f, const char *name, double v)
{
	if (isfinite(v))
		fprintf(f, ", \"%s\": %.10g", name, v);
	else
		fprintf(f, ", \"%s\": null", name);
}

int trit_metrics_write(FILE *f, const struct trit_step_report *r, struct trit_error *err)
{
	fprintf(f, "{\"step\": %d, \"tokens\": %llu", r->step, (unsigned long long)r->tokens);
	put_number(f, "loss", r->loss);
	put_number(f, "lr", (double)r->lr);
	put_number(f, "tokens_per_s", r->tokens_per_s);
	put_number(f, "grad_norm", r->grad_norm);
	if (r->share[0] + r->share[1] + r->share[2] > 0)
		fprintf(f, ", \"share\": [%.6g, %.6g, %.6g], \"flips\": %.6g", r->share[0], r->share[1], r->share[2], r->flips);
	if (r->sent > 0) {
		put_number(f, "exchange_s", r->exchange_s);
		put_number(f, "wait_s", r->wait_s);
		put_number(f, "sent", r->sent);
	}
	if (r->has_kl) {
		put_number(f, "kl", r->kl);
		put_number(f, "kl_weight", (double)r->kl_weight);
	}
	if (r->has_relation) {
		put_number(f, "relation", r->relation);
		put_number(f, "relation_weight", (double)r->relation_weight);
	}
	if (!isnan(r->val_loss))
		put_number(f, "val_loss", r->val_loss);
	if (r->has_accuracy) {
		put_number(f, "val_accuracy", r->val_accuracy);
		put_number(f, "val_f1", r->val_f1);
	}
	for (int i = 0; i < r->n_scales; i++)
		fprintf(f, "%s%.6g", i ? ", " : ", \"scales\": [", (double)r->scales[i]);
	if (r->n_scales)
		fputc(']', f);
	for (int i = 0; i < r->n_loads; i++)
		fprintf(f, "%s%.6g", i ? ", " : ", \"loads\": [", (double)r->loads[i]);
	if (r->n_loads)
		fputc(']', f);
	fputs("}\n", f);
	return trit_metrics_flush(f, err);
}

int trit_metrics_flush(FILE *f, struct trit_error *err)
{
	if (fflush(f) || ferror(f))
		return trit_fail_errno(err, "cannot write metrics.jsonl");
	return TRIT_OK;
}
