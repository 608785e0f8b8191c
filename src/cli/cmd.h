/*
 * cmd.h - what the commands share: their declarations, reporting errors, standard output, Ctrl-C, terminals.
 *
 * A command is a function of (argc, argv), argv[0] being its name, that returns the exit status: 0 done, 1 failed,
 * 2 the command line was wrong, 130 stopped by Ctrl-C. How to add one: cli/main.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_CMD_H
#define TRIT_CLI_CMD_H

#ifndef TRIT_MAY_PRINT
#define TRIT_MAY_PRINT
#endif
#include <signal.h>
#include <stdbool.h>

#include "base/buf.h"
#include "cli/opt.h"

typedef int trit_cmd_fn(int argc, char **argv);
trit_cmd_fn trit_cmd_run, trit_cmd_chat, trit_cmd_train, trit_cmd_finetune, trit_cmd_distill, trit_cmd_data,
    trit_cmd_convert, trit_cmd_info, trit_cmd_doctor, trit_cmd_tokenize, trit_cmd_perplexity, trit_cmd_embed,
    trit_cmd_bench, trit_cmd_synth, trit_cmd_report, trit_cmd_classify;

/* ---- errors ------------------------------------------------------------------------------------------------------ */

/** Prints "trit COMMAND: MESSAGE" on stderr. Returns 1, the exit status. */
int trit_cmd_fail(const char *command, const struct trit_error *err);
/** The same from a format. */
int trit_cmd_failf(const char *command, const char *fmt, ...) TRIT_PRINTF(2, 3);
/** "trit COMMAND: note: ..." on stderr. */
void trit_cmd_note(const char *command, const char *fmt, ...) TRIT_PRINTF(2, 3);

/* ---- standard output --------------------------------------------------------------------------------------------- */

/** Writes to stdout and remembers failure. After a closed pipe or a full disk all further output is dropped. */
void trit_out(size_t len, const char *bytes);
/** The same from a format; at most 4095 bytes. */
void trit_outf(const char *fmt, ...) TRIT_PRINTF(1, 2);
void trit_out_flush(void);
/** False once stdout is gone: there is nobody left to write for, stop. */
bool trit_out_alive(void);
/** Flushes and gives the exit status of a command that would end with `status`: that, or 1 when output was lost, with
 * a line on stderr unless the reader just went away. */
int trit_out_finish(const char *command, int status);

/** Writes text that a model or a file made: as it is, but on a terminal without control characters other than newline
 * and tab, so that it cannot drive the terminal. `text` is UTF-8. */
void trit_out_text(size_t len, const char *text);
/** Writes a JSON string, quotes included: control characters escaped, bytes that are not UTF-8 as U+FFFD. */
void trit_out_json(size_t len, const char *text);

/* ---- Ctrl-C ------------------------------------------------------------------------------------------------------ */

/** How many SIGINT, SIGTERM, SIGUSR1 and SIGHUP came since trit_interrupt_catch or the last reset. */
extern volatile sig_atomic_t trit_interrupts;
/** Whether one of them was SIGTERM: end, whatever Ctrl-C would mean. */
extern volatile sig_atomic_t trit_terminated;
/** From now on SIGINT, SIGTERM, SIGUSR1 and SIGHUP (not under nohup) are counted; blocking system calls end with
 * EINTR. The fifth that is not answered by a reset ends the program. */
void trit_interrupt_catch(void);
void trit_interrupt_reset(void);

/** Names of enum trit_kv_type, NULL-terminated. */
extern const char *const trit_kv_names[];

/* ---- options that several commands have, as rows of a table ------------------------------------------------------ */

#define TRIT_ROW_MODEL(path)                                                                                           \
	{ 'm', "model", TRIT_OPT_STRING, &(path), .metavar = "FILE", .help = "model: GGUF file or folder",           \
	  .env = "TRIT_MODEL", .required = true }
#define TRIT_ROW_THREADS(n)                                                                                            \
	{ 't', "threads", TRIT_OPT_INT, &(n), .max = 256, .metavar = "N", .help = "threads that compute",              \
	  .shown = "as many as help", .env = "TRIT_THREADS" }
#define TRIT_ROW_CPU(name)                                                                                             \
	{ 0, "cpu", TRIT_OPT_STRING, &(name), .metavar = "NAME",                                                       \
	  .help = "kernels: c, avx2, avx512, ... (inference: same results)",                                           \
	  .shown = "the best", .env = "TRIT_CPU" }
