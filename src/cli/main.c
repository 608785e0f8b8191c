/*
 * main.c - the program trit: finds the command.
 *
 * Adding a command: a file cmd_NAME.c with trit_cmd_NAME (its options a table, opt.h); its declaration in cmd.h; a row
 * below; a script tests/cli/NAME.sh; a section in docs/trit.1.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cmd.h"

#include "base/log.h"

struct command {
	const char *name;
	trit_cmd_fn *run;
	const char *help;
};

static const struct command commands[] = {
	{ "run", trit_cmd_run, "write text that follows a prompt" },
	{ "chat", trit_cmd_chat, "talk with a model" },
	{ "train", trit_cmd_train, "train a ternary model on text" },
	{ "distill", trit_cmd_distill, "train a ternary model that imitates another one" },
	{ "finetune", trit_cmd_finetune, "train a model further on examples: all of it, or low-rank adapters" },
	{ "classify", trit_cmd_classify, "train a model to tell the labels of texts, measure and use it" },
	{ "data", trit_cmd_data, "turn text into token shards to train on, and describe them" },
	{ "report", trit_cmd_report, "show the curves of training runs as a page" },
	{ "convert", trit_cmd_convert, "turn a model into another file format or weight type" },
	{ "info", trit_cmd_info, "describe a model file and this machine's kernels" },
	{ "doctor", trit_cmd_doctor, "check whether a model's file is sound" },
	{ "tokenize", trit_cmd_tokenize, "show the tokens of a text" },
	{ "perplexity", trit_cmd_perplexity, "measure how well a model predicts a text" },
	{ "embed", trit_cmd_embed, "turn texts into vectors" },
	{ "synth", trit_cmd_synth, "write a model of random weights, to measure speed" },
	{ "bench", trit_cmd_bench, "measure how fast a model reads and writes" },
};

static void help(FILE *f)
{
	fprintf(f, "usage: trit COMMAND [OPTIONS]\n\n"
	           "Trains, converts and runs 1.58-bit (ternary) language models.\n\n");
	for (int i = 0; i < TRIT_N(commands); i++)
		fprintf(f, "  %-12s %s\n", commands[i].name, commands[i].help);
	fprintf(f, "\n"
	           "  trit COMMAND --help    a command's options\n"
	           "  trit --version         the version\n");
}

static void warn(void *arg, enum trit_log_level level, const char *text)
{
	(void)arg;
	fprintf(stderr, "trit: %s: %s\n", level == TRIT_LOG_WARNING ? "warning" : "note", text);
}

static const struct command *find_command(const char *name)
{
	for (int i = 0; i < TRIT_N(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[TRIT_N(commands)];
	for (int i = 0; i < TRIT_N(commands); i++)
		names[i] = commands[i].name;
	const char *nearest = trit_nearest_word(name, names, TRIT_N(names));
	fprintf(stderr, "trit: unknown command \"%.60s\"%s%s%s (trit --help lists all)\n", name,
	        nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	return 2;
}

int main(int argc, char **argv)
{
	char help_option[] = "--help";
	char *help_argv[] = { NULL, help_option, NULL };

	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, noticed by trit_out */
	signal(SIGXFSZ, SIG_IGN); /* so is a file that grows beyond the limit of the process */
	trit_log_set(warn, NULL);
	if (argc < 2) {
		help(stderr);
		return 2;
	}
	const char *name = argv[1];
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		trit_outf("trit %s\n", trit_version());
		return trit_out_finish("--version", 0);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2)) {
		help(stdout);
		return trit_out_finish("--help", 0);
	}
	bool wants_help = strcmp(name, "help") == 0;
	if (wants_help)
		name = argv[2];
	const struct command *command = find_command(name);
	if (!command)
		return unknown_command(name);
	if (wants_help) {
		help_argv[0] = argv[2];
		return command->run(2, help_argv);
	}
	return command->run(argc - 1, argv + 1);
}
