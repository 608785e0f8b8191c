/*
 * cmd_train.c - trit train: text to a trained, packed model; trit finetune: a model that exists, trained on examples.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cmd.h"
#include "cli/setting_row.h"
#include "cli/train_run.h"

/* ---- the command line -------------------------------------------------------------------------------------------- */

static int check_resume(const struct trit_opt_table *table, const struct trit_train_job *o)
{
	if (o->data.n || o->run.tokenizer || o->run.init)
		return trit_opt_error(table, "--resume goes on with the data and weights in --out; leave --data, --init and "
		                             "--tokenizer out");
	return -1;
}

/* Whether it describes the network. */
static bool is_shape(const struct trit_opt *option)
{
	const struct trit_setting *s = trit_setting_by_name(option->name);
	return s ? trit_setting_is_shape(s) : !strcmp(option->name, "size");
}

/* With --init the network is the model's: none of what describes one may be given. */
static int check_init(const struct trit_opt_table *table, int first_setting)
{
	for (int i = first_setting; i < table->n_options; i++)
		if (table->options[i].given && is_shape(&table->options[i]))
			return trit_opt_error(table, "--%s: the model of --init has its own; leave one of them out",
			                      table->options[i].name);
	return -1;
}

/* A student begins with its teacher's weights unless it is given another size. */
static int choose_student(const struct trit_opt_table *table, struct trit_train_job *o, int first_setting)
{
	bool sized = false;
	if (!o->run.teacher)
		return trit_opt_error(table, "no teacher: give --teacher FILE or folder, or --resume");
	for (int i = first_setting; i < table->n_options; i++) {
		const char *name = table->options[i].name;
		if (!table->options[i].given)
			continue;
		if (!strcmp(name, "vocab-size"))
			return trit_opt_error(table, "--vocab-size: a student has its teacher's vocabulary; leave it out");
		sized |= is_shape(&table->options[i]) && strcmp(name, "layers");
	}
	if (!sized && !o->run.init) {
		o->layers = o->recipe.n_layers;
		o->run.init = o->run.teacher;
	}
	return -1;
}

/* The rest of the recipe and the configuration, from --init or --size; checked. */
static int complete(struct trit_train_job *o, struct trit_error *err)
{
	struct trit_config c = { 0 };
	struct trit_init init = { 0 };
	struct trit_vocab *vocab = &init.file.vocab; /* the student's */
	int e;
	if (o->run.init) {
		if (!(e = trit_init_open(&init, o->run.init, o->run.tokenizer, &o->recipe, err)))
			c = init.config;
		if (!e && o->layers > c.n_layers)
			e = trit_fail(err, TRIT_ERR_ARG, "--layers is %d; the teacher has %d (--size makes a new network)",
			              o->layers, c.n_layers);
	} else {
		e = o->run.teacher ? trit_teacher_vocab(o->run.teacher, o->run.tokenizer, vocab, &o->recipe.n_vocab, err)
		                   : TRIT_OK;
		if (!e && !(e = trit_recipe_apply_size(&o->recipe, o->size, err)))
			e = trit_recipe_config(&o->recipe, &c, err);
	}
	if (!e && o->run.teacher)
		e = trit_teacher_check(o->run.teacher, &c, vocab, &o->recipe, err);
	trit_init_close(&init);
	return e ? e : trit_export_check(&c, trit_recipe_method(&o->recipe), &o->export, err);
}

static const char distill_about[] =
	"Trains a ternary model that imitates another one and packs it. The student begins as the teacher with\n"
	"sub-norms added, as some of its layers (--layers), or as a new network (--size), with the teacher's\n"
	"vocabulary; it learns from the text, from the teacher's predictions and from the relations within one of\n"
	"its layers. Writes DIR/model.gguf. Ctrl-C saves and ends; --resume goes on, bit for bit.";

