/*
 * pretok.c - cutting a text by the stages of a pre-tokeniser.
 *
 * The whole text is checked for UTF-8 once, so the matching itself does not check, which keeps long documents linear.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/log.h"
#include "base/mem.h"
#include "text/pretok.h"
#include "text/pretok_names.h"
#include "text/regex.h"
#include "text/utf8.h"

struct trit_pretok {
	int n_stages;
	bool bounded; /* some stage has `tiles`: it bounds the length of pieces */
	struct {
		struct trit_split split; /* but for its pattern, which is not kept */
		struct trit_regex *regex;
	} stages[TRIT_MAX_SPLITS];
};

static int compile(struct trit_pretok *p, const struct trit_split *split, unsigned trusted, struct trit_error *err)
{
	unsigned flags = trusted | (split->tiles ? TRIT_REGEX_ANCHORED : 0) | (split->bytes ? TRIT_REGEX_BYTES : 0);
	int status = trit_regex_new(&p->stages[p->n_stages].regex, split->pattern, flags, err);

	if (status < 0)
		return trit_fail_prefix(err, status, "pre-tokenizer");
	p->stages[p->n_stages].split = *split;
	p->stages[p->n_stages].split.pattern = NULL;
	p->bounded = p->bounded || split->tiles;
	p->n_stages++;
	return 0;
}

static int make(struct trit_pretok **out, int n, const struct trit_split *splits, unsigned trusted,
                struct trit_error *err)
{
	struct trit_pretok *p;
	int status = 0;

	if (n > TRIT_MAX_SPLITS)
		return trit_fail(err, TRIT_ERR_LIMIT, "a pre-tokenizer of more than %d stages", TRIT_MAX_SPLITS);
	p = trit_calloc(1, sizeof *p);
	if (!p)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a pre-tokenizer");
	for (int i = 0; i < n && status == 0; i++)
		status = compile(p, &splits[i], trusted, err);
	if (status < 0) {
		trit_pretok_free(p);
		return status;
	}
	*out = p;
	return 0;
}

int trit_pretok_new(struct trit_pretok **out, const char *name, struct trit_error *err)
{
	const struct trit_pretok_row *row;
	int n = 0;

	if (!*name)
		trit_log(TRIT_LOG_NOTE, "the vocabulary names no pre-tokenizer (tokenizer.ggml.pre); using gpt-2");
	row = trit_pretok_find_row(*name ? name : "gpt-2", err);
	if (!row)
		return TRIT_ERR_UNSUPPORTED;
	while (row->splits[n].pattern)
		n++;
	return make(out, n, row->splits, TRIT_REGEX_TRUSTED, err);
}

int trit_pretok_new_custom(struct trit_pretok **out, int n, const struct trit_split *splits, struct trit_error *err)
{
	return make(out, n, splits, 0, err);
}

void trit_pretok_free(struct trit_pretok *p)
{
	if (!p)
		return;
	for (int i = 0; i < p->n_stages; i++)
		trit_regex_free(p->stages[i].regex);
	trit_free(p);
}

/* ---- walking ---------------------------------------------------------------------------------------------------- */

/* A part of a text: a match of a stage's expression, or what lies between two. */
struct segment {
	const char *begin, *end;
	bool delimiter;
};

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
	struct trit_regex_work *work;
	int depth; /* -1: the text is finished */
	struct level {
		const char *begin, *at, *end;          /* the text; what is left of it to cut */
		const char *match_begin, *match_end;   /* the next match at or after `at`, both `end` when there is none;
		                                        * NULL: not looked for yet */
		struct segment ahead;                  /* taken already, to see what comes; begin NULL: none */
	} levels[TRIT_MAX_SPLITS + 1];
};

int trit_cutter_new(struct trit_cutter **out, const struct trit_pretok *p, struct trit_error *err)
{
	struct trit_cutter *c = trit_calloc(1, sizeof *c);
	int status;

	if (!c)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a pre-tokenizer");
	c->pretok = p;
	c->depth = -1;
	status = trit_regex_work_new(&c->work, err);
	if (status < 0) {
		trit_free(c);
		return status;
	}
	*out = c;
	return 0;
}

void trit_cutter_free(struct trit_cutter *c)
{
	if (!c)
		return;
	trit_regex_work_free(c->work);
	trit_free(c);
}

void trit_cutter_limit(struct trit_cutter *c, uint32_t match_limit)
{
	trit_regex_work_limit(c->work, match_limit);
}

void trit_cutter_start(struct trit_cutter *c, size_t len, const char *text)
{
	c->levels[0] = (struct level){ .begin = text, .at = text, .end = text + len };
	c->depth = 0;
}

/* At most TRIT_MAX_WORD_BYTES of what is left, up to the beginning of a character; it is valid UTF-8. */
static const char *window_end(const struct level *l)
{
	const char *end = l->end;

	if (end - l->at > TRIT_MAX_WORD_BYTES) {
		end = l->at + TRIT_MAX_WORD_BYTES;
		while ((*end & 0xc0) == 0x80)
			end--; /* at most three steps */
	}
	return end;
}

/* The end of the next part of the text itself: text that is valid UTF-8, or bytes that are not. */
static const char *next_valid(const struct trit_cutter *c, const struct level *l, bool *valid)
{
	size_t left = (size_t)(l->end - l->at), n = trit_utf8_valid(left, l->at);
	struct level part = { .at = l->at, .end = l->at + n };

	*valid = n > 0;
	if (n == 0)
		return l->at + trit_utf8_invalid(left, l->at, TRIT_MAX_WORD_BYTES - 2);
	return c->pretok->bounded ? part.end : window_end(&part);
}

