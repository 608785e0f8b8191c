/*
 * notes.h - what was found, assumed or missing while a file was read: lines for people, gathered where it is noticed
 * and shown by whoever asked (trit info, trit doctor, warnings of trit run).
 *
 * Noting never fails and never changes the result of what is done: the list is bounded, and without memory a line is
 * left out and counted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_NOTES_H
#define TRIT_BASE_NOTES_H

#include "base/error.h"

enum trit_note_kind {
	TRIT_NOTE_FOUND,   /* how it is, where a reader might wonder: a layout recognised, a convention proved */
	TRIT_NOTE_ASSUMED, /* what the file does not say, and what was taken for it */
	TRIT_NOTE_WARNING, /* something is probably wrong, or will not work as its maker meant it */
};

#define TRIT_MAX_NOTES 200

struct trit_note {
	enum trit_note_kind kind;
	char *text; /* one printable line, at most as long as an error's message */
};

/** Zeroed: empty. */
struct trit_notes {
	struct trit_note *lines; /* in the order noted */
	size_t n;
	size_t left_out; /* lines beyond TRIT_MAX_NOTES, or for which there was no memory */
	size_t cap;      /* private */
};

/** Adds a line, unless the very same is there already. `notes` may be NULL. */
void trit_note(struct trit_notes *notes, enum trit_note_kind kind, const char *fmt, ...) TRIT_PRINTF(3, 4);
void trit_notes_release(struct trit_notes *notes);
/** "found", "assumed", "warning". */
const char *trit_note_kind_name(enum trit_note_kind kind);

#endif
