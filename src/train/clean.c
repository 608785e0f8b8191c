/*
 * clean.c - what a document goes through before it is told from others and cut into tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/clean.h"

#ifdef TRIT_HAVE_JANSSON
#include <jansson.h>
#endif

#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "text/utf8.h"

#define MAX_FIELD_PARTS 16

struct trit_cleaner {
	const struct trit_clean_settings *settings;
	char *field;                       /* the parts of it, each ended by NUL */
	const char *parts[MAX_FIELD_PARTS];
	int n_parts;
	struct trit_vocab no_vocab;        /* the normaliser wants one */
	struct trit_normalizer *normalizer; /* NULL: no NFC */
};

/* ---- fingerprints ------------------------------------------------------------------------------------------------ */

/* Two chains over the same words, each a multiplication and a rotation a word. */
struct chains {
	uint64_t a, b;
};

static void take_word(struct chains *c, uint64_t word)
{
	c->a = (c->a ^ word) * 0x9e3779b97f4a7c15;
	c->a = c->a << 29 | c->a >> 35;
	c->b = (c->b + word) * 0xd6e8feb86659fd93;
	c->b ^= c->b >> 32;
}

static struct trit_fingerprint finish(struct chains c, uint64_t len)
{
	uint64_t a = trit_hash64(c.a ^ len), b = trit_hash64(c.b + len);
	return (struct trit_fingerprint){ trit_hash64(a ^ b << 1), trit_hash64(b + a) };
}

struct trit_fingerprint trit_fingerprint_bytes(size_t len, const void *bytes)
{
	const unsigned char *p = bytes;
	struct chains c = { 1, 2 };
	unsigned char last[8] = { 0 };
	size_t i = 0;
	for (; len - i >= 8; i += 8)
		take_word(&c, trit_get64(p + i));
	memcpy(last, p + i, len - i);
	take_word(&c, trit_get64(last));
	return finish(c, len);
}

struct trit_fingerprint trit_fingerprint_text(size_t len, const char *text)
{
	struct chains c = { 1, 2 };
	uint64_t word = 0, n = 0;
	bool space = false;
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)text[i];
		if (ch == ' ' || (ch >= '\t' && ch <= '\r')) {
			space = n > 0;
			continue;
		}
		if (space) {
			word = word << 8 | ' ';
			if (++n % 8 == 0)
				take_word(&c, word);
			space = false;
		}
		word = word << 8 | (ch >= 'A' && ch <= 'Z' ? ch + 32u : ch);
		if (++n % 8 == 0)
			take_word(&c, word);
	}
	take_word(&c, n % 8 ? word << (64 - 8 * (n % 8)) : 0);
	return finish(c, n);
}

/* ---- setting up -------------------------------------------------------------------------------------------------- */

/* Cuts "a.b.c" into its parts. */
static int cut_field(struct trit_cleaner *c, struct trit_error *err)
{
	const char *field = c->settings->field ? c->settings->field : "text";
	c->field = trit_strndup(field, strlen(field));
	if (!c->field)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to prepare text");
	for (char *part = c->field; part;) {
		char *dot = strchr(part, '.');
		if (dot)
			*dot = 0;
		if (!*part || c->n_parts == MAX_FIELD_PARTS)
			return trit_fail(err, TRIT_ERR_ARG, "--field %s: names with dots between them, at most %d", field,
			                 MAX_FIELD_PARTS);
		c->parts[c->n_parts++] = part;
		part = dot ? dot + 1 : NULL;
	}
	return TRIT_OK;
}

int trit_cleaner_new(struct trit_cleaner **out, const struct trit_clean_settings *s, struct trit_error *err)
{
	static const struct trit_normal_step nfc = { .kind = TRIT_NORMAL_NFC };
	struct trit_cleaner *c = trit_calloc(1, sizeof *c);
	if (!c)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to prepare text");
	c->settings = s;
	int e = cut_field(c, err);
#ifndef TRIT_HAVE_UTF8PROC
	if (!e && s->nfc)
		e = trit_fail(err, TRIT_ERR_UNSUPPORTED, "--nfc: this build was made without utf8proc (libutf8proc-dev)");
#endif
	if (!e && s->nfc)
		e = trit_normalizer_new(&c->normalizer, &c->no_vocab, 1, &nfc, err);
	if (e)
		trit_cleaner_free(c);
	else
		*out = c;
	return e;
}

