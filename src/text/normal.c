/*
 * normal.c - the steps of normalising a text.
 *
 * Composing (NFC) touches little: nearly all text is in NFC already. So only stretches round characters that could
 * change or combine are given to utf8proc; a stretch begins with the plain character before them, to which marks may
 * belong, and ends at the next plain one.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_UTF8PROC
#include <utf8proc.h>
#endif

#include "base/log.h"
#include "base/mem.h"
#include "text/chars.h"
#include "text/charsmap.h"
#include "text/normal.h"
#include "text/regex.h"
#include "text/utf8.h"

#define MAX_STRETCH 4096 /* utf8proc sorts a run of marks in quadratic time */

struct trit_normalizer {
	struct trit_charsmap charsmap;
	int n;
	struct step {
		uint8_t kind;
		char *text, *with;
		size_t text_len, with_len;
		struct trit_regex *regex;
	} steps[TRIT_MAX_NORMAL_STEPS];
};

/* ---- making ----------------------------------------------------------------------------------------------------- */

/* Whether a step cannot be done by this build. */
static bool lacks_tables(unsigned kind)
{
#ifdef TRIT_HAVE_UTF8PROC
	(void)kind;
	return false;
#else
	return (kind >= TRIT_NORMAL_NFC && kind <= TRIT_NORMAL_LOWERCASE) || kind == TRIT_NORMAL_STRIP_ACCENTS ||
	       kind == TRIT_NORMAL_STRIP_NONSPACING || kind == TRIT_NORMAL_BERT_CLEAN;
#endif
}

static int make_step(struct step *s, const struct trit_normal_step *from, struct trit_error *err)
{
	const char *text = from->text ? from->text : "", *with = from->with ? from->with : "";

	s->kind = from->kind;
	s->text_len = strlen(text);
	s->with_len = strlen(with);
	s->text = trit_strndup(text, s->text_len);
	s->with = trit_strndup(with, s->with_len);
	if (!s->text || !s->with)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a normalizer");
	return s->kind == TRIT_NORMAL_REPLACE_REGEX ? trit_regex_new(&s->regex, text, 0, err) : 0;
}

int trit_normalizer_new(struct trit_normalizer **out, const struct trit_vocab *v, int n,
                        const struct trit_normal_step *steps, struct trit_error *err)
{
	struct trit_normalizer *made = trit_calloc(1, sizeof *made);
	int status = 0;

	if (!made)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a normalizer");
	if (v->charsmap_bytes > 0)
		status = trit_charsmap_init(&made->charsmap, v->charsmap_bytes, v->charsmap, err);
	for (int i = 0; i < n && status == 0; i++) {
		if (!lacks_tables(steps[i].kind))
			status = make_step(&made->steps[made->n++], &steps[i], err);
		else if (steps[i].kind == TRIT_NORMAL_NFC)
			trit_log(TRIT_LOG_NOTE, "this build is without utf8proc (libutf8proc-dev): texts are not "
			                        "normalised to NFC; those in NFC already are not affected");
		else
			status = trit_fail(err, TRIT_ERR_UNSUPPORTED,
			                   "the tokenizer normalises text, and this build is without utf8proc; install "
			                   "libutf8proc-dev and build again");
	}
	if (status < 0) {
		trit_normalizer_free(made);
		return status;
	}
	*out = made;
	return 0;
}

void trit_normalizer_free(struct trit_normalizer *n)
{
	if (!n)
		return;
	for (int i = 0; i < n->n; i++) {
		trit_free(n->steps[i].text);
		trit_free(n->steps[i].with);
		trit_regex_free(n->steps[i].regex);
	}
	trit_free(n);
}

void trit_normal_work_release(struct trit_normal_work *w)
{
	if (!w)
		return;
	trit_buf_release(&w->a);
	trit_buf_release(&w->b);
	trit_regex_work_free(w->regex);
	trit_free(w->code_points);
	*w = (struct trit_normal_work){ 0 };
}

/* ---- characters ------------------------------------------------------------------------------------------------- */

static bool in(int32_t c, int32_t first, int32_t last)
{
	return c >= first && c <= last;
}

/* ---- Unicode's forms -------------------------------------------------------------------------------------------- */

#ifdef TRIT_HAVE_UTF8PROC