static int parse(struct trit_train_job *o, int argc, char **argv)
{
	*o = (struct trit_train_job){ .command = o->distill ? "distill" : "train", .distill = o->distill,
		                     .recipe = trit_recipe_defaults(), .size = "3m", .type = "auto",
		                     .embedding_type = "auto", .patience = 600,
		                     .run.save_every = 500, .run.val_every = 250 };
	o->run.max_val_windows = TRIT_VAL_WINDOWS;
	o->run.keep = 2;
	o->run.max_skipped = 10;
	struct trit_opt options[TRIT_TRAIN_OPTIONS], fixed[] = {
		{ 'd', "data", TRIT_OPT_LIST, &o->data, .metavar = "FILE|DIR...",
		  .help = "text to learn from (UTF-8, JSON lines, packed), or what trit data prepared; "
		          "PATH:0.7 gives a source a share of the tokens" },
		{ 'o', "out", TRIT_OPT_STRING, &o->run.out, .metavar = "DIR", .required = true,
		  .help = "folder of the run; the result is DIR/model.gguf" },
		{ 0, "resume", TRIT_OPT_FLAG, &o->resume, .help = "go on with the run in DIR, with its settings" },
		TRIT_ROW_RESUME_FROM(o->run.resume_from),
		{ 'i', "init", TRIT_OPT_STRING, &o->run.init, .metavar = "MODEL",
		  .help = o->distill ? "start from this model, of the teacher's vocabulary, not from the teacher"
		                     : "start from a model that exists (GGUF, Hugging Face folder, "
		                       ".safetensors, llama2.c): its network, weights and vocabulary" },
		{ 0, "tokenizer", TRIT_OPT_STRING, &o->run.tokenizer, .metavar = "FILE",
		  .help = o->distill ? "vocabulary of a teacher that has none: of a GGUF model or a tokenizer.json"
		                     : "take the vocabulary from a GGUF model or a tokenizer.json instead of learning one" },
		TRIT_ROWS_INTERVALS(o, "text"),
		TRIT_ROWS_RUN(o),
		{ 0, "size", TRIT_OPT_STRING, &o->size, .metavar = "NAME",
		  .help = trit_recipe_sizes() },
	};
	int n = 0, first_setting;
	if (o->distill)
		options[n++] = (struct trit_opt){
			0, "teacher", TRIT_OPT_STRING, &o->run.teacher, .metavar = "MODEL",
			.help = "model to learn from, any that runs; with --resume: where it is now"
		};
	memcpy(options + n, fixed, sizeof fixed);
	n += TRIT_N(fixed);
	first_setting = n - 1; /* --size */
	for (int i = 0; i < trit_n_settings && n < TRIT_TRAIN_OPTIONS; i++)
		if (!trit_setting_is_tuning(&trit_settings[i]) && !trit_setting_of_labels(&trit_settings[i]) &&
		    (o->distill || !trit_setting_of_teacher(&trit_settings[i])))
			options[n++] = trit_setting_row(&o->recipe, &trit_settings[i]);
	struct trit_opt_table table = {
		.command = o->command,
		.usage = o->distill ? "--teacher MODEL --data FILE|DIR... --out DIR [--layers N | --size NAME] [OPTIONS]"
		                    : "--data FILE|DIR... --out DIR [--size NAME] [OPTIONS]",
		.about = o->distill ? distill_about
		                    :
			"Trains a ternary (1.58-bit) language model on text and packs it. Learns a vocabulary, cuts the text into\n"
			"tokens, holds some documents out for validation, trains, and writes DIR/model.gguf. Ctrl-C saves and\n"
			"ends; --resume goes on, bit for bit.",
		.options = options,
		.n_options = n,
	};
	int status = trit_train_parse(o, &table, first_setting, argc, argv);
	if (status >= 0)
		return status;
	if (o->resume)
		return check_resume(&table, o);
	if (!o->data.n)
		return trit_opt_error(&table, "no text: give --data FILE or folder, or --resume");
	struct trit_error err;
	if (o->distill && (status = choose_student(&table, o, first_setting)) >= 0)
		return status;
	if (o->run.init && o->run.init != o->run.teacher && (status = check_init(&table, first_setting)) >= 0)
		return status;
	return trit_train_parsed(o, complete(o, &err), &err);
}

/* A small set of examples, a few times over, by a model that knows much already: short, gentle, without decay. What
 * is 0 depends on the model. */
struct trit_recipe trit_finetune_defaults(void)
{
	struct trit_recipe r = trit_recipe_defaults();
	r.optimizer = TRIT_OPTIMIZER_ADAMW; /* most models were made by it, and it changes them least */
	r.seq_len = 512;
	r.batch = 8;
	r.epochs = 3;
	r.schedule = TRIT_SCHEDULE_COSINE;
	r.warmup = 100;
	r.weight_decay = r.weight_decay2 = 0;
	r.beta2 = 0.99f;
	r.val_share = 0.05f;
	return r;
}

/* What depends on the model: the kind of its weights, and by that the learning rate. */
int trit_finetune_complete(struct trit_train_job *o, struct trit_error *err)
{
	struct trit_recipe *r = &o->recipe;
	bool ternary;
	int e = trit_init_is_ternary(o->run.init, o->run.tokenizer, &ternary, err);
	if (e)
		return e;
	if (!ternary)
		r->weights = TRIT_WEIGHT_FULL;
	if (r->lr == 0)
		r->lr = r->lora ? 1e-3f : ternary ? 5e-4f : 1e-4f;
	if (r->lora && !r->n_labels && (strcmp(o->type, "auto") || strcmp(o->embedding_type, "auto")))
		return trit_fail(err, TRIT_ERR_ARG, "--type is for a model, and with --lora the result is an adapter");
	return complete(o, err);
}

