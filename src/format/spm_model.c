/*
 * spm_model.c - SentencePiece models: messages of Protocol Buffers, read by hand.
 *
 * A message is a row of fields, each a number (field << 3 | kind) and a value: kind 0 a number, 1 eight bytes, 2 a
 * length and as many bytes (a text or another message), 5 four bytes. Numbers have 7 bits a byte, low ones first, the
 * high bit set but in the last byte. Of a field that is there twice the last one counts; unknown ones are skipped.
 *
 *     model       1 piece* | 2 trainer | 3 normalizer | 5 denormalizer
 *     piece       1 text | 2 score, f32 | 3 type, as in text/vocab.h (1 when missing)
 *     trainer     3 model type: 1 unigram (when missing), 2 BPE, 3 word, 4 char | 24 spaces after words |
 *                 46 name of BOS | 47 of EOS | 48 of padding ("<s>", "</s>", "<pad>" when missing)
 *     normalizer  2 map of characters | 3 space before the text | 4 spaces squeezed | 5 U+2581 for spaces (true
 *                 when missing)
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "format/spm_model.h"

enum kind { NUMBER = 0, EIGHT = 1, BYTES = 2, FOUR = 5 };
enum { UNIGRAM = 1, BPE = 2, WORD = 3, CHAR = 4 };

/* What is left of a message; `begin` is the file's first byte, for positions in errors. */
struct message {
	const unsigned char *at, *end, *begin;
};

struct field {
	uint32_t id;
	enum kind kind;
	uint64_t number;        /* NUMBER, FOUR, EIGHT */
	struct message message; /* BYTES */
};

static int damaged(const struct message *m, const char *what, struct trit_error *err)
{
	return trit_fail_at(err, TRIT_ERR_FORMAT, m->at - m->begin, "byte %lld: %s; not a SentencePiece model, or damaged",
	                    (long long)(m->at - m->begin), what);
}

static int next_number(struct message *m, uint64_t *number, struct trit_error *err)
{
	*number = 0;
	for (int shift = 0; m->at < m->end && shift < 64; shift += 7) {
		unsigned char byte = *m->at++;

		*number |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return 0;
	}
	return damaged(m, "a number without end", err);
}

/* The next field: 1, or 0 at the end of the message. */
static int next_field(struct message *m, struct field *f, struct trit_error *err)
{
	uint64_t tag, n = 0;
	int status;

	if (m->at == m->end)
		return 0;
	status = next_number(m, &tag, err);
	if (status < 0)
		return status;
	*f = (struct field){ .id = (uint32_t)(tag >> 3), .kind = (enum kind)(tag & 7) };
	if (tag >> 3 == 0 || tag >> 32 != 0)
		return damaged(m, "a field of no number", err);
	if (f->kind == NUMBER || f->kind == BYTES) {
		status = next_number(m, &n, err);
		if (status < 0)
			return status;
		f->number = n;
	} else if (f->kind != FOUR && f->kind != EIGHT) {
		return damaged(m, "a field of unknown kind", err);
	}
	n = f->kind == FOUR ? 4 : f->kind == EIGHT ? 8 : f->kind == BYTES ? n : 0;
	if (n > (uint64_t)(m->end - m->at))
		return damaged(m, "a field goes beyond the end", err);
	if (f->kind == FOUR)
		f->number = trit_get32(m->at);
	f->message = (struct message){ m->at, m->at + n, m->begin };
	m->at += n;
	return 1;
}

/* That a field which is known is of its kind. */
static int expect(const struct message *m, const struct field *f, enum kind kind, struct trit_error *err)
{
	return f->kind == kind ? 0 : damaged(m, "a field of another kind than it should be", err);
}

struct text {
	const char *text;
	size_t len;
};

/* What is known of a model before its pieces are stored. */
struct model {
	size_t n_pieces, text_bytes;
	uint64_t type;
	struct text bos, eos, pad, charsmap, denormalizer;
	bool space_prefix, squeeze_spaces, escape_spaces, space_suffix;
};

static struct text text_of(const struct field *f)
{
	return (struct text){ (const char *)f->message.at, (size_t)(f->message.end - f->message.at) };
}

