/*
 * space.c - sums up what a run will write.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/space.h"

#include "base/file.h"

#define TEXT_BYTES_PER_TOKEN 2 /* fewer than in any language that a vocabulary was learnt from */
#define STEP_BYTES 600         /* a line of metrics and a record of events */
#define SCALE_BYTES 64         /* a scale in both */
#define SCALES 10              /* a layer, with its norms */

struct trit_space trit_space_of(const struct trit_config *c, uint64_t text_bytes, int keep, double steps, int val_every)
{
	double weights = (double)trit_config_parameters(c);
	double validations = val_every > 0 ? steps / val_every + 1 : 1;
	return (struct trit_space){
		.shards = (double)text_bytes / TEXT_BYTES_PER_TOKEN * (c->n_vocab > 65536 ? 4 : 2),
		.checkpoints = (keep + 1.0) * (weights * 3 * sizeof(float) + 65536),
		.metrics = steps * STEP_BYTES + validations * c->n_layers * SCALES * SCALE_BYTES,
		.model = 2 * weights * 2, /* at most 16 bits each, and the one in place while the next is made */
	};
}

int trit_space_check(const struct trit_space *s, const char *folder, struct trit_error *err)
{
	const double mb = 1e6;
	double need = s->shards + s->checkpoints + s->metrics + s->model - s->there;
	double have = (double)trit_free_space(folder);
	if (need <= have)
		return TRIT_OK;
	return trit_fail(err, TRIT_ERR_IO,
	                 "%s: the run will write %.1f MB (tokens %.1f, checkpoints %.1f, metrics %.1f, model %.1f, of "
	                 "which %.1f are there) and %.1f are free; free some, choose another --out or a smaller --keep",
	                 folder, need / mb, s->shards / mb, s->checkpoints / mb, s->metrics / mb, s->model / mb,
	                 s->there / mb, have / mb);
}
