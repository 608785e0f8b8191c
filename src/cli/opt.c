/*
 * opt.c - parsing, errors and help from a table of options.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/cmd.h"

#include "base/mem.h"

/* ---- words ------------------------------------------------------------------------------------------------------- */

#define WORD 31

/* Insertions, omissions, replacements and swaps of neighbours between two words; only WORD letters of each count. */
static int edit_distance(const char *a, const char *b)
{
	int d[WORD + 1][WORD + 1], n = (int)strnlen(a, WORD), m = (int)strnlen(b, WORD);
	for (int i = 0; i <= n; i++) {
		for (int j = 0; j <= m; j++) {
			int best = i + j;
			if (i && d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (j && d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i && j && d[i - 1][j - 1] + (a[i - 1] != b[j - 1]) < best)
				best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

const char *trit_nearest_word(const char *word, const char *const *names, int n)
{
	const char *best = NULL;
	int best_distance = (int)strnlen(word, WORD) / 3 + 2;
	for (int i = 0; i < n; i++) {
		int d = edit_distance(word, names[i]);
		if (d < best_distance) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

/* Length of the first name in "threads,n-threads". */
static size_t first_name(const char *names)
{
	return strcspn(names, ",");
}

static bool has_name(const char *names, const char *word, size_t len)
{
	for (const char *at = names;; at++) {
		size_t n = first_name(at);
		if (n == len && memcmp(at, word, n) == 0)
			return true;
		at += n;
		if (!*at)
			return false;
	}
}

static bool takes_value(const struct trit_opt *o)
{
	return o->type != TRIT_OPT_FLAG && o->type != TRIT_OPT_UNFLAG;
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

int trit_opt_error(const struct trit_opt_table *t, const char *fmt, ...)
{
	char message[400];
	va_list args;
	va_start(args, fmt);
	vsnprintf(message, sizeof message, fmt, args);
	va_end(args);
	fprintf(stderr, "trit %s: %s (trit %s --help lists all)\n", t->command, message, t->command);
	return 2;
}

static int unknown_option(const struct trit_opt_table *t, const char *arg, size_t len)
{
	enum { MOST = 256 };
	char storage[MOST][WORD + 1];
	const char *names[MOST];
	int n = 0;
	for (int i = 0; i < t->n_options; i++) {
		const struct trit_opt *o = &t->options[i];
		if (o->type == TRIT_OPT_HEADING)
			continue;
		for (const char *at = o->name; n < MOST; at++) {
			size_t length = first_name(at);
			snprintf(storage[n], sizeof storage[n], "%.*s", (int)length, at);
			names[n] = storage[n];
			n++;
			at += length;
			if (!*at)
				break;
		}
	}
	char word[WORD + 1];
	const char *begin = arg + strspn(arg, "-");
	snprintf(word, sizeof word, "%.*s", (int)(len - (size_t)(begin - arg)), begin);
	const char *nearest = trit_nearest_word(word, names, n);
	if (nearest)
		return trit_opt_error(t, "unknown option %.*s; did you mean --%s?", (int)len, arg, nearest);
	return trit_opt_error(t, "unknown option %.*s", (int)len, arg);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static bool in_range(const struct trit_opt *o, double v)
{
	return (o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max);
}

static const char *number_text(char text[TRIT_NUMBER_BYTES], double v)
{
	snprintf(text, TRIT_NUMBER_BYTES, "%.10g", v);
	return text;
}

/* Reports a value that does not fit; `name` is how the user gave the option. */
static int bad_value(const struct trit_opt_table *t, const struct trit_opt *o, const char *name, const char *value)
{
	char low[TRIT_NUMBER_BYTES], high[TRIT_NUMBER_BYTES], range[2 * TRIT_NUMBER_BYTES + 16] = "";
	bool whole = o->type != TRIT_OPT_FLOAT;
	if (o->min != 0 || o->max != 0) {
		if (o->max >= INT_MAX)
			snprintf(range, sizeof range, " of at least %s", number_text(low, o->min));
		else
			snprintf(range, sizeof range, " from %s to %s", number_text(low, o->min), number_text(high, o->max));
	} else if (o->type == TRIT_OPT_UINT64) {
		snprintf(range, sizeof range, " from 0 to 2^64 - 1");
	}
	return trit_opt_error(t, "%s: \"%.60s\" is not a %snumber%s", name, value, whole ? "whole " : "", range);
}

static int bad_choice(const struct trit_opt_table *t, const struct trit_opt *o, const char *name, const char *value)
{
	char list[256];
	size_t at = 0;
	list[0] = 0;
	for (int i = 0; o->choices[i] && at < sizeof list; i++)
		at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", o->choices[i]);
	return trit_opt_error(t, "%s: \"%.60s\" is none of: %s", name, value, list);
}

/* Whether strto* took all of a value that is not empty and does not begin with space. */
static bool whole_value(const char *value, const char *end)
{
	return end != value && !*end && !isspace((unsigned char)value[0]) && errno == 0;
}

static int set_number(const struct trit_opt_table *t, const struct trit_opt *o, const char *name, const char *value)
{
	char *end = NULL;
	errno = 0;
	if (o->type == TRIT_OPT_INT) {
		long v = strtol(value, &end, 10);
		if (!whole_value(value, end) || v < INT_MIN || v > INT_MAX || !in_range(o, (double)v))
			return bad_value(t, o, name, value);
		*(int *)o->value = (int)v;
	} else if (o->type == TRIT_OPT_UINT64) {
		unsigned long long v = strtoull(value, &end, 10);
		if (!whole_value(value, end) || value[0] == '-' || !in_range(o, (double)v))
			return bad_value(t, o, name, value);
		*(uint64_t *)o->value = v;
	} else {
		/* A value too small for a float is rounded, not refused: ERANGE is not looked at. */
		double v = strtod(value, &end);
		errno = 0;
		if (!whole_value(value, end) || !isfinite((float)v) || !in_range(o, v))
			return bad_value(t, o, name, value);
		*(float *)o->value = (float)v;
	}
	return -1;
}

/* Gives option `o` its value (NULL for flags). Returns -1 or an exit status. */
static int set_value(const struct trit_opt_table *t, struct trit_opt *o, const char *name, char *value)
{
	o->given = true;
	switch (o->type) {
	case TRIT_OPT_HEADING:
		break;
	case TRIT_OPT_FLAG:
		*(bool *)o->value = true;
		break;
	case TRIT_OPT_UNFLAG:
		*(bool *)o->value = false;
		break;
	case TRIT_OPT_INT:
	case TRIT_OPT_UINT64:
	case TRIT_OPT_FLOAT:
		return set_number(t, o, name, value);
	case TRIT_OPT_STRING:
		*(const char **)o->value = value;
		break;
	case TRIT_OPT_CHOICE:
		for (int i = 0; o->choices[i]; i++) {
			if (strcmp(o->choices[i], value) == 0) {
				*(int *)o->value = i;
				return -1;
			}
		}
		return bad_choice(t, o, name, value);
	case TRIT_OPT_LIST: {
		struct trit_opt_list *list = o->value;
		list->items[list->n++] = value;
		break;
	}
	}
	return -1;
}

int trit_opt_set(const struct trit_opt_table *t, struct trit_opt *o, const char *name, char *value)
{
	return set_value(t, o, name, value);
}

/* A flag in the environment is on for anything but these. */
static bool is_off(const char *value)
{
	return !*value || strcmp(value, "0") == 0 || strcmp(value, "no") == 0 || strcmp(value, "off") == 0 ||
	       strcmp(value, "false") == 0;
}

static int read_environment(struct trit_opt_table *t)
{
	for (int i = 0; i < t->n_options; i++) {
		struct trit_opt *o = &t->options[i];
		char *value = o->env ? getenv(o->env) : NULL;
		if (!value || !*value || (!takes_value(o) && is_off(value)))
			continue;
		int status = set_value(t, o, o->env, value);
		if (status >= 0)
			return status;
	}
	return -1;
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

static struct trit_opt *find_option(const struct trit_opt_table *t, const char *arg, size_t len)
{
	for (int i = 0; i < t->n_options; i++) {
		struct trit_opt *o = &t->options[i];
		bool found;
		if (o->type == TRIT_OPT_HEADING)
			continue;
		if (arg[1] == '-')
			found = has_name(o->name, arg + 2, len - 2);
		else
			found = len == 2 ? o->letter == arg[1] : len == 3 && has_name(o->name, arg + 1, 2);
		if (found)
			return o;
	}
	return NULL;
}

/* Reads the option at argv[*i] and its values; *i moves to the last argument used. */
static int read_option(struct trit_opt_table *t, int argc, char **argv, int *i)
{
	char *arg = argv[*i];
	char *equals = arg[1] == '-' ? strchr(arg, '=') : NULL;
	size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
	struct trit_opt *o = find_option(t, arg, len);
	if (!o)
		return unknown_option(t, arg, len);

	char name[64];
	snprintf(name, sizeof name, "%.*s", (int)len, arg);
	if (!takes_value(o)) {
		if (equals)
			return trit_opt_error(t, "%s takes no value", name);
		return set_value(t, o, name, NULL);
	}
	if (equals)
		return set_value(t, o, name, equals + 1);
	if (*i + 1 >= argc || (o->type == TRIT_OPT_LIST && argv[*i + 1][0] == '-'))
		return trit_opt_error(t, "%s needs a value: %s", name, o->metavar);
	int status;
	do
		status = set_value(t, o, name, argv[++*i]);
	while (status < 0 && o->type == TRIT_OPT_LIST && *i + 1 < argc && argv[*i + 1][0] != '-');
	return status;
}

static int check_all_given(const struct trit_opt_table *t)
{
	for (int i = 0; i < t->n_options; i++) {
		const struct trit_opt *o = &t->options[i];
		if (!o->required || o->given)
			continue;
		char letter[8] = "";
		if (o->letter)
			snprintf(letter, sizeof letter, "-%c, ", o->letter);
		return trit_opt_error(t, "%s--%.*s %s is missing", letter, (int)first_name(o->name), o->name, o->metavar);
	}
	if (t->n_args < t->min_args)
		return trit_opt_error(t, "an argument is missing: trit %s %s", t->command, t->usage);
	return -1;
}

static void release_lists(const struct trit_opt_table *t)
{
	for (int i = 0; i < t->n_options; i++) {
		if (t->options[i].type != TRIT_OPT_LIST)
			continue;
		struct trit_opt_list *list = t->options[i].value;
		trit_free(list->items);
		*list = (struct trit_opt_list){ 0 };
	}
}

int trit_opt_parse(struct trit_opt_table *t, int argc, char **argv)
{
	t->args = argv + 1;
	t->n_args = 0;
	/* Help first, before any variable changes, so that it shows the defaults. */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			trit_opt_help(t, stdout);
			return trit_out_finish(t->command, 0);
		}
	}
	for (int i = 0; i < t->n_options; i++) {
		struct trit_opt_list *list = t->options[i].value;
		t->options[i].given = false;
		if (t->options[i].type != TRIT_OPT_LIST)
			continue;
		list->n = 0;
		list->items = trit_calloc((size_t)argc, sizeof *list->items);
		if (!list->items)
			return trit_opt_error(t, "not enough memory");
	}
	int status = read_environment(t);
	bool options_end = false;
	for (int i = 1; i < argc && status < 0; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0)
			options_end = true;
		else if (!options_end && argv[i][0] == '-' && argv[i][1])
			status = read_option(t, argc, argv, &i);
		else if (t->n_args == t->max_args)
			status = trit_opt_error(t, "unexpected argument \"%.60s\"", argv[i]);
		else
			t->args[t->n_args++] = argv[i];
	}
	if (status < 0)
		status = check_all_given(t);
	if (status >= 0)
		release_lists(t);
	return status;
}

/* ---- help -------------------------------------------------------------------------------------------------------- */

#define HELP_COLUMN 30
#define HELP_WIDTH 100

void trit_opt_value(const struct trit_opt *o, size_t size, char *text)
{
	text[0] = 0;
	switch (o->type) {
	case TRIT_OPT_INT:
		snprintf(text, size, "%d", *(const int *)o->value);
		break;
	case TRIT_OPT_UINT64:
		snprintf(text, size, "%llu", (unsigned long long)*(const uint64_t *)o->value);
		break;
	case TRIT_OPT_FLOAT:
		snprintf(text, size, "%g", (double)*(const float *)o->value);
		break;
	case TRIT_OPT_STRING:
		if (*(const char *const *)o->value)
			snprintf(text, size, "%s", *(const char *const *)o->value);
		break;
	case TRIT_OPT_CHOICE:
		snprintf(text, size, "%s", o->choices[*(const int *)o->value]);
		break;
	default:
		break;
	}
}

/* Prints text that begins at HELP_COLUMN, its lines broken before words that would pass HELP_WIDTH. */
static void print_wrapped(const char *text, FILE *f)
{
	size_t column = HELP_COLUMN;
	while (*text) {
		size_t len = strcspn(text, " ");
		if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH) {
			fprintf(f, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		} else if (column > HELP_COLUMN) {
			fputc(' ', f);
			column++;
		}
		fprintf(f, "%.*s", (int)len, text);
		column += len;
		text += len;
		text += *text != 0;
	}
	fputc('\n', f);
}

static void help_option(const struct trit_opt *o, FILE *f)
{
	char letter[8] = "    ", left[128], text[128];
	if (o->letter)
		snprintf(letter, sizeof letter, "-%c, ", o->letter);
	int width = snprintf(left, sizeof left, "  %s--%.*s%s%s", letter, (int)first_name(o->name), o->name,
	                     takes_value(o) ? " " : "", takes_value(o) ? o->metavar : "");
	fprintf(f, "%s", left);
	if (width >= HELP_COLUMN)
		fprintf(f, "\n%*s", HELP_COLUMN, "");
	else
		fprintf(f, "%*s", HELP_COLUMN - width, "");
	char right[1024];
	size_t at = (size_t)snprintf(right, sizeof right, "%s", o->help);
	for (int i = 0; o->type == TRIT_OPT_CHOICE && o->choices[i] && at < sizeof right; i++)
		at += (size_t)snprintf(right + at, sizeof right - at, "%s%s", i ? ", " : ": ", o->choices[i]);
	if (o->shown)
		snprintf(text, sizeof text, "%s", o->shown);
	else
		trit_opt_value(o, sizeof text, text);
	if (at < sizeof right && o->required)
		at += (size_t)snprintf(right + at, sizeof right - at, " (required)");
	else if (at < sizeof right && text[0])
		at += (size_t)snprintf(right + at, sizeof right - at, " (default: %s)", text);
	if (at < sizeof right && o->env)
		snprintf(right + at, sizeof right - at, " [%s]", o->env);
	print_wrapped(right, f);
}

void trit_opt_help(const struct trit_opt_table *t, FILE *f)
{
	fprintf(f, "usage: trit %s %s\n\n%s\n", t->command, t->usage, t->about);
	if (t->n_options == 0 || t->options[0].type != TRIT_OPT_HEADING)
		fprintf(f, "\n");
	for (int i = 0; i < t->n_options; i++) {
		if (t->options[i].type == TRIT_OPT_HEADING)
			fprintf(f, "\n%s:\n", t->options[i].help);
		else
			help_option(&t->options[i], f);
	}
	fprintf(f, "%-*sthis text\n", HELP_COLUMN, "  -h, --help");
}
