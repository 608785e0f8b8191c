/*
 * documents.c - cuts the stream of a file into documents.
 *
 * The buffer holds the document that is being read, from its first byte, and what was read beyond its end. A document
 * is looked through once: `line` is where the line begins that is being looked for its end, `seen` how far.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/documents.h"

#include "base/mem.h"
#include "format/unpack.h"

#define READ_BYTES ((size_t)1 << 20)

static const char end_mark[] = "<|endoftext|>";

struct trit_reader {
	const struct trit_corpus *corpus;
	enum trit_documents how;
	bool skip_long;
	size_t file;           /* the one that is open, or the next */
	struct trit_unpack *in; /* NULL: none is open */
	enum trit_documents style; /* of the open file */
	bool at_end;           /* nothing more comes of it */
	bool continued;        /* what is read next is another part of a document */
	char *bytes;           /* of the file: [start, end) are still to be given out */
	size_t start, line, seen, end, cap;
	uint64_t base;         /* byte of the file at bytes[0] */
	uint64_t line_number;  /* of `line` */
	uint64_t start_line;   /* of `start` */
	uint64_t done;         /* bytes of the files before */
};

/* ---- files ------------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *name, size_t len, const char *end)
{
	size_t n = strlen(end);
	return len >= n && !memcmp(name + len - n, end, n);
}

static enum trit_documents style_of(const char *path)
{
	size_t len = strlen(path);
	if (ends_with(path, len, ".gz"))
		len -= 3;
	else if (ends_with(path, len, ".zst"))
		len -= 4;
	bool jsonl = ends_with(path, len, ".jsonl") || ends_with(path, len, ".ndjson");
	return jsonl ? TRIT_DOCUMENTS_JSONL : TRIT_DOCUMENTS_MARK;
}

int trit_reader_open(struct trit_reader **out, const struct trit_corpus *c, enum trit_documents how, bool skip_long,
                     struct trit_error *err)
{
	struct trit_reader *r = trit_calloc(1, sizeof *r);
	if (!r)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to read text");
	r->corpus = c;
	r->how = how;
	r->skip_long = skip_long;
	*out = r;
	return TRIT_OK;
}

void trit_reader_close(struct trit_reader *r)
{
	if (!r)
		return;
	trit_unpack_close(r->in);
	trit_free(r->bytes);
	trit_free(r);
}

uint64_t trit_reader_position(const struct trit_reader *r)
{
	return r->done + (r->in ? trit_unpack_position(r->in) : 0);
}

/* Drops what was given out and reads more. */
static int read_more(struct trit_reader *r, struct trit_error *err)
{
	if (r->start > 0) {
		memmove(r->bytes, r->bytes + r->start, r->end - r->start);
		r->base += r->start;
		r->line -= r->start;
		r->seen -= r->start;
		r->end -= r->start;
		r->start = 0;
	}
	if (r->cap - r->end < READ_BYTES) {
		size_t cap = r->cap ? 2 * r->cap : 2 * READ_BYTES;
		char *bytes = trit_realloc(r->bytes, r->cap, cap, 1);
		if (!bytes)
			return trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory for a document of %zu bytes",
			                 r->corpus->paths[r->file], cap / 2);
		r->bytes = bytes;
		r->cap = cap;
	}
	size_t n;
	int e = trit_unpack_read(r->in, READ_BYTES, r->bytes + r->end, &n, err);
	r->end += n;
	r->at_end = !e && n == 0;
	return e;
}

static int open_file(struct trit_reader *r, struct trit_error *err)
{
	const char *path = r->corpus->paths[r->file];
	int e = trit_unpack_open(&r->in, path, err);
	r->start = r->line = r->seen = r->end = 0;
	r->base = 0;
	r->line_number = r->start_line = 1;
	r->at_end = r->continued = false;
	r->style = r->how == TRIT_DOCUMENTS_AUTO ? style_of(path) : r->how;
	while (!e && !r->at_end && r->end < 3)
		e = read_more(r, err);
	if (!e && r->end >= 3 && !memcmp(r->bytes, "\xef\xbb\xbf", 3))
		r->start = r->line = r->seen = 3;
	return e;
}

static void close_file(struct trit_reader *r)
{
	r->done += trit_unpack_position(r->in);
	trit_unpack_close(r->in);
	r->in = NULL;
	r->file++;
}

/* ---- documents --------------------------------------------------------------------------------------------------- */

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t';
}

