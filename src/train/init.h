/*
 * init.h - training that starts from a model that exists: any file that model/model_file.h opens.
 *
 * The file gives the configuration, the vocabulary and the first weights. What becomes of them:
 *
 *     file              --weights ternary (or binary)                         --weights full
 *     full precision    its numbers are the first master weights;             its numbers, as they are
 *                       sub-norms are added (--sub-norm)
 *     ternary           masters that quantise to its codes and scales         an error
 *     master weights    as they are                                           an error
 *
 * Sub-norms in front of the output and down projections keep those inputs in range when their weights become ternary
 * [BitDistill]; sub_norm.h says what they begin with. A LLaMA that becomes ternary with them is a BitNet b1.58, by that
 * name.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_INIT_H
#define TRIT_TRAIN_INIT_H

#include "model/model_file.h"
#include "train/params.h"
#include "train/recipe.h"

/** What a run starts from. Zeroed: nothing. */
struct trit_init {
	struct trit_model_file file;
	struct trit_config config; /* of the model that is trained */
	bool adds_sub_norms;       /* which the file has not */
};

/** Opens the model and decides what is trained: `config`, and from it the settings of the recipe that describe the
 * network and those that are 0. Of the model's layers there are as many as the recipe says, or all. tokenizer: file of
 * the vocabulary, NULL: the model's own. Errors: ARG (settings that do not go together with the model), IO, FORMAT,
 * UNSUPPORTED (a network that cannot be trained: what it has, by name). */
TRIT_MUST_CHECK int trit_init_open(struct trit_init *in, const char *path, const char *tokenizer,
                                   struct trit_recipe *r, struct trit_error *err);
void trit_init_close(struct trit_init *in);
/** Whether a model's projections are ternary, or masters of such. Errors: those of opening it. */
TRIT_MUST_CHECK int trit_init_is_ternary(const char *path, const char *tokenizer, bool *ternary,
                                         struct trit_error *err);

/** The layer of a model with `of` layers that layer i of `layers` begins with and is compared with: in proportion, the
 * first and the last being each other's. */
int trit_init_layer(int i, int layers, int of);
/** Fills p->w, laid out for configuration c, from a model's file: numbers as they are, rotary pairs in c's order;
 * ternary projections as masters (model/masters.h) that quantise to the same codes and scale; sub-norms that the file
 * lacks 1, for sub_norm.h to fit. Errors: FORMAT (a tensor missing, of another shape, or with a number that is not
 * finite), UNSUPPORTED, MEMORY. */
TRIT_MUST_CHECK int trit_params_from_model(struct trit_params *p, const struct trit_config *c,
                                           struct trit_model_file *file, struct trit_error *err);

#endif
