/*
 * tokenizer_json_writer.c - writes a vocabulary as tokenizer.json.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/tokenizer_json.h"
#include "text/pretok.h"
#include "text/pretok_names.h"
#include "text/spm_text.h"

static bool is_spm(const struct trit_vocab *v)
{
	return strcmp(v->model, "gpt2") != 0;
}

/* ---- added tokens ------------------------------------------------------------------------------------------------ */

/* Tokens that are looked for in the text first; also those that are put round a text, whatever they are. */
static bool is_added(const struct trit_vocab *v, int id)
{
	uint8_t type = v->pieces[id].type;
	return type == TRIT_TOKEN_CONTROL || type == TRIT_TOKEN_USER || type == TRIT_TOKEN_UNKNOWN ||
	       (v->add_bos && id == v->bos) || (v->add_eos && id == v->eos);
}

static void put_added(struct trit_json *j, const struct trit_vocab *v)
{
	trit_json_begin(j, "added_tokens", '[');
	for (int i = 0; i < v->n_tokens; i++) {
		const struct trit_piece *p = &v->pieces[i];
		if (!is_added(v, i))
			continue;
		trit_json_begin(j, NULL, '{');
		trit_json_int(j, "id", i);
		trit_json_text(j, "content", p->len, p->text);
		trit_json_bool(j, "single_word", p->flags & TRIT_PIECE_WORD);
		trit_json_bool(j, "lstrip", p->flags & TRIT_PIECE_LSTRIP);
		trit_json_bool(j, "rstrip", p->flags & TRIT_PIECE_RSTRIP);
		trit_json_bool(j, "normalized", false);
		trit_json_bool(j, "special", p->type != TRIT_TOKEN_USER);
		trit_json_end(j, '}');
	}
	trit_json_end(j, ']');
}

/* ---- stages ------------------------------------------------------------------------------------------------------ */

static void put_byte_level(struct trit_json *j, const char *key, bool regex)
{
	trit_json_begin(j, key, '{');
	trit_json_string(j, "type", "ByteLevel");
	trit_json_bool(j, "add_prefix_space", false);
	trit_json_bool(j, "trim_offsets", true);
	trit_json_bool(j, "use_regex", regex);
	trit_json_end(j, '}');
}

static void put_split(struct trit_json *j, const struct trit_split *split)
{
	trit_json_begin(j, NULL, '{');
	trit_json_string(j, "type", "Split");
	trit_json_begin(j, "pattern", '{');
	trit_json_string(j, "Regex", split->pattern);
	trit_json_end(j, '}');
	trit_json_string(j, "behavior", "Isolated"); /* all of those with a name do */
	trit_json_bool(j, "invert", split->invert);
	trit_json_end(j, '}');
}

/* The stages of a name, those that see bytes after ByteLevel, which turns characters into them. */
static void put_pre_tokenizer(struct trit_json *j, const struct trit_split *splits)
{
	if (!strcmp(splits[0].pattern, TRIT_GPT2_SPLIT) && !splits[1].pattern) {
		put_byte_level(j, "pre_tokenizer", true);
		return;
	}
	trit_json_begin(j, "pre_tokenizer", '{');
	trit_json_string(j, "type", "Sequence");
	trit_json_begin(j, "pretokenizers", '[');
	for (int bytes = 0; bytes < 2; bytes++) {
		for (const struct trit_split *split = splits; split->pattern; split++)
			if (split->bytes == bytes)
				put_split(j, split);
		if (!bytes)
			put_byte_level(j, NULL, false);
	}
	trit_json_end(j, ']');
	trit_json_end(j, '}');
}

/* ---- SentencePiece's stages -------------------------------------------------------------------------------------- */

static void put_replace(struct trit_json *j, const char *kind, const char *pattern, const char *content)
{
	trit_json_begin(j, NULL, '{');
	trit_json_string(j, "type", "Replace");
	trit_json_begin(j, "pattern", '{');
	trit_json_string(j, kind, pattern);
	trit_json_end(j, '}');
	trit_json_string(j, "content", content);
	trit_json_end(j, '}');
}

static void put_strip(struct trit_json *j, bool right)
{
	trit_json_begin(j, NULL, '{');
	trit_json_string(j, "type", "Strip");
	trit_json_bool(j, "strip_left", true);
	trit_json_bool(j, "strip_right", right);
	trit_json_end(j, '}');
}

/* Spaces at the ends and between words go, one is put in front, and all become U+2581. For unigram the last two are
 * Metaspace's. */
