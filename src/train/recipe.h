/*
 * recipe.h - everything that decides what a training run computes: sizes, method, schedule, data order.
 *
 * The table of rows serves the command line, the checkpoint's metadata and `--resume`: a new setting is a member and a
 * row. Sizes by name ("3m") fill in the dimensions that are not given.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_RECIPE_H
#define TRIT_TRAIN_RECIPE_H

#include "kernel/kernel.h"
#include "model/quant.h"

enum trit_optimizer { TRIT_OPTIMIZER_ADAMW, TRIT_OPTIMIZER_MUON, TRIT_OPTIMIZER_NORMUON };
enum trit_schedule { TRIT_SCHEDULE_TWO_STAGE, TRIT_SCHEDULE_LINEAR, TRIT_SCHEDULE_COSINE, TRIT_SCHEDULE_WSD };
enum trit_decay { TRIT_DECAY_LINEAR, TRIT_DECAY_SQRT };
enum trit_ramp { TRIT_RAMP_LINEAR, TRIT_RAMP_EXPONENTIAL, TRIT_RAMP_SIGMOID };
enum trit_precision { TRIT_PRECISION_AUTO, TRIT_PRECISION_BF16, TRIT_PRECISION_F32 };

enum trit_sub_norm { TRIT_SUB_NORM_AUTO, TRIT_SUB_NORM_YES, TRIT_SUB_NORM_NO };

enum trit_label_pooling { TRIT_LABEL_LAST, TRIT_LABEL_MEAN };
enum trit_label_trains { TRIT_LABEL_TRAINS_ALL, TRIT_LABEL_TRAINS_HEAD };

struct trit_recipe {
	/* the network; 0: from the size */
	int n_vocab, n_layers, d_model, d_ff, n_heads, n_kv_heads, head_dim;
	int weights;    /* enum trit_weight_kind */
	int scales;     /* index of trit_scalings */
	int activation; /* enum trit_activation */
	int sub_norm;   /* enum trit_sub_norm */
	bool untied;
	float rope_base, eps;
	/* the run */
	int seq_len, batch; /* S; sequences a step */
	int micro_batch;    /* sequences computed at once; 0: about 2048 tokens */
	int parts;          /* of a batch whose gradients are summed in a tree (part_sums.h); 0: one a process */
	int steps;          /* 0: from epochs */
	float epochs;
	int optimizer;      /* enum trit_optimizer */
	int schedule;       /* enum trit_schedule */
	float decay_share;  /* of the steps, of wsd */
	int decay;          /* enum trit_decay: how wsd falls then */
	int warmup;
	float lr, lr2;      /* peak learning rates of the two stages; 0: from the size and method */
	float weight_decay; /* of the first stage */
	float weight_decay2;
	float embedding_decay; /* weight decay of embedding and head; -1: as the projections' */
	float beta1, beta2, adam_eps, momentum, clip;
	float muon_lr;         /* peak; 0, of AdamW: lr */
	int momentum_warmup;   /* steps */
	float z_loss;
	int experts, experts_used; /* 0: a dense network */
	int d_expert;          /* width of an expert; 0: d_ff */
	bool shared_expert;
	float balance, router_z_loss;
	int quant_warmup;      /* steps from full precision to quantised */
	int quant_ramp;        /* enum trit_ramp */
	int backward;          /* enum trit_backward */
	int precision;         /* enum trit_precision */
	float val_share;    /* of the documents, held out */
	uint64_t seed;
	/* fine-tuning */
	int loss_on;        /* enum trit_loss_on */
	bool padded;        /* one example a sequence */
	int lora;           /* rank of adapters; 0: all weights are trained */
	float lora_alpha;   /* 0: twice the rank */
	int lora_set;       /* index of trit_lora_sets */
	/* with a teacher: train/teacher.h */
	int warm_steps;     /* before it comes in */
	float temperature;
	float kl_share, kl_weight;             /* a weight above 0 is fixed */
	float relation_share, relation_weight;
	int relation_layer, relation_heads;    /* 0: the last; as many as both models' key/value heads allow */
	/* of a classifier */
	int n_labels;       /* 0: it is none */
	int label_pooling;  /* enum trit_label_pooling */
	int label_trains;   /* enum trit_label_trains */
};