/* Whether a line, without its newline, ends a document; that of JSONL is one itself. */
static bool is_border(const struct trit_reader *r, const char *line, size_t len)
{
	if (r->style == TRIT_DOCUMENTS_JSONL)
		return true;
	if (r->style == TRIT_DOCUMENTS_FILE)
		return false;
	if (r->style == TRIT_DOCUMENTS_MARK) {
		if (len && line[len - 1] == '\r')
			len--;
		return len == sizeof end_mark - 1 && !memcmp(line, end_mark, len);
	}
	for (size_t i = 0; i < len; i++)
		if (!is_blank(line[i]))
			return false;
	return true;
}

/* Where to cut [start, end) for a part that is not too long: behind its last line, or before a character. */
static size_t cut_at(const struct trit_reader *r)
{
	size_t most = r->start + TRIT_DOCUMENT_BYTES, cut = most;
	while (cut > r->start + TRIT_DOCUMENT_BYTES / 2 && r->bytes[cut - 1] != '\n')
		cut--;
	if (r->bytes[cut - 1] == '\n')
		return cut;
	for (cut = most; cut > most - 4 && ((unsigned char)r->bytes[cut] & 0xc0) == 0x80; cut--)
		;
	return cut;
}

/* Gives out [start, to), of which what is kept begins behind blank space; false if that is all there is. The next one
 * begins at `next`. */
static bool give(struct trit_reader *r, size_t to, size_t next, struct trit_document *d)
{
	size_t from = r->start;
	uint64_t line = r->start_line;
	while (from < to && is_blank(r->bytes[from]))
		line += r->bytes[from++] == '\n';
	while (to > from && is_blank(r->bytes[to - 1]))
		to--;
	*d = (struct trit_document){ .text = r->bytes + from, .len = to - from, .file = r->file, .line = line,
		                     .at = r->base + from, .jsonl = r->style == TRIT_DOCUMENTS_JSONL,
		                     .continued = r->continued };
	r->start = next;
	r->start_line = r->line_number;
	return to > from;
}

/* A document that grew beyond the limit, up to `to` at least: its first part. 1: given out; 0: look on; or an error. */
static int give_part(struct trit_reader *r, size_t to, struct trit_document *d, struct trit_error *err)
{
	if (r->style != TRIT_DOCUMENTS_JSONL) {
		size_t cut = cut_at(r);
		bool some = give(r, cut, cut, d);
		r->line = r->line < cut ? cut : r->line;
		r->continued |= some;
		return some;
	}
	if (!r->skip_long)
		return trit_fail(err, TRIT_ERR_LIMIT, "%s: line %llu is longer than %zu MiB; leave it out with --invalid skip",
		                 r->corpus->paths[r->file], (unsigned long long)r->line_number, TRIT_DOCUMENT_BYTES >> 20);
	r->continued = true; /* the rest of the line goes with it */
	r->start = r->line = r->seen = to;
	return 0;
}

/* The end of the line at `line` is at `to`, the next one begins at `next`. 1: a document was given out. */
static int end_line(struct trit_reader *r, size_t to, size_t next, struct trit_document *d)
{
	size_t line = r->line;
	bool border = is_border(r, r->bytes + line, to - line);
	bool dropped = r->continued && r->style == TRIT_DOCUMENTS_JSONL;
	r->line = r->seen = next;
	r->line_number++;
	if (dropped) {
		*d = (struct trit_document){ .text = r->bytes, .file = r->file, .line = r->start_line,
			                     .at = r->base + r->start, .jsonl = true, .too_long = true };
		r->continued = false;
		r->start = next;
		r->start_line = r->line_number;
		return 1;
	}
	if (!border)
		return 0;
	bool some = give(r, r->style == TRIT_DOCUMENTS_JSONL ? to : line, next, d);
	r->continued = false;
	return some;
}

/* The next document of the open file; 0 at its end. */
static int next_in_file(struct trit_reader *r, struct trit_document *d, struct trit_error *err)
{
	for (;;) {
		const char *newline = r->seen < r->end ? memchr(r->bytes + r->seen, '\n', r->end - r->seen) : NULL;
		size_t to = newline ? (size_t)(newline - r->bytes) : r->end;
		int e = 0;
		r->seen = to;
		if (to - r->start > TRIT_DOCUMENT_BYTES) {
			e = give_part(r, to, d, err);
		} else if (newline) {
			e = end_line(r, to, to + 1, d);
		} else if (r->at_end) {
			if (r->line < r->end && (e = end_line(r, r->end, r->end, d)))
				return e;
			return r->start < r->end && give(r, r->end, r->end, d);
		} else {
			e = read_more(r, err);
		}
		if (e)
			return e;
	}
}

int trit_reader_next(struct trit_reader *r, struct trit_document *d, struct trit_error *err)
{
	while (r->in || r->file < r->corpus->n) {
		int e = r->in ? TRIT_OK : open_file(r, err);
		if (!e)
			e = next_in_file(r, d, err);
		if (e)
			return e;
		close_file(r);
	}
	return 0;
}
