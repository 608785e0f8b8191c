/*
 * llama2c.c - llama2.c's files, by the order of what they hold.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/llama2c.h"

#include "base/mem.h"
#include "base/num.h"
#include "format/gguf_build.h"

#define MAGIC 0x616b3432 /* "ak42" */
#define LEGACY_BYTES 28
#define HEADER_BYTES 256
#define MAX_SIZE (1 << 24) /* of each number in the header */

struct header {
	int version;
	size_t d, f, layers, heads, kv_heads, vocab, ctx;
	bool shared;  /* the head is the embedding */
	size_t group; /* elements that share a scale; 0: fp32 */
	size_t bytes;
};

/* A tensor, or one in each layer. */
struct part {
	const char *name; /* "attn_q"; NULL: the tables of rotary angles, which nobody needs */
	bool per_layer, matrix;
	size_t rows, cols;
};

enum { MAX_PARTS = 13 };

/* ---- header ------------------------------------------------------------------------------------------------------ */

static bool take_size(const unsigned char *p, size_t *out)
{
	*out = trit_get32(p);
	return *out >= 1 && *out <= MAX_SIZE;
}

/* False: the header makes no sense. */
static bool read_header(struct header *h, const unsigned char *data, size_t size)
{
	const unsigned char *sizes = data;
	int32_t vocab;

	*h = (struct header){ .bytes = LEGACY_BYTES };
	if (size < LEGACY_BYTES)
		return false;
	if (trit_get32(data) == MAGIC) {
		h->version = (int)trit_get32(data + 4);
		h->bytes = HEADER_BYTES;
		sizes = data + 8;
		if (size < HEADER_BYTES || h->version < 1)
			return false;
	}
	vocab = (int32_t)trit_get32(sizes + 20);
	h->vocab = (size_t)(vocab < 0 ? -(int64_t)vocab : vocab);
	h->shared = h->version == 0 ? vocab > 0 : sizes[28] != 0;
	if (h->version == 2 && (!take_size(sizes + 29, &h->group)))
		return false;
	return take_size(sizes, &h->d) && take_size(sizes + 4, &h->f) && take_size(sizes + 8, &h->layers) &&
	       take_size(sizes + 12, &h->heads) && take_size(sizes + 16, &h->kv_heads) && h->vocab >= 1 &&
	       h->vocab <= MAX_SIZE && take_size(sizes + 24, &h->ctx) && h->d % h->heads == 0 &&
	       h->heads % h->kv_heads == 0 && h->layers <= 1024;
}

/* ---- the order of the tensors ------------------------------------------------------------------------------------ */

static size_t list_parts(const struct header *h, struct part parts[MAX_PARTS])
{
	size_t d = h->d, f = h->f, v = h->vocab, a = d / h->heads, kv = a * h->kv_heads, n = 0;
	const struct part embedding = { "token_embd", false, true, v, d }, head = { "output", false, true, v, d };
	const struct part attn_norm = { "attn_norm", true, false, 1, d }, ffn_norm = { "ffn_norm", true, false, 1, d };
	const struct part norm = { "output_norm", false, false, 1, d }, angles = { NULL, false, false, h->ctx, a / 2 * 2 };
	const struct part attention[] = {
		{ "attn_q", true, true, d, d }, { "attn_k", true, true, kv, d }, { "attn_v", true, true, kv, d },
		{ "attn_output", true, true, d, d },
	};
	const struct part feed[] = {
		{ "ffn_gate", true, true, f, d }, { "ffn_down", true, true, d, f }, { "ffn_up", true, true, f, d },
	};
	bool legacy = h->version == 0;

	if (legacy)
		parts[n++] = embedding;
	parts[n++] = attn_norm;
	if (!legacy) {
		parts[n++] = ffn_norm;
		parts[n++] = norm;
		parts[n++] = embedding;
	}
	for (size_t i = 0; i < 4; i++)
		parts[n++] = attention[i];
	if (legacy)
		parts[n++] = ffn_norm;
	for (size_t i = 0; i < 3; i++)
		parts[n++] = feed[i];
	if (legacy) {
		parts[n++] = norm;
		parts[n++] = angles;
	}
	if (!h->shared)
		parts[n++] = head;
	return n;
}

