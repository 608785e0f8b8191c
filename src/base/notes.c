/*
 * notes.c - a bounded list of lines.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>

#include "base/mem.h"
#include "base/notes.h"

const char *trit_note_kind_name(enum trit_note_kind kind)
{
	static const char *const names[] = { "found", "assumed", "warning" };

	return names[kind];
}

static bool is_there(const struct trit_notes *notes, enum trit_note_kind kind, const char *text)
{
	for (size_t i = 0; i < notes->n; i++)
		if (notes->lines[i].kind == kind && strcmp(notes->lines[i].text, text) == 0)
			return true;
	return false;
}

/* Room for one more line. */
static bool grow(struct trit_notes *notes)
{
	struct trit_note *lines;
	size_t cap = notes->cap ? 2 * notes->cap : 16;

	if (notes->n < notes->cap)
		return true;
	lines = trit_realloc(notes->lines, notes->cap * sizeof *lines, cap, sizeof *lines);
	if (!lines)
		return false;
	notes->lines = lines;
	notes->cap = cap;
	return true;
}

void trit_note(struct trit_notes *notes, enum trit_note_kind kind, const char *fmt, ...)
{
	struct trit_error line; /* for its message, which is made fit to print */
	char text[sizeof line.message], *copy;
	va_list args;

	if (!notes)
		return;
	va_start(args, fmt);
	if (vsnprintf(text, sizeof text, fmt, args) < 0)
		text[0] = 0;
	va_end(args);
	trit_fail(&line, TRIT_ERR_FORMAT, "%s", text);
	if (is_there(notes, kind, line.message))
		return;
	copy = notes->n < TRIT_MAX_NOTES && grow(notes) ? trit_strndup(line.message, strlen(line.message)) : NULL;
	if (copy)
		notes->lines[notes->n++] = (struct trit_note){ .kind = kind, .text = copy };
	else
		notes->left_out++;
}

void trit_notes_release(struct trit_notes *notes)
{
	if (!notes)
		return;
	for (size_t i = 0; i < notes->n; i++)
		trit_free(notes->lines[i].text);
	trit_free(notes->lines);
	*notes = (struct trit_notes){ 0 };
}
