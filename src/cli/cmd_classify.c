/*
 * cmd_classify.c - trit classify: train, eval, predict.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/classify_actions.h"
#include "cli/setting_row.h"
#include "cli/train_run.h"

/* ---- train ------------------------------------------------------------------------------------------------------- */

/* Sentences are short and examples many: small windows that hold several, a few epochs, a short warm-up. */
static struct trit_recipe classify_defaults(void)
{
	struct trit_recipe r = trit_finetune_defaults();
	r.seq_len = 256;
	r.val_share = 0.1f;
	r.warmup = 50;
	return r;
}

/* The labels: those given, the model's own, or all that there are in the data. */
static int find_labels(struct trit_train_job *o, struct trit_error *err)
{
	const struct trit_opt_list *names = &o->labels;
	struct trit_labels *l = &o->classify.labels;
	int e = TRIT_OK;
	for (int i = 0; i < names->n && !e; i++)
		e = trit_labels_add(l, strlen(names->items[i]), names->items[i], err);
	if (!e && names->n == 1)
		e = trit_fail(err, TRIT_ERR_ARG, "one label only; a classifier needs two at least");
	if (!e && !names->n)
		e = trit_label_census(l, (size_t)o->data.n, o->data.items, &o->classify.rows, err);
	return e;
}

static int complete(struct trit_train_job *o, const char *template, struct trit_error *err)
{
	int e = TRIT_OK;
	if (template)
		e = trit_labels_set_template(&o->classify.labels, strlen(template), template, err);
	if (!e && o->words.n && o->words.n != o->classify.labels.n)
		e = trit_fail(err, TRIT_ERR_ARG, "--words has %d and there are %d labels; give one for each, in the order of "
		              "--labels", o->words.n, o->classify.labels.n);
	if (!e && o->words.n && !template)
		e = trit_fail(err, TRIT_ERR_ARG, "--words answer a question: give it with --template, \"{text}\\nSentiment:\"");
	if (!e && o->words.n && o->recipe.label_pooling != TRIT_LABEL_LAST)
		e = trit_fail(err, TRIT_ERR_ARG, "--words follow the last token; leave --pooling out");
	if (e)
		return e;
	o->recipe.n_labels = o->classify.labels.n;
	o->classify.labels.max_tokens = o->recipe.seq_len;
	o->classify.words = o->words.n ? o->words.items : NULL;
	o->classify.n_val = (size_t)o->val.n;
	o->classify.val = o->val.items;
	o->run.classify = &o->classify;
	return trit_finetune_complete(o, err);
}

