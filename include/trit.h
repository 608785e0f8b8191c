/*
 * trit.h - the public API of libtrit: run 1.58-bit (ternary) language models.
 *
 * In order: status and errors, model, tokens, session, sampler, embedding.
 *
 * Ownership: what a trit_X_open or trit_X_new hands out is given back with trit_X_close or trit_X_free; both accept
 * NULL. Strings and arrays returned by a query belong to the object asked and live as long as it does.
 * Threads: a model is immutable after open and may be shared by any number of threads. A session, a sampler and an
 * embedder belong to one thread at a time.
 * Errors: a function that can fail returns TRIT_OK (0) or a negative enum trit_status and, when `err` is not NULL,
 * fills it in. After a failure outputs are untouched unless said otherwise. The library never prints, exits or aborts.
 *
 * A minimal program is examples/generate.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_H
#define TRIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* what is declared here is all that a shared libtrit shows */
#define TRIT_MUST_CHECK __attribute__((warn_unused_result))
#define TRIT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TRIT_MUST_CHECK
#define TRIT_PRINTF(fmt, args)
#endif

/* ---- status and errors ------------------------------------------------------------------------------------------ */

/** What a call returns: 0 or one of these. */
enum trit_status {
	TRIT_OK = 0,
	TRIT_ERR_ARG = -1,         /**< an argument is out of its documented range */
	TRIT_ERR_MEMORY = -2,      /**< not enough memory */
	TRIT_ERR_IO = -3,          /**< the operating system refused: missing file, no permission, disk full */
	TRIT_ERR_FORMAT = -4,      /**< the input is damaged, or is not what it claims to be */
	TRIT_ERR_UNSUPPORTED = -5, /**< sound, but not something this build can do; the message says what would */
	TRIT_ERR_LIMIT = -6,       /**< a limit was reached, such as the context length */
};

/** An error, described once, where it was found. Constant size, nothing to free. */
struct trit_error {
	enum trit_status status; /**< the value the call returned */
	int64_t position;        /**< byte position in the file or text concerned, or -1 */
	char message[512];       /**< one line, UTF-8, no newline: what happened, where, what to do */
};

/** Version of the library as "MAJOR.MINOR.PATCH". */
const char *trit_version(void);

/* ---- model ------------------------------------------------------------------------------------------------------ */

struct trit_model;

/** How a model is opened. Zeroed: all defaults. */
struct trit_model_options {
	const char *cpu;    /**< kernels: "c", "avx2", ... (same results); NULL: the best, or what TRIT_CPU says */
	const char *layout; /**< of ternary weights in memory: "t2" (2 bits), "t5" (1.6 bits) or "b1" (1 bit, binary
	                     *   models only). Changes speed and memory, never a logit. NULL or "auto": as the file has
	                     *   them if the kernels can use that, else the fastest */
	const char *head;   /**< the output head: "exact" as in the file, or "i8", "i6" or "i4", in so many bits. NULL or
	                     *   "auto": i8 in a ternary model whose file has it as numbers, else exact */
	int n_threads;      /**< threads that repack weights; 0: one a core */
	const char *tokenizer; /**< file of the vocabulary (GGUF or tokenizer.json); NULL: the model's own */
	const char *lora;   /**< low-rank adapter in GGUF that is added to the model's projections; NULL: none */
};

/**
 * Opens a GGUF model file. The file is mapped, its description checked completely and, where its layout is not one
 * that kernels use, its weights repacked. What is used as it lies in the file is read when needed: do not change the
 * file while the model is open. On success *out owns the model: trit_model_close it after its sessions.
 * Errors: IO, FORMAT (message names the file, the tensor or key, and the byte), UNSUPPORTED, MEMORY.
 */
TRIT_MUST_CHECK int trit_model_open(struct trit_model **out, const char *path, struct trit_error *err);
/** The same with options, which may be NULL. Also ARG: an option that is none. */
TRIT_MUST_CHECK int trit_model_open_with(struct trit_model **out, const char *path,
                                         const struct trit_model_options *options, struct trit_error *err);
void trit_model_close(struct trit_model *model);

