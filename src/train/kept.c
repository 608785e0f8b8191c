/*
 * kept.c - lists, rotates and chooses the checkpoints of a run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/kept.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define PREFIX "checkpoint-"
#define SUFFIX ".safetensors"

int trit_kept_path(char path[TRIT_KEPT_PATH_BYTES], const char *dir, int step, struct trit_error *err)
{
	int n = step < 0 ? snprintf(path, TRIT_KEPT_PATH_BYTES, "%s/checkpoint" SUFFIX, dir)
	                 : snprintf(path, TRIT_KEPT_PATH_BYTES, "%s/" PREFIX "%d" SUFFIX, dir, step);
	if (n < TRIT_KEPT_PATH_BYTES)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", dir);
}

/* ---- which are there --------------------------------------------------------------------------------------------- */

/* A count in decimal digits without leading zeros, up to the end of the text or to `end`; -1: another text. */
static int parse_step(const char *text, const char *end)
{
	size_t digits = strspn(text, "0123456789");
	if (digits < 1 || digits > 9 || (digits > 1 && *text == '0') || strcmp(text + digits, end))
		return -1;
	return (int)strtol(text, NULL, 10);
}

static int add_step(struct trit_kept *k, int step, struct trit_error *err)
{
	int *more = trit_realloc(k->steps, (size_t)k->n * sizeof *more, (size_t)k->n + 1, sizeof *more);
	if (!more)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of checkpoints");
	k->steps = more;
	k->steps[k->n++] = step;
	return TRIT_OK;
}

static int newest_first(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (y > x) - (y < x);
}

/* The step of the next older checkpoint in a folder, in any order; -1 at the end. */
static int next_step(DIR *d)
{
	for (struct dirent *entry; (entry = readdir(d));) {
		bool is = strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) == 0;
		int step = is ? parse_step(entry->d_name + sizeof PREFIX - 1, SUFFIX) : -1;
		if (step >= 0)
			return step;
	}
	return -1;
}

int trit_kept_list(struct trit_kept *k, const char *dir, struct trit_error *err)
{
	int e = TRIT_OK;
	DIR *d = opendir(dir);
	*k = (struct trit_kept){ 0 };
	for (int step; d && !e && (step = next_step(d)) >= 0;)
		e = add_step(k, step, err);
	if (d)
		closedir(d);
	if (k->n)
		qsort(k->steps, (size_t)k->n, sizeof *k->steps, newest_first);
	if (e)
		trit_kept_release(k);
	return e;
}

void trit_kept_release(struct trit_kept *k)
{
	trit_free(k->steps);
	*k = (struct trit_kept){ 0 };
}

bool trit_kept_any(const char *dir)
{
	char path[TRIT_KEPT_PATH_BYTES];
	bool any = !trit_kept_path(path, dir, -1, NULL) && trit_path_kind(path) >= 0;
	DIR *d = any ? NULL : opendir(dir);
	if (!d)
		return any;
	any = next_step(d) >= 0;
	closedir(d);
	return any;
}

/* Of a file, or of its share of one with several names. */
static double bytes_of(const char *path)
{
	struct stat st;
	return stat(path, &st) ? 0 : (double)st.st_size / (double)st.st_nlink;
}

double trit_kept_bytes(const char *dir)
{
	char path[TRIT_KEPT_PATH_BYTES];
	struct trit_kept k;
	double bytes = 0;
	if (trit_kept_list(&k, dir, NULL))
		return 0;
	for (int i = -1; i < k.n; i++)
		if (!trit_kept_path(path, dir, i < 0 ? -1 : k.steps[i], NULL))
			bytes += bytes_of(path);
	trit_kept_release(&k);
	if (snprintf(path, sizeof path, "%s/model.gguf", dir) < (int)sizeof path)
		bytes += bytes_of(path);
	return bytes;
}

/* ---- saving ------------------------------------------------------------------------------------------------------ */

/* Gives what is in place its name by step, unless it is no step before the new one's, or damaged. */
static int name_by_step(const char *dir, const char *newest, int new_step, struct trit_error *err)
{
	char path[TRIT_KEPT_PATH_BYTES];
	struct trit_progress progress;
	int e;
	if (trit_path_kind(newest) < 0 || trit_checkpoint_check(newest, &progress, NULL) ||
	    progress.step >= new_step)
		return TRIT_OK;
	if ((e = trit_kept_path(path, dir, progress.step, err)))
		return e;
	unlink(path);
	if (link(newest, path) == 0)
		return TRIT_OK;
	/* A file system without second names. */
	return rename(newest, path) == 0 ? TRIT_OK : trit_fail_errno(err, "%s: cannot keep it as %s", newest, path);
}

