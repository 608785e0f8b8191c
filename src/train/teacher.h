/*
 * teacher.h - a run with a teacher: opens it, weighs its losses from step to step, keeps that in the checkpoint.
 *
 * The first `warm-steps` steps have no teacher: continued training of a network that has just become ternary
 * [BitDistill, stage 2]. After them each of the two losses (distill.h) has a fixed weight, or one that keeps its
 * gradient a share of the others' (balance.h); at first a pass over part of a batch measures the norms.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_TEACHER_H
#define TRIT_TRAIN_TEACHER_H

#include "train/dist.h"
#include "train/metrics.h"
#include "train/net.h"
#include "train/recipe.h"
#include "train/teaching.h"

/** Zeroed: none. */
struct trit_teacher {
	struct trit_model *model;
	struct trit_distill distill;
	const struct trit_recipe *recipe;
	struct trit_net *net;
	struct trit_teaching *state; /* the run's */
	const struct trit_transport *transport;
	int n_parts;
	double *parts;               /* [parts of a batch, of all processes][TRIT_N_DISTILL_SUMS] */
	double sums[TRIT_N_DISTILL_SUMS]; /* of all of them, in order */
	double total;                /* of the step under way: sum of its losses' weights */
	bool at_work;                /* in that step */
};

/** The teacher's vocabulary, or that of the file `tokenizer` unless NULL, for a student that is made anew; and how many
 * rows the teacher's embedding has, which may be more than tokens. Errors: as of trit_model_file_open; FORMAT where
 * there is no vocabulary or not the room for it. */
TRIT_MUST_CHECK int trit_teacher_vocab(const char *path, const char *tokenizer, struct trit_vocab *vocab, int *n_vocab,
                                       struct trit_error *err);
/** What can be said of settings, student and teacher before anything else is done. Errors: as of trit_teacher_open. */
TRIT_MUST_CHECK int trit_teacher_check(const char *path, const struct trit_config *student,
                                       const struct trit_vocab *vocab, const struct trit_recipe *r,
                                       struct trit_error *err);
/**
 * Opens the teacher at `path`, or the one that `state` names, for a net that is laid out; keeps recipe, net and state
 * by reference. parts: of a batch, of all processes. vocab: the student's. Errors: ARG (no such layer or heads; nothing
 * to compare), IO, FORMAT (another vocabulary; not the teacher that the run began with), UNSUPPORTED, MEMORY.
 */
TRIT_MUST_CHECK int trit_teacher_open(struct trit_teacher *t, const char *path, struct trit_teaching *state,
                                      const struct trit_recipe *r, struct trit_net *net, int parts,
                                      const struct trit_transport *transport, const struct trit_vocab *vocab,
                                      struct trit_error *err);
void trit_teacher_close(struct trit_teacher *t);
/** Bytes it needs beside the student: scratch memory and weights, mapped or not. */
size_t trit_teacher_bytes(const struct trit_teacher *t);
/** Those of them that are written already when it is open. */
size_t trit_teacher_used_bytes(const struct trit_teacher *t);

/** Before a step's passes: decides whether the teacher is there and what its losses weigh. n sequences of the step's
 * batch, with weights or NULL, measure the norms when none are known yet, those of the first process; the gradient is
 * left zero. */
void trit_teacher_begin_step(struct trit_teacher *t, int step, int n, const trit_token *batch, const float *weights);
/** After the passes of a part of the batch, counted over all processes. */
void trit_teacher_end_part(struct trit_teacher *t, int part);
/** After those of all: `total` is the sum of the losses' weights. Every process has the same sums then. */
void trit_teacher_end_step(struct trit_teacher *t, double total);
/** The report's members about that step's teacher. */
void trit_teacher_report(const struct trit_teacher *t, struct trit_step_report *report);

#endif
