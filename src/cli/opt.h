/*
 * opt.h - the command line of one command, as a table: parsing, errors, help and defaults all come from it.
 *
 * A command fills variables with its defaults, describes them in rows of struct trit_opt, and calls trit_opt_parse:
 *
 *     int n = 256;
 *     struct trit_opt options[] = {
 *         { 'n', "predict", TRIT_OPT_INT, &n, .min = -1, .max = INT_MAX, .metavar = "N", .help = "tokens to write" },
 *     };
 *     struct trit_opt_table table = { .command = "run", .usage = "-m FILE [-p TEXT]", .about = "Writes text.",
 *                                     .options = options, .n_options = TRIT_N(options) };
 *     int status = trit_opt_parse(&table, argc, argv);
 *     if (status >= 0)
 *         return status;
 *
 * Accepted: -n V, --predict V, --predict=V; a name of two letters also as -np V; "--" ends the options; "-" is an
 * argument. The default that help shows is what the variable holds when parsing begins. Order of strength: command
 * line, environment, default. An option given twice: the last one counts (lists: all).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_OPT_H
#define TRIT_CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRIT_N(array) ((int)(sizeof(array) / sizeof((array)[0])))

enum trit_opt_type {
	TRIT_OPT_HEADING, /* no option: `help` is a line between groups of them */
	TRIT_OPT_FLAG,    /* bool *: set to true */
	TRIT_OPT_UNFLAG,  /* bool *: set to false ("--no-echo") */
	TRIT_OPT_INT,     /* int * */
	TRIT_OPT_UINT64,  /* uint64_t * */
	TRIT_OPT_FLOAT,   /* float *, finite */
	TRIT_OPT_STRING,  /* const char **: points into argv or the environment */
	TRIT_OPT_CHOICE,  /* int *: index into `choices` */
	TRIT_OPT_LIST,    /* struct trit_opt_list *: this and all following arguments up to one that begins with '-' */
};

struct trit_opt {
	char letter;               /* 0: none */
	const char *name;          /* long name; further ones, not shown in help, after commas: "threads,n-threads" */
	enum trit_opt_type type;
	void *value;
	double min, max;           /* of a number, both included; both 0: whatever the type holds */
	const char *metavar;       /* "FILE", "N"; what a value is called in help */
	const char *help;          /* one line or more, without a full stop at the end */
	const char *shown;         /* default as help shows it, instead of the variable's value; "": nothing */
	const char *env;           /* environment variable that sets it too, or NULL; not for lists */
	const char *const *choices; /* NULL-terminated names of a CHOICE */
	bool required;
	bool given;                /* set by trit_opt_parse: it was on the command line or in the environment */
};

/** The strings are argv's; the array is allocated by trit_opt_parse when it returns -1, the caller's to trit_free. */
struct trit_opt_list {
	char **items;
	int n;
};

struct trit_opt_table {
	const char *command; /* "run" */
	const char *usage;   /* what follows "trit run " in the usage line */
	const char *about;   /* what the command does, for help: lines without indent */
	struct trit_opt *options;
	int n_options;
	int min_args, max_args; /* arguments that are not options: how many there may be */

	/* set by trit_opt_parse */
	char **args; /* n_args of them, inside argv */
	int n_args;
};

/** Parses argv[1..argc-1]. Returns -1 to go on, or the exit status: 0 after --help (printed on stdout), 2 after an
 * error (one line on stderr). Reorders argv. */
int trit_opt_parse(struct trit_opt_table *t, int argc, char **argv);
/** Gives an option a value as if it were given as `name`; a string is pointed to. Returns as trit_opt_parse. */
int trit_opt_set(const struct trit_opt_table *t, struct trit_opt *o, const char *name, char *value);
/** The value that an option's variable holds, as it would be given; "" for flags and lists. */
void trit_opt_value(const struct trit_opt *o, size_t size, char *text);
/** What --help prints. */
void trit_opt_help(const struct trit_opt_table *t, FILE *f);
/** One line on stderr: "trit COMMAND: MESSAGE (trit COMMAND --help lists all)". Returns 2. */
int trit_opt_error(const struct trit_opt_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The name nearest to `word` among n, by edit distance, of at most a third of its length and one; or NULL. */
const char *trit_nearest_word(const char *word, const char *const *names, int n);

#endif
