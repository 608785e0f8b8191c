/*
 * health.c - medians of the last steps, and what is far from them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/health.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"

#define LEAST_JUMP 1.0f /* nats */
#define DEVIATIONS 8
#define NORM_FACTOR 100
#define CREEP 1.5f /* nats */

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

/* Sorts values; n >= 1. */
static float median(float *values, int n)
{
	qsort(values, (size_t)n, sizeof *values, ascending);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Largest loss that is not far, and the median itself. */
static float loss_limit(const struct trit_health *h, float *middle)
{
	float sorted[TRIT_HEALTH_WINDOW], distances[TRIT_HEALTH_WINDOW];
	memcpy(sorted, h->losses, (size_t)h->n * sizeof *sorted);
	*middle = median(sorted, h->n);
	for (int i = 0; i < h->n; i++)
		distances[i] = fabsf(sorted[i] - *middle);
	return *middle + fmaxf(LEAST_JUMP, DEVIATIONS * 1.4826f * median(distances, h->n));
}

static float norm_limit(const struct trit_health *h)
{
	float sorted[TRIT_HEALTH_WINDOW];
	memcpy(sorted, h->norms, (size_t)h->n * sizeof *sorted);
	return NORM_FACTOR * median(sorted, h->n);
}

static void push(struct trit_health *h, float loss, float norm)
{
	h->losses[h->next] = loss;
	h->norms[h->next] = norm;
	h->next = (h->next + 1) % TRIT_HEALTH_WINDOW;
	if (h->n < TRIT_HEALTH_WINDOW)
		h->n++;
}

/* Whether the newest gradients are all 0. */
static bool is_dead(const struct trit_health *h)
{
	int zeros = 0;
	while (zeros < h->n && h->norms[(h->next - 1 - zeros + TRIT_HEALTH_WINDOW) % TRIT_HEALTH_WINDOW] == 0)
		zeros++;
	return zeros >= TRIT_HEALTH_PATIENCE;
}

enum trit_verdict trit_health_add(struct trit_health *h, double loss, double norm)
{
	float middle;
	if (h->n < TRIT_HEALTH_FEWEST) {
		push(h, (float)loss, (float)norm);
		h->best = (float)INFINITY;
		return is_dead(h) ? TRIT_VERDICT_DEAD : TRIT_VERDICT_FINE;
	}
	bool far_loss = (float)loss > loss_limit(h, &middle), far_norm = (float)norm > norm_limit(h);
	h->far_losses = far_loss ? h->far_losses + 1 : 0;
	h->far_norms = far_norm ? h->far_norms + 1 : 0;
	h->best = fminf(h->best, middle);
	if (!far_loss && !far_norm)
		push(h, (float)loss, (float)norm);
	if (h->far_losses >= TRIT_HEALTH_PATIENCE)
		return TRIT_VERDICT_LOSS;
	if (h->far_norms >= TRIT_HEALTH_PATIENCE)
		return TRIT_VERDICT_NORM;
	if (is_dead(h))
		return TRIT_VERDICT_DEAD;
	return middle > h->best + CREEP ? TRIT_VERDICT_CREEPING : TRIT_VERDICT_FINE;
}

double trit_health_median(const struct trit_health *h, int half)
{
	float values[TRIT_HEALTH_WINDOW];
	int count = h->n / 2, from = half ? h->n - count : 0;
	if (count < 8)
		return (double)NAN;
	for (int i = 0; i < count; i++)
		values[i] = h->losses[(h->next - h->n + from + i + TRIT_HEALTH_WINDOW) % TRIT_HEALTH_WINDOW];
	return (double)median(values, count);
}

/* ---- in a checkpoint --------------------------------------------------------------------------------------------- */

#define KEY "health.steps"

int trit_health_put(const struct trit_health *h, struct trit_st_writer *w, struct trit_error *err)
{
	char text[7 * 16 + 2 * TRIT_HEALTH_WINDOW * 18];
	int at = snprintf(text, sizeof text, "%d %d %d %d %d %d %.9g", h->n, h->next, h->far_losses, h->far_norms,
	                  h->skipped, h->skipped_in_a_row, (double)h->best);
	for (int i = 0; i < h->n; i++)
		at += snprintf(text + at, sizeof text - (size_t)at, " %.9g %.9g", (double)h->losses[i], (double)h->norms[i]);
	return trit_st_put_meta(w, KEY, text, err);
}

/* The next count of a text, at most `most`; moves on. */
static bool take_count(const char **text, int most, int *count)
{
	char *end;
	long v = strtol(*text, &end, 10);
	bool ok = end != *text && v >= 0 && v <= most;
	*count = ok ? (int)v : 0;
	*text = end;
	return ok;
}

static bool take_number(const char **text, float *number)
{
	char *end;
	*number = strtof(*text, &end);
	bool ok = end != *text && !isnan(*number);
	*text = end;
	return ok;
}

int trit_health_read(struct trit_health *h, const struct trit_safetensors *s, struct trit_error *err)
{
	const char *text = trit_safetensors_meta(s, KEY);
	*h = (struct trit_health){ 0 };
	if (!text)
		return TRIT_OK;
	bool ok = take_count(&text, TRIT_HEALTH_WINDOW, &h->n) && take_count(&text, TRIT_HEALTH_WINDOW - 1, &h->next) &&
	          take_count(&text, INT_MAX, &h->far_losses) && take_count(&text, INT_MAX, &h->far_norms) &&
	          take_count(&text, INT_MAX, &h->skipped) && take_count(&text, INT_MAX, &h->skipped_in_a_row) &&
	          take_number(&text, &h->best);
	for (int i = 0; ok && i < h->n; i++)
		ok = take_number(&text, &h->losses[i]) && take_number(&text, &h->norms[i]) && isfinite(h->losses[i]) &&
		     isfinite(h->norms[i]);
	return ok && !*text ? TRIT_OK : trit_fail(err, TRIT_ERR_FORMAT, "\"" KEY "\" is not whole");
}
