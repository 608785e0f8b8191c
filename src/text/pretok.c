/*
 * pretok.c - the table of pre-tokenisers, and cutting text with it by PCRE2.
 *
 * The expressions are the ones the models' makers published (in tokenizer.json or in tiktoken's source), with \s and \S
 * written out: there they mean Unicode's White_Space, in PCRE2 also U+180E. The whole text is checked for UTF-8 once,
 * so the matching itself does not check, which keeps long documents linear.
 *
 * References: Radford et al. 2019 (GPT-2's encoder.py); the tokenizer.json of Llama 3, Qwen 2, SmolLM, StarCoder
 * and Mistral Nemo; the names, and what "default" means, are llama.cpp's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef TRIT_HAVE_PCRE2
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#endif

#include "base/log.h"
#include "base/mem.h"
#include "text/pretok.h"
#include "text/utf8.h"

#define MAX_STAGES 4

/* White_Space, for use inside [ ]. */
#define WS "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
/* The last space of a run goes with the word that follows. */
#define SPACES "[" WS "]+(?![^" WS "])|[" WS "]+"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" WS "\\p{L}\\p{N}]+|" SPACES
#define LLAMA3_WITH(digits) \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^" WS "\\p{L}\\p{N}]+[\\r\\n]*|[" WS \
	"]*[\\r\\n]+|" SPACES
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define TEKKEN \
	"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*|\\p{N}| ?[^" WS \
	"\\p{L}\\p{N}]+[\\r\\n/]*|[" WS "]*[\\r\\n]+|" SPACES

enum stage_kind {
	END,     /* no more stages */
	TILE,    /* the expression matches at every place: its matches, end to end, are the parts */
	ISOLATE, /* matches are parts, and so is what lies between them */
};

/* Every family has exactly one TILE; it is what bounds the length of pieces. */
static const struct family {
	bool ignores_merges;
	struct {
		enum stage_kind kind;
		const char *pattern;
	} stages[MAX_STAGES];
} gpt2 = { false, { { TILE, GPT2 } } },
  llama3 = { true, { { TILE, LLAMA3_WITH("\\p{N}{1,3}") } } },
  llama3_merging = { false, { { TILE, LLAMA3_WITH("\\p{N}{1,3}") } } },
  qwen2 = { false, { { TILE, LLAMA3_WITH("\\p{N}") } } },
  tekken = { true, { { TILE, TEKKEN } } },
  smollm = { false, { { ISOLATE, "\\p{N}" }, { TILE, GPT2 } } },
  unnamed = { false,
	      { { ISOLATE, "[\\p{P}$+<=>^~|]+" }, { TILE, GPT2 }, { ISOLATE, "\\p{N}+" },
		{ ISOLATE, "[0-9][0-9][0-9]" } } };

static const struct {
	const char *name;
	const struct family *family;
} names[] = {
	{ "gpt-2", &gpt2 },         { "llama-bpe", &llama3 },    { "llama3", &llama3 },
	{ "llama-v3", &llama3 },    { "falcon3", &llama3 },      { "falcon-h1", &llama3 },
	{ "pixtral", &llama3 },     { "lfm2", &llama3 },         { "dbrx", &llama3_merging },
	{ "smaug-bpe", &llama3_merging }, { "qwen2", &qwen2 },   { "deepseek-r1-qwen", &qwen2 },
	{ "stablelm2", &qwen2 },    { "smollm", &smollm },       { "starcoder", &smollm },
	{ "refact", &smollm },      { "command-r", &smollm },    { "codeshell", &smollm },
	{ "exaone", &smollm },      { "minerva-7b", &smollm },   { "tekken", &tekken },
	{ "mpt", &gpt2 },           { "olmo", &gpt2 },           { "phi-2", &gpt2 },
	{ "jais", &gpt2 },          { "default", &unnamed },
};

static const struct family *find_family(const char *name, struct trit_error *err)
{
	char list[320];
	size_t used = 0;

	if (!*name) {
		trit_log(TRIT_LOG_NOTE, "the vocabulary names no pre-tokenizer (tokenizer.ggml.pre); using gpt-2");
		return &gpt2;
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int n;

		if (!strcmp(names[i].name, name))
			return names[i].family;
		n = snprintf(list + used, sizeof list - used, "%s%s", i ? " " : "", names[i].name);
		used += used + (size_t)n < sizeof list ? (size_t)n : 0;
	}
	trit_fail(err, TRIT_ERR_UNSUPPORTED, "pre-tokenizer \"%.40s\" is unknown; known are: %.*s", name, (int)used,
	          list);
	return NULL;
}

#ifndef TRIT_HAVE_PCRE2

int trit_pretok_new(struct trit_pretok **out, const char *name, struct trit_error *err)
{
	(void)out;
	if (!find_family(name, err))
		return TRIT_ERR_UNSUPPORTED;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED,
	                 "this build cannot tokenize: it is without PCRE2; install libpcre2-dev and build again");
}

