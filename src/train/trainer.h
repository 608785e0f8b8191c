/*
 * trainer.h - a training run: prepares the data, steps, validates, saves, resumes.
 *
 * The output folder:
 *     data/train-*.safetensors, data/val-*.safetensors   tokens             vocab.gguf   the vocabulary
 *     checkpoint.safetensors   weights, moments, settings, step              metrics.jsonl   a line a step
 *     checkpoint-STEP.safetensors   older ones (kept.h)                options.json   (cli/run_options.h)
 *     events.out.tfevents.*    the same numbers for TensorBoard
 * model.gguf, the packed result, is made from the checkpoint by convert/.
 *
 * With several processes (dist.h) all call the same functions at the same time. Rank 0 alone prepares the data and
 * writes the files; the others only read them, in the same folder.
 *
 * Order of use: _create or _resume, then _step until it says done, _save now and then, _close. Interrupting between two
 * steps loses nothing that was saved; a resumed run goes on bit for bit as the uninterrupted one would have.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_TRAINER_H
#define TRIT_TRAIN_TRAINER_H

#include "train/labelled.h"
#include "train/data.h"
#include "train/diagnosis.h"
#include "train/events.h"
#include "train/init.h"
#include "train/kept.h"
#include "train/memory_plan.h"
#include "train/metrics.h"
#include "train/net.h"
#include "train/optim.h"
#include "train/space.h"
#include "train/windows.h"
#include "train/teacher.h"
#include "train/prepare.h"

/** What does not change the result. */
#define TRIT_VAL_WINDOWS 256 /* that validate unless a run is told otherwise */
#define TRIT_RUN_OPTIONS_FILE "options.json"

struct trit_train_options {
	const char *out;           /* folder */
	const char *init;          /* model to start from; NULL: random weights */
	bool examples;             /* the data are records (examples.h) for the model `init` */
	const struct trit_classify_options *classify; /* the data are texts with labels; NULL: they are not */
	const char *chat_template; /* as trit_chat_open takes it, of examples; the result keeps it. NULL: the model's */
	bool skip_bad;             /* records that cannot be used are left out */
	const char *teacher;       /* model to learn from; NULL: none; when resuming the one the run began with */
	const char *tokenizer;     /* GGUF or tokenizer.json to take the vocabulary from; NULL: learn it */
	const char *cpu;           /* kernel tier; NULL: best */
	int n_threads;             /* 0: all cores */
	int max_val_windows;       /* validate on at most so many */
	int val_every;             /* steps between validations, by the caller; 0: none */
	int save_every;            /* steps between checkpoints, likewise */
	int keep;                  /* checkpoints to keep; 0: 2 */
	int max_skipped;           /* steps in a row whose gradient may be not finite; 0: 10 */
	bool heedless;             /* go on when the run diverges */
	bool recompute;            /* activations in the backward pass (net.h) */
	const char *resume_from;   /* step or file to resume from; NULL: the newest sound checkpoint */
	const struct trit_buf *kept; /* of a new run: what goes into OUT/options.json; NULL: nothing */
	const struct trit_transport *transport; /* to the other processes of the run; NULL: there are none */
	trit_prepare_fn *progress; /* while text is prepared; may be NULL */
	void *progress_arg;
};

struct trit_trainer {
	struct trit_recipe recipe;
	struct trit_config config;
	struct trit_progress progress;
	struct trit_kernels kernels, step_kernels;
	struct trit_pool *pool;
	struct trit_tokenizer *tokenizer;
	struct trit_data data;
	struct trit_params params;
	struct trit_net net;
	struct trit_optim optim;
	struct trit_teacher teacher;
	const struct trit_transport *transport;
	struct trit_dist *dist;     /* NULL: one process */
	struct trit_part_sums sums; /* of this process's parts of a batch */
	int parts;                  /* of a batch, of all processes */
	int micro_batch;            /* the recipe's, but at most a part */
	double *losses;             /* [parts] of a step */
	double *val_losses;         /* [micro-batches][2] loss, weight */
	int n_fetched;              /* tensors of moments that rank 0 has fetched for a checkpoint */
	trit_token *batch; /* [batch, S + 1] */
	float *weights;    /* [batch, S] of the losses; NULL where all are 1 */
	/* fine-tuning */
	struct trit_windows windows; /* in the place of what `data` draws, whose counts are theirs */
	bool examples;               /* there are windows */
	int *starts;                 /* [batch, S] of their examples */
	struct trit_example_counts counts; /* of a run that has just begun */
	struct trit_classify_counts label_counts;
	struct trit_label_head label_head;
	struct trit_params base;     /* the model's weights where they stay as they are; `params` is what is beside them */
	struct trit_lora lora;
	char *out;
	struct trit_memory_plan memory;
	struct trit_space space; /* on the disk; zero with adapters */
	int lock; /* the folder, locked against another trainer; -1 before */
	int max_val_windows;
	int keep; /* checkpoints */
	uint64_t habits; /* hash of what must be the same in all processes besides settings */
	struct trit_notes notes; /* what resuming found odd; the diagnosis of a run that cannot go on */
	int max_skipped;
	bool heedless;
	float *scales; /* [L, TRIT_NET_LINEARS] */
	float *loads;  /* [L, E], behind them */
	FILE *metrics;
	struct trit_events *events;
};

/** Begins a run in an empty or new folder: vocabulary, shards, first weights. Errors: ARG, IO, FORMAT, MEMORY; IO when
 * the folder already holds a run, or when the disk has not the room. */
TRIT_MUST_CHECK int trit_trainer_create(struct trit_trainer *t, const struct trit_recipe *r, size_t n_paths,
                                        char *const *paths, const struct trit_train_options *o, struct trit_error *err);
/** Goes on from the newest checkpoint in OUT that is sound, or the one asked for; notes the damaged ones it passed
 * over; drops what metrics.jsonl has beyond it. */
TRIT_MUST_CHECK int trit_trainer_resume(struct trit_trainer *t, const struct trit_train_options *o,
                                        struct trit_error *err);
void trit_trainer_close(struct trit_trainer *t);

/** One optimiser step; measures the validation loss after it if `validate`. A step whose gradient is not finite changes
 * nothing and is counted; too many in a row are an error, and so is a loss that has gone up for good (health.h): then
 * t->notes has a diagnosis. Errors: IO (metrics), FORMAT (diverged). */
TRIT_MUST_CHECK int trit_trainer_step(struct trit_trainer *t, bool validate, struct trit_step_report *report,
                                      struct trit_error *err);
/** Mean nats a token of the validation text that is to be predicted, NaN if there is none. */
double trit_trainer_validate(struct trit_trainer *t);
/** Writes OUT/checkpoint.safetensors and keeps older ones (kept.h). */
TRIT_MUST_CHECK int trit_trainer_save(struct trit_trainer *t, struct trit_error *err);

#endif
