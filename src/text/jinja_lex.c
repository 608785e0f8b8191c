/*
 * jinja_lex.c - a template as tokens; white space control is done here.
 *
 * Whether white space round a delimiter goes:
 *
 *     {%-  -%}  all of it, newlines included             {%+  +%}  none
 *     {%        blanks before it, if its line has         %}       one newline after it
 *               nothing else before it                             ({{ and }} leave both)
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>

#include "text/jinja_parts.h"

struct lexer {
	struct trit_heap *heap;
	const char *s;
	size_t len, at;
	int line;           /* of at, from 1 */
	size_t line_start;
	bool line_starting; /* what came before the data at hand ended with a newline */
	struct trit_jinja_token *tokens;
	size_t n, cap;
};

static int fail(struct lexer *l, const char *what)
{
	l->heap->line = l->line;
	l->heap->column = (int)(l->at - l->line_start) + 1;
	return trit_heap_fail(l->heap, TRIT_ERR_FORMAT, "%s", what);
}

static bool looking_at(const struct lexer *l, size_t at, const char *text)
{
	size_t n = strlen(text);

	return n <= l->len - at && memcmp(l->s + at, text, n) == 0;
}

/* Goes on to byte `to`, counting lines. */
static void advance(struct lexer *l, size_t to)
{
	for (; l->at < to; l->at++)
		if (l->s[l->at] == '\n') {
			l->line++;
			l->line_start = l->at + 1;
		}
}

static size_t skip_space(const struct lexer *l, size_t at)
{
	while (at < l->len && trit_char_is_space(trit_char_code(l->len - at, l->s + at)))
		at += trit_char_len(l->len - at, l->s + at);
	return at;
}

static struct trit_jinja_token *put(struct lexer *l, enum trit_jinja_token_type type, const char *text, size_t len)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct trit_jinja_token *tokens = trit_heap_take(l->heap, cap, sizeof *tokens);

		if (!tokens)
			return NULL;
		if (l->n > 0)
			memcpy(tokens, l->tokens, l->n * sizeof *tokens);
		l->tokens = tokens;
		l->cap = cap;
	}
	l->tokens[l->n] = (struct trit_jinja_token){
		.type = type, .line = l->line, .column = (int)(l->at - l->line_start) + 1, .text = { text, NULL, len },
	};
	return &l->tokens[l->n++];
}

/* ---- text and delimiters ----------------------------------------------------------------------------------------- */

/* The text up to byte `to`, where a delimiter with `sign` begins. */
static void put_data(struct lexer *l, size_t to, char sign, bool is_variable)
{
	size_t end = to, line;

	if (sign == '-') {
		struct trit_string text = { l->s + l->at, NULL, to - l->at };

		end = l->at + trit_string_strip(text, (struct trit_string){ 0 }, false, true).len;
	} else if (sign != '+' && !is_variable) {
		for (line = to; line > l->at && l->s[line - 1] != '\n'; line--)
			;
		if ((line > l->at || l->line_starting) && skip_space(l, line) >= to)
			end = line;
	}
	if (end > l->at)
		put(l, TRIT_JINJA_DATA, l->s + l->at, end - l->at);
	advance(l, to);
}

static char sign_at(const struct lexer *l, size_t at)
{
	return at < l->len && (l->s[at] == '-' || l->s[at] == '+') ? l->s[at] : 0;
}

/* Where it goes on after the end delimiter `end` at byte `at`, which a sign may precede; 0: no delimiter there. */
static size_t after_end(const struct lexer *l, size_t at, const char *end, bool trim)
{
	char sign = sign_at(l, at);
	size_t delimiter = at + (sign != 0);

	if (!looking_at(l, delimiter, end))
		return 0;
	if (sign == '+' && !trim)
		return 0; /* "+}}" is an operator and an end */
	if (sign == '-')
		return skip_space(l, delimiter + 2);
	return delimiter + 2 + (!sign && trim && delimiter + 2 < l->len && l->s[delimiter + 2] == '\n');
}

static void finish_block(struct lexer *l, size_t to)
{
	advance(l, to);
	l->line_starting = l->at > 0 && l->s[l->at - 1] == '\n';
}

/* ---- inside delimiters ------------------------------------------------------------------------------------------- */

static unsigned hex(const char *s, int n, bool *ok)
{
	unsigned v = 0;

	for (int i = 0; i < n; i++) {
		int c = (unsigned char)s[i];

		*ok &= isxdigit(c) != 0;
		v = v << 4 | (unsigned)(isdigit(c) ? c - '0' : (c | 32) - 'a' + 10);
	}
	return v;
}