void trit_pretok_free(struct trit_pretok *p)
{
	(void)p;
}

bool trit_pretok_ignores_merges(const struct trit_pretok *p)
{
	(void)p;
	return false;
}

int trit_cutter_new(struct trit_cutter **out, const struct trit_pretok *p, struct trit_error *err)
{
	(void)out;
	(void)p;
	return trit_fail(err, TRIT_ERR_UNSUPPORTED, "this build was made without PCRE2");
}

void trit_cutter_free(struct trit_cutter *c)
{
	(void)c;
}

void trit_cutter_start(struct trit_cutter *c, size_t len, const char *text)
{
	(void)c;
	(void)len;
	(void)text;
}

int trit_cutter_next(struct trit_cutter *c, const char **piece, size_t *len, struct trit_error *err)
{
	(void)c;
	(void)piece;
	(void)len;
	(void)err;
	return 0;
}

void trit_cutter_limit(struct trit_cutter *c, uint32_t match_limit)
{
	(void)c;
	(void)match_limit;
}

#else

struct trit_pretok {
	const struct family *family;
	pcre2_general_context *memory; /* makes PCRE2 allocate as everything else does */
	int n_stages;
	struct {
		enum stage_kind kind;
		pcre2_code *code;
		bool compiled; /* to machine code; else PCRE2 interprets */
	} stages[MAX_STAGES];
};

static void *allocate(size_t size, void *unused)
{
	(void)unused;
	return trit_calloc(size, 1);
}

static void release(void *p, void *unused)
{
	(void)unused;
	trit_free(p);
}

static int compile(struct trit_pretok *p, enum stage_kind kind, const char *pattern, struct trit_error *err)
{
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NO_AUTO_CAPTURE | (kind == TILE ? PCRE2_ANCHORED : 0);
	pcre2_compile_context *context = pcre2_compile_context_create(p->memory);
	pcre2_code *code;
	int error;
	PCRE2_SIZE where;

	if (!context)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a pre-tokenizer");
	code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &error, &where, context);
	pcre2_compile_context_free(context);
	if (!code) { /* the patterns are ours and sound, so it is memory, or a PCRE2 without Unicode */
		bool no_unicode = error == PCRE2_ERROR_UNICODE_NOT_SUPPORTED;

		return trit_fail(err, no_unicode ? TRIT_ERR_UNSUPPORTED : TRIT_ERR_MEMORY,
		                 "PCRE2 cannot compile a pre-tokenizer (its error %d)", error);
	}
	p->stages[p->n_stages].kind = kind;
	p->stages[p->n_stages].code = code;
	p->stages[p->n_stages].compiled = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
	p->n_stages++;
	return 0;
}

int trit_pretok_new(struct trit_pretok **out, const char *name, struct trit_error *err)
{
	const struct family *family = find_family(name, err);
	struct trit_pretok *p;

	if (!family)
		return TRIT_ERR_UNSUPPORTED;
	p = trit_calloc(1, sizeof *p);
	if (p)
		p->memory = pcre2_general_context_create(allocate, release, NULL);
	if (!p || !p->memory) {
		trit_pretok_free(p);
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a pre-tokenizer");
	}
	p->family = family;
	for (int i = 0; i < MAX_STAGES && family->stages[i].kind != END; i++) {
		int status = compile(p, family->stages[i].kind, family->stages[i].pattern, err);

		if (status < 0) {
			trit_pretok_free(p);
			return status;
		}
	}
	*out = p;
	return 0;
}

void trit_pretok_free(struct trit_pretok *p)
{
	if (!p)
		return;
	for (int i = 0; i < p->n_stages; i++)
		pcre2_code_free(p->stages[i].code);
	pcre2_general_context_free(p->memory);
	trit_free(p);
}

bool trit_pretok_ignores_merges(const struct trit_pretok *p)
{
	return p->family->ignores_merges;
}

/*
 * The parts of level n are the text of level n + 1; level 0 cuts by UTF-8, level n by stage n - 1, and the parts of the
 * last level are the pieces. At any time one text of each level down to `depth` is being cut:
 *
 *     level 0   |--------------------- the text ---------------------|
 *     level 1        |---- a part of it, valid UTF-8 ----|
 *     level 2             |--- a part of that ---|
 *                              ^ at              ^ end
 */
struct trit_cutter {
	const struct trit_pretok *pretok;
	pcre2_match_data *match;
	pcre2_match_context *context;
	int depth; /* -1: the text is finished */
	struct level {
		const char *at, *end; /* what is left to cut */
		const char *match_end; /* ISOLATE: a match found at `at`, not handed out yet; else NULL */
	} levels[MAX_STAGES + 1];
};

