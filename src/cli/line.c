/*
 * line.c - reading lines.
 *
 * Bytes come from read(2), not from stdio, in both ways of reading: only so a Ctrl-C that interrupts the wait can be
 * told from the end of the input.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <unistd.h>
#include <wchar.h>
#ifdef TRIT_HAVE_LIBEDIT
#include <histedit.h>
#endif

#include "cli/line.h"

#include "base/file.h"
#include "base/mem.h"

#define PROMPT "> "
#define HISTORY_LINES 1000

struct trit_line_reader {
	bool terminal;
	char bytes[4096]; /* read ahead: at .. end */
	size_t at, end;
#ifdef TRIT_HAVE_LIBEDIT
	EditLine *editor; /* NULL when not on a terminal */
	History *history;
	HistEvent event;
	char path[1024]; /* of the history; "": in memory only */
#endif
};

bool trit_line_reader_is_terminal(const struct trit_line_reader *r)
{
	return r->terminal;
}

/* The next byte (0..255), -1 at the end, -2 when interrupted, -3 when reading failed (errno). */
static int next_byte(struct trit_line_reader *r)
{
	while (r->at == r->end) {
		if (trit_interrupts)
			return -2;
		ssize_t n = read(STDIN_FILENO, r->bytes, sizeof r->bytes);
		if (n == 0)
			return -1;
		if (n < 0 && errno != EINTR)
			return -3;
		r->at = 0;
		r->end = n > 0 ? (size_t)n : 0;
	}
	return (unsigned char)r->bytes[r->at++];
}

static int read_plain(struct trit_line_reader *r, struct trit_buf *line, struct trit_error *err)
{
	if (r->terminal)
		fputs(PROMPT, stderr);
	for (;;) {
		int c = next_byte(r);
		char byte = (char)c;
		if (c == '\n')
			return TRIT_LINE_TEXT;
		if (c == -1)
			return line->len ? TRIT_LINE_TEXT : TRIT_LINE_END;
		if (c == -2)
			return TRIT_LINE_INTERRUPT;
		if (c == -3)
			return trit_fail_errno(err, "cannot read standard input");
		int e = trit_buf_append(line, 1, &byte, err);
		if (e)
			return e;
	}
}

#ifdef TRIT_HAVE_LIBEDIT

static char *prompt(EditLine *editor)
{
	static char text[] = PROMPT;
	(void)editor;
	return text;
}

/* libedit's source of characters: 1 and the character, 0 at the end, -1 when interrupted. */
static int next_character(EditLine *editor, wchar_t *out)
{
	struct trit_line_reader *r;
	mbstate_t state = { 0 };
	el_get(editor, EL_CLIENTDATA, &r);
	for (;;) {
		int c = next_byte(r);
		if (c < 0)
			return c == -1 ? 0 : -1;
		char byte = (char)c;
		size_t n = mbrtowc(out, &byte, 1, &state);
		if (n == (size_t)-1) { /* no character: leave the byte out */
			state = (mbstate_t){ 0 };
			continue;
		}
		if (n != (size_t)-2)
			return 1;
	}
}

static void find_history(char *path, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char directory[1000];
	int n;
	if (state && state[0] == '/')
		n = snprintf(directory, sizeof directory, "%s/trit", state);
	else if (home && home[0] == '/')
		n = snprintf(directory, sizeof directory, "%s/.local/state/trit", home);
	else
		n = -1;
	if (n > 0 && n < (int)sizeof directory && trit_make_dirs(directory, NULL) == 0)
		snprintf(path, size, "%s/history", directory);
}

static void open_editor(struct trit_line_reader *r)
{
	/* The editor needs characters; without a UTF-8 locale bytes above 127 would be lost. */
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
	r->editor = el_init("trit", stdin, stderr, stderr);
	if (!r->editor)
		return;
	el_set(r->editor, EL_CLIENTDATA, r);
	el_set(r->editor, EL_PROMPT, prompt);
	el_set(r->editor, EL_EDITOR, "emacs");
	el_set(r->editor, EL_GETCFN, next_character);
	r->history = history_init();
	if (r->history) {
		history(r->history, &r->event, H_SETSIZE, HISTORY_LINES);
		history(r->history, &r->event, H_SETUNIQUE, 1);
		find_history(r->path, sizeof r->path);
		if (r->path[0])
			history(r->history, &r->event, H_LOAD, r->path);
		el_set(r->editor, EL_HIST, history, r->history);
	}
	el_source(r->editor, NULL); /* ~/.editrc */
}

static void close_editor(struct trit_line_reader *r)
{
	if (r->history && r->path[0])
		history(r->history, &r->event, H_SAVE, r->path);
	if (r->history)
		history_end(r->history);
	if (r->editor)
		el_end(r->editor);
}

static int read_edited(struct trit_line_reader *r, struct trit_buf *line, struct trit_error *err)
{
	int n = 0;
	const char *text = el_gets(r->editor, &n);
	if (!text || n <= 0) {
		el_reset(r->editor);
		return trit_interrupts ? TRIT_LINE_INTERRUPT : TRIT_LINE_END;
	}
	size_t len = strcspn(text, "\r\n");
	if (len && r->history)
		history(r->history, &r->event, H_ENTER, text);
	return trit_buf_append(line, len, text, err);
}

#endif

int trit_line_reader_new(struct trit_line_reader **out, struct trit_error *err)
{
	struct trit_line_reader *r = trit_calloc(1, sizeof *r);
	if (!r)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to read lines");
	r->terminal = isatty(STDIN_FILENO);
#ifdef TRIT_HAVE_LIBEDIT
	if (r->terminal)
		open_editor(r);
#endif
	*out = r;
	return TRIT_OK;
}

void trit_line_reader_free(struct trit_line_reader *r)
{
	if (!r)
		return;
#ifdef TRIT_HAVE_LIBEDIT
	close_editor(r);
#endif
	trit_free(r);
}

int trit_line_read(struct trit_line_reader *r, struct trit_buf *line, struct trit_error *err)
{
	trit_buf_reset(line);
#ifdef TRIT_HAVE_LIBEDIT
	if (r->editor)
		return read_edited(r, line, err);
#endif
	return read_plain(r, line, err);
}
