/*
 * health.c - medians of the last steps, and what is far from them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/health.h"

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

enum trit_verdict trit_health_add(struct trit_health *h, double loss, double norm)
{
	float middle;
	if (h->n < TRIT_HEALTH_FEWEST) {
		push(h, (float)loss, (float)norm);
		h->best = (float)INFINITY;
		return TRIT_VERDICT_FINE;
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