/* Characters that the form leaves alone, and that neither combine with what is before them nor are reordered. */
static bool is_plain(unsigned kind, int32_t c)
{
	if (kind != TRIT_NORMAL_NFC)
		return in(c, 0, 0x7f);
	return in(c, 0, 0x2ff) || in(c, 0x4e00, 0x9fff) || in(c, 0x400, 0x482) || in(c, 0x2010, 0x2027) ||
	       in(c, 0x3000, 0x3029) || in(c, 0x3041, 0x3096) || in(c, 0x30a1, 0x30fa) || in(c, 0xac00, 0xd7a3);
}

/* Length of the beginning of the text that stays as it is, a last plain character before others left out. */
static size_t plain_length(unsigned kind, size_t len, const char *text)
{
	size_t i = 0, last = 0;

	while (i < len) {
		size_t n;

		if ((unsigned char)text[i] < 0x80) {
			last = i++;
			continue;
		}
		if (!is_plain(kind, trit_utf8_next(len - i, text + i, &n)))
			return last;
		last = i;
		i += n;
	}
	return len;
}

/* Length of the stretch at the text's beginning: up to a plain character that another follows, at most MAX_STRETCH
 * bytes and a character. */
static size_t stretch_length(unsigned kind, size_t len, const char *text)
{
	size_t i = 0, n, cut = 0;

	trit_utf8_next(len, text, &n);
	for (i = n; i < len; i += n) {
		int32_t c = trit_utf8_next(len - i, text + i, &n);

		if (c < 0)
			return i;
		if (is_plain(kind, c)) {
			size_t after;

			if (i + n == len || is_plain(kind, trit_utf8_next(len - i - n, text + i + n, &after)))
				return i;
			cut = i;
		}
		if (i >= MAX_STRETCH)
			return cut ? cut : i;
	}
	return len;
}

static int append_form(unsigned kind, struct trit_normal_work *w, size_t len, const char *text, struct trit_buf *out,
                       struct trit_error *err)
{
	utf8proc_option_t options = UTF8PROC_STABLE;
	utf8proc_ssize_t n;

	options |= kind == TRIT_NORMAL_NFC || kind == TRIT_NORMAL_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
	options |= kind == TRIT_NORMAL_NFKC || kind == TRIT_NORMAL_NFKD ? UTF8PROC_COMPAT : 0;
	for (;;) {
		n = utf8proc_decompose((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, w->code_points,
		                       (utf8proc_ssize_t)w->capacity, options);
		if (n < 0) /* not a character: as it is */
			return trit_buf_append(out, len, text, err);
		if ((size_t)n < w->capacity)
			break;
		trit_free(w->code_points);
		w->capacity = 2 * (size_t)n + MAX_STRETCH; /* one more for the NUL that utf8proc writes */
		w->code_points = trit_calloc(w->capacity, sizeof *w->code_points);
		if (!w->code_points) {
			w->capacity = 0;
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to normalise a text");
		}
	}
	n = utf8proc_reencode(w->code_points, n, options);
	if (n < 0)
		return trit_buf_append(out, len, text, err);
	return trit_buf_append(out, (size_t)n, w->code_points, err);
}

static int apply_form(unsigned kind, struct trit_normal_work *w, size_t len, const char *text, struct trit_buf *out,
                      struct trit_error *err)
{
	size_t i = 0;
	int status = 0;

	while (i < len && status == 0) {
		size_t n = plain_length(kind, len - i, text + i);

		status = trit_buf_append(out, n, text + i, err);
		i += n;
		if (i == len || status < 0)
			break;
		n = stretch_length(kind, len - i, text + i);
		status = append_form(kind, w, n, text + i, out, err);
		i += n;
	}
	return status;
}

#endif

/* ---- character by character ------------------------------------------------------------------------------------- */

#ifdef TRIT_HAVE_UTF8PROC

static bool is_mark(int32_t c)
{
	utf8proc_category_t category = utf8proc_category(c);

	return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME;
}

static bool is_nonspacing(int32_t c)
{
	return utf8proc_category(c) == UTF8PROC_CATEGORY_MN;
}

/* Controls, formats, surrogates, private use. */
static bool is_other(int32_t c)
{
	utf8proc_category_t category = utf8proc_category(c);

	return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
	       category == UTF8PROC_CATEGORY_CS || category == UTF8PROC_CATEGORY_CO;
}

static int append_lower(int32_t c, struct trit_buf *out, struct trit_error *err)
{
	utf8proc_uint8_t text[4];

	if (c == 0x130) /* the only one whose small letter is two characters */
		return trit_buf_append(out, 3, "i\xcc\x87", err);
	return trit_buf_append(out, (size_t)utf8proc_encode_char(utf8proc_tolower(c), text), text, err);
}

#else

static bool is_mark(int32_t c)
{
	(void)c;
	return false;
}

static bool is_nonspacing(int32_t c)
{
	(void)c;
	return false;
}

static bool is_other(int32_t c)
{
	(void)c;
	return false;
}

static int append_lower(int32_t c, struct trit_buf *out, struct trit_error *err)
{
	(void)c;
	(void)out;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "this build is without utf8proc");
}

