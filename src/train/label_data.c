/*
 * label_data.c - finds texts and labels in tables, records, lists and folders.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/label_data.h"

#include "base/file.h"
#include "base/mem.h"
#include "format/csv.h"
#include "format/json_records.h"
#include "format/json_value.h"
#include "train/corpus.h"

#define MAX_RECORD_BYTES ((size_t)1 << 28) /* of heap, for a record of JSON */

/* Names of columns that are known without being given, the likelier ones first. */
static const char *const text_names[] = { "text", "sentence", "review", "content", NULL };
static const char *const label_names[] = { "label", "sentiment", "class", NULL };

struct rows {
	const struct trit_label_options *o;
	trit_label_row_fn *fn;
	void *arg;
	struct trit_label_counts *counts;
	uint64_t before; /* bytes of the files before this one */
};

static bool is_blank(size_t len, const char *text)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\n' && text[i] != '\r')
			return false;
	return true;
}

static bool is_bad(int e)
{
	return e == TRIT_ERR_ARG || e == TRIT_ERR_FORMAT;
}

/* What came of a row: an error with its place, unless it is to be left out. */
static int judge(struct rows *r, const struct trit_label_row *row, int e, const struct trit_error *problem,
                 struct trit_error *err)
{
	struct trit_error placed = *problem;
	char place[32] = "";
	if (!e)
		return TRIT_OK;
	if (row->line)
		snprintf(place, sizeof place, ":%llu", (unsigned long long)row->line);
	if (is_bad(e))
		trit_fail(&placed, (enum trit_status)e, "%s%s: %s", row->path, place, problem->message);
	if (is_bad(e) && r->o->skip_bad) {
		if (!r->counts->bad++)
			r->counts->first_bad = placed;
		return TRIT_OK;
	}
	if (err)
		*err = placed;
	return e;
}

