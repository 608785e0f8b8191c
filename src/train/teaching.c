/*
 * teaching.c - a teacher in the metadata of a checkpoint.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/teaching.h"

#include <math.h>
#include <stdlib.h>

#define KEY_PATH "distill.teacher"
#define KEY_PRINT "distill.print"
#define KEY_BALANCE "distill.balance"

int trit_teaching_put(const struct trit_teaching *t, struct trit_st_writer *w, struct trit_error *err)
{
	char text[160];
	int e;
	if (!t->path[0])
		return TRIT_OK;
	if ((e = trit_st_put_meta(w, KEY_PATH, t->path, err)))
		return e;
	snprintf(text, sizeof text, "%016llx", (unsigned long long)t->print);
	if ((e = trit_st_put_meta(w, KEY_PRINT, text, err)))
		return e;
	snprintf(text, sizeof text, "%.17g %.17g %.17g %.17g", t->kl.others, t->kl.extra, t->relation.others,
	         t->relation.extra);
	return trit_st_put_meta(w, KEY_BALANCE, text, err);
}

/* Four numbers, finite and not negative, and nothing else. */
static bool parse_balance(struct trit_teaching *t, const char *text)
{
	double *const numbers[] = { &t->kl.others, &t->kl.extra, &t->relation.others, &t->relation.extra };
	for (int i = 0; i < 4; i++) {
		char *end;
		*numbers[i] = strtod(text, &end);
		if (end == text || !isfinite(*numbers[i]) || *numbers[i] < 0 || *end != (i < 3 ? ' ' : 0))
			return false;
		text = end + 1;
	}
	return true;
}

int trit_teaching_read(struct trit_teaching *t, const struct trit_safetensors *s, struct trit_error *err)
{
	const char *path = trit_safetensors_meta(s, KEY_PATH), *print = trit_safetensors_meta(s, KEY_PRINT);
	const char *balance = trit_safetensors_meta(s, KEY_BALANCE);
	char *end = NULL;
	*t = (struct trit_teaching){ 0 };
	if (!path)
		return TRIT_OK;
	bool ok = print && balance && path[0] && strlen(path) < sizeof t->path;
	if (ok)
		t->print = strtoull(print, &end, 16);
	if (!ok || strlen(print) != 16 || *end || !parse_balance(t, balance))
		return trit_fail(err, TRIT_ERR_FORMAT, "what it says of the run's teacher (\"" KEY_PATH "\", \"" KEY_PRINT
		                 "\", \"" KEY_BALANCE "\") is not whole");
	memcpy(t->path, path, strlen(path) + 1);
	return TRIT_OK;
}
