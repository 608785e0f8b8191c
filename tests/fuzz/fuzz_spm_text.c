/*
 * fuzz_spm_text.c - any bytes as text for SentencePiece (BPE, unigram) and WordPiece: the tokens do not depend on what
 * was encoded before; BPE's are those of the plainest way to merge the whole text; decoding gives UTF-8 and, where
 * nothing is replaced, the text.
 *
 * Byte 0: the kind, and enum trit_tokenize_flags above; byte 1: settings of the vocabulary; the rest is the text.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include "base/mem.h"
#include "text/detokenizer.h"
#include "text/spm_text.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SPACE TRIT_SPM_SPACE

static const char *const models[] = { "llama", "t5", "bert" };
/* Later ones have higher scores. */
static const char *const texts[] = {
	"a", "b", "c", "t", "h", "e", "s", ".", "-", "\n", "\xc3\xa4", "\xe4\xb8\xad", "\xf0\x9f\x91\x8d", "\xcc\x81",
	SPACE, "x", "ab", "abc", "bc", "th", "the", SPACE "t", SPACE "the", SPACE "a", "aa", "aaaa", "--", "----",
	SPACE SPACE, SPACE SPACE SPACE SPACE, "e" SPACE, "x" SPACE "t", "\xe4\xb8\xad\xe4\xb8\xad", "es", "hes", "a.b",
	SPACE "b",
};
static const char *const special[] = { "<unk>", "<s>", "</s>", "<|im|>" };
#define N_TEXTS (int)(sizeof texts / sizeof *texts)
#define N_SPECIAL 4
#define N_TOKENS (N_SPECIAL + 256 + N_TEXTS + 2)

static void check(bool fine, const char *what)
{
	if (!fine) {
		fprintf(stderr, "fuzz_spm_text: %s\n", what);
		abort();
	}
}

static void put(struct trit_vocab *v, int id, const char *text, enum trit_token_type type)
{
	struct trit_error err;

	check(trit_vocab_set_piece(v, (size_t)id, strlen(text), text, type, &err) == 0, "a piece");
	v->scores[id] = (float)(id / 3) - 100; /* some are equal */
}

static struct trit_tokenizer *new_tokenizer(unsigned kind, unsigned settings)
{
	struct trit_tokenizer *t = NULL;
	struct trit_vocab v;
	struct trit_error err;
	char byte[8];
	int id = 0;

	check(trit_vocab_init(&v, models[kind], "", N_TOKENS, 0, 4096, &err) == 0, "a vocabulary");
	v.scores = trit_calloc(N_TOKENS, sizeof *v.scores);
	check(v.scores != NULL, "memory");
	for (; id < N_SPECIAL; id++)
		put(&v, id, special[id], id ? TRIT_TOKEN_CONTROL : TRIT_TOKEN_UNKNOWN);
	for (int b = 0; b < 256; b++, id++) {
		snprintf(byte, sizeof byte, "<0x%02X>", (unsigned)b);
		put(&v, id, byte, settings & 64 ? TRIT_TOKEN_CONTROL : TRIT_TOKEN_BYTE);
	}
	for (int i = 0; i < N_TEXTS; i++, id++)
		put(&v, id, texts[i], settings & 32 && i % 7 == 6 ? TRIT_TOKEN_UNUSED : TRIT_TOKEN_NORMAL);
	put(&v, id++, "<tool>", settings & 16 ? TRIT_TOKEN_USER : TRIT_TOKEN_CONTROL);
	put(&v, id++, "b\xc3", settings & 16 ? TRIT_TOKEN_USER : TRIT_TOKEN_CONTROL);
	v.unk = 0;
	v.bos = 1;
	v.eos = 2;
	v.add_bos = v.add_eos = true;
	v.space_prefix = settings & 1;
	v.space_suffix = settings & 2;
	v.squeeze_spaces = settings & 4;
	v.plain_spaces = settings & 8;
	v.inline_user = settings & 16;
	v.lowercase = settings & 1;
	v.strip_accents = settings & 2;
	if (trit_tokenizer_new(&t, &v, &err) < 0)
		check(err.status == TRIT_ERR_UNSUPPORTED, err.message); /* WordPiece without utf8proc */
	return t;
}

static int score_of(const struct trit_tokenizer *t, size_t len, const char *text, float *score)
{
	const struct trit_vocab *v = trit_tokenizer_vocab(t);
	trit_token id = trit_find_token(t, len, text);

	if (id < 0 || (v->pieces[id].type != TRIT_TOKEN_NORMAL && v->pieces[id].type != TRIT_TOKEN_UNUSED))
		return -1;
	*score = v->scores[id];
	return id;
}