int trit_model_vocab_size(const struct trit_model *model);     /**< V: number of tokens, length of a row of logits */
int trit_model_context_length(const struct trit_model *model); /**< tokens the model was trained to attend to */
int64_t trit_model_parameters(const struct trit_model *model); /**< number of weights, embeddings included */
int trit_model_embedding_width(const struct trit_model *model); /**< D: length of an embedding */

/* ---- tokens ----------------------------------------------------------------------------------------------------- */

typedef int32_t trit_token; /**< 0 .. V-1 */

enum trit_tokenize_flags {
	TRIT_TOKENIZE_BOS = 1,     /**< begin with the model's BOS token, if the model asks for one */
	TRIT_TOKENIZE_SPECIAL = 2, /**< read "<|endoftext|>" and the like as special tokens, not as text */
	TRIT_TOKENIZE_EOS = 4,     /**< end with the model's EOS or separator, if it asks for one; embedding models do */
};

/**
 * Turns `len` bytes of text (any bytes; UTF-8 expected) into at most `cap` tokens. *n_out is set to the number of
 * tokens the text has; when that is more than cap, `tokens` holds the first cap and the call returns TRIT_ERR_LIMIT.
 * With byte-level BPE a text never has more than len + 2 tokens; other vocabularies may replace characters by longer
 * texts.
 */
TRIT_MUST_CHECK int trit_tokenize(const struct trit_model *model, size_t len, const char *text, unsigned flags,
                                  size_t cap, trit_token *tokens, size_t *n_out, struct trit_error *err);

/** The bytes of one token and, in *len, how many; not NUL-terminated, maybe an incomplete UTF-8 character. Special
 * tokens give zero bytes. `token` must be 0 .. V-1. */
const char *trit_token_bytes(const struct trit_model *model, trit_token token, size_t *len);

/** Special tokens; -1 where the model has none. */
trit_token trit_token_bos(const struct trit_model *model);
trit_token trit_token_eos(const struct trit_model *model);
/** 1 when generation should stop after this token (EOS, end of turn), else 0. */
int trit_token_is_end(const struct trit_model *model, trit_token token);

/* ---- session: one sequence of tokens with its KV cache ----------------------------------------------------------- */

struct trit_session;

/** What the KV cache keeps of keys and values: 16, 4.5 or 8.25 bits a number (heads of 128). Fewer bits: less memory,
 * and a loss that is small with 8. */
enum trit_kv_type {
	TRIT_KV_AUTO = 0, /**< q8 for a ternary model, f32 for one whose projections are, f16 for other ones */
	TRIT_KV_F16 = 1,  /**< IEEE half */
	TRIT_KV_Q4 = 2,   /**< 4 bits, a scale for each 32 numbers */
	TRIT_KV_F32 = 3,  /**< single precision */
	TRIT_KV_Q8 = 4,   /**< 8 bits, a scale for each key and each value; attention in integers: the fastest */
};

struct trit_session_options {
	int n_ctx;     /**< tokens the session can hold; 0: the model's context length */
	int n_threads; /**< threads that compute, the caller's included; 0: as many as help, which is one a core, at most
	                *   64, and one for every 2 million weights */
	int n_batch;   /**< tokens computed together when many are fed; 0: 512. Changes speed and memory, never a logit */
	enum trit_kv_type kv_type; /**< of the KV cache */
};

/** Makes an empty session. `options` may be NULL for all defaults. All memory the session will ever use is allocated
 * here. Errors: ARG (n_ctx beyond the model's), MEMORY. */
TRIT_MUST_CHECK int trit_session_new(struct trit_session **out, const struct trit_model *model,
                                     const struct trit_session_options *options, struct trit_error *err);
void trit_session_free(struct trit_session *session);

/** Appends n tokens (n >= 1) and computes the logits that follow the last one. Errors: ARG (a token outside 0..V-1),
 * LIMIT (context full); the session is then unchanged. */
TRIT_MUST_CHECK int trit_session_feed(struct trit_session *session, size_t n, const trit_token *tokens,
                                      struct trit_error *err);