/* A field of a submessage that goes to one of these places. */
struct known {
	uint32_t id;
	enum kind kind;
	struct text *text;
	uint64_t *number;
	bool *flag;
};

/* Reads a message of which only some fields are known. */
static int read_known(struct message m, size_t n, const struct known *known, struct trit_error *err)
{
	struct field f;
	int more;

	while ((more = next_field(&m, &f, err)) > 0) {
		for (size_t i = 0; i < n; i++) {
			if (known[i].id != f.id)
				continue;
			if (expect(&m, &f, known[i].kind, err) < 0)
				return TRIT_ERR_FORMAT;
			if (known[i].text)
				*known[i].text = text_of(&f);
			else if (known[i].number)
				*known[i].number = f.number;
			else
				*known[i].flag = f.number != 0;
		}
	}
	return more;
}

struct piece {
	struct text text;
	float score;
	uint64_t type;
};

static int read_piece(struct message m, struct piece *p, struct trit_error *err)
{
	uint64_t score = 0;
	const struct known known[] = {
		{ .id = 1, .kind = BYTES, .text = &p->text },
		{ .id = 2, .kind = FOUR, .number = &score },
		{ .id = 3, .kind = NUMBER, .number = &p->type },
	};
	int status;

	*p = (struct piece){ .type = TRIT_TOKEN_NORMAL };
	status = read_known(m, 3, known, err);
	p->score = trit_f32_from_bits((uint32_t)score);
	if (status == 0 && p->text.len == 0)
		status = damaged(&m, "a piece without text", err);
	if (status == 0 && (p->type < TRIT_TOKEN_NORMAL || p->type > TRIT_TOKEN_BYTE))
		status = damaged(&m, "a piece of unknown type", err);
	return status;
}

/* The first pass: everything but the pieces, which are counted. */
static int read_model(struct message m, struct model *model, struct trit_error *err)
{
	const struct known trainer[] = {
		{ .id = 3, .kind = NUMBER, .number = &model->type },
		{ .id = 24, .kind = NUMBER, .flag = &model->space_suffix },
		{ .id = 46, .kind = BYTES, .text = &model->bos },
		{ .id = 47, .kind = BYTES, .text = &model->eos },
		{ .id = 48, .kind = BYTES, .text = &model->pad },
	};
	const struct known normalizer[] = {
		{ .id = 2, .kind = BYTES, .text = &model->charsmap },
		{ .id = 3, .kind = NUMBER, .flag = &model->space_prefix },
		{ .id = 4, .kind = NUMBER, .flag = &model->squeeze_spaces },
		{ .id = 5, .kind = NUMBER, .flag = &model->escape_spaces },
	};
	const struct known denormalizer[] = { { .id = 2, .kind = BYTES, .text = &model->denormalizer } };
	struct field f;
	struct piece p;
	int status;

	while ((status = next_field(&m, &f, err)) > 0) {
		if (f.id == 1 || f.id == 2 || f.id == 3 || f.id == 5)
			status = expect(&m, &f, BYTES, err);
		if (status >= 0 && f.id == 1) {
			status = read_piece(f.message, &p, err);
			model->n_pieces++;
			model->text_bytes += status < 0 ? 0 : p.text.len;
		} else if (status >= 0 && f.id == 2) {
			status = read_known(f.message, 5, trainer, err);
		} else if (status >= 0 && f.id == 3) {
			status = read_known(f.message, 4, normalizer, err);
		} else if (status >= 0 && f.id == 5) {
			status = read_known(f.message, 1, denormalizer, err);
		}
		if (status < 0)
			break;
	}
	return status;
}

static int check_model(const struct model *model, struct trit_error *err)
{
	if (model->n_pieces == 0)
		return trit_fail(err, TRIT_ERR_FORMAT, "not a SentencePiece model: it has no pieces");
	if (model->type == WORD || model->type == CHAR)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "a SentencePiece model of type \"%s\"; only \"bpe\" and "
		                 "\"unigram\" can be used", model->type == WORD ? "word" : "char");
	if (model->type != UNIGRAM && model->type != BPE)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "a SentencePiece model of unknown type %llu",
		                 (unsigned long long)model->type);
	if (model->denormalizer.len > 0)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "a SentencePiece model with rules for decoding "
		                 "(denormalizer_spec), which are not known here");
	return 0;
}