/* Bytes of one tensor of a part; false when it cannot be. Sizes are below 2^24, so elements below 2^48. */
static bool part_bytes(const struct header *h, const struct part *p, uint64_t *bytes)
{
	uint64_t elements = (uint64_t)p->rows * p->cols;

	*bytes = 4 * elements;
	if (h->group == 0 || !p->matrix)
		return true;
	*bytes = elements + elements / h->group * 4;
	return elements % h->group == 0;
}

/* Bytes of all; false when that cannot be. Below 13 * 2^10 * 2^50. */
static bool total_bytes(const struct header *h, const struct part *parts, size_t n, uint64_t *total)
{
	*total = h->bytes;
	for (size_t i = 0; i < n; i++) {
		uint64_t bytes;

		if (!part_bytes(h, &parts[i], &bytes))
			return false;
		*total += bytes * (parts[i].per_layer ? h->layers : 1);
		if (*total > INT64_MAX / 4096)
			return false;
	}
	return true;
}

bool trit_is_llama2c(const unsigned char *data, size_t size)
{
	struct part parts[MAX_PARTS];
	struct header h;
	uint64_t total;

	if (size >= 8 && trit_get32(data) == MAGIC)
		return true;
	return read_header(&h, data, size) && total_bytes(&h, parts, list_parts(&h, parts), &total) && total == size;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void add_keys(struct trit_gguf_build *b, const struct header *h)
{
	trit_gguf_build_string(b, "general.architecture", 5, "llama");
	trit_gguf_build_u32(b, "llama.block_count", (uint32_t)h->layers);
	trit_gguf_build_u32(b, "llama.embedding_length", (uint32_t)h->d);
	trit_gguf_build_u32(b, "llama.feed_forward_length", (uint32_t)h->f);
	trit_gguf_build_u32(b, "llama.attention.head_count", (uint32_t)h->heads);
	trit_gguf_build_u32(b, "llama.attention.head_count_kv", (uint32_t)h->kv_heads);
	trit_gguf_build_u32(b, "llama.context_length", (uint32_t)h->ctx);
	trit_gguf_build_u32(b, "llama.vocab_size", (uint32_t)h->vocab);
	trit_gguf_build_f32(b, "llama.rope.freq_base", 10000);
	trit_gguf_build_f32(b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

/* int8 and scales to fp32, in memory of the builder's. NULL: no memory. */
static const unsigned char *widen(struct trit_gguf_build *b, const struct header *h, size_t elements,
                                  const unsigned char *data)
{
	const unsigned char *scales = data + elements;
	float *out = trit_gguf_build_take(b, elements, sizeof *out);

	for (size_t i = 0; out && i < elements; i++)
		out[i] = (float)(int8_t)data[i] * trit_f32_from_bits(trit_get32(scales + i / h->group * 4));
	return (const unsigned char *)out;
}

static void add_tensor(struct trit_gguf_build *b, const struct header *h, const struct part *p, size_t layer,
                       const unsigned char *data)
{
	char name[64];

	if (p->per_layer)
		snprintf(name, sizeof name, "blk.%zu.%s.weight", layer, p->name);
	else
		snprintf(name, sizeof name, "%s.weight", p->name);
	if (h->group && p->matrix)
		data = widen(b, h, p->rows * p->cols, data);
	trit_gguf_build_tensor(b, name, TRIT_GGML_F32, p->matrix ? 2 : 1, (uint64_t[]){ p->cols, p->rows }, data);
}

int trit_llama2c_read(struct trit_gguf *out, const unsigned char *data, size_t size, struct trit_notes *notes,
                      struct trit_error *err)
{
	struct trit_gguf_build b = { 0 };
	struct part parts[MAX_PARTS];
	struct header h;
	uint64_t total = 0, at, bytes = 0;
	size_t n;

	if (!read_header(&h, data, size))
		return trit_fail(err, TRIT_ERR_FORMAT, "a checkpoint of llama2.c whose header makes no sense; the file is "
		                                       "damaged, copy or download it again");
	if (h.version > 2)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "a checkpoint of llama2.c, version %d; 0 to 2 are read",
		                 h.version);
	n = list_parts(&h, parts);
	if (!total_bytes(&h, parts, n, &total) || total != size)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "a checkpoint of llama2.c of %zu bytes, but its header makes %llu; the file is truncated or "
		                 "damaged, copy or download it again",
		                 size, (unsigned long long)total);
	add_keys(&b, &h);
	at = h.bytes;
	for (size_t i = 0; i < n; i++)
		for (size_t l = 0; l < (parts[i].per_layer ? h.layers : 1); l++) {
			if (part_bytes(&h, &parts[i], &bytes) && parts[i].name)
				add_tensor(&b, &h, &parts[i], l, data + at);
			at += bytes;
		}
	trit_note(notes, TRIT_NOTE_ASSUMED,
	          "a checkpoint of llama2.c, version %d: rotary base 10000 and norm epsilon 1e-5, which it does not say",
	          h.version);
	if (h.group)
		trit_note(notes, TRIT_NOTE_FOUND, "weights in int8 with a scale for %zu, widened to F32 in memory", h.group);
	return trit_gguf_build_finish(&b, out, err);
}

/* ---- tokenizer.bin ----------------------------------------------------------------------------------------------- */

/* The token at *at; moves on. False: there is none. */
static bool next_token(const unsigned char *data, size_t size, size_t *at, float *score, const char **text, size_t *len)
{
	if (size - *at < 8)
		return false;
	*score = trit_f32_from_bits(trit_get32(data + *at));
	*len = trit_get32(data + *at + 4);
	if (*len > TRIT_MAX_TOKEN_BYTES || *len > size - *at - 8)
		return false;
	*text = (const char *)data + *at + 8;
	*at += 8 + *len;
	return true;
}

/* How many tokens there are, 0 unless they end with the file; how long their texts can become. */
static size_t count_tokens(const unsigned char *data, size_t size, size_t *text_bytes)
{
	size_t at = 4, n = 0, len, longest = 0;
	const char *text;
	float score;

	*text_bytes = 0;
	if (size < 4)
		return 0;
	while (next_token(data, size, &at, &score, &text, &len)) {
		*text_bytes += 3 * len; /* a blank is 1 byte there and 3 here */
		longest = len > longest ? len : longest;
		n++;
	}
	return at == size && trit_get32(data) == longest ? n : 0;
}

bool trit_is_llama2c_vocab(const unsigned char *data, size_t size)
{
	size_t bytes;

	return size > 12 && trit_get32(data) <= TRIT_MAX_TOKEN_BYTES && count_tokens(data, size, &bytes) > 3;
}

/* Undoes what tokenizer.py does to the texts: "\n<s>\n" is <s>, and a blank stands for U+2581. Returns the length. */
static size_t restore(char *out, size_t len, const char *text)
{
	size_t n = 0;

	if (len > 4 && text[0] == '\n' && text[len - 1] == '\n' && text[1] == '<') {
		text++;
		len -= 2;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == ' ') {
			memcpy(out + n, "\xe2\x96\x81", 3);
			n += 3;
		} else {
			out[n++] = text[i];
		}
	}
	return n;
}