static void put_spm_normalizer(struct trit_json *j, const struct trit_vocab *v, bool unigram)
{
	trit_json_begin(j, "normalizer", '{');
	trit_json_string(j, "type", "Sequence");
	trit_json_begin(j, "normalizers", '[');
	if (v->squeeze_spaces) {
		put_strip(j, true);
		put_replace(j, "Regex", " {2,}", " ");
	}
	if (!unigram && v->space_prefix) {
		trit_json_begin(j, NULL, '{');
		trit_json_string(j, "type", "Prepend");
		trit_json_string(j, "prepend", TRIT_SPM_SPACE);
		trit_json_end(j, '}');
	}
	if (!unigram)
		put_replace(j, "String", " ", TRIT_SPM_SPACE);
	trit_json_end(j, ']');
	trit_json_end(j, '}');
}

static void put_metaspace(struct trit_json *j, const char *key, const struct trit_vocab *v)
{
	trit_json_begin(j, key, '{');
	trit_json_string(j, "type", "Metaspace");
	trit_json_string(j, "replacement", TRIT_SPM_SPACE);
	trit_json_string(j, "prepend_scheme", v->space_prefix ? "always" : "never");
	trit_json_bool(j, "split", true);
	trit_json_end(j, '}');
}

static void put_bare(struct trit_json *j, const char *type)
{
	trit_json_begin(j, NULL, '{');
	trit_json_string(j, "type", type);
	trit_json_end(j, '}');
}

static void put_spm_decoder(struct trit_json *j, const struct trit_vocab *v)
{
	trit_json_begin(j, "decoder", '{');
	trit_json_string(j, "type", "Sequence");
	trit_json_begin(j, "decoders", '[');
	put_replace(j, "String", TRIT_SPM_SPACE, " ");
	put_bare(j, "ByteFallback");
	put_bare(j, "Fuse");
	if (v->space_prefix) {
		trit_json_begin(j, NULL, '{');
		trit_json_string(j, "type", "Strip");
		trit_json_string(j, "content", " ");
		trit_json_int(j, "start", 1);
		trit_json_int(j, "stop", 0);
		trit_json_end(j, '}');
	}
	trit_json_end(j, ']');
	trit_json_end(j, '}');
}

/* ---- special tokens ---------------------------------------------------------------------------------------------- */

static void put_template_special(struct trit_json *j, const struct trit_vocab *v, trit_token id, int type)
{
	trit_json_begin(j, NULL, '{');
	trit_json_begin(j, "SpecialToken", '{');
	trit_json_text(j, "id", v->pieces[id].len, v->pieces[id].text);
	trit_json_int(j, "type_id", type);
	trit_json_end(j, '}');
	trit_json_end(j, '}');
}

static void put_template_sequence(struct trit_json *j, const char *name, int type)
{
	trit_json_begin(j, NULL, '{');
	trit_json_begin(j, "Sequence", '{');
	trit_json_string(j, "id", name);
	trit_json_int(j, "type_id", type);
	trit_json_end(j, '}');
	trit_json_end(j, '}');
}

/* One text, or two: each with its BOS and EOS. */
static void put_template(struct trit_json *j, const char *key, const struct trit_vocab *v, int texts)
{
	static const char *const names[] = { "A", "B" };
	trit_json_begin(j, key, '[');
	for (int i = 0; i < texts; i++) {
		if (v->add_bos && v->bos >= 0)
			put_template_special(j, v, v->bos, i);
		put_template_sequence(j, names[i], i);
		if (v->add_eos && v->eos >= 0)
			put_template_special(j, v, v->eos, i);
	}
	trit_json_end(j, ']');
}

static void put_template_id(struct trit_json *j, const struct trit_vocab *v, trit_token id)
{
	char name[TRIT_MAX_TOKEN_BYTES + 1];
	const struct trit_piece *p = &v->pieces[id];
	memcpy(name, p->text, p->len);
	name[p->len] = 0;
	trit_json_begin(j, name, '{');
	trit_json_string(j, "id", name);
	trit_json_begin(j, "ids", '[');
	trit_json_int(j, NULL, id);
	trit_json_end(j, ']');
	trit_json_begin(j, "tokens", '[');
	trit_json_string(j, NULL, name);
	trit_json_end(j, ']');
	trit_json_end(j, '}');
}

static void put_post_processor(struct trit_json *j, const struct trit_vocab *v)
{
	bool bos = v->add_bos && v->bos >= 0, eos = v->add_eos && v->eos >= 0;
	if (!bos && !eos && is_spm(v)) {
		trit_json_null(j, "post_processor");
		return;
	}
	if (!bos && !eos) {
		put_byte_level(j, "post_processor", true);
		return;
	}
	trit_json_begin(j, "post_processor", '{');
	trit_json_string(j, "type", "TemplateProcessing");
	put_template(j, "single", v, 1);
	put_template(j, "pair", v, 2);
	trit_json_begin(j, "special_tokens", '{');
	if (bos)
		put_template_id(j, v, v->bos);
	if (eos && (!bos || v->eos != v->bos))
		put_template_id(j, v, v->eos);
	trit_json_end(j, '}');
	trit_json_end(j, '}');
}