static int give(struct rows *r, const struct trit_label_row *row, struct trit_error *err)
{
	struct trit_error problem;
	if (is_blank(row->text_len, row->text)) {
		r->counts->empty++;
		return TRIT_OK;
	}
	int e = !row->label && !r->o->unlabelled ? trit_fail(&problem, TRIT_ERR_FORMAT, "a text without a label")
	                                         : r->fn(r->arg, row, &problem);
	r->counts->rows += !e;
	return judge(r, row, e, &problem, err);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static bool field_is(const struct trit_csv_field *f, const char *name)
{
	return f->len == strlen(name) && !memcmp(f->text, name, f->len);
}

static int find_name(const struct trit_csv *c, const char *name)
{
	for (int i = 0; i < c->n; i++)
		if (field_is(&c->fields[i], name))
			return i;
	return -1;
}

/* The number of a column that is given as such, from 0; -1: it is a name. */
static int column_number(const char *given)
{
	char *end = NULL;
	long n = given ? strtol(given, &end, 10) : 0;
	return given && end != given && !*end && n >= 1 && n <= TRIT_MAX_FIELDS ? (int)n - 1 : -1;
}

/* A column of the first line by its name; -1: none. */
static int find_column(const struct trit_csv *c, const char *given, const char *const *usual)
{
	int found = -1;
	if (given)
		return find_name(c, given);
	for (int i = 0; usual[i] && found < 0; i++)
		found = find_name(c, usual[i]);
	return found;
}

struct columns {
	int text, label; /* label -1: there is none */
	bool header;     /* the first line has names */
};

/* From the first line of a table. */
static int find_columns(const struct rows *r, const struct trit_csv *c, struct columns *out, struct trit_error *err)
{
	const struct trit_label_options *o = r->o;
	int text = column_number(o->text_column), label = column_number(o->label_column);
	bool text_named = o->text_column && text < 0, label_named = o->label_column && label < 0;
	int text_found = text < 0 ? find_column(c, o->text_column, text_names) : -1;
	int label_found = label < 0 ? find_column(c, o->label_column, label_names) : -1;
	out->header = text_found >= 0 || label_found >= 0;
	if ((text_named && text_found < 0) || (label_named && label_found < 0))
		return trit_fail(err, TRIT_ERR_ARG, "no column is called \"%.60s\" in the first line",
		                 text_named && text_found < 0 ? o->text_column : o->label_column);
	out->text = text >= 0 ? text : text_found >= 0 ? text_found : 0;
	out->label = label >= 0 ? label : label_found >= 0 ? label_found : out->header || c->n < 2 ? -1 : 1;
	if (out->header && text < 0 && text_found < 0)
		return trit_fail(err, TRIT_ERR_ARG, "the first line has a column of labels and none that is called text or "
		                 "sentence; name it with --text-column");
	if (out->label < 0 && !o->unlabelled)
		return trit_fail(err, TRIT_ERR_ARG, "no column of labels; name it, or give its number, with --label-column");
	return TRIT_OK;
}

static int table_row(struct rows *r, const struct trit_csv *c, const struct columns *at, struct trit_label_row *row,
                     struct trit_error *err)
{
	int most = at->text > at->label ? at->text : at->label;
	struct trit_error problem;
	if (most >= c->n) {
		int e = trit_fail(&problem, TRIT_ERR_FORMAT, "%d columns, and the %s are in column %d", c->n,
		                  most == at->text ? "texts" : "labels", most + 1);
		return judge(r, row, e, &problem, err);
	}
	row->text = c->fields[at->text].text;
	row->text_len = c->fields[at->text].len;
	row->label = NULL;
	if (at->label >= 0 && c->fields[at->label].len) {
		row->label = c->fields[at->label].text;
		row->label_len = c->fields[at->label].len;
	}
	return give(r, row, err);
}

static int each_of_table(struct rows *r, const char *path, const struct trit_map *map, char separator,
                         struct trit_error *err)
{
	struct trit_csv *c = trit_calloc(1, sizeof *c);
	struct columns at = { 0 };
	bool first = true;
	int more, e = TRIT_OK;
	if (!c)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to read %s", path);
	trit_csv_init(c, map->size, (const char *)map->data, separator, separator == ',');
	while (!e && (more = trit_csv_next(c, err))) {
		struct trit_label_row row = { .path = path, .line = c->line };
		bool names = first && more > 0;
		if (more < 0 || (names && (e = find_columns(r, c, &at, err)))) {
			e = trit_fail_prefix(err, more < 0 ? more : e, "%s", path);
			break;
		}
		first = false;
		if (!(names && at.header))
			e = table_row(r, c, &at, &row, err);
		r->counts->done = r->before + (uint64_t)(c->at - (const char *)map->data);
	}
	trit_csv_release(c);
	trit_free(c);
	return e;
}

/* ---- records of JSON --------------------------------------------------------------------------------------------- */

static struct trit_value member(struct trit_heap *h, struct trit_value record, const char *given,
                                const char *const *usual)
{
	struct trit_pair *p = NULL;
	const char *const one[] = { given, NULL };
	for (const char *const *name = given ? one : usual; *name && !p; name++)
		p = trit_value_find(h, record, trit_value_of(trit_string_c(*name)));
	return p ? p->value : trit_value_none();
}

static int record_row(struct rows *r, struct trit_heap *h, struct trit_value record, struct trit_label_row *row,
                      struct trit_error *err)
{
	const struct trit_label_options *o = r->o;
	struct trit_value text, label;
	struct trit_string name;
	if (record.kind != TRIT_VALUE_DICT)
		return trit_fail(err, TRIT_ERR_FORMAT, "not a JSON object");
	text = member(h, record, o->text_column, text_names);
	label = member(h, record, o->label_column, label_names);
	if (text.kind != TRIT_VALUE_STRING)
		return trit_fail(err, TRIT_ERR_FORMAT, "no text in a member \"%.60s\"%s",
		                 o->text_column ? o->text_column : "text",
		                 o->text_column ? "" : "; name another with --text-column");
	row->text = text.string.bytes;
	row->text_len = text.string.len;
	if (label.kind == TRIT_VALUE_NONE)
		return TRIT_OK;
	if (label.kind != TRIT_VALUE_STRING && label.kind != TRIT_VALUE_INT && label.kind != TRIT_VALUE_BOOL)
		return trit_fail(err, TRIT_ERR_FORMAT, "the label is a %s; texts and whole numbers are labels",
		                 trit_value_type(label));
	name = label.kind == TRIT_VALUE_BOOL ? trit_string_c(label.boolean ? "true" : "false") : trit_value_str(h, label);
	row->label = name.len ? name.bytes : NULL;
	row->label_len = name.len;
	return TRIT_OK;
}

static int each_of_records(struct rows *r, const char *path, const struct trit_map *map, struct trit_error *err)
{
	struct trit_json_records records;
	const char *text;
	size_t len;
	int e = TRIT_OK;
	trit_json_records_init(&records, map->size, (const char *)map->data);
	while (!e && trit_json_records_next(&records, &text, &len)) {
		struct trit_label_row row = { .path = path, .line = records.line };
		struct trit_heap heap;
		struct trit_value record;
		struct trit_error problem;
		trit_heap_init(&heap, MAX_RECORD_BYTES, UINT64_MAX);
		e = trit_json_value(&heap, len, text, false, &record, &problem);
		if (!e)
			e = record_row(r, &heap, record, &row, &problem);
		if (!e && heap.status < 0) {
			e = heap.status;
			problem = heap.err;
		}
		e = e ? judge(r, &row, e, &problem, err) : give(r, &row, err);
		trit_heap_release(&heap);
		r->counts->done = r->before + (uint64_t)(text - (const char *)map->data);
	}
	return e;
}

/* ---- lists and folders ------------------------------------------------------------------------------------------- */

static int each_of_list(struct rows *r, const char *path, const char *label, size_t label_len,
                        const struct trit_map *map, struct trit_error *err)
{
	const char *text = (const char *)map->data, *end = text + map->size;
	int e = TRIT_OK;
	if (map->size >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3))
		text += 3;
	for (uint64_t line = 1; text < end && !e; line++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((stop ? stop : end) - text);
		struct trit_label_row row = { .text = text, .label = label, .text_len = len, .label_len = label_len,
			                          .path = path, .line = line };
		row.text_len -= len && text[len - 1] == '\r';
		e = give(r, &row, err);
		text += stop ? len + 1 : len;
		r->counts->done = r->before + (uint64_t)(text - (const char *)map->data);
	}
	return e;
}

