/*
 * tiktoken.c - vocabularies in tiktoken's form.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "format/base64.h"
#include "format/tiktoken.h"
#include "text/alphabet.h"

#define MAX_TOKEN 256                        /* bytes of a token; those of published files have up to 128 */
#define MAX_TEXT (256 << 20)                 /* bytes of all texts of the vocabulary */
#define MAX_HOLES 65536                      /* ranks that no line has */

struct token {
	const unsigned char *bytes; /* NULL: no line has this rank */
	uint32_t len;
};

struct list {
	struct token *tokens; /* [n], by rank */
	size_t n, lines;
	unsigned char *bytes; /* of all tokens */
	uint32_t *table;      /* rank + 1 by a hash of the bytes, 0 where empty; mask + 1 slots */
	size_t mask;
};

/* A cut of a token into two. */
struct merge {
	uint32_t result, left, right;
};

/* ---- families --------------------------------------------------------------------------------------------------- */

struct special {
	size_t id;
	const char *text;
};

static const struct special llama3_special[] = {
	{ 128000, "<|begin_of_text|>" }, { 128001, "<|end_of_text|>" }, { 128006, "<|start_header_id|>" },
	{ 128007, "<|end_header_id|>" }, { 128009, "<|eot_id|>" },      { 0, NULL },
};
static const struct special cl100k_special[] = {
	{ 100257, "<|endoftext|>" },  { 100258, "<|fim_prefix|>" },  { 100259, "<|fim_middle|>" },
	{ 100260, "<|fim_suffix|>" }, { 100276, "<|endofprompt|>" }, { 0, NULL },
};
static const struct special o200k_special[] = {
	{ 199999, "<|endoftext|>" }, { 200018, "<|endofprompt|>" }, { 0, NULL },
};
static const struct special qwen_special[] = {
	{ 151643, "<|endoftext|>" }, { 151644, "<|im_start|>" }, { 151645, "<|im_end|>" }, { 0, NULL },
};
static const struct special gpt2_special[] = { { 50256, "<|endoftext|>" }, { 0, NULL } };
static const struct special no_special[] = { { 0, NULL } };

/* By the number of lines. Where `reserved` is set, ids between the special ones are "<|reserved_special_token_N|>", as
 * in Llama 3's. */
static const struct family {
	size_t lines, tokens; /* tokens: with special ones; 0: as many as the highest needs */
	const char *name, *pre;
	const struct special *special;
	bool reserved, add_bos;
} families[] = {
	{ 128000, 128256, "Llama 3", "llama-bpe", llama3_special, true, true },
	{ 100256, 0, "cl100k", "llama-bpe", cl100k_special, false, false },
	{ 199998, 0, "o200k", "gpt-4o", o200k_special, false, false },
	{ 151643, 0, "Qwen", "qwen2", qwen_special, false, false },
	{ 50256, 0, "GPT-2", "gpt-2", gpt2_special, false, false },
}, unknown = { 0, 0, "", "llama-bpe", no_special, false, false };

static const struct family *find_family(size_t lines)
{
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (families[i].lines == lines)
			return &families[i];
	trit_log(TRIT_LOG_NOTE, "a tiktoken file of %zu tokens is not known: its text is cut as by cl100k, and it has no "
	                        "special tokens", lines);
	return &unknown;
}

