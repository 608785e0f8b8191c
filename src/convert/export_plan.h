/*
 * export_plan.h - what each tensor becomes in a GGUF file: its type, and how its bytes are made.
 *
 * Types are chosen once for all projections, for the embedding and for the head; where nothing is asked for, numbers
 * stay what they are. How the bytes are made is a matter of each tensor, since its scales may or may not be F16
 * numbers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CONVERT_EXPORT_PLAN_H
#define TRIT_CONVERT_EXPORT_PLAN_H

#include "convert/export.h"

enum trit_export_how {
	TRIT_EXPORT_CODES,    /* codes and scales, as the type has them */
	TRIT_EXPORT_UNITS,    /* codes of scale 1; the scale goes to a tensor of its own, blk.N.NAME.scale */
	TRIT_EXPORT_PRODUCTS, /* codes times scales, as numbers */
	TRIT_EXPORT_NUMBERS,
	TRIT_EXPORT_BYTES,    /* as they lie in the source */
};

struct trit_planned {
	uint32_t type; /* enum trit_ggml_type */
	enum trit_export_how how;
};

struct trit_export_plan {
	struct trit_planned *tensors; /* [n], in the order of the walk */
	size_t n;
	uint32_t type; /* of most projections */
	bool packed;   /* there are packed types */
};

/** Errors: ARG (a type that shapes or scales do not allow: names tensor and remedy), MEMORY, those of the source, of
 * which scales are read. A source without functions has one scale a tensor, which is no F16 number. */
TRIT_MUST_CHECK int trit_export_plan_make(struct trit_export_plan *p, const struct trit_source *s,
                                          const struct trit_export_options *o, struct trit_error *err);
/** A zeroed struct is fine. */
void trit_export_plan_release(struct trit_export_plan *p);

/** Whether F16 holds every one of the scales: a 0 it does. */
bool trit_scales_are_f16(const float *scales, size_t n);

#endif