/* Merges the best pair of the whole text until none is left. Texts without unused tokens and symbols only. */
static void check_merges(const struct trit_tokenizer *t, const struct trit_tokens *ids, size_t len, const char *text)
{
	size_t n = 0, *starts = trit_calloc(len + 2, sizeof *starts), made = 0;

	check(starts != NULL, "memory");
	for (size_t i = 0; i < len; i += trit_utf8_stride(len - i, text + i))
		starts[n++] = i;
	starts[n] = len;
	for (;;) {
		size_t best = SIZE_MAX;
		float best_score = 0, score;

		for (size_t i = 0; i + 1 < n; i++)
			if (score_of(t, starts[i + 2] - starts[i], text + starts[i], &score) >= 0 &&
			    (best == SIZE_MAX || score > best_score)) {
				best = i;
				best_score = score;
			}
		if (best == SIZE_MAX)
			break;
		memmove(starts + best + 1, starts + best + 2, (n - best - 1) * sizeof *starts);
		n--;
	}
	for (size_t i = 0; i < n; i++) {
		float score;
		int id = score_of(t, starts[i + 1] - starts[i], text + starts[i], &score);

		for (size_t k = starts[i]; id < 0 && k < starts[i + 1]; k++)
			check(made < ids->len && ids->data[made++] == N_SPECIAL + (unsigned char)text[k], "a byte");
		if (id >= 0)
			check(made < ids->len && ids->data[made++] == id, "a merge");
	}
	check(made == ids->len, "tokens left");
	trit_free(starts);
}

static void decode(const struct trit_tokenizer *t, const struct trit_tokens *ids, struct trit_buf *out)
{
	size_t room = trit_detokenizer_room(t);
	char *piece = trit_calloc(room, 1);
	struct trit_detokenizer d;
	struct trit_error err;

	check(piece != NULL, "memory");
	trit_detokenizer_init(&d, t, true);
	for (size_t i = 0; i < ids->len; i++)
		check(trit_buf_append(out, trit_detokenizer_feed(&d, ids->data[i], piece), piece, &err) == 0, "decoding");
	check(trit_buf_append(out, trit_detokenizer_end(&d, piece), piece, &err) == 0, "decoding");
	check(trit_utf8_valid(out->len, out->data) == out->len, "decoding does not give UTF-8");
	trit_free(piece);
}

static bool has_space_sign(size_t len, const char *text)
{
	for (size_t i = 0; i + 3 <= len; i++)
		if (!memcmp(text + i, SPACE, 3))
			return true;
	return false;
}

static void check_text(const struct trit_tokenizer *t, const struct trit_tokens *ids, unsigned settings, size_t len,
                       const char *text)
{
	struct trit_buf back, prepared;
	struct trit_spm_text how;
	struct trit_error err;

	trit_buf_init(&back, SIZE_MAX);
	trit_buf_init(&prepared, SIZE_MAX);
	decode(t, ids, &back);
	if (strcmp(trit_tokenizer_vocab(t)->model, "llama") == 0 && !(settings & 0x70) && len < 2000) {
		check(trit_spm_text_init(&how, trit_tokenizer_vocab(t), &err) == 0, "preparing");
		check(trit_spm_prepare(&how, len, text, &prepared, &err) == 0, "preparing");
		check_merges(t, ids, prepared.len, prepared.data);
		trit_spm_text_release(&how);
		if (settings == 1 && trit_utf8_valid(len, text) == len && !has_space_sign(len, text))
			check(back.len == len && (len == 0 || !memcmp(back.data, text, len)), "the text does not come back");
	}
	trit_buf_release(&back);
	trit_buf_release(&prepared);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trit_tokenizer *tokenizers[3][128];
	static struct trit_encoder *encoders[3][128];
	struct trit_encoder *fresh;
	struct trit_tokens ids, again;
	struct trit_error err;
	unsigned kind, flags, settings;

	if (size < 2)
		return 0;
	kind = data[0] % 3;
	flags = data[0] / 3 % 8;
	settings = data[1] % 128;
	if (!tokenizers[kind][settings]) {
		tokenizers[kind][settings] = new_tokenizer(kind, settings);
		if (!tokenizers[kind][settings])
			return 0;
		check(trit_encoder_new(&encoders[kind][settings], tokenizers[kind][settings], &err) == 0, "an encoder");
	}
	trit_tokens_init(&ids, SIZE_MAX / 4);
	trit_tokens_init(&again, SIZE_MAX / 4);
	check(trit_encoder_new(&fresh, tokenizers[kind][settings], &err) == 0, "an encoder");
	check(trit_encode(encoders[kind][settings], size - 2, (const char *)data + 2, flags, &ids, &err) == 0, err.message);
	check(trit_encode(fresh, size - 2, (const char *)data + 2, flags, &again, &err) == 0, err.message);
	check(ids.len == again.len && (ids.len == 0 || !memcmp(ids.data, again.data, ids.len * sizeof *ids.data)),
	      "the tokens depend on what was encoded before");
	if (flags == 0)
		check_text(tokenizers[kind][settings], &ids, settings, size - 2, (const char *)data + 2);
	trit_encoder_free(fresh);
	trit_tokens_release(&ids);
	trit_tokens_release(&again);
	return 0;
}