/* The special token of an id, in `text` of 48 bytes; NULL when there is none. */
static const char *special_text(const struct family *f, size_t id, char *text)
{
	size_t before = 0;

	for (const struct special *s = f->special; s->text; s++) {
		if (s->id == id)
			return s->text;
		before += s->id < id;
	}
	if (!f->reserved || id < f->lines)
		return NULL;
	snprintf(text, 48, "<|reserved_special_token_%zu|>", id - f->lines - before);
	return text;
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

/* One line: the letters, and the number. Returns where the next line begins, or NULL. */
static const char *read_line(const char *at, const char *end, size_t *letters, size_t *rank)
{
	const char *line_end = memchr(at, '\n', (size_t)(end - at)), *p;
	const char *next = line_end ? line_end + 1 : end;
	const char *space;

	line_end = line_end ? line_end : end;
	if (line_end > at && line_end[-1] == '\r')
		line_end--;
	space = memchr(at, ' ', (size_t)(line_end - at));
	if (!space || line_end - space < 2 || line_end - space > 9)
		return NULL;
	*letters = (size_t)(space - at);
	*rank = 0;
	for (p = space + 1; p < line_end; p++) {
		if (*p < '0' || *p > '9')
			return NULL;
		*rank = *rank * 10 + (size_t)(*p - '0');
	}
	return next;
}

bool trit_is_tiktoken(size_t size, const unsigned char *data)
{
	const char *text = (const char *)data;
	unsigned char bytes[48];
	size_t letters, rank, n;

	return size > 0 && read_line(text, text + (size < 80 ? size : 80), &letters, &rank) && letters > 0 &&
	       letters <= 64 && trit_base64_decode(letters, text, bytes, &n) && n > 0;
}

static size_t hash(const struct list *l, size_t len, const unsigned char *bytes)
{
	return (size_t)trit_hash_bytes(0, bytes, len) & l->mask;
}

/* The slot of the token with these bytes, or the empty one where it belongs. */
static uint32_t *find_slot(const struct list *l, size_t len, const unsigned char *bytes)
{
	size_t i = hash(l, len, bytes);

	for (; l->table[i]; i = (i + 1) & l->mask) {
		const struct token *t = &l->tokens[l->table[i] - 1];

		if (t->len == len && !memcmp(t->bytes, bytes, len))
			break;
	}
	return &l->table[i];
}

static int fail_line(size_t line, const char *what, struct trit_error *err)
{
	return trit_fail(err, TRIT_ERR_FORMAT, "line %zu: %s", line, what);
}

static int read_lines(struct list *l, const char *data, const char *end, struct trit_error *err)
{
	size_t used = 0, line = 0;

	while (data < end) {
		size_t letters = 0, rank = 0, n = 0;
		const char *text = data;
		uint32_t *slot;

		line++;
		data = read_line(data, end, &letters, &rank);
		if (!data || letters == 0)
			return fail_line(line, "not Base64, a space and a rank; the file is damaged or no tiktoken file", err);
		if (letters / 4 * 3 > MAX_TOKEN)
			return fail_line(line, "a token that is too long", err);
		if (!trit_base64_decode(letters, text, l->bytes + used, &n) || n == 0)
			return fail_line(line, "its token is not Base64; the file is damaged", err);
		if (rank >= l->lines + MAX_HOLES || rank >= TRIT_MAX_VOCAB)
			return fail_line(line, "a rank beyond the number of tokens; the file is damaged", err);
		slot = find_slot(l, n, l->bytes + used);
		if (l->tokens[rank].bytes || *slot)
			return fail_line(line, "its rank or its token has a line already; the file is damaged", err);
		*slot = (uint32_t)rank + 1;
		l->tokens[rank] = (struct token){ l->bytes + used, (uint32_t)n };
		l->n = rank >= l->n ? rank + 1 : l->n;
		used += n;
	}
	return 0;
}

static int open_list(struct list *l, size_t size, const char *data, struct trit_error *err)
{
	size_t slots = 16;

	for (size_t i = 0; i < size; i++)
		l->lines += data[i] == '\n' || i + 1 == size;
	while (slots < 2 * l->lines)
		slots *= 2;
	l->mask = slots - 1;
	l->table = trit_calloc(slots, sizeof *l->table);
	l->tokens = trit_calloc(l->lines + MAX_HOLES, sizeof *l->tokens);
	l->bytes = trit_calloc(size + 1, 1); /* fewer than letters */
	if (!l->table || !l->tokens || !l->bytes)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu tokens", l->lines);
	return read_lines(l, data, data + size, err);
}

static void release_list(struct list *l)
{
	trit_free(l->table);
	trit_free(l->tokens);
	trit_free(l->bytes);
}

/* ---- merges ----------------------------------------------------------------------------------------------------- */

/* The cuts of token `rank` into two tokens, in order of the left one's rank, then the right one's; returns how many.
 * Few, so sorted by inserting. `out` NULL: they are only counted. */
static size_t cut_token(const struct list *l, size_t rank, struct merge *out)
{
	const struct token *t = &l->tokens[rank];
	size_t n = 0;

	for (uint32_t i = 1; t->bytes && i < t->len; i++) {
		uint32_t left = *find_slot(l, i, t->bytes), right = *find_slot(l, t->len - i, t->bytes + i);
		size_t at = n;

		if (!left || !right)
			continue;
		n++;
		if (!out)
			continue;
		for (; at > 0 && (out[at - 1].left > left || (out[at - 1].left == left && out[at - 1].right > right)); at--)
			out[at] = out[at - 1];
		out[at] = (struct merge){ (uint32_t)rank, left, right };
	}
	return n;
}

static size_t text_len(const struct token *t)
{
	char text[2];
	size_t n = 0;

	for (uint32_t i = 0; i < t->len; i++)
		n += trit_alphabet_encode(1, (const char *)t->bytes + i, text);
	return n;
}

/* "left right" of one merge into the vocabulary. */
static int put_merge(struct trit_vocab *v, size_t rank, const struct merge *m, struct trit_error *err)
{
	const struct trit_piece *a = &v->pieces[m->left - 1], *b = &v->pieces[m->right - 1];
	char text[2 * TRIT_MAX_TOKEN_BYTES + 1];

	memcpy(text, a->text, a->len);
	text[a->len] = ' ';
	memcpy(text + a->len + 1, b->text, b->len);
	return trit_vocab_set_merge(v, rank, a->len + 1 + b->len, text, err);
}

static int put_merges(struct trit_vocab *v, const struct list *l, struct trit_error *err)
{
	struct merge merges[MAX_TOKEN];
	size_t done = 0;
	int status = 0;

	for (size_t rank = 0; rank < l->n && status == 0; rank++) {
		size_t n = cut_token(l, rank, merges);

		for (size_t i = 0; i < n && status == 0; i++)
			status = put_merge(v, done++, &merges[i], err);
	}
	return status;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static int put_piece(struct trit_vocab *v, const struct list *l, const struct family *f, size_t id,
                     struct trit_error *err)
{
	char text[TRIT_MAX_TOKEN_BYTES];
	const char *special;
	size_t len;

	if (id < l->n && l->tokens[id].bytes) {
		len = trit_alphabet_encode(l->tokens[id].len, (const char *)l->tokens[id].bytes, text);
		return trit_vocab_set_piece(v, id, len, text, TRIT_TOKEN_NORMAL, err);
	}
	special = special_text(f, id, text);
	if (special)
		return trit_vocab_set_piece(v, id, strlen(special), special, TRIT_TOKEN_CONTROL, err);
	len = (size_t)snprintf(text, sizeof text, "[PAD%zu]", id);
	return trit_vocab_set_piece(v, id, len, text, TRIT_TOKEN_UNUSED, err);
}

static void find_special(struct trit_vocab *v, const struct family *f)
{
	for (const struct special *s = f->special; s->text; s++) {
		trit_token id = (trit_token)s->id;

		if (!strcmp(s->text, "<|begin_of_text|>"))
			v->bos = id;
		if (!strcmp(s->text, "<|end_of_text|>") || !strcmp(s->text, "<|endoftext|>"))
			v->eos = id;
		if (!strcmp(s->text, "<|eot_id|>") || !strcmp(s->text, "<|im_end|>"))
			v->eot = id;
	}
	v->add_bos = f->add_bos;
}

static int build(struct trit_vocab *v, const struct list *l, struct trit_error *err)
{
	const struct family *f = find_family(l->n == l->lines ? l->n : 0);
	size_t n = l->n, n_merges = 0, bytes = 0;
	int status;

	for (const struct special *s = f->special; s->text; s++)
		n = s->id >= n ? s->id + 1 : n;
	n = f->tokens > n ? f->tokens : n;
	for (size_t id = 0; id < n; id++)
		bytes += id < l->n && l->tokens[id].bytes ? text_len(&l->tokens[id]) : 48;
	for (size_t id = 0; id < l->n; id++) {
		size_t cuts = cut_token(l, id, NULL);

		n_merges += cuts;
		bytes += cuts * (text_len(&l->tokens[id]) + 1);
	}
	if (bytes > MAX_TEXT) /* published files: below 20 MB */
		return trit_fail(err, TRIT_ERR_LIMIT, "merges of more than %d bytes", MAX_TEXT);
	status = trit_vocab_init(v, "gpt2", f->pre, n, n_merges, bytes, err);
	for (size_t id = 0; id < n && status == 0; id++)
		status = put_piece(v, l, f, id, err);
	if (status == 0)
		status = put_merges(v, l, err);
	if (status == 0)
		find_special(v, f);
	return status;
}

int trit_tiktoken_parse(size_t size, const char *data, struct trit_vocab *out, struct trit_error *err)
{
	struct trit_vocab v = { 0 };
	struct list l = { 0 };
	int status = open_list(&l, size, data, err);

	if (status == 0 && l.n == 0)
		status = trit_fail(err, TRIT_ERR_FORMAT, "the file is empty");
	if (status == 0)
		status = build(&v, &l, err);
	release_list(&l);
	if (status < 0) {
		trit_vocab_release(&v);
		return status;
	}
	*out = v;
	return 0;
}

int trit_tiktoken_read(const char *path, struct trit_vocab *out, struct trit_error *err)
{
	struct trit_map map;
	int status = trit_map_open(&map, path, err);

	if (status < 0)
		return status;
	status = trit_tiktoken_parse(map.size, (const char *)map.data, out, err);
	trit_map_close(&map);
	return status < 0 ? trit_fail_prefix(err, status, "%s", path) : 0;
}
