/*
 * hf_config.h - the JSON files of a Hugging Face folder that say what the model is: config.json,
 * generation_config.json, tokenizer_config.json.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_HF_CONFIG_H
#define TRIT_CONVERT_HF_CONFIG_H

#include "format/json_text.h"
#include "model/config.h"
#include "text/labels.h"

/** How projections lie in the folder, transformers' quantization_config. */
enum trit_hf_linear {
	TRIT_HF_PLAIN,   /* numbers, used as they are: no quantization_config */
	TRIT_HF_DIVIDE,  /* bitlinear: packed, the product divided by weight_scale */
	TRIT_HF_MULTIPLY, /* autobitlinear, offline: packed, the product multiplied by weight_scale */
	TRIT_HF_ONLINE,  /* autobitlinear, online: masters, quantised when used */
};

struct trit_hf_description {
	const struct trit_config *config;
	const struct trit_vocab *vocab; /* may be NULL */
	enum trit_hf_linear linear;
	const char *dtype; /* "bfloat16" */
	const struct trit_labels *labels; /* of a classifier; may be NULL */
};

/** Whether transformers has a network for the configuration. Errors: UNSUPPORTED, with what it lacks. */
TRIT_MUST_CHECK int trit_hf_check(const struct trit_config *c, struct trit_error *err);
/** The order of the network's makers for such a model: whether its packed scales divide. */
bool trit_hf_divides(const struct trit_config *c);

void trit_hf_put_config(struct trit_json *j, const struct trit_hf_description *m);
void trit_hf_put_generation(struct trit_json *j, const struct trit_hf_description *m);
void trit_hf_put_tokenizer(struct trit_json *j, const struct trit_hf_description *m);

#endif