#define TRIT_ROW_TOKENIZER(path)                                                                                       \
	{ 0, "tokenizer", TRIT_OPT_STRING, &(path), .metavar = "FILE", .help = "vocabulary in place of the model's own" }
/** What trit_model_open_with takes, in a struct trit_model_options. */
#define TRIT_ROWS_OPEN(o)                                                                                              \
	TRIT_ROW_TOKENIZER((o).tokenizer),                                                                             \
	TRIT_ROW_CPU((o).cpu),                                                                                         \
	{ 0, "lora", TRIT_OPT_STRING, &(o).lora, .metavar = "FILE",                                                    \
	  .help = "low-rank adapter (GGUF) that is added to the model: trit finetune --lora" },                      \
	{ 0, "layout", TRIT_OPT_STRING, &(o).layout, .metavar = "NAME",                                                \
	  .help = "ternary weights in memory: t2, t5, b1 (same results)", .shown = "the file's or the fastest" },      \
	{ 0, "head", TRIT_OPT_STRING, &(o).head, .metavar = "TYPE",                                                    \
	  .help = "output head: exact as in the file, or in 8, 6 or 4 bits: i8, i6, i4",                               \
	  .shown = "i8 for ternary models" }
/** An int that becomes one of enum trit_kv_type. */
#define TRIT_ROW_KV_TYPE(type)                                                                                         \
	{ 0, "kv-type", TRIT_OPT_CHOICE, &(type), .metavar = "TYPE", .choices = trit_kv_names,                         \
	  .help = "of the KV cache: fewer bits for less memory and long contexts" }
#define TRIT_ROW_BATCH(n)                                                                                              \
	{ 'b', "batch-size", TRIT_OPT_INT, &(n), .max = 65536, .metavar = "N",                                         \
	  .help = "tokens of a prompt computed together", .shown = "512" }

struct trit_model;
struct trit_model_options;
/** trit_model_open_with, and the warnings that it left as notes on stderr. */
TRIT_MUST_CHECK int trit_cmd_open(const char *command, struct trit_model **out, const char *path,
                                  const struct trit_model_options *options, struct trit_error *err);

/** Types of a written GGUF file, as strings that start as "auto". */
#define TRIT_ROWS_EXPORT(projections, embeddings)                                                                      \
	{ 0, "type", TRIT_OPT_STRING, &(projections), .metavar = "TYPE",                                               \
	  .help = "of the projections: tq2_0, tq1_0, i2_s, q2_0, q1_0 (ternary, binary), q8_0, q6_k, q4_0, "           \
	          "f16, bf16, f32 for all programs; t5, t2, b1 for this one, which then starts at once; "              \
	          "auto: of a ternary model tq2_0 where widths are multiples of 256, else i2_s, q8_0 or f16; "         \
	          "of others what it has" },                                                                           \
	{ 0, "embedding-type", TRIT_OPT_STRING, &(embeddings), .metavar = "TYPE",                                      \
	  .help = "of embedding and head: q8_0, q6_k, q4_0, f16, bf16, f32; i8, i6, i4 for this program; "             \
	          "auto: what it has, or q8_0" }
#define TRIT_ROW_HEAD_TYPE(head)                                                                                       \
	{ 0, "head-type", TRIT_OPT_STRING, &(head), .metavar = "TYPE",                                                 \
	  .help = "of the head, the same types", .shown = "that of the embedding" }
struct trit_export_options;
/** Turns those strings into options. Returns -1, or the exit status after an error line. */
int trit_export_types_parse(const struct trit_opt_table *table, const char *type, const char *embedding_type,
                            const char *head_type, struct trit_export_options *o);
/** Lets an export show its progress on a terminal and end at Ctrl-C. */
void trit_export_watch(const char *command, struct trit_export_options *o);
/** After an export that returned `e`: the exit status, with a line on stderr. */
int trit_export_finish(const char *command, const char *path, int e, const struct trit_error *err);

/* ---- numbers for people ------------------------------------------------------------------------------------------ */

#define TRIT_NUMBER_BYTES 32
/** "3.42 MiB", "512 B". Returns text. */
const char *trit_text_bytes(char text[TRIT_NUMBER_BYTES], double bytes);
/** "3.15 M", "12345". Returns text. */
const char *trit_text_count(char text[TRIT_NUMBER_BYTES], double count);
/** "2:05:09", "4:07", "12 s". Returns text. */
const char *trit_text_seconds(char text[TRIT_NUMBER_BYTES], double seconds);

#endif