static bool is(const struct piece *p, struct text name, enum trit_token_type type)
{
	return p->type == type && p->text.len == name.len && !memcmp(p->text.text, name.text, name.len);
}

/* The second pass: the pieces. */
static int read_pieces(struct message m, const struct model *model, struct trit_vocab *v, struct trit_error *err)
{
	struct field f;
	struct piece p;
	trit_token id = 0;
	int status;

	while ((status = next_field(&m, &f, err)) > 0) {
		if (f.id != 1)
			continue;
		status = read_piece(f.message, &p, err);
		if (status == 0)
			status = trit_vocab_set_piece(v, (size_t)id, p.text.len, p.text.text, (enum trit_token_type)p.type, err);
		if (status < 0)
			break;
		v->scores[id] = p.score;
		v->bos = is(&p, model->bos, TRIT_TOKEN_CONTROL) ? id : v->bos;
		v->eos = is(&p, model->eos, TRIT_TOKEN_CONTROL) ? id : v->eos;
		v->pad = is(&p, model->pad, TRIT_TOKEN_CONTROL) ? id : v->pad;
		v->unk = p.type == TRIT_TOKEN_UNKNOWN ? id : v->unk;
		id++;
	}
	return status;
}

static int set_charsmap(struct trit_vocab *v, struct text map, struct trit_error *err)
{
	if (map.len == 0)
		return 0;
	v->charsmap = trit_calloc(map.len, 1);
	if (!v->charsmap)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a map of characters");
	memcpy(v->charsmap, map.text, map.len);
	v->charsmap_bytes = map.len;
	return 0;
}

int trit_spm_model_read_bytes(struct trit_vocab *out, size_t size, const unsigned char *bytes, struct trit_error *err)
{
	struct model model = { .type = UNIGRAM, .bos = { "<s>", 3 }, .eos = { "</s>", 4 }, .pad = { "<pad>", 5 },
		               .space_prefix = true, .squeeze_spaces = true, .escape_spaces = true };
	const struct message whole = { bytes, bytes + size, bytes };
	struct trit_vocab v = { 0 };
	int status = read_model(whole, &model, err);

	if (status == 0)
		status = check_model(&model, err);
	if (status == 0)
		status = trit_vocab_init(&v, model.type == BPE ? "llama" : "t5", "default", model.n_pieces, 0,
		                         model.text_bytes, err);
	if (status == 0 && !(v.scores = trit_calloc(model.n_pieces, sizeof *v.scores)))
		status = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for %zu scores", model.n_pieces);
	if (status == 0)
		status = read_pieces(whole, &model, &v, err);
	if (status == 0)
		status = set_charsmap(&v, model.charsmap, err);
	if (status < 0) {
		trit_vocab_release(&v);
		return status;
	}
	v.add_bos = model.type == BPE && v.bos >= 0;
	v.add_eos = model.type == UNIGRAM && v.eos >= 0;
	v.space_prefix = model.space_prefix;
	v.space_suffix = model.space_suffix;
	v.squeeze_spaces = model.squeeze_spaces;
	v.plain_spaces = !model.escape_spaces;
	v.inline_user = true;
	*out = v;
	return 0;
}

int trit_spm_model_read(const char *path, struct trit_vocab *out, struct trit_error *err)
{
	struct trit_map m;
	int status = trit_map_open(&m, path, err);

	if (status < 0)
		return status;
	status = trit_spm_model_read_bytes(out, m.size, m.data, err);
	trit_map_close(&m);
	return status < 0 ? trit_fail_prefix(err, status, "%s", path) : 0;
}

bool trit_is_spm_model(size_t size, const unsigned char *bytes)
{
	struct message m = { bytes, bytes + size, bytes };
	uint64_t tag, len, text_len;

	/* A piece, whose first field is its text. */
	return next_number(&m, &tag, NULL) == 0 && tag == (1 << 3 | BYTES) && next_number(&m, &len, NULL) == 0 &&
	       next_number(&m, &tag, NULL) == 0 && tag == (1 << 3 | BYTES) && next_number(&m, &text_len, NULL) == 0 &&
	       text_len < len;
}