static int parse_tuning(struct trit_train_job *o, int argc, char **argv)
{
	*o = (struct trit_train_job){ .command = "finetune", .tune = true, .recipe = trit_finetune_defaults(),
		                     .type = "auto", .embedding_type = "auto", .patience = 600,
		                     .run.save_every = 100, .run.val_every = 50 };
	o->run.max_val_windows = TRIT_VAL_WINDOWS;
	o->run.keep = 2;
	o->run.max_skipped = 10;
	o->run.examples = true;
	struct trit_opt options[TRIT_TRAIN_OPTIONS], fixed[] = {
		{ 'm', "model", TRIT_OPT_STRING, &o->run.init, .metavar = "FILE",
		  .help = "model to train further: GGUF, Hugging Face folder, .safetensors" },
		{ 'd', "data", TRIT_OPT_LIST, &o->data, .metavar = "FILE...",
		  .help = "examples: JSONL or a JSON list of {\"messages\"}, {\"conversations\"}, {\"instruction\", "
		          "\"input\", \"output\"}, {\"prompt\", \"completion\"} or {\"text\"}" },
		{ 'o', "out", TRIT_OPT_STRING, &o->run.out, .metavar = "DIR", .required = true,
		  .help = "folder of the run; the result is DIR/model.gguf, or DIR/adapter.gguf" },
		{ 0, "resume", TRIT_OPT_FLAG, &o->resume,
		  .help = "go on with the run in DIR, with its settings (of adapters: and --model)" },
		TRIT_ROW_RESUME_FROM(o->run.resume_from),
		{ 0, "chat-template", TRIT_OPT_STRING, &o->run.chat_template, .metavar = "NAME",
		  .help = "how conversations are written: see trit chat --help; the result keeps it",
		  .shown = "the model's own" },
		{ 0, "skip-bad", TRIT_OPT_FLAG, &o->run.skip_bad,
		  .help = "leave out and count records that cannot be used, instead of an error" },
		TRIT_ROW_TOKENIZER(o->run.tokenizer),
		TRIT_ROWS_INTERVALS(o, "examples"),
		TRIT_ROWS_RUN(o),
	};
	int n = TRIT_N(fixed), first_setting = n;
	memcpy(options, fixed, sizeof fixed);
	for (int tuning = 1; tuning >= 0; tuning--)
		for (int i = 0; i < trit_n_settings && n < TRIT_TRAIN_OPTIONS; i++)
			if (trit_setting_is_tuning(&trit_settings[i]) == tuning && !trit_setting_is_shape(&trit_settings[i]) &&
			    !trit_setting_of_teacher(&trit_settings[i]) && !trit_setting_of_labels(&trit_settings[i]))
				options[n++] = trit_setting_row(&o->recipe, &trit_settings[i]);
	struct trit_opt_table table = {
		.command = "finetune",
		.usage = "--model FILE --data FILE... --out DIR [--lora RANK] [OPTIONS]",
		.about =
			"Trains a model that exists on examples: conversations with its chat template, of which only the\n"
			"answers are learnt. All weights, which stay ternary in a ternary model, or with --lora adapters\n"
			"beside them, with much less memory. Ctrl-C saves and ends; --resume goes on, bit for bit.",
		.options = options,
		.n_options = n,
	};
	int status = trit_train_parse(o, &table, first_setting, argc, argv);
	if (status >= 0)
		return status;
	if (o->resume && (o->data.n || o->run.chat_template || o->run.skip_bad || (o->run.tokenizer && !o->run.init)))
		return trit_opt_error(&table, "--resume goes on with the data in --out; leave --data, --chat-template, "
		                      "--skip-bad and --tokenizer out");
	if (o->resume)
		return -1;
	if (!o->run.init || !o->data.n)
		return trit_opt_error(&table, "give --model and --data, or --resume");
	struct trit_error err;
	return trit_train_parsed(o, trit_finetune_complete(o, &err), &err);
}

/* ---- the commands ------------------------------------------------------------------------------------------------ */

static int parse_distill(struct trit_train_job *o, int argc, char **argv)
{
	o->distill = true;
	return parse(o, argc, argv);
}

int trit_cmd_train(int argc, char **argv)
{
	return trit_train_command(parse, argc, argv);
}

int trit_cmd_distill(int argc, char **argv)
{
	return trit_train_command(parse_distill, argc, argv);
}

int trit_cmd_finetune(int argc, char **argv)
{
	return trit_train_command(parse_tuning, argc, argv);
}