static int parse_train(struct trit_train_job *o, int argc, char **argv)
{
	*o = (struct trit_train_job){ .command = "classify train", .tune = true, .is_classifier = true,
		                          .recipe = classify_defaults(), .type = "auto", .embedding_type = "auto",
		                          .patience = 600, .run.save_every = 200, .run.val_every = 50 };
	const char *template = NULL;
	int form = TRIT_LABEL_FORM_AUTO;
	o->run.keep = 2;
	o->run.max_skipped = 10;
	o->run.examples = true;
	struct trit_opt options[TRIT_TRAIN_OPTIONS], fixed[] = {
		{ 'm', "model", TRIT_OPT_STRING, &o->run.init, .metavar = "FILE",
		  .help = "model to make a classifier of: GGUF, Hugging Face folder, .safetensors" },
		{ 'd', "data", TRIT_OPT_LIST, &o->data, .metavar = "FILE...", .help = TRIT_CLASSIFY_DATA_HELP },
		{ 0, "val", TRIT_OPT_LIST, &o->val, .metavar = "FILE...",
		  .help = "validate on these instead of a share of the data" },
		{ 'o', "out", TRIT_OPT_STRING, &o->run.out, .metavar = "DIR", .required = true,
		  .help = "folder of the run; the result is DIR/model.gguf" },
		{ 0, "resume", TRIT_OPT_FLAG, &o->resume,
		  .help = "go on with the run in DIR, with its settings (of a head alone or adapters: and --model)" },
		TRIT_ROW_RESUME_FROM(o->run.resume_from),
		TRIT_ROWS_COLUMNS(o->classify.rows, form),
		{ 0, "skip-bad", TRIT_OPT_FLAG, &o->classify.rows.skip_bad,
		  .help = "leave out and count rows that cannot be used, instead of an error" },
		{ 0, "labels", TRIT_OPT_LIST, &o->labels, .metavar = "NAME...",
		  .help = "the labels in their order; in the data they may also be numbers from 0",
		  .shown = "all in the data" },
		{ 0, "template", TRIT_OPT_STRING, &template, .metavar = "TEXT",
		  .help = "how a text is put to the model: \"Review: {text}\\nSentiment:\"", .shown = "{text}" },
		{ 0, "words", TRIT_OPT_LIST, &o->words, .metavar = "WORD...",
		  .help = "one for each label, \" bad\" \" good\": the head begins as the model's own rows for them, "
		          "so that before training it gives what the model would answer to the template" },
		TRIT_ROW_TOKENIZER(o->run.tokenizer),
		TRIT_ROWS_INTERVALS(o, "texts"),
		TRIT_ROWS_RUN(o),
	};
	int n = TRIT_N(fixed), first_setting = n;
	memcpy(options, fixed, sizeof fixed);
	for (int labels = 1; labels >= 0; labels--)
		for (int i = 0; i < trit_n_settings && n < TRIT_TRAIN_OPTIONS; i++)
			if (trit_setting_of_labels(&trit_settings[i]) == labels && trit_setting_of_classifier(&trit_settings[i]))
				options[n++] = trit_setting_row(&o->recipe, &trit_settings[i]);
	struct trit_opt_table table = {
		.command = o->command,
		.usage = "--model FILE --data FILE... --out DIR [OPTIONS]",
		.about =
			"Trains a model to tell labels of texts: a head of labels on the state of the last token or the mean of\n"
			"all, with the whole model (which stays ternary), with adapters beside it, or alone. Ctrl-C saves and\n"
			"ends; --resume goes on, bit for bit.",
		.options = options,
		.n_options = n,
	};
	int status = trit_train_parse(o, &table, first_setting, argc, argv);
	if (status >= 0)
		return status;
	o->classify.rows.form = (enum trit_label_form)form;
	if (o->resume && (o->data.n || o->val.n || o->labels.n || o->words.n || template))
		return trit_opt_error(&table, "--resume goes on with the data and labels in --out; leave --data, --val, "
		                      "--labels, --words and --template out");
	if (o->resume)
		return -1;
	if (!o->run.init || !o->data.n)
		return trit_opt_error(&table, "give --model and --data, or --resume");
	struct trit_error err;
	int e = find_labels(o, &err);
	return trit_train_parsed(o, e ? e : complete(o, template, &err), &err);
}

static int classify_train(int argc, char **argv)
{
	return trit_train_command(parse_train, argc, argv);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	trit_cmd_fn *run;
	const char *help;
} actions[] = {
	{ "train", classify_train, "train a model to tell the labels of texts" },
	{ "eval", trit_classify_eval, "measure how well it does" },
	{ "predict", trit_classify_predict, "tell the labels of texts" },
};

static void help(FILE *f)
{
	fprintf(f, "usage: trit classify ACTION [OPTIONS]\n\n"
	           "Classification of texts.\n\n");
	for (int i = 0; i < TRIT_N(actions); i++)
		fprintf(f, "  %-12s %s\n", actions[i].name, actions[i].help);
	fprintf(f, "\n  -h, --help   this text; of an action, its options\n");
}

int trit_cmd_classify(int argc, char **argv)
{
	const char *names[TRIT_N(actions)];
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		help(argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : trit_out_finish("classify", 0);
	}
	for (int i = 0; i < TRIT_N(actions); i++) {
		names[i] = actions[i].name;
		if (!strcmp(argv[1], names[i]))
			return actions[i].run(argc - 1, argv + 1);
	}
	if (*argv[1] == '-') {
		fprintf(stderr, "trit classify: unknown option %.60s before an action (trit classify --help lists all)\n",
		        argv[1]);
		return 2;
	}
	const char *nearest = trit_nearest_word(argv[1], names, TRIT_N(actions));
	fprintf(stderr, "trit classify: \"%.60s\": there are train, eval and predict%s%s%s (trit classify --help)\n",
	        argv[1], nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	return 2;
}
