/*
 * bench_report.h - prints what was measured: a table for people, or CSV, JSON or JSON lines with llama-bench's field
 * names and some of our own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_BENCH_REPORT_H
#define TRIT_CLI_BENCH_REPORT_H

#include "bench/bench.h"
#include "cli/cmd.h"

enum trit_report_form { TRIT_REPORT_MD, TRIT_REPORT_CSV, TRIT_REPORT_JSON, TRIT_REPORT_JSONL };

/** A report begins with its first result and is to be ended. */
struct trit_report {
	enum trit_report_form form;
	bool with_batch, with_kv; /* md: columns for the batch size and the type of the KV cache */
	int n_results;   /* so far */
	char cpu[128];
};

void trit_report_init(struct trit_report *p, enum trit_report_form form, bool with_batch, bool with_kv);
/** One result with at least one sample. Errors: MEMORY. */
TRIT_MUST_CHECK int trit_report_result(struct trit_report *p, const struct trit_model *m, const char *path,
                                       const struct trit_bench_result *r, struct trit_error *err);
void trit_report_end(struct trit_report *p);

#endif