static enum trit_token_type type_of(size_t id, size_t len, const char *text)
{
	if (id == 0)
		return TRIT_TOKEN_UNKNOWN;
	if (id < 3)
		return TRIT_TOKEN_CONTROL;
	return len == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>' ? TRIT_TOKEN_BYTE : TRIT_TOKEN_NORMAL;
}

int trit_llama2c_read_vocab(struct trit_vocab *out, const unsigned char *data, size_t size, struct trit_error *err)
{
	char restored[3 * TRIT_MAX_TOKEN_BYTES];
	struct trit_vocab v = { 0 };
	size_t bytes, at = 4, n = count_tokens(data, size, &bytes);
	int status;

	if (n < 4)
		return trit_fail(err, TRIT_ERR_FORMAT, "no tokenizer.bin of llama2.c, or a damaged one");
	status = trit_vocab_init(&v, "llama", "", n, 0, bytes, err);
	if (status < 0)
		return status;
	v.scores = trit_calloc(n, sizeof *v.scores);
	if (!v.scores)
		status = trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the scores of %zu tokens", n);
	for (size_t i = 0; status == 0 && i < n; i++) {
		const char *text = "";
		size_t len = 0;

		if (!next_token(data, size, &at, &v.scores[i], &text, &len))
			break; /* counted before */
		len = restore(restored, len, text);
		status = trit_vocab_set_piece(&v, i, len, restored, type_of(i, len, restored), err);
	}
	if (status < 0) {
		trit_vocab_release(&v);
		return status;
	}
	v.unk = 0;
	v.bos = 1;
	v.eos = 2;
	v.add_bos = true;
	v.space_prefix = true;
	*out = v;
	return 0;
}
