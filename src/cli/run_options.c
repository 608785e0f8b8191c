/*
 * run_options.c - reads and writes options.json of a training run.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/run_options.h"

#include <limits.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/cmd.h"
#include "format/json_file.h"
#include "format/json_text.h"
#include "train/trainer.h"

static const char *const kept[] = { "val-every", "val-windows", "save-every", "keep", "max-skipped", "on-divergence",
	                                "type", "embedding-type" };
_Static_assert(sizeof kept / sizeof *kept == TRIT_RUN_OPTIONS, "all have a place");

static bool is_kept(const char *name)
{
	for (int i = 0; i < TRIT_RUN_OPTIONS; i++)
		if (!strcmp(kept[i], name))
			return true;
	return false;
}

#ifdef TRIT_HAVE_JANSSON

/* A row's value in the file, NULL: none. It is copied, since the file's text is not kept. */
static char *value_of(struct trit_run_options *o, const json_t *file, const char *name)
{
	const char *value = json_string_value(json_object_get(file, name));
	if (!value || o->n == TRIT_RUN_OPTIONS)
		return NULL;
	snprintf(o->names[o->n], TRIT_RUN_OPTION_BYTES, "%s", name);
	snprintf(o->values[o->n], TRIT_RUN_OPTION_BYTES, "%s", value);
	return o->values[o->n++];
}

int trit_run_options_take(struct trit_run_options *o, const struct trit_opt_table *table, const char *dir)
{
	char path[TRIT_PATH_BYTES], name[TRIT_PATH_BYTES + 64];
	struct trit_error err;
	json_t *file = NULL;
	int status = -1;
	if (trit_path_join(path, dir, TRIT_RUN_OPTIONS_FILE, &err) || trit_path_kind(path) < 0)
		return -1;
	if (trit_json_read(&file, path, &err))
		return trit_cmd_fail(table->command, &err);
	for (int i = 0; i < table->n_options && status < 0; i++) {
		struct trit_opt *row = &table->options[i];
		char *value = row->type != TRIT_OPT_HEADING && !row->given && is_kept(row->name) ? value_of(o, file, row->name)
		                                                                                : NULL;
		snprintf(name, sizeof name, "%s, %s", path, row->name);
		if (value)
			status = trit_opt_set(table, row, name, value);
	}
	json_decref(file);
	return status;
}

int trit_run_options_number(const char *dir, const char *name, int *value, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES], *end;
	json_t *file = NULL;
	int e = trit_path_join(path, dir, TRIT_RUN_OPTIONS_FILE, err);
	if (e || trit_path_kind(path) < 0 || (e = trit_json_read(&file, path, err)))
		return e;
	const char *text = json_string_value(json_object_get(file, name));
	long number = text ? strtol(text, &end, 10) : 0;
	if (text && (end == text || *end || number < 0 || number > INT_MAX))
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s, %s: \"%s\" is not a whole number", path, name, text);
	else if (text)
		*value = (int)number;
	json_decref(file);
	return e;
}

#else

int trit_run_options_number(const char *dir, const char *name, int *value, struct trit_error *err)
{
	(void)dir;
	(void)name;
	(void)value;
	(void)err;
	return TRIT_OK;
}

int trit_run_options_take(struct trit_run_options *o, const struct trit_opt_table *table, const char *dir)
{
	(void)o;
	(void)table;
	(void)dir;
	return -1;
}

#endif

void trit_run_options_note(struct trit_run_options *o, const struct trit_opt_table *table)
{
	struct trit_run_options all = { 0 };
	for (int i = 0; i < table->n_options && all.n < TRIT_RUN_OPTIONS; i++) {
		const struct trit_opt *row = &table->options[i];
		if (row->type == TRIT_OPT_HEADING || !row->given || !is_kept(row->name))
			continue;
		snprintf(all.names[all.n], TRIT_RUN_OPTION_BYTES, "%s", row->name);
		trit_opt_value(row, TRIT_RUN_OPTION_BYTES, all.values[all.n++]);
	}
	*o = all;
}

int trit_run_options_text(const struct trit_run_options *o, struct trit_buf *text, struct trit_error *err)
{
	struct trit_json j = { .out = text, .err = err };
	trit_json_begin(&j, NULL, '{');
	for (int i = 0; i < o->n; i++)
		trit_json_string(&j, o->names[i], o->values[i]);
	trit_json_end(&j, '}');
	return j.status;
}

int trit_run_options_write(const struct trit_run_options *o, const char *dir, struct trit_error *err)
{
	char path[TRIT_PATH_BYTES];
	struct trit_buf text;
	trit_buf_init(&text, TRIT_RUN_OPTIONS_MOST);
	int e = trit_run_options_text(o, &text, err);
	if (!e)
		e = trit_path_join(path, dir, TRIT_RUN_OPTIONS_FILE, err);
	if (!e && (o->n || trit_path_kind(path) >= 0))
		e = trit_file_write(path, text.len, text.data, err);
	trit_buf_release(&text);
	return e;
}