/* Decodes the escape at s[0] == '\\' (len >= 2) into out; returns how many bytes of s it takes. */
static size_t decode_escape(const char *s, size_t len, char out[4], size_t *n)
{
	static const char letters[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
	const char *known = s[1] ? strchr(letters, s[1]) : NULL;
	int digits = s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : s[1] == 'U' ? 8 : 0;
	bool ok = true;
	unsigned code;

	*n = 0;
	if (known) {
		out[(*n)++] = values[known - letters];
		return 2;
	}
	if (s[1] == '\n')
		return 2;
	if (digits > 0 && len >= 2 + (size_t)digits && (code = hex(s + 2, digits, &ok), ok)) {
		if (code >= 0xd800 && code < 0xdc00 && len >= 12 && s[6] == '\\' && s[7] == 'u') { /* a surrogate pair */
			unsigned low = hex(s + 8, 4, &ok);

			if (ok && low >= 0xdc00 && low < 0xe000) {
				*n = trit_char_put(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), out);
				return 12;
			}
		}
		*n = trit_char_put(code, out);
		return 2 + (size_t)digits;
	}
	if (s[1] >= '0' && s[1] <= '7') {
		size_t used = 1;

		for (code = 0; used < 4 && used < len && s[used] >= '0' && s[used] <= '7'; used++)
			code = code * 8 + (unsigned)(s[used] - '0');
		*n = trit_char_put(code, out);
		return used;
	}
	out[(*n)++] = '\\'; /* unknown: the backslash stays */
	return 1;
}

static void put_string(struct lexer *l)
{
	char quote = l->s[l->at], *decoded;
	size_t from = l->at + 1, end = from, len = 0;

	while (end < l->len && l->s[end] != quote)
		end += l->s[end] == '\\' ? 2 : 1;
	if (end >= l->len) {
		fail(l, "a string without end");
		return;
	}
	decoded = trit_heap_take(l->heap, end - from + 4, 1);
	if (!decoded)
		return;
	for (size_t i = from; i < end;) {
		size_t n = 1;

		if (l->s[i] == '\\')
			i += decode_escape(l->s + i, end - i, decoded + len, &n);
		else
			decoded[len] = l->s[i++];
		len += n;
	}
	put(l, TRIT_JINJA_STRING, decoded, len);
	advance(l, end + 1);
}

/* Digits, with single underscores between them. */
static size_t skip_digits(const struct lexer *l, size_t at)
{
	while (at < l->len && (isdigit((unsigned char)l->s[at]) ||
	                       (l->s[at] == '_' && at + 1 < l->len && isdigit((unsigned char)l->s[at + 1]))))
		at++;
	return at;
}

static bool digit_at(const struct lexer *l, size_t at)
{
	return at < l->len && isdigit((unsigned char)l->s[at]);
}

/* Where the float that begins here ends; 0 when this is an integer. */
static size_t float_end(const struct lexer *l, size_t at)
{
	size_t end = skip_digits(l, at), e;
	bool is_float = false;

	if (at > 0 && l->s[at - 1] == '.')
		return 0; /* a.0.1 */
	if (end < l->len && l->s[end] == '.' && digit_at(l, end + 1)) {
		end = skip_digits(l, end + 1);
		is_float = true;
	}
	if (end < l->len && (l->s[end] | 32) == 'e') {
		e = end + 1;
		if (e < l->len && (l->s[e] == '+' || l->s[e] == '-'))
			e++;
		if (digit_at(l, e))
			return skip_digits(l, e);
	}
	return is_float ? end : 0;
}

static void put_number(struct lexer *l)
{
	size_t end = float_end(l, l->at), from = l->at, n = 0;
	bool is_float = end > 0;
	struct trit_jinja_token *token;
	int base = 10;
	char text[80], *rest;

	if (!is_float) {
		char second = l->at + 1 < l->len && l->s[l->at] == '0' ? (char)(l->s[l->at + 1] | 32) : 0;

		base = second == 'x' ? 16 : second == 'o' ? 8 : second == 'b' ? 2 : 10;
		from += base == 10 ? 0 : 2;
		for (end = from; end < l->len && (isxdigit((unsigned char)l->s[end]) || l->s[end] == '_'); end++)
			if (base == 10 && !digit_at(l, end) && l->s[end] != '_')
				break;
	}
	for (size_t i = from; i < end && n < sizeof text; i++)
		if (l->s[i] != '_')
			text[n++] = l->s[i];
	if (n == 0 || n >= sizeof text) {
		fail(l, "a number that is none");
		return;
	}
	text[n] = 0;
	token = put(l, TRIT_JINJA_NUMBER, l->s + l->at, end - l->at);
	if (!token)
		return;
	errno = 0;
	if (is_float)
		token->value = trit_value_float(strtod(text, &rest));
	else
		token->value = trit_value_int(strtoll(text, &rest, base));
	if (*rest || (errno == ERANGE && !is_float)) {
		if (*rest)
			fail(l, "a number that is none");
		else
			trit_heap_fail(l->heap, TRIT_ERR_LIMIT, "a number beyond 64 bits");
		return;
	}
	advance(l, end);
}

