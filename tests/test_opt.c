/*
 * test_opt.c - command lines: values, ranges, errors, help, environment. The program's sources are included, since they
 * are not in the library.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cmd.c"
#include "cli/opt.c"

static const char *const colours[] = { "red", "green", NULL };

static struct {
	bool quiet, echo;
	int n, colour;
	uint64_t seed;
	float x, free;
	const char *model, *text;
	struct trit_opt_list data;
} v;
static struct trit_opt_table table;
static struct trit_opt options[16];
static char said[4096]; /* what went to stderr, or stdout for help */

static int set_up(void **state)
{
	(void)state;
	memset(&v, 0, sizeof v);
	v.echo = true;
	v.n = 7;
	v.x = 0.5f;
	struct trit_opt rows[] = {
		{ 'm', "model", TRIT_OPT_STRING, &v.model, .metavar = "FILE", .help = "a model", .env = "TRIT_TEST_MODEL" },
		{ .type = TRIT_OPT_HEADING, .help = "More" },
		{ 'n', "predict,n-predict", TRIT_OPT_INT, &v.n, .min = -1, .max = 100, .metavar = "N", .help = "how many" },
		{ 's', "seed", TRIT_OPT_UINT64, &v.seed, .metavar = "N", .help = "seed", .env = "TRIT_TEST_SEED" },
		{ 0, "top-x", TRIT_OPT_FLOAT, &v.x, .max = 1, .metavar = "X", .help = "share" },
		{ 0, "free", TRIT_OPT_FLOAT, &v.free, .metavar = "X", .help = "any", .shown = "by size" },
		{ 'q', "quiet", TRIT_OPT_FLAG, &v.quiet, .help = "say nothing", .env = "TRIT_TEST_QUIET" },
		{ 0, "no-echo", TRIT_OPT_UNFLAG, &v.echo, .help = "no echo" },
		{ 0, "colour", TRIT_OPT_CHOICE, &v.colour, .metavar = "NAME", .help = "colour", .choices = colours },
		{ 'd', "data", TRIT_OPT_LIST, &v.data, .metavar = "FILE...", .help = "data" },
		{ 't', "text,tx", TRIT_OPT_STRING, &v.text, .metavar = "TEXT", .help = "text" },
	};
	memcpy(options, rows, sizeof rows);
	table = (struct trit_opt_table){
		.command = "try",
		.usage = "[OPTIONS] [A [B]]",
		.about = "Tries.",
		.options = options,
		.n_options = TRIT_N(rows),
		.max_args = 2,
	};
	unsetenv("TRIT_TEST_MODEL");
	unsetenv("TRIT_TEST_SEED");
	unsetenv("TRIT_TEST_QUIET");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	trit_free(v.data.items);
	return 0;
}

/* Parses a command line of words separated by single spaces ('_' stands for a space inside a word, '~' for an empty
 * word); what it prints on `stream` goes to `said`. */
static int parse(FILE *stream, const char *line)
{
	static char words[1024];
	static char *argv[64];
	int argc = 0;
	snprintf(words, sizeof words, "try %s", line);
	for (char *at = words, *end; at; at = end ? end + 1 : NULL) {
		end = strchr(at, ' ');
		if (end)
			*end = 0;
		for (char *c = at; *c; c++)
			*c = *c == '_' ? ' ' : *c;
		if (strcmp(at, "~") == 0)
			*at = 0;
		argv[argc++] = at;
	}
	argv[argc] = NULL;

	trit_free(v.data.items);
	v.data.items = NULL;
	fflush(stream);
	int old = dup(fileno(stream));
	FILE *file = tmpfile();
	assert_non_null(file);
	dup2(fileno(file), fileno(stream));
	int status = trit_opt_parse(&table, argc, argv);
	fflush(stream);
	dup2(old, fileno(stream));
	close(old);
	rewind(file);
	said[fread(said, 1, sizeof said - 1, file)] = 0;
	fclose(file);
	return status;
}

static void ok(const char *line)
{
	int status = parse(stderr, line);
	if (status != -1 || said[0])
		fail_msg("\"%s\" gives %d: %s", line, status, said);
}

/* The line must be refused with one line on stderr that holds `message`. */
static void bad(const char *line, const char *message)
{
	int status = parse(stderr, line);
	if (status != 2 || !strstr(said, message) || strncmp(said, "trit try: ", 10) != 0 ||
	    strchr(said, '\n') != said + strlen(said) - 1)
		fail_msg("\"%s\" gives %d: %s", line, status, said);
}

static void test_forms(void **state)
{
	(void)state;
	ok("-m a.gguf -n 3 --seed=18446744073709551615 --top-x 0.25 -q --no-echo --colour green");
	assert_string_equal(v.model, "a.gguf");
	assert_int_equal(v.n, 3);
	assert_true(v.seed == UINT64_MAX);
	assert_float_equal(v.x, 0.25f, 0);
	assert_true(v.quiet && !v.echo);
	assert_int_equal(v.colour, 1);
	ok("--n-predict -1 --model= -t --text");
	assert_int_equal(v.n, -1);
	assert_string_equal(v.model, "");
	assert_string_equal(v.text, "--text");
	ok("--free 1e30 --free -2.5 --seed 0");
	assert_float_equal(v.free, -2.5f, 0);
	ok("--text=a=b");
	assert_string_equal(v.text, "a=b");
	assert_true(options[10].given);
	assert_false(options[0].given);
	ok("-tx two"); /* names of two letters, as llama.cpp's programs have */
	assert_string_equal(v.text, "two");
	ok("--tx three");
	assert_string_equal(v.text, "three");
	bad("-text four", "unknown option -text; did you mean --text?");
	bad("-tx", "-tx needs a value: TEXT");
}