/* label NULL: the folders in this one are the labels. */
static int each_of_folder(struct rows *r, char *folder, const char *label, size_t label_len, struct trit_error *err)
{
	struct trit_corpus files;
	int e = trit_corpus_open(&files, 1, &folder, err);
	if (e)
		return e;
	for (size_t i = 0; i < files.n && !e; i++) {
		struct trit_map map;
		const char *inside = files.paths[i] + strlen(folder), *slash;
		inside += strspn(inside, "/");
		slash = strchr(inside, '/');
		if (!label && !slash) /* a file beside the folders: a README */
			continue;
		if ((e = trit_map_open(&map, files.paths[i], err)))
			break;
		struct trit_label_row row = { .text = (const char *)map.data, .text_len = map.size, .path = files.paths[i],
			                          .label = label ? label : inside,
			                          .label_len = label ? label_len : (size_t)(slash - inside) };
		e = give(r, &row, err);
		r->counts->done += map.size;
		trit_map_close(&map);
	}
	r->before += files.bytes;
	r->counts->done = r->before;
	trit_corpus_close(&files);
	return e;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *suffix)
{
	size_t len = strlen(path), n = strlen(suffix);
	return len > n && !strcmp(path + len - n, suffix);
}

/* "LABEL=PATH": where the path begins, and the length of the label; else the path as it is. */
static char *path_part(char *given, size_t *label_len)
{
	char *equals = strchr(given, '=');
	*label_len = 0;
	if (!equals || equals == given || trit_path_kind(given) >= 0)
		return given;
	*label_len = (size_t)(equals - given);
	return equals + 1;
}

static enum trit_label_form form_of(const char *path)
{
	static const struct {
		const char *suffix;
		enum trit_label_form form;
	} suffixes[] = {
		{ ".csv", TRIT_LABEL_FORM_CSV },     { ".tsv", TRIT_LABEL_FORM_TSV },      { ".tab", TRIT_LABEL_FORM_TSV },
		{ ".jsonl", TRIT_LABEL_FORM_JSONL }, { ".ndjson", TRIT_LABEL_FORM_JSONL }, { ".json", TRIT_LABEL_FORM_JSONL },
	};
	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
		if (ends_in(path, suffixes[i].suffix))
			return suffixes[i].form;
	return TRIT_LABEL_FORM_LINES;
}