/* Puts the token at hand. */
static void put_token(struct lexer *l)
{
	static const char *const operators[] = { "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "[", "]",
		                                 "(", ")", "{", "}", "<", ">", "=", ".", ":", "|", ",", ";" };
	unsigned char c = (unsigned char)l->s[l->at];
	size_t end = l->at;

	if (isalpha(c) || c == '_' || c >= 0x80) {
		while (end < l->len && (isalnum((unsigned char)l->s[end]) || l->s[end] == '_' || (l->s[end] & 0x80)))
			end++;
		put(l, TRIT_JINJA_NAME, l->s + l->at, end - l->at);
		advance(l, end);
	} else if (isdigit(c)) {
		put_number(l);
	} else if (c == '\'' || c == '"') {
		put_string(l);
	} else {
		for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
			if (looking_at(l, l->at, operators[i])) {
				put(l, TRIT_JINJA_OPERATOR, operators[i], strlen(operators[i]));
				advance(l, l->at + strlen(operators[i]));
				return;
			}
		fail(l, "a character that means nothing here");
	}
}

/* The tokens up to the end delimiter, that included. Within brackets it is none. */
static void lex_inside(struct lexer *l, bool is_variable)
{
	const char *end = is_variable ? "}}" : "%}";
	size_t brackets = 0;

	while (l->heap->status == 0) {
		size_t next;

		advance(l, skip_space(l, l->at));
		if (l->at >= l->len) {
			fail(l, is_variable ? "{{ without }}" : "{% without %}");
			return;
		}
		next = brackets == 0 ? after_end(l, l->at, end, !is_variable) : 0;
		if (next > 0) {
			put(l, is_variable ? TRIT_JINJA_VARIABLE_END : TRIT_JINJA_BLOCK_END, "", 0);
			finish_block(l, next);
			return;
		}
		if (strchr("([{", l->s[l->at]) && l->s[l->at])
			brackets++;
		else if (strchr(")]}", l->s[l->at]) && l->s[l->at] && brackets > 0)
			brackets--;
		put_token(l);
	}
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* Where a block tag with only this word ends ({%- word -%}); 0: there is none at `at`. */
static size_t word_block(const struct lexer *l, size_t at, const char *word, bool trim)
{
	size_t from;

	if (!looking_at(l, at, "{%"))
		return 0;
	from = skip_space(l, at + 2 + (sign_at(l, at + 2) != 0));
	if (!looking_at(l, from, word))
		return 0;
	return after_end(l, skip_space(l, from + strlen(word)), "%}", trim);
}

/* What stands between {% raw %} and {% endraw %}, from where l->at is. */
static void lex_raw(struct lexer *l)
{
	for (size_t i = l->at; i < l->len; i++) {
		size_t next = l->s[i] == '{' ? word_block(l, i, "endraw", true) : 0;

		if (next > 0) {
			put_data(l, i, sign_at(l, i + 2), false);
			finish_block(l, next);
			return;
		}
	}
	fail(l, "{% raw %} without {% endraw %}");
}

static void lex_comment(struct lexer *l)
{
	for (size_t i = l->at; i < l->len; i++) {
		size_t next = l->s[i] == '#' || l->s[i] == '-' || l->s[i] == '+' ? after_end(l, i, "#}", true) : 0;

		if (next > 0) {
			finish_block(l, next);
			return;
		}
	}
	fail(l, "{# without #}");
}

static void lex_all(struct lexer *l)
{
	while (l->at < l->len && l->heap->status == 0) {
		size_t i = l->at, raw;
		char kind, sign;

		while (i + 1 < l->len && !(l->s[i] == '{' && strchr("{%#", l->s[i + 1]) && l->s[i + 1]))
			i++;
		if (i + 1 >= l->len) {
			put_data(l, l->len, '+', true);
			return;
		}
		kind = l->s[i + 1];
		sign = sign_at(l, i + 2);
		raw = word_block(l, i, "raw", false);
		put_data(l, i, sign, kind == '{');
		if (raw > 0) {
			finish_block(l, raw);
			lex_raw(l);
		} else if (kind == '#') {
			advance(l, i + 2 + (sign != 0));
			lex_comment(l);
		} else {
			put(l, kind == '{' ? TRIT_JINJA_VARIABLE_BEGIN : TRIT_JINJA_BLOCK_BEGIN, "", 0);
			advance(l, i + 2 + (sign != 0));
			lex_inside(l, kind == '{');
		}
	}
}

/* A copy with "\n" for every kind of newline, and without the one at the end. */
static void copy_source(struct lexer *l, size_t len, const char *source)
{
	char *s = trit_heap_take(l->heap, len + 1, 1);

	for (size_t i = 0; s && i < len; i++) {
		s[l->len++] = source[i] == '\r' ? '\n' : source[i];
		if (source[i] == '\r' && i + 1 < len && source[i + 1] == '\n')
			i++;
	}
	if (s && l->len > 0 && s[l->len - 1] == '\n')
		l->len--;
	l->s = s;
}

const struct trit_jinja_token *trit_jinja_lex(struct trit_heap *h, size_t len, const char *source)
{
	struct lexer l = { .heap = h, .line = 1, .line_starting = true };

	copy_source(&l, len, source);
	if (h->status == 0)
		lex_all(&l);
	put(&l, TRIT_JINJA_END, "", 0);
	return h->status == 0 ? l.tokens : NULL;
}