static void test_arguments(void **state)
{
	(void)state;
	ok("one -n 5 two");
	assert_int_equal(table.n_args, 2);
	assert_string_equal(table.args[0], "one");
	assert_string_equal(table.args[1], "two");
	assert_int_equal(v.n, 5);
	ok("- -- -n");
	assert_string_equal(table.args[0], "-");
	assert_string_equal(table.args[1], "-n");
	bad("a b c", "unexpected argument \"c\"");
	table.min_args = 1;
	bad("-n 5", "an argument is missing");
	ok("~");
	assert_string_equal(table.args[0], "");
}

static void test_lists(void **state)
{
	(void)state;
	ok("--data a b -n 4 -d c --data=d arg");
	assert_int_equal(v.data.n, 4);
	static const char *const items[] = { "a", "b", "c", "d" };
	for (int i = 0; i < 4; i++)
		assert_string_equal(v.data.items[i], items[i]);
	assert_int_equal(table.n_args, 1);
	bad("--data", "needs a value: FILE...");
	bad("--data -n 4", "--data needs a value");
}

static void test_numbers(void **state)
{
	(void)state;
	bad("-n", "-n needs a value: N");
	bad("-n x", "\"x\" is not a whole number from -1 to 100");
	bad("-n 101", "from -1 to 100");
	bad("-n -2", "from -1 to 100");
	bad("-n 1.5", "whole number");
	bad("-n 5x", "whole number");
	bad("-n ~", "\"\" is not");
	bad("-n _5", "whole number");
	bad("-n 99999999999999999999", "whole number");
	bad("-n 4294967297", "whole number");
	bad("--seed -1", "from 0 to 2^64 - 1");
	bad("--seed 18446744073709551616", "2^64 - 1");
	bad("--top-x 1.1", "not a number from 0 to 1");
	bad("--top-x nan", "number");
	bad("--top-x -0.1", "number");
	bad("--free inf", "number");
	bad("--free 1e40", "number");
	bad("--free ~", "number");
	bad("--colour blue", "none of: red, green");
	assert_int_equal(v.n, 7); /* refused values leave the variable */
	assert_float_equal(v.free, 0, 0);
}

static void test_unknown(void **state)
{
	(void)state;
	bad("--colr red", "unknown option --colr; did you mean --colour? (trit try --help lists all)");
	bad("--n-predictt=4", "unknown option --n-predictt; did you mean --n-predict?");
	bad("--modle x", "did you mean --model?");
	bad("--wxyzwxyz", "unknown option --wxyzwxyz (trit");
	bad("-z", "unknown option -z");
	bad("-quiet", "did you mean --quiet?");
	bad("--quiet=1", "--quiet takes no value");
	options[0].required = true;
	bad("x", "-m, --model FILE is missing");
	bad("--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "unknown");
}

static void test_environment(void **state)
{
	(void)state;
	setenv("TRIT_TEST_MODEL", "env.gguf", 1);
	setenv("TRIT_TEST_SEED", "12", 1);
	setenv("TRIT_TEST_QUIET", "1", 1);
	ok("--seed 5");
	assert_string_equal(v.model, "env.gguf");
	assert_true(options[0].given);
	assert_true(v.seed == 5);
	assert_true(v.quiet);
	setenv("TRIT_TEST_SEED", "many", 1);
	bad("", "TRIT_TEST_SEED: \"many\" is not a whole number");
	setenv("TRIT_TEST_SEED", "", 1);
	setenv("TRIT_TEST_QUIET", "off", 1);
	v.quiet = false;
	ok("-n 1");
	assert_false(v.quiet);
}

static void test_help(void **state)
{
	(void)state;
	assert_int_equal(parse(stdout, "-n 50 --help"), 0);
	assert_int_equal(v.n, 7);
	static const char *const lines[] = {
		"usage: trit try [OPTIONS] [A [B]]\n\nTries.\n",
		"  -m, --model FILE            a model [TRIT_TEST_MODEL]\n",
		"\nMore:\n  -n, --predict N             how many (default: 7)\n",
		"      --top-x X               share (default: 0.5)\n",
		"      --free X                any (default: by size)\n",
		"  -q, --quiet                 say nothing [TRIT_TEST_QUIET]\n",
		"      --colour NAME           colour: red, green (default: red)\n",
		"  -h, --help                  this text\n",
	};
	for (int i = 0; i < TRIT_N(lines); i++)
		if (!strstr(said, lines[i]))
			fail_msg("help lacks \"%s\":\n%s", lines[i], said);
	assert_int_equal(parse(stdout, "--nonsense -h"), 0);
	assert_int_equal(parse(stderr, "-- -h"), -1);
}

static void test_texts(void **state)
{
	char text[TRIT_NUMBER_BYTES];
	(void)state;
	assert_string_equal(trit_text_bytes(text, 1023), "1023 B");
	assert_string_equal(trit_text_bytes(text, 1024), "1.00 KiB");
	assert_string_equal(trit_text_bytes(text, 3.5 * 1048576), "3.50 MiB");
	assert_string_equal(trit_text_bytes(text, 1e30), "909494701772928256.00 TiB");
	assert_string_equal(trit_text_count(text, 12345), "12345");
	assert_string_equal(trit_text_count(text, 247360), "247.4 k");
	assert_string_equal(trit_text_count(text, 3150000), "3.15 M");
	assert_string_equal(trit_text_count(text, 2.4e9), "2.40 B");
	assert_string_equal(trit_text_seconds(text, 59.4), "59 s");
	assert_string_equal(trit_text_seconds(text, 247), "4:07");
	assert_string_equal(trit_text_seconds(text, 7509), "2:05:09");
	assert_string_equal(trit_text_seconds(text, -3), "0 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_forms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_arguments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_environment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_help, set_up, tear_down),
		cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