void trit_cleaner_free(struct trit_cleaner *c)
{
	if (!c)
		return;
	trit_normalizer_free(c->normalizer);
	trit_free(c->field);
	trit_free(c);
}

void trit_clean_text_release(struct trit_clean_text *t)
{
	trit_free(t->own);
	*t = (struct trit_clean_text){ 0 };
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* Puts a copy of len bytes in the place of the text, with room for `more`. */
static int own_text(struct trit_clean_text *t, size_t len, const char *text, size_t more, struct trit_error *err)
{
	char *own = trit_calloc(len + more + 1, 1);
	if (!own)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a document of %zu bytes", len + more);
	memcpy(own, text, len);
	trit_free(t->own);
	t->own = t->text = own;
	t->len = len;
	return TRIT_OK;
}

/* The first byte that is NUL or not UTF-8; t->len where there is none. */
static size_t find_invalid(size_t len, const char *text)
{
	const char *nul = len ? memchr(text, 0, len) : NULL;
	return trit_utf8_valid(nul ? (size_t)(nul - text) : len, text);
}

/* Every NUL, and what cannot be part of a character, as U+FFFD. */
static int replace_invalid(struct trit_clean_text *t, struct trit_error *err)
{
	size_t bad = 0, n = 0;
	for (size_t i = 0; (i += find_invalid(t->len - i, t->text + i)) < t->len; bad++)
		i += t->text[i] ? trit_utf8_invalid(t->len - i, t->text + i, 1) : 1;
	char *out = trit_calloc(t->len + 3 * bad + 1, 1);
	if (!out)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a document of %zu bytes", t->len);
	for (size_t i = 0; i < t->len;) {
		size_t valid = find_invalid(t->len - i, t->text + i);
		memcpy(out + n, t->text + i, valid);
		n += valid;
		i += valid;
		if (i == t->len)
			break;
		memcpy(out + n, "\xef\xbf\xbd", 3);
		n += 3;
		i += t->text[i] ? trit_utf8_invalid(t->len - i, t->text + i, 1) : 1;
	}
	trit_free(t->own);
	t->own = t->text = out;
	t->len = n;
	return TRIT_OK;
}

/* Fails, or says that the document is to be left out. `at` is a byte of the file, or -1 */
static int refuse(const struct trit_cleaner *c, const struct trit_document *d, const char *path, int64_t at,
                  const char *what, struct trit_clean_text *t, struct trit_error *err)
{
	if (c->settings->invalid == TRIT_INVALID_SKIP) {
		t->fate = TRIT_FATE_INVALID;
		return TRIT_OK;
	}
	if (d->jsonl)
		return trit_fail_at(err, TRIT_ERR_FORMAT, at, "%s: line %llu: %s; --invalid skip leaves such lines out", path,
		                    (unsigned long long)d->line, what);
	return trit_fail_at(err, TRIT_ERR_FORMAT, at,
	                    "%s: byte %lld %s; --invalid replace or skip goes on without it (or convert the file first: "
	                    "iconv -f latin1 -t utf-8)", path, (long long)at, what);
}

static int check_utf8(const struct trit_cleaner *c, const struct trit_document *d, const char *path,
                      struct trit_clean_text *t, struct trit_error *err)
{
	size_t valid = find_invalid(t->len, t->text);
	char what[96];
	if (valid == t->len)
		return TRIT_OK;
	if (c->settings->invalid == TRIT_INVALID_REPLACE)
		return replace_invalid(t, err);
	const char *kind = t->text[valid] ? "is not valid UTF-8" : "is NUL; this is not a text file";
	if (!d->jsonl)
		return refuse(c, d, path, (int64_t)(d->at + valid), kind, t, err);
	snprintf(what, sizeof what, "byte %zu %s", valid, kind);
	return refuse(c, d, path, (int64_t)(d->at + valid), what, t, err);
}

#ifdef TRIT_HAVE_JANSSON
/* The value that the field names, or NULL. */
static const json_t *find_field(const struct trit_cleaner *c, const json_t *value)
{
	for (int i = 0; value && i < c->n_parts; i++) {
		char *end;
		unsigned long index = strtoul(c->parts[i], &end, 10);
		if (json_is_array(value))
			value = *end || end == c->parts[i] ? NULL : json_array_get(value, index);
		else
			value = json_object_get(value, c->parts[i]);
	}
	return value;
}

static int take_field(const struct trit_cleaner *c, const struct trit_document *d, const char *path,
                      struct trit_clean_text *t, struct trit_error *err)
{
	char what[400];
	json_error_t why;
	json_t *root = json_loadb(t->text, t->len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
	const json_t *value = find_field(c, root);
	int e = TRIT_OK;
	if (!root && json_error_code(&why) == json_error_out_of_memory) {
		e = trit_fail(err, TRIT_ERR_MEMORY, "%s: not enough memory for a line of JSON", path);
	} else if (!root) {
		snprintf(what, sizeof what, "column %d: %.200s", why.column, why.text);
		e = refuse(c, d, path, (int64_t)d->at + why.position, what, t, err);
	} else if (json_is_null(value)) {
		t->len = 0;
	} else if (!json_is_string(value)) {
		snprintf(what, sizeof what, value ? "\"%.200s\" is no text" : "no member \"%.200s\" (--field names it)",
		         c->settings->field ? c->settings->field : "text");
		e = refuse(c, d, path, (int64_t)d->at, what, t, err);
	} else {
		e = own_text(t, json_string_length(value), json_string_value(value), 0, err);
	}
	json_decref(root);
	return e;
}
#else
static int take_field(const struct trit_cleaner *c, const struct trit_document *d, const char *path,
                      struct trit_clean_text *t, struct trit_error *err)
{
	(void)c, (void)d, (void)t;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "%s: JSON lines, which this build was made without (libjansson-dev)",
	                 path);
}
#endif

/* CR LF to LF, in place. */
static void join_line_ends(struct trit_clean_text *t)
{
	const char *cr = t->len ? memchr(t->text, '\r', t->len) : NULL;
	if (!cr)
		return;
	size_t n = (size_t)(cr - t->text);
	for (size_t i = n; i < t->len; i++)
		if (t->text[i] != '\r' || i + 1 == t->len || t->text[i + 1] != '\n')
			t->text[n++] = t->text[i];
	t->len = n;
}

static int compose(const struct trit_cleaner *c, struct trit_normal_work *work, struct trit_clean_text *t,
                   struct trit_error *err)
{
	const char *out;
	size_t len;
	int e = c->normalizer ? trit_normalize(c->normalizer, work, true, t->len, t->text, &len, &out, err) : TRIT_OK;
	if (e || !c->normalizer || out == t->text)
		return e;
	return own_text(t, len, out, 0, err);
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t';
}

static void trim(struct trit_clean_text *t)
{
	while (t->len && is_blank(*t->text))
		t->text++, t->len--;
	while (t->len && is_blank(t->text[t->len - 1]))
		t->len--;
}

static uint64_t count_chars(size_t len, const char *text)
{
	uint64_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

int trit_clean(const struct trit_cleaner *c, struct trit_normal_work *work, const struct trit_document *d,
               const char *path, char *bytes, struct trit_clean_text *out, struct trit_error *err)
{
	const struct trit_clean_settings *s = c->settings;
	int e;
	*out = (struct trit_clean_text){ .text = bytes, .len = d->len };
	if (d->too_long) {
		out->fate = TRIT_FATE_INVALID;
		return TRIT_OK;
	}
	if ((e = check_utf8(c, d, path, out, err)))
		return e;
	if (d->jsonl && out->fate == TRIT_FATE_KEPT &&
	    ((e = take_field(c, d, path, out, err)) ||
	     (out->fate == TRIT_FATE_KEPT && (e = check_utf8(c, d, path, out, err))))) /* "\u0000" */
		return e;
	if (out->fate != TRIT_FATE_KEPT)
		return TRIT_OK;
	if (!s->keep_crlf)
		join_line_ends(out);
	if ((e = compose(c, work, out, err)))
		return e;
	trim(out);
	uint64_t n = s->min_chars || s->max_chars ? count_chars(out->len, out->text) : 0;
	if (!out->len)
		out->fate = TRIT_FATE_EMPTY;
	else if (n < s->min_chars)
		out->fate = TRIT_FATE_SHORT;
	else if (s->max_chars && n > s->max_chars)
		out->fate = TRIT_FATE_LONG;
	else
		out->fingerprint = trit_fingerprint_text(out->len, out->text);
	return TRIT_OK;
}
