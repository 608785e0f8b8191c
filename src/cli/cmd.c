/*
 * cmd.c - errors, standard output, Ctrl-C and numbers for people, the same in all commands.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cmd.h"

#include "model/model.h"
#include "text/utf8.h"

/* ---- errors ------------------------------------------------------------------------------------------------------ */

int trit_cmd_fail(const char *command, const struct trit_error *err)
{
	trit_out_flush();
	fprintf(stderr, "trit %s: %s\n", command, err->message);
	return 1;
}

static void message(const char *command, const char *kind, const char *fmt, va_list args)
{
	struct trit_error e;
	char text[sizeof e.message];
	vsnprintf(text, sizeof text, fmt, args);
	trit_fail(&e, TRIT_ERR_ARG, "%s", text); /* makes it printable */
	trit_out_flush();
	fprintf(stderr, "trit %s: %s%s\n", command, kind, e.message);
}

int trit_cmd_failf(const char *command, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	message(command, "", fmt, args);
	va_end(args);
	return 1;
}

void trit_cmd_note(const char *command, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	message(command, "note: ", fmt, args);
	va_end(args);
}

int trit_cmd_open(const char *command, struct trit_model **out, const char *path,
                  const struct trit_model_options *options, struct trit_error *err)
{
	int e = trit_model_open_with(out, path, options, err);
	const struct trit_notes *notes = e ? NULL : &(*out)->file.notes;
	for (size_t i = 0; notes && i < notes->n; i++)
		if (notes->lines[i].kind == TRIT_NOTE_WARNING)
			trit_cmd_note(command, "%s", notes->lines[i].text);
	return e;
}

/* ---- standard output --------------------------------------------------------------------------------------------- */

/* A buffer of our own over write(2), since stdio does not say what it has written when a signal interrupts it. */
static char held[1 << 16];
static size_t n_held;
static int lost; /* errno of the first failed write, or 0 */

void trit_out_flush(void)
{
	/* What was printed by stdio (help) comes first. */
	if (!lost && fflush(stdout) != 0)
		lost = errno ? errno : EIO;
	for (size_t at = 0; at < n_held && !lost;) {
		ssize_t n = write(STDOUT_FILENO, held + at, n_held - at);
		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno == EAGAIN) /* somebody we share the terminal with made it non-blocking */
			poll(&(struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT }, 1, -1);
		else if (n == 0 || errno != EINTR || trit_interrupts > 1) /* the second Ctrl-C ends a write that hangs */
			lost = n < 0 ? errno : EIO;
	}
	n_held = 0;
}

void trit_out(size_t len, const char *bytes)
{
	while (len && !lost) {
		size_t room = sizeof held - n_held, n = len < room ? len : room;
		memcpy(held + n_held, bytes, n);
		n_held += n;
		bytes += n;
		len -= n;
		if (n_held == sizeof held)
			trit_out_flush();
	}
}

void trit_outf(const char *fmt, ...)
{
	char text[4096];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	trit_out(n < 0 ? 0 : n < (int)sizeof text ? (size_t)n : sizeof text - 1, text);
}

void trit_out_text(size_t len, const char *text)
{
	static int terminal = -1;
	if (terminal < 0)
		terminal = isatty(STDOUT_FILENO);
	for (size_t i = 0; terminal && i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		/* C0, DEL, and C1 (U+0080 to U+009F, in UTF-8 the bytes c2 80 to c2 9f) */
		bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
		bool control1 = c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0;
		if (control || control1) {
			trit_out(i, text);
			trit_out(1, "?");
			text += i + 1 + control1;
			len -= i + 1 + control1;
			i = (size_t)-1;
		}
	}
	trit_out(len, text);
}

void trit_out_json(size_t len, const char *text)
{
	trit_out(1, "\"");
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)text[i];
		int n = trit_utf8_check(len - i, text + i);
		if (n <= 0)
			trit_outf("\\ufffd");
		else if (c == '"' || c == '\\')
			trit_outf("\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			trit_outf("\\u%04x", c);
		else
			trit_out((size_t)n, text + i);
		i += n > 0 ? (size_t)n : n < 0 ? (size_t)-n : len - i;
	}
	trit_out(1, "\"");
}

bool trit_out_alive(void)
{
	return !lost;
}

int trit_out_finish(const char *command, int status)
{
	trit_out_flush();
	if (!lost)
		return status;
	if (lost == EINTR)
		return 130;
	if (lost != EPIPE)
		fprintf(stderr, "trit %s: cannot write to standard output: %s\n", command, strerror(lost));
	return status ? status : 1;
}

/* ---- Ctrl-C ------------------------------------------------------------------------------------------------------ */

#define LAST_INTERRUPT 5

volatile sig_atomic_t trit_interrupts, trit_terminated;

static void count_interrupt(int signal_number)
{
	if (signal_number == SIGTERM)
		trit_terminated = 1;
	if (++trit_interrupts >= LAST_INTERRUPT)
		_exit(128 + signal_number);
}

void trit_interrupt_catch(void)
{
	struct sigaction action = { .sa_handler = count_interrupt };
	sigemptyset(&action.sa_mask);
	trit_interrupts = 0;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL); /* what mpirun and batch systems pass on to all processes */
	struct sigaction hangup;
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN) /* not under nohup */
		sigaction(SIGHUP, &action, NULL);
}

void trit_interrupt_reset(void)
{
	trit_interrupts = 0;
}

const char *const trit_kv_names[] = { "auto", "f16", "q4", "f32", "q8", NULL };

/* ---- numbers for people ------------------------------------------------------------------------------------------ */

const char *trit_text_bytes(char text[TRIT_NUMBER_BYTES], double bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	int unit = -1;
	while (bytes >= 1024 && unit < TRIT_N(units) - 1) {
		bytes /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, TRIT_NUMBER_BYTES, "%.0f B", bytes);
	else
		snprintf(text, TRIT_NUMBER_BYTES, "%.2f %s", bytes, units[unit]);
	return text;
}

const char *trit_text_count(char text[TRIT_NUMBER_BYTES], double count)
{
	if (count < 1e5)
		snprintf(text, TRIT_NUMBER_BYTES, "%.0f", count);
	else if (count < 1e6)
		snprintf(text, TRIT_NUMBER_BYTES, "%.1f k", count / 1e3);
	else if (count < 1e9)
		snprintf(text, TRIT_NUMBER_BYTES, "%.2f M", count / 1e6);
	else
		snprintf(text, TRIT_NUMBER_BYTES, "%.2f B", count / 1e9);
	return text;
}

const char *trit_text_seconds(char text[TRIT_NUMBER_BYTES], double seconds)
{
	long s = seconds < 0 ? 0 : seconds < 1e9 ? (long)(seconds + 0.5) : 1000000000L;
	if (s >= 3600)
		snprintf(text, TRIT_NUMBER_BYTES, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
	else if (s >= 60)
		snprintf(text, TRIT_NUMBER_BYTES, "%ld:%02ld", s / 60, s % 60);
	else
		snprintf(text, TRIT_NUMBER_BYTES, "%ld s", s);
	return text;
}