static int each_of_file(struct rows *r, const char *path, const char *label, size_t label_len, struct trit_error *err)
{
	struct trit_map map;
	int e = trit_map_open(&map, path, err);
	if (e)
		return e;
	switch (label_len ? TRIT_LABEL_FORM_LINES : r->o->form ? r->o->form : form_of(path)) {
	case TRIT_LABEL_FORM_CSV:
		e = each_of_table(r, path, &map, ',', err);
		break;
	case TRIT_LABEL_FORM_TSV:
		e = each_of_table(r, path, &map, '\t', err);
		break;
	case TRIT_LABEL_FORM_JSONL:
		e = each_of_records(r, path, &map, err);
		break;
	default:
		if (label_len || r->o->unlabelled)
			e = each_of_list(r, path, label_len ? label : NULL, label_len, &map, err);
		else
			e = trit_fail(err, TRIT_ERR_ARG, "%s: by its name neither .csv, .tsv nor .jsonl (--format); a list of "
			              "texts of one label is given as LABEL=FILE", path);
	}
	r->before += map.size;
	r->counts->done = r->before;
	trit_map_close(&map);
	return e;
}

static int count_bytes(size_t n_paths, char *const *paths, uint64_t *bytes, struct trit_error *err)
{
	for (size_t i = 0; i < n_paths; i++) {
		struct trit_corpus files;
		size_t label_len;
		char *path = path_part(paths[i], &label_len);
		int e = trit_corpus_open(&files, 1, &path, err);
		if (e)
			return e;
		*bytes += files.bytes;
		trit_corpus_close(&files);
	}
	return TRIT_OK;
}

int trit_label_rows_each(size_t n_paths, char *const *paths, const struct trit_label_options *o,
                         trit_label_row_fn *fn, void *arg, struct trit_label_counts *counts, struct trit_error *err)
{
	struct rows r = { .o = o, .fn = fn, .arg = arg, .counts = counts };
	*counts = (struct trit_label_counts){ 0 };
	int e = count_bytes(n_paths, paths, &counts->bytes, err);
	for (size_t i = 0; i < n_paths && !e; i++) {
		size_t label_len;
		char *path = path_part(paths[i], &label_len);
		if (trit_path_kind(path) == 1)
			e = each_of_folder(&r, path, label_len ? paths[i] : NULL, label_len, err);
		else
			e = each_of_file(&r, path, paths[i], label_len, err);
	}
	if (!e && !counts->rows)
		e = trit_fail(err, TRIT_ERR_LIMIT, "%s%s: no texts (%llu that could not be used, %llu empty)%s%s", paths[0],
		              n_paths > 1 ? " and the others" : "", (unsigned long long)counts->bad,
		              (unsigned long long)counts->empty, counts->bad ? "; the first: " : "",
		              counts->bad ? counts->first_bad.message : "");
	return e;
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static int count_row(void *arg, const struct trit_label_row *row, struct trit_error *err)
{
	struct trit_labels *l = arg;
	return trit_labels_find(l, row->label_len, row->label) >= 0 ? TRIT_OK
	                                                             : trit_labels_add(l, row->label_len, row->label, err);
}

int trit_label_census(struct trit_labels *labels, size_t n_paths, char *const *paths,
                      const struct trit_label_options *o, struct trit_error *err)
{
	struct trit_label_counts counts;
	*labels = (struct trit_labels){ 0 };
	int e = trit_label_rows_each(n_paths, paths, o, count_row, labels, &counts, err);
	if (!e && labels->n < 2)
		e = trit_fail(err, TRIT_ERR_FORMAT, "%s: all texts have the label \"%s\"; a classifier needs two at least",
		              paths[0], labels->names[0]);
	if (e)
		trit_labels_release(labels);
	else
		trit_labels_sort(labels);
	return e;
}

static int fail_label(const struct trit_labels *l, const struct trit_label_row *row, struct trit_error *err)
{
	char known[160] = "";
	for (int i = 0, used = 0; i < l->n && used < (int)sizeof known - 1; i++)
		used += snprintf(known + used, sizeof known - (size_t)used, "%s%.40s", i ? ", " : "", l->names[i]);
	return trit_fail(err, TRIT_ERR_FORMAT, "the label \"%.*s\" is not known; known are %s",
	                 (int)(row->label_len < 40 ? row->label_len : 40), row->label, known);
}

int trit_label_of_row(const struct trit_labels *l, const struct trit_label_row *row, struct trit_error *err)
{
	int i = trit_labels_find(l, row->label_len, row->label), number = 0;
	if (i >= 0)
		return i;
	for (size_t k = 0; k < row->label_len; k++) {
		if (row->label[k] < '0' || row->label[k] > '9' || number >= l->n)
			return fail_label(l, row, err);
		number = 10 * number + (row->label[k] - '0');
	}
	return number < l->n ? number : fail_label(l, row, err);
}
