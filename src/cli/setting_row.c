/*
 * setting_row.c - a setting of the recipe as a row of an option table.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/setting_row.h"

struct trit_opt trit_setting_row(struct trit_recipe *r, const struct trit_setting *s)
{
	static const enum trit_opt_type types[] = {
		[TRIT_SETTING_INT] = TRIT_OPT_INT,       [TRIT_SETTING_FLOAT] = TRIT_OPT_FLOAT,
		[TRIT_SETTING_BOOL] = TRIT_OPT_FLAG,     [TRIT_SETTING_U64] = TRIT_OPT_UINT64,
		[TRIT_SETTING_CHOICE] = TRIT_OPT_CHOICE,
	};
	bool from_size = s->type == TRIT_SETTING_INT && *(int *)(void *)((char *)r + s->offset) == 0 && s->min > 0;
	bool unset = s->type == TRIT_SETTING_FLOAT && *(float *)(void *)((char *)r + s->offset) < 0;
	return (struct trit_opt){ .name = s->name, .type = types[s->type], .value = (char *)r + s->offset, .min = s->min,
		                  .max = s->max, .metavar = s->metavar, .help = s->help, .choices = s->choices,
		                  .shown = from_size ? "from --size" : unset ? "" : NULL };
}