/** Logits [V], fp32, after the last token fed; NULL before the first. Valid until the next call on the session. */
const float *trit_session_logits(const struct trit_session *session);

/** Number of tokens held. */
int trit_session_length(const struct trit_session *session);
/** Number of tokens the session can hold. */
int trit_session_capacity(const struct trit_session *session);
/** Forgets all tokens but the first n_keep (0 <= n_keep <= length). The logits are gone until the next feed. */
void trit_session_rewind(struct trit_session *session, int n_keep);

/* ---- sampler ---------------------------------------------------------------------------------------------------- */

struct trit_sampler;

struct trit_sampler_options {
	uint64_t seed;        /**< the same seed gives the same tokens, on every machine */
	float temperature;    /**< 0: always the most likely token */
	int top_k;            /**< keep the k most likely tokens; 0: all */
	float top_p;          /**< keep the smallest set with this much probability; 1: all */
	float min_p;          /**< drop tokens less likely than this share of the most likely one; 0: none */
	float repeat_penalty; /**< divide (or multiply, when negative) logits of recent tokens; 1: off */
	int repeat_last_n;    /**< how many recent tokens the penalty looks at; 0: none */
};

/** The defaults: temperature 0.8, top_k 40, top_p 0.95, min_p 0.05, penalty 1 over 64 tokens, seed 0. */
struct trit_sampler_options trit_sampler_defaults(void);

/** Makes a sampler for a vocabulary of V tokens. Errors: ARG (an option out of range; message names it), MEMORY. */
TRIT_MUST_CHECK int trit_sampler_new(struct trit_sampler **out, int vocab_size,
                                     const struct trit_sampler_options *options, struct trit_error *err);
void trit_sampler_free(struct trit_sampler *sampler);

/** Tells the sampler of a token that was fed (a prompt's), so that the repeat penalty sees it. */
void trit_sampler_accept(struct trit_sampler *sampler, trit_token token);
/** Chooses a token from logits [V] (unchanged) and accepts it. Non-finite logits are never chosen; when none is
 * finite, token 0 is. */
trit_token trit_sampler_next(struct trit_sampler *sampler, const float *logits);

/* ---- embedding: a text as a vector ------------------------------------------------------------------------------ */

struct trit_embedder;

/** What of the last layer's states [T, D] becomes a text's vector [D]; numbers as in the key pooling_type of GGUF. */
enum trit_pooling {
	TRIT_POOLING_MODEL = 0, /**< what the model's file says; the last token's if it says nothing */
	TRIT_POOLING_MEAN = 1,  /**< the mean of all */
	TRIT_POOLING_CLS = 2,   /**< the first token's */
	TRIT_POOLING_LAST = 3,  /**< the last token's */
};

struct trit_embed_options {
	int n_ctx;       /**< tokens of the longest text; 0: the model's context length */
	int n_sequences; /**< texts under way at a time; 0: as fit 1 GiB, at most 64. Changes speed, never a number */
	int n_threads;   /**< as in trit_session_options */
	int n_batch;     /**< tokens computed together; 0: 512 */
	enum trit_pooling pooling;
	int no_scaling;  /**< 1: vectors as they come; 0: divided by their length */
	enum trit_kv_type kv_type;
};

/** Makes an embedder. `options` may be NULL for all defaults. Errors: ARG, MEMORY, UNSUPPORTED (a pooling of the file
 * that is none of these). */
TRIT_MUST_CHECK int trit_embedder_new(struct trit_embedder **out, const struct trit_model *model,
                                      const struct trit_embed_options *options, struct trit_error *err);
void trit_embedder_free(struct trit_embedder *embedder);

/**
 * Embeds n_texts texts: text i has n_tokens[i] >= 1 tokens at tokens[i]; its vector is written to out + i D. A text's
 * vector does not depend on the others, to the bit. Errors: ARG (an empty text, a token outside 0..V-1), LIMIT (a text
 * longer than n_ctx); out is then unchanged.
 */
TRIT_MUST_CHECK int trit_embed(struct trit_embedder *embedder, size_t n_texts, const size_t *n_tokens,
                               const trit_token *const *tokens, float *out, struct trit_error *err);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
