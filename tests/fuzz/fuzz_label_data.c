/*
 * fuzz_label_data.c - any bytes as labelled texts of each kind: an error that says where, or rows that lie within them.
 *
 * The first byte chooses the kind: a table with commas or tabs, records, a list; and what may be wrong with a row.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>
#include <unistd.h>

#include "train/label_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(void *arg, const struct trit_label_row *row, struct trit_error *err)
{
	size_t *sum = arg;
	for (size_t i = 0; i < row->text_len; i++) /* readable */
		*sum += (unsigned char)row->text[i];
	for (size_t i = 0; row->label && i < row->label_len; i++)
		*sum += (unsigned char)row->label[i];
	if (row->text_len == 0 || (row->label && row->label_len == 0))
		__builtin_trap();
	return row->text[0] == '!' ? trit_fail(err, TRIT_ERR_FORMAT, "refused") : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], *paths[] = { path };
	unsigned way = size ? data[0] : 0;
	int file = memfd_create("label_data", 0);

	if (file < 0 || size == 0 || write(file, data + 1, size - 1) != (ssize_t)(size - 1)) {
		close(file);
		return 0;
	}
	snprintf(path, sizeof path, "%s/proc/self/fd/%d", way % 4 == 3 ? "x=" : "", file);
	const struct trit_label_options o = { .form = (enum trit_label_form)(TRIT_LABEL_FORM_CSV + way % 4),
		                                  .unlabelled = way >> 2 & 1, .skip_bad = way >> 3 & 1,
		                                  .label_column = way >> 4 & 1 ? "2" : NULL };
	struct trit_label_counts counts;
	struct trit_error err;
	size_t sum = 0;
	int e = trit_label_rows_each(1, paths, &o, check, &sum, &counts, &err);
	if (e > 0 || (e < 0 && !err.message[0]) || (e == 0 && (!counts.rows || counts.done != size - 1)))
		__builtin_trap();
	close(file);
	return 0;
}