/* ---- merges of SentencePiece ------------------------------------------------------------------------------------- */

/* SentencePiece's BPE has no list of merges: the two symbols that make the piece of the highest score are joined first.
 * So every way to make a piece of two others is a merge, in the order of the pieces' scores, then of their ids and of
 * those of the two: the published files have this order. */
struct merge {
	float score;
	trit_token id, left, right;
};

static int compare_text(const struct trit_piece *a, size_t len, const char *text)
{
	size_t n = a->len < len ? a->len : len;
	int c = memcmp(a->text, text, n);
	return c ? c : (a->len > len) - (a->len < len);
}

/* qsort has no argument: pieces are sorted by pointers to them. */
static int compare_pieces(const void *a, const void *b)
{
	const struct trit_piece *x = *(const struct trit_piece *const *)a, *y = *(const struct trit_piece *const *)b;
	return compare_text(x, y->len, y->text);
}

static int compare_merges(const void *a, const void *b)
{
	const struct merge *x = a, *y = b;
	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return x->id != y->id ? x->id - y->id : x->left - y->left; /* the right side follows from the left one */
}

static trit_token find_piece(const struct trit_vocab *v, const struct trit_piece *const *sorted, size_t len,
                             const char *text)
{
	size_t low = 0, high = (size_t)v->n_tokens;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int c = compare_text(sorted[middle], len, text);
		if (c == 0)
			return (trit_token)(sorted[middle] - v->pieces);
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

static bool is_first_byte(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

/* Appends the merges that make token id; false: memory. */
static bool add_merges(struct merge **list, size_t *n, size_t *cap, const struct trit_vocab *v,
                       const struct trit_piece *const *sorted, int id)
{
	const struct trit_piece *p = &v->pieces[id];
	for (size_t cut = 1; cut < p->len; cut++) {
		if (!is_first_byte(p->text[cut]))
			continue;
		trit_token left = find_piece(v, sorted, cut, p->text);
		trit_token right = left < 0 ? -1 : find_piece(v, sorted, p->len - cut, p->text + cut);
		if (right < 0)
			continue;
		if (*n == *cap) {
			size_t more = *cap ? 2 * *cap : 1 << 16;
			struct merge *grown = trit_realloc(*list, *cap * sizeof **list, more, sizeof **list);
			if (!grown)
				return false;
			*list = grown;
			*cap = more;
		}
		/* NaN, which no file should have, is in no order: last */
		(*list)[*n] = (struct merge){ isnan(v->scores[id]) ? -INFINITY : v->scores[id], id, left, right };
		++*n;
	}
	return true;
}

static void put_merge(struct trit_json *j, const struct trit_piece *left, const struct trit_piece *right)
{
	char text[2 * TRIT_MAX_TOKEN_BYTES + 1];
	memcpy(text, left->text, left->len);
	text[left->len] = ' ';
	memcpy(text + left->len + 1, right->text, right->len);
	trit_json_text(j, NULL, left->len + 1 + right->len, text);
}

static void put_scored_merges(struct trit_json *j, const struct trit_vocab *v)
{
	const struct trit_piece **sorted = trit_calloc((size_t)v->n_tokens, sizeof *sorted);
	struct merge *list = NULL;
	size_t n = 0, cap = 0;
	bool ok = sorted != NULL;
	for (int i = 0; i < v->n_tokens && ok; i++)
		sorted[i] = &v->pieces[i];
	if (ok)
		qsort(sorted, (size_t)v->n_tokens, sizeof *sorted, compare_pieces);
	for (int i = 0; i < v->n_tokens && ok; i++)
		if (v->pieces[i].type == TRIT_TOKEN_NORMAL)
			ok = add_merges(&list, &n, &cap, v, sorted, i);
	if (!ok)
		j->status = trit_fail(j->err, TRIT_ERR_MEMORY, "not enough memory for the merges of %d tokens", v->n_tokens);
	else if (n > 0)
		qsort(list, n, sizeof *list, compare_merges);
	for (size_t i = 0; i < n && !j->status; i++)
		put_merge(j, &v->pieces[list[i].left], &v->pieces[list[i].right]);
	trit_free(list);
	trit_free(sorted);
}

/* ---- model ------------------------------------------------------------------------------------------------------- */

static bool has_byte_tokens(const struct trit_vocab *v)
{
	for (int i = 0; i < v->n_tokens; i++)
		if (v->pieces[i].type == TRIT_TOKEN_BYTE)
			return true;
	return false;
}

/* How many tokens stand in the model's own vocabulary: all but added ones at the end. Readers do not take an added
 * token's id from added_tokens but from there, and number those that are not there on from its size. */
static int count_own(const struct trit_vocab *v)
{
	int n = v->n_tokens;
	while (!is_spm(v) && n > 0 && is_added(v, n - 1) && v->pieces[n - 1].type != TRIT_TOKEN_NORMAL)
		n--;
	return n;
}

static void put_bpe(struct trit_json *j, const struct trit_vocab *v, bool ignore_merges)
{
	bool spm = is_spm(v);
	trit_json_begin(j, "model", '{');
	trit_json_string(j, "type", "BPE");
	trit_json_null(j, "dropout");
	if (spm && v->unk >= 0)
		trit_json_text(j, "unk_token", v->pieces[v->unk].len, v->pieces[v->unk].text);
	else
		trit_json_null(j, "unk_token");
	trit_json_null(j, "continuing_subword_prefix");
	trit_json_null(j, "end_of_word_suffix");
	trit_json_bool(j, "fuse_unk", spm);
	trit_json_bool(j, "byte_fallback", spm && has_byte_tokens(v));
	trit_json_bool(j, "ignore_merges", ignore_merges);
	trit_json_begin(j, "vocab", '{');
	for (int i = 0, n = count_own(v); i < n; i++)
		trit_json_entry(j, v->pieces[i].len, v->pieces[i].text, i);
	trit_json_end(j, '}');
	trit_json_begin(j, "merges", '[');
	for (int i = 0; i < v->n_merges; i++)
		trit_json_text(j, NULL, v->merges[i].len, v->merges[i].text);
	if (v->n_merges == 0 && spm && !j->status)
		put_scored_merges(j, v);
	trit_json_end(j, ']');
	trit_json_end(j, '}');
}

static void put_unigram(struct trit_json *j, const struct trit_vocab *v)
{
	trit_json_begin(j, "model", '{');
	trit_json_string(j, "type", "Unigram");
	if (v->unk >= 0)
		trit_json_int(j, "unk_id", v->unk);
	else
		trit_json_null(j, "unk_id");
	trit_json_bool(j, "byte_fallback", has_byte_tokens(v));
	trit_json_begin(j, "vocab", '[');
	for (int i = 0; i < v->n_tokens; i++) {
		trit_json_begin(j, NULL, '[');
		trit_json_text(j, NULL, v->pieces[i].len, v->pieces[i].text);
		trit_json_float(j, NULL, v->scores[i]);
		trit_json_end(j, ']');
	}
	trit_json_end(j, ']');
	trit_json_end(j, '}');
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* What the vocabulary has that is not written here; NULL if nothing. */
static const char *find_lack(const struct trit_vocab *v)
{
	if (v->custom || v->ranked)
		return "rules of its own, which stand in the file it came from";
	if (strcmp(v->model, "gpt2") && strcmp(v->model, "llama") && strcmp(v->model, "t5"))
		return "a model of another kind than BPE and unigram";
	if (is_spm(v) && (v->charsmap || v->space_suffix || v->plain_spaces || !v->scores))
		return "rules for replacing characters or for spaces that are not usual";
	return NULL;
}

static void put_rest(struct trit_json *j, const struct trit_vocab *v, const struct trit_pretok_row *row)
{
	bool unigram = !strcmp(v->model, "t5");
	if (is_spm(v)) {
		put_spm_normalizer(j, v, unigram);
		if (unigram)
			put_metaspace(j, "pre_tokenizer", v);
		else
			trit_json_null(j, "pre_tokenizer");
		put_post_processor(j, v);
		put_spm_decoder(j, v);
	} else {
		if (row->traits & TRIT_PRETOK_NFC) {
			trit_json_begin(j, "normalizer", '{');
			trit_json_string(j, "type", "NFC");
			trit_json_end(j, '}');
		} else {
			trit_json_null(j, "normalizer");
		}
		put_pre_tokenizer(j, row->splits);
		put_post_processor(j, v);
		put_byte_level(j, "decoder", true);
	}
	if (unigram)
		put_unigram(j, v);
	else
		put_bpe(j, v, row && (row->traits & TRIT_PRETOK_WHOLE_WORDS));
}

void trit_tokenizer_json_put(struct trit_json *j, const struct trit_vocab *v)
{
	const char *lack = find_lack(v);
	const struct trit_pretok_row *row = NULL;
	if (j->status)
		return;
	if (lack) {
		j->status = trit_fail(j->err, TRIT_ERR_UNSUPPORTED, "the tokenizer (%s) has %s", v->model, lack);
		return;
	}
	if (!is_spm(v) && !(row = trit_pretok_find_row(v->pre[0] ? v->pre : "gpt-2", j->err))) {
		j->status = TRIT_ERR_UNSUPPORTED;
		return;
	}
	trit_json_begin(j, NULL, '{');
	trit_json_string(j, "version", "1.0");
	trit_json_null(j, "truncation");
	trit_json_null(j, "padding");
	put_added(j, v);
	put_rest(j, v, row);
	trit_json_end(j, '}');
}
