/*
 * setting_row.h - the settings of a training run as options.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_SETTING_ROW_H
#define TRIT_CLI_SETTING_ROW_H

#include "cli/opt.h"
#include "train/recipe.h"

/** The row that reads setting `s` into `r`; the help shows what is in `r` now. */
struct trit_opt trit_setting_row(struct trit_recipe *r, const struct trit_setting *s);

#endif