#endif

static bool is_nmt_control(int32_t c)
{
	return in(c, 1, 8) || c == 0x0b || in(c, 0x0e, 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f;
}

static bool is_nmt_space(int32_t c)
{
	return c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1680 || in(c, 0x200b, 0x200f) || c == 0x2028 ||
	       c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd;
}

/* The character c, n bytes at `text`, as the step has it. */
static int apply_to_character(unsigned kind, int32_t c, size_t n, const char *text, struct trit_buf *out,
                              struct trit_error *err)
{
	bool gone = false, space = false;

	switch (kind) {
	case TRIT_NORMAL_LOWERCASE:
		return append_lower(c, out, err);
	case TRIT_NORMAL_STRIP_ACCENTS:
		gone = is_mark(c);
		break;
	case TRIT_NORMAL_STRIP_NONSPACING:
		gone = is_nonspacing(c);
		break;
	case TRIT_NORMAL_NMT:
		gone = is_nmt_control(c);
		space = is_nmt_space(c);
		break;
	case TRIT_NORMAL_BERT_CLEAN:
		space = trit_is_space(c);
		gone = c == 0 || c == 0xfffd || (c != '\t' && c != '\n' && c != '\r' && is_other(c));
		break;
	case TRIT_NORMAL_BERT_CHINESE:
		if (trit_is_chinese(c))
			return trit_buf_printf(out, err, " %.*s ", (int)n, text);
		break;
	default:
		break;
	}
	if (gone)
		return 0;
	return space ? trit_buf_append(out, 1, " ", err) : trit_buf_append(out, n, text, err);
}

static int apply_to_characters(unsigned kind, size_t len, const char *text, struct trit_buf *out,
                               struct trit_error *err)
{
	int status = 0;

	for (size_t i = 0, n; i < len && status == 0; i += n) {
		int32_t c = trit_utf8_next(len - i, text + i, &n);

		status = c < 0 ? trit_buf_append(out, n, text + i, err)
		               : apply_to_character(kind, c, n, text + i, out, err);
	}
	return status;
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

/* The first place of the text to replace, or NULL. */
static const char *find_text(const struct step *s, const char *text, const char *end)
{
	while (s->text_len > 0 && (size_t)(end - text) >= s->text_len) {
		text = memchr(text, s->text[0], (size_t)(end - text) - s->text_len + 1);
		if (!text || !memcmp(text, s->text, s->text_len))
			return text;
		text++;
	}
	return NULL;
}

static int replace(const struct step *s, size_t len, const char *text, struct trit_buf *out, struct trit_error *err)
{
	const char *end = text + len, *found;
	int status = 0;

	while (status == 0 && (found = find_text(s, text, end))) {
		status = trit_buf_append(out, (size_t)(found - text), text, err);
		if (status == 0)
			status = trit_buf_append(out, s->with_len, s->with, err);
		text = found + s->text_len;
	}
	return status < 0 ? status : trit_buf_append(out, (size_t)(end - text), text, err);
}

/* In text that is valid UTF-8. Where PCRE2 gives up the rest stays as it is. */
static int replace_in_valid(const struct step *s, struct trit_regex_work *w, size_t len, const char *text,
                            struct trit_buf *out, struct trit_error *err)
{
	size_t at = 0, from = 0, begin, end;
	int status = 0, found;

	while (from <= len && status == 0) {
		found = trit_regex_find(s->regex, w, len, text, from, &begin, &end);
		if (found < 0)
			return trit_fail(err, found, "not enough memory to normalise a text");
		if (found != TRIT_REGEX_FOUND)
			break;
		status = trit_buf_append(out, begin - at, text + at, err);
		if (status == 0)
			status = trit_buf_append(out, s->with_len, s->with, err);
		at = from = end;
		if (begin == end) /* an empty match: on to the next character */
			from += end < len ? (size_t)trit_utf8_check(len - end, text + end) : 1;
	}
	return status < 0 ? status : trit_buf_append(out, len - at, text + at, err);
}

static int replace_regex(const struct step *s, struct trit_normal_work *w, size_t len, const char *text,
                         struct trit_buf *out, struct trit_error *err)
{
	int status = w->regex ? 0 : trit_regex_work_new(&w->regex, err);

	for (size_t i = 0, n; i < len && status == 0; i += n) {
		n = trit_utf8_valid(len - i, text + i);
		if (n > 0) {
			status = replace_in_valid(s, w->regex, n, text + i, out, err);
		} else {
			n = trit_utf8_invalid(len - i, text + i, len);
			status = trit_buf_append(out, n, text + i, err);
		}
	}
	return status;
}

/* By SentencePiece's rules, the longest first. */
static int replace_by_rules(const struct trit_charsmap *m, size_t len, const char *text, struct trit_buf *out,
                            struct trit_error *err)
{
	int status = 0;

	for (size_t i = 0, n; i < len && status == 0; i += n) {
		const char *by = text + i;
		size_t by_len = 0;

		n = trit_charsmap_match(m, len - i, text + i, &by, &by_len);
		if (n == 0) {
			trit_utf8_next(len - i, text + i, &n);
			by = text + i;
			by_len = n;
		}
		status = trit_buf_append(out, by_len, by, err);
	}
	return status;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static int apply(const struct trit_normalizer *all, const struct step *s, struct trit_normal_work *w, size_t len,
                 const char *text, struct trit_buf *out, struct trit_error *err)
{
	const char *before = s->kind == TRIT_NORMAL_PREPEND ? s->text : " ";
	size_t n = 0;
	int status;

	switch (s->kind) {
#ifdef TRIT_HAVE_UTF8PROC
	case TRIT_NORMAL_NFC:
	case TRIT_NORMAL_NFD:
	case TRIT_NORMAL_NFKC:
	case TRIT_NORMAL_NFKD:
		return apply_form(s->kind, w, len, text, out, err);
#endif
	case TRIT_NORMAL_STRIP_LEFT:
		n = trit_space_at_begin(len, text);
		return trit_buf_append(out, len - n, text + n, err);
	case TRIT_NORMAL_STRIP_RIGHT:
		return trit_buf_append(out, trit_space_at_end(len, text), text, err);
	case TRIT_NORMAL_SPACE:
	case TRIT_NORMAL_SPACE_FIRST:
	case TRIT_NORMAL_PREPEND:
		status = len > 0 ? trit_buf_append(out, strlen(before), before, err) : 0;
		return status < 0 ? status : trit_buf_append(out, len, text, err);
	case TRIT_NORMAL_REPLACE:
		return replace(s, len, text, out, err);
	case TRIT_NORMAL_CHARSMAP:
		return replace_by_rules(&all->charsmap, len, text, out, err);
	case TRIT_NORMAL_REPLACE_REGEX:
		return replace_regex(s, w, len, text, out, err);
	default:
		return apply_to_characters(s->kind, len, text, out, err);
	}
}

/* Whether the step certainly leaves the text as it is. */
static bool is_idle(const struct step *s, bool first, size_t len, const char *text)
{
	if (len == 0)
		return true;
	if (s->kind == TRIT_NORMAL_SPACE || s->kind == TRIT_NORMAL_SPACE_FIRST)
		return text[0] == ' ' || (s->kind == TRIT_NORMAL_SPACE_FIRST && !first);
#ifdef TRIT_HAVE_UTF8PROC
	if (s->kind >= TRIT_NORMAL_NFC && s->kind <= TRIT_NORMAL_NFKD)
		return plain_length(s->kind, len, text) == len;
#endif
	return false;
}

int trit_normalize(const struct trit_normalizer *n, struct trit_normal_work *w, bool first, size_t len,
                   const char *text, size_t *out_len, const char **out, struct trit_error *err)
{
	struct trit_buf *to = &w->a;
	size_t max = len < (SIZE_MAX >> 5) ? 16 * len + (1 << 20) : SIZE_MAX;

	for (int i = 0; i < n->n; i++) {
		int status;

		if (is_idle(&n->steps[i], first, len, text))
			continue;
		trit_buf_reset(to);
		to->max = max;
		status = apply(n, &n->steps[i], w, len, text, to, err);
		if (status < 0)
			return status;
		text = to->data ? to->data : "";
		len = to->len;
		to = to == &w->a ? &w->b : &w->a;
	}
	*out = text;
	*out_len = len;
	return 0;
}