/* The end of the next part of a level whose stage has `tiles`. NULL: out of memory. */
static const char *next_tile(struct trit_cutter *c, int stage, const struct level *l)
{
	const char *end = window_end(l);
	size_t begin_found, end_found = 0;
	int found = trit_regex_find(c->pretok->stages[stage].regex, c->work, (size_t)(end - l->at), l->at, 0,
	                            &begin_found, &end_found);

	if (found < 0)
		return NULL;
	if (found == TRIT_REGEX_GAVE_UP)
		return end;
	if (end_found == 0) /* cannot be with the expressions of the table; one character keeps the walk going */
		end_found = (size_t)trit_utf8_check((size_t)(l->end - l->at), l->at);
	return l->at + end_found;
}

/* Looks for the next match at or after `from`, unless that is done. Where PCRE2 gives up there is none. */
static int look(struct trit_cutter *c, int stage, struct level *l, const char *from)
{
	size_t len = (size_t)(l->end - l->begin), begin = len, end = len;
	int found = TRIT_REGEX_NONE;

	if (l->match_begin)
		return 0;
	if (from <= l->end)
		found = trit_regex_find(c->pretok->stages[stage].regex, c->work, len, l->begin,
		                        (size_t)(from - l->begin), &begin, &end);
	if (found < 0)
		return found;
	if (found != TRIT_REGEX_FOUND)
		begin = end = len;
	l->match_begin = l->begin + begin;
	l->match_end = l->begin + end;
	return 0;
}

/* The next match, or what lies before it: 1; 0 at the end of the text. An empty match only separates. */
static int next_segment(struct trit_cutter *c, int stage, struct level *l, struct segment *s)
{
	bool invert = c->pretok->stages[stage].split.invert;

	if (l->ahead.begin) {
		*s = l->ahead;
		l->ahead.begin = NULL;
		return 1;
	}
	if (look(c, stage, l, l->at) < 0)
		return TRIT_ERR_MEMORY;
	while (l->at == l->match_begin && l->at == l->match_end) {
		const char *after = l->at;

		if (after == l->end)
			return 0;
		after += c->pretok->stages[stage].split.bytes ? 1 : trit_utf8_check((size_t)(l->end - after), after);
		l->match_begin = NULL;
		if (look(c, stage, l, after) < 0)
			return TRIT_ERR_MEMORY;
	}
	if (l->at < l->match_begin) {
		*s = (struct segment){ l->at, l->match_begin, invert };
	} else {
		*s = (struct segment){ l->at, l->match_end, !invert };
		l->match_begin = NULL;
	}
	l->at = s->end;
	return 1;
}

/* The next part of a level by its stage's behaviour: 1; 0 at the end. */
static int next_split(struct trit_cutter *c, int stage, struct level *l, struct segment *s)
{
	enum trit_split_behavior behavior = c->pretok->stages[stage].split.behavior;
	int more = next_segment(c, stage, l, s);

	while (more > 0 && behavior == TRIT_SPLIT_REMOVED && s->delimiter)
		more = next_segment(c, stage, l, s);
	if (more <= 0 || behavior == TRIT_SPLIT_REMOVED || behavior == TRIT_SPLIT_ISOLATED)
		return more;
	for (;;) {
		struct segment next;
		bool joins;

		more = next_segment(c, stage, l, &next);
		if (more <= 0)
			return more < 0 ? more : 1;
		joins = behavior == TRIT_SPLIT_CONTIGUOUS             ? next.delimiter == s->delimiter
		        : behavior == TRIT_SPLIT_MERGED_WITH_PREVIOUS ? !s->delimiter && next.delimiter
		                                                      : s->delimiter && !next.delimiter;
		if (!joins) {
			l->ahead = next;
			return 1;
		}
		s->end = next.end;
		if (behavior != TRIT_SPLIT_CONTIGUOUS)
			return 1;
	}
}

/* The next part of the level at c->depth: 1; 0 at its end. *last: it is a piece. */
static int next_part(struct trit_cutter *c, struct segment *s, bool *last)
{
	struct level *l = &c->levels[c->depth];
	int stage = c->depth - 1;

	*last = c->depth == c->pretok->n_stages;
	if (c->depth > 0 && !c->pretok->stages[stage].split.tiles)
		return next_split(c, stage, l, s);
	if (l->at == l->end)
		return 0;
	s->begin = l->at;
	if (c->depth == 0) {
		bool valid;

		s->end = next_valid(c, l, &valid);
		*last = *last || !valid;
	} else {
		s->end = next_tile(c, stage, l);
		if (!s->end)
			return TRIT_ERR_MEMORY;
	}
	l->at = s->end;
	return 1;
}

int trit_cutter_next(struct trit_cutter *c, const char **piece, size_t *len, struct trit_error *err)
{
	while (c->depth >= 0) {
		struct segment s;
		bool last;
		int more = next_part(c, &s, &last);

		if (more < 0)
			return trit_fail(err, more, "not enough memory to match a pre-tokenizer");
		if (more == 0) {
			c->depth--;
			continue;
		}
		if (last) {
			*piece = s.begin;
			*len = (size_t)(s.end - s.begin);
			return 1;
		}
		c->levels[++c->depth] = (struct level){ .begin = s.begin, .at = s.begin, .end = s.end };
	}
	return 0;
}