int trit_cutter_new(struct trit_cutter **out, const struct trit_pretok *p, struct trit_error *err)
{
	struct trit_cutter *c = trit_calloc(1, sizeof *c);

	if (c) {
		c->pretok = p;
		c->depth = -1;
		c->match = pcre2_match_data_create(1, p->memory);
		c->context = pcre2_match_context_create(p->memory);
	}
	if (!c || !c->match || !c->context) {
		trit_cutter_free(c);
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a pre-tokenizer");
	}
	*out = c;
	return 0;
}

void trit_cutter_free(struct trit_cutter *c)
{
	if (!c)
		return;
	pcre2_match_data_free(c->match);
	pcre2_match_context_free(c->context);
	trit_free(c);
}

void trit_cutter_limit(struct trit_cutter *c, uint32_t match_limit)
{
	pcre2_set_match_limit(c->context, match_limit);
}

void trit_cutter_start(struct trit_cutter *c, size_t len, const char *text)
{
	c->levels[0] = (struct level){ .at = text, .end = text + len };
	c->depth = 0;
}

/* Matches stage `s` somewhere in the text (TILE: at its beginning). 1: found, 0: no match, negative: PCRE2's error. */
static int match(struct trit_cutter *c, int s, const char *text, const char *end, const char **begin_found,
                 const char **end_found)
{
	const pcre2_code *code = c->pretok->stages[s].code;
	PCRE2_SPTR subject = (PCRE2_SPTR)text;
	size_t len = (size_t)(end - text);
	const PCRE2_SIZE *found;
	int n;

	if (c->pretok->stages[s].compiled)
		n = pcre2_jit_match(code, subject, len, 0, PCRE2_NO_UTF_CHECK, c->match, c->context);
	else
		n = pcre2_match(code, subject, len, 0, PCRE2_NO_UTF_CHECK, c->match, c->context);
	if (n < 0)
		return n == PCRE2_ERROR_NOMATCH ? 0 : n;
	found = pcre2_get_ovector_pointer(c->match);
	*begin_found = text + found[0];
	*end_found = text + found[1];
	return found[1] > found[0];
}

/* The end of the next part of a level cut by a TILE stage. */
static int next_tile(struct trit_cutter *c, int s, const struct level *l, const char **part_end, struct trit_error *err)
{
	const char *window_end = l->end, *begin;
	int n;

	if (window_end - l->at > TRIT_MAX_WORD_BYTES) {
		window_end = l->at + TRIT_MAX_WORD_BYTES;
		while ((*window_end & 0xc0) == 0x80)
			window_end--; /* at most three steps, as it is valid UTF-8 */
	}
	n = match(c, s, l->at, window_end, &begin, part_end);
	if (n == PCRE2_ERROR_NOMEMORY)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to match a pre-tokenizer");
	if (n < 0)
		*part_end = window_end;
	else if (n == 0) /* cannot be with the patterns above; one character keeps the walk going in any case */
		*part_end = l->at + trit_utf8_check((size_t)(l->end - l->at), l->at);
	return 0;
}

/* The end of the next part of a level cut by an ISOLATE stage: what lies before a match, then the match. */
static int next_isolated(struct trit_cutter *c, int s, struct level *l, const char **part_end, struct trit_error *err)
{
	const char *begin, *end;
	int n;

	if (l->match_end) {
		*part_end = l->match_end;
		l->match_end = NULL;
		return 0;
	}
	n = match(c, s, l->at, l->end, &begin, &end);
	if (n == PCRE2_ERROR_NOMEMORY)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory to match a pre-tokenizer");
	if (n <= 0) {
		*part_end = l->end;
	} else if (begin == l->at) {
		*part_end = end;
	} else {
		*part_end = begin;
		l->match_end = end;
	}
	return 0;
}

int trit_cutter_next(struct trit_cutter *c, const char **piece, size_t *len, struct trit_error *err)
{
	while (c->depth >= 0) {
		struct level *l = &c->levels[c->depth];
		const char *begin = l->at, *end = NULL;
		size_t left = (size_t)(l->end - l->at);
		bool last = c->depth == c->pretok->n_stages;
		int status = 0;

		if (left == 0) {
			c->depth--;
			continue;
		}
		if (c->depth == 0) {
			size_t n = trit_utf8_valid(left, begin);

			if (n == 0)
				last = true;
			end = begin + (n ? n : trit_utf8_invalid(left, begin, TRIT_MAX_WORD_BYTES - 2));
		} else if (c->pretok->stages[c->depth - 1].kind == TILE) {
			status = next_tile(c, c->depth - 1, l, &end, err);
		} else {
			status = next_isolated(c, c->depth - 1, l, &end, err);
		}
		if (status < 0)
			return status;
		l->at = end;
		if (last) {
			*piece = begin;
			*len = (size_t)(end - begin);
			return 1;
		}
		c->levels[++c->depth] = (struct level){ .at = begin, .end = end };
	}
	return 0;
}

#endif