static int remove_surplus(const char *dir, int keep, int step, struct trit_error *err)
{
	char path[TRIT_KEPT_PATH_BYTES];
	struct trit_kept k;
	int e = trit_kept_list(&k, dir, err), older = 0;
	for (int i = 0; i < k.n && !e; i++) {
		if (k.steps[i] < step && older + 1 < keep)
			older++;
		else if (!(e = trit_kept_path(path, dir, k.steps[i], err)) && unlink(path) < 0 && errno != ENOENT)
			e = trit_fail_errno(err, "%s: cannot remove it", path);
	}
	trit_kept_release(&k);
	return e;
}

int trit_kept_save(const char *dir, int keep, const struct trit_params *p, const struct trit_recipe *r,
                   const struct trit_config *c, struct trit_progress progress, struct trit_error *err)
{
	char path[TRIT_KEPT_PATH_BYTES];
	int e = trit_kept_path(path, dir, -1, err);
	if (!e && keep > 1)
		e = name_by_step(dir, path, progress.step, err);
	if (!e)
		e = trit_checkpoint_save(path, p, r, c, progress, err);
	return e ? e : remove_surplus(dir, keep, progress.step, err);
}

/* ---- going on ---------------------------------------------------------------------------------------------------- */

static int find_newest(char path[TRIT_KEPT_PATH_BYTES], const char *dir, struct trit_notes *notes,
                       struct trit_error *err)
{
	struct trit_kept k;
	struct trit_progress progress;
	int e = trit_kept_list(&k, dir, err), seen = 0, found = 0;
	for (int i = -1; i < k.n && !e && !found; i++) {
		if ((e = trit_kept_path(path, dir, i < 0 ? -1 : k.steps[i], err)) || trit_path_kind(path) < 0)
			continue;
		seen++;
		e = trit_checkpoint_check(path, &progress, err);
		found = !e;
		if (e == TRIT_ERR_FORMAT) {
			trit_note(notes, TRIT_NOTE_WARNING, "%s; trying an older one", err->message);
			e = TRIT_OK;
		}
	}
	if (!e && !seen)
		e = trit_fail(err, TRIT_ERR_IO,
		              "%s/checkpoint" SUFFIX ": no checkpoint to resume from; leave --resume out to begin a run", dir);
	else if (!e && !found)
		e = trit_fail_prefix(err, TRIT_ERR_FORMAT, "%s: none of the %d checkpoints is sound, so there is nothing to go "
		                     "on from; the last", dir, seen);
	trit_kept_release(&k);
	return e;
}

/* The steps kept, for a message. */
static void list_steps(char *text, size_t size, const struct trit_kept *k, int newest)
{
	size_t used = 0;
	text[0] = 0;
	for (int i = newest < 0 ? 0 : -1; i < k->n && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%d", used ? ", " : "", i < 0 ? newest : k->steps[i]);
}

static int find_step(char path[TRIT_KEPT_PATH_BYTES], const char *dir, int step, struct trit_error *err)
{
	struct trit_kept k;
	struct trit_progress newest = { .step = -1 }, ignored;
	char text[200];
	int e = trit_kept_path(path, dir, -1, err);
	if (e)
		return e;
	if (trit_path_kind(path) >= 0 && !trit_checkpoint_check(path, &newest, NULL) && newest.step == step)
		return TRIT_OK;
	if ((e = trit_kept_path(path, dir, step, err)))
		return e;
	if (trit_path_kind(path) >= 0)
		return trit_checkpoint_check(path, &ignored, err);
	if ((e = trit_kept_list(&k, dir, err)))
		return e;
	list_steps(text, sizeof text, &k, newest.step);
	trit_kept_release(&k);
	return trit_fail(err, TRIT_ERR_ARG, "%s: no checkpoint of step %d is kept%s%s", dir, step,
	                 text[0] ? "; there are those of steps " : "", text);
}

int trit_kept_find(char path[TRIT_KEPT_PATH_BYTES], const char *dir, const char *from, struct trit_notes *notes,
                   struct trit_error *err)
{
	struct trit_error why;
	struct trit_progress ignored;
	int step = from ? parse_step(from, "") : -1, e;
	if (!from)
		e = find_newest(path, dir, notes, &why);
	else if (step >= 0)
		e = find_step(path, dir, step, &why);
	else if (snprintf(path, TRIT_KEPT_PATH_BYTES, "%s", from) >= TRIT_KEPT_PATH_BYTES)
		e = trit_fail(&why, TRIT_ERR_ARG, "%.64s...: the path is too long", from);
	else
		e = trit_checkpoint_check(path, &ignored, &why);
	if (e && err)
		*err = why;
	return e;
}