enum trit_setting_type {
	TRIT_SETTING_INT,
	TRIT_SETTING_FLOAT,
	TRIT_SETTING_BOOL,
	TRIT_SETTING_U64,
	TRIT_SETTING_CHOICE
};

/** A row: one setting. `name` is the long option and the metadata key. */
struct trit_setting {
	const char *name;
	enum trit_setting_type type;
	size_t offset; /* in struct trit_recipe */
	double min, max;
	const char *metavar, *help;
	const char *const *choices; /* NULL-terminated, of a CHOICE */
};

extern const struct trit_setting trit_settings[];
extern const int trit_n_settings;

struct trit_recipe trit_recipe_defaults(void);
/** Fills what is 0 from the preset `size` ("260k", "1m", ...). Errors: ARG (no such size; the message lists them). */
TRIT_MUST_CHECK int trit_recipe_apply_size(struct trit_recipe *r, const char *size, struct trit_error *err);
/** The network's settings from the configuration of a model that exists, and the run's that are 0. Its learning rate is
 * a quarter of what the size nearest to it would have. */
void trit_recipe_take_config(struct trit_recipe *r, const struct trit_config *c);
/** Whether a setting describes the network, which a model that exists has itself: all but what its weights become. */
bool trit_setting_is_shape(const struct trit_setting *s);
/** Whether it means something in fine-tuning only. */
bool trit_setting_is_tuning(const struct trit_setting *s);
/** Whether in training a classifier only. */
bool trit_setting_of_labels(const struct trit_setting *s);
/** Whether it can be chosen there. */
bool trit_setting_of_classifier(const struct trit_setting *s);
/** Whether the model's weights stay as they are, and only what is beside them is trained. */
static inline bool trit_recipe_is_frozen(const struct trit_recipe *r)
{
	return r->lora || (r->n_labels && r->label_trains == TRIT_LABEL_TRAINS_HEAD);
}
/** Whether the arrangement of scales suits kind of weights and widths. Errors: ARG. */
TRIT_MUST_CHECK int trit_recipe_check_scales(const struct trit_recipe *r, struct trit_error *err);
/** NULL if there is none of that name. */
const struct trit_setting *trit_setting_by_name(const char *name);
/** What a setting has no effect without, if the recipe lacks it ("--schedule wsd"); otherwise NULL. from_model: the run
 * begins with a model, which may have experts. */
const char *trit_setting_needs(const struct trit_setting *s, const struct trit_recipe *r, bool from_model);
/** Whether a setting is of runs with a teacher only. */
bool trit_setting_of_teacher(const struct trit_setting *s);
/** "260k, 1m, ...". */
const char *trit_recipe_sizes(void);
/** Derives the configuration and checks it; n_vocab as learnt may be smaller than asked for. Errors: ARG. */
TRIT_MUST_CHECK int trit_recipe_config(const struct trit_recipe *r, struct trit_config *c, struct trit_error *err);
struct trit_weight_method trit_recipe_method(const struct trit_recipe *r);
/** Settles the precision that is auto. Errors: UNSUPPORTED (bfloat16 where k is not fast in it). */
TRIT_MUST_CHECK int trit_recipe_choose_precision(struct trit_recipe *r, const struct trit_kernels *k,
                                                 struct trit_error *err);
/** The kernels of training steps, k being those of everything else: with gemm_bf16 in the place of gemm_f32 if that is
 * the recipe's precision. */
struct trit_kernels trit_recipe_kernels(const struct trit_recipe *r, const struct trit_kernels *k);

#define TRIT_SETTING_BYTES 40
/** A setting's value as text (floats with 9 digits, exact) and back. Errors: FORMAT. */
void trit_setting_print(char text[TRIT_SETTING_BYTES], const struct trit_setting *s, const struct trit_recipe *r);
TRIT_MUST_CHECK int trit_setting_parse(struct trit_recipe *r, const struct trit_setting *s, const char *text,
                                       struct trit_error *err);

#endif
