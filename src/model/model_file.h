/*
 * model_file.h - one view of every model, whatever its file is: keys and tensors under their GGUF names, and the
 * vocabulary.
 *
 * Opening, converting, describing and checking a model all start here. Nothing beyond this file asks where a model came
 * from; what only an importer can know is told by keys that no GGUF file has:
 *
 *     trit.rope.half       bool: rotary pairs are (i, i + n_rot/2), whatever the architecture's row says
 *     trit.weights.online  bool: projections are master weights, to be quantised when loaded (model/quant.h)
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_MODEL_MODEL_FILE_H
#define TRIT_MODEL_MODEL_FILE_H

#include "base/notes.h"
#include "format/file_kind.h"
#include "format/gguf.h"
#include "text/vocab.h"

/** Mappings that tensors point into. Zeroed: none. */
struct trit_maps {
	struct trit_map *maps;
	size_t n;
	uint64_t bytes; /* of all of them */
};
void trit_maps_close(struct trit_maps *m);

/** Zeroed: all defaults. */
struct trit_model_file_options {
	const char *tokenizer; /* file of the vocabulary; NULL: what the model has */
};

struct trit_model_file {
	struct trit_gguf gguf;    /* keys and tensors under GGUF names, whatever the file was */
	struct trit_vocab vocab;  /* has_vocab: the vocabulary, from wherever it was */
	bool has_vocab;           /* stays true when somebody takes the vocabulary over */
	enum trit_file_kind kind; /* what the file is */
	uint64_t bytes;           /* of the files that hold the weights */
	struct trit_notes notes;  /* what was found, assumed, missing */
	char *folder;             /* of Hugging Face: where the files of its tokenizer are; else NULL */
	bool training_run;        /* a checkpoint of trit train, or its folder */
	struct trit_maps maps;    /* private: of files that are not GGUF */
};

/**
 * Opens a model: a GGUF file, any part of one in several, a Hugging Face folder or a file of weights in it
 * (safetensors, PyTorch), or a checkpoint of llama2.c. The folder of a training run, or a checkpoint, opens
 * without tensors, as training_run. `options` may be NULL. A vocabulary without tensors is fine.
 * Errors: IO, FORMAT, UNSUPPORTED, MEMORY; the message names the file.
 */
TRIT_MUST_CHECK int trit_model_file_open(struct trit_model_file *f, const char *path,
                                         const struct trit_model_file_options *options, struct trit_error *err);
void trit_model_file_close(struct trit_model_file *f);

/** The error for a file without weights, where a model is wanted; 0 if it has some. */
TRIT_MUST_CHECK int trit_model_file_check_weights(const struct trit_model_file *f, const char *path,
                                                  struct trit_error *err);

/** The types of its tensors in order of first appearance, with their numbers in the file: "TQ2_0 (35) x 28, F32 (0) x
 * 9"; "none". */
void trit_describe_types(char *text, size_t size, const struct trit_gguf *g);

#endif
