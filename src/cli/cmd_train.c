/*
 * cmd_train.c - trit train: text to a trained, packed model; trit finetune: a model that exists, trained on examples.
 *
 * SPDX-License-Identifier: MIT
 */
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/mpi.h"
#include "cli/progress.h"
#include "cli/setting_row.h"

#include "base/clock.h"
#include "base/mem.h"
#include "convert/convert.h"
#include "train/adapter.h"
#include "train/trainer.h"

struct train_options {
	const char *command; /* "train", "finetune" or "distill" */
	bool tune;
	bool distill;
	struct trit_recipe recipe;
	struct trit_train_options run;
	struct trit_opt_list data;
	const char *size, *type, *embedding_type;
	bool resume;
	int layers; /* of the teacher's that the student is to have; 0: all */
	int on_divergence;
	int patience; /* seconds that processes wait for each other */
	int val_every, save_every;
	struct trit_export_options export;
};

enum { MAX_OPTIONS = 128, SPARKS = 24, LINE = 256 /* bytes of one */ };

#define ROW_PATIENCE(seconds)                                                                                          \
	{ 0, "patience", TRIT_OPT_INT, &(seconds), .min = 0, .max = INT_MAX, .metavar = "N",                               \
	  .help = "with several processes: seconds that one waits in a step for the others\nbefore it gives them up "      \
	          "(0: for ever)" }

/* ---- the command line -------------------------------------------------------------------------------------------- */

/* With --resume the settings are the checkpoint's: none may be given. */
static int check_resume(const struct trit_opt_table *table, const struct train_options *o, int first_setting)
{
	for (int i = first_setting; i < table->n_options; i++)
		if (table->options[i].given)
			return trit_opt_error(table, "--%s: a resumed run keeps the settings it began with; leave it out",
			                      table->options[i].name);
	if (o->data.n || o->run.tokenizer || o->run.init)
		return trit_opt_error(table, "--resume goes on with the data and weights in --out; leave --data, --init and "
		                             "--tokenizer out");
	return -1;
}

/* Whether it describes the network. */
static bool is_shape(const struct trit_opt *option)
{
	for (int i = 0; i < trit_n_settings; i++)
		if (!strcmp(trit_settings[i].name, option->name))
			return trit_setting_is_shape(&trit_settings[i]);
	return !strcmp(option->name, "size");
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
static int choose_student(const struct trit_opt_table *table, struct train_options *o, int first_setting)
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
static int complete(struct train_options *o, struct trit_error *err)
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

static int parse(struct train_options *o, int argc, char **argv)
{
	static const char *const on_divergence[] = { "stop", "go-on", NULL };
	*o = (struct train_options){ .command = o->distill ? "distill" : "train", .distill = o->distill,
		                     .recipe = trit_recipe_defaults(), .size = "3m", .type = "auto",
		                     .embedding_type = "auto", .save_every = 500, .patience = 600, .val_every = 250 };
	o->run.max_val_windows = 256;
	o->run.keep = 2;
	o->run.max_skipped = 10;
	struct trit_opt options[MAX_OPTIONS], fixed[] = {
		{ 'd', "data", TRIT_OPT_LIST, &o->data, .metavar = "FILE|DIR...",
		  .help = "text to learn from (UTF-8, JSON lines, packed), or what trit data prepared;\n"
		          "PATH:0.7 gives a source a share of the tokens" },
		{ 'o', "out", TRIT_OPT_STRING, &o->run.out, .metavar = "DIR", .required = true,
		  .help = "folder of the run; the result is DIR/model.gguf" },
		{ 0, "resume", TRIT_OPT_FLAG, &o->resume, .help = "go on with the run in DIR, with its settings" },
		{ 0, "resume-from", TRIT_OPT_STRING, &o->run.resume_from, .metavar = "STEP|FILE",
		  .help = "go on from this checkpoint instead of the newest sound one" },
		{ 'i', "init", TRIT_OPT_STRING, &o->run.init, .metavar = "MODEL",
		  .help = "start from a model that exists (GGUF, Hugging Face folder,\n"
		          ".safetensors, llama2.c): its network, weights and vocabulary" },
		{ 0, "tokenizer", TRIT_OPT_STRING, &o->run.tokenizer, .metavar = "FILE",
		  .help = "take the vocabulary from a GGUF model or a tokenizer.json\ninstead of learning one" },
		{ 0, "val-every", TRIT_OPT_INT, &o->val_every, .min = 0, .max = INT_MAX, .metavar = "N",
		  .help = "steps between validations (0: only at the end)" },
		{ 0, "val-windows", TRIT_OPT_INT, &o->run.max_val_windows, .min = 0, .max = INT_MAX, .metavar = "N",
		  .help = "sequences of held-out text a validation uses at most (0: all)" },
		{ 0, "save-every", TRIT_OPT_INT, &o->save_every, .min = 1, .max = INT_MAX, .metavar = "N",
		  .help = "steps between checkpoints" },
		{ 0, "max-skipped", TRIT_OPT_INT, &o->run.max_skipped, .min = 1, .max = 1000000, .metavar = "N",
		  .help = "steps in a row whose gradient may be not finite, and which are skipped" },
		{ 0, "on-divergence", TRIT_OPT_CHOICE, &o->on_divergence, .metavar = "WHAT",
		  .help = "when the loss has gone up for good: stop with a diagnosis, or go on", .choices = on_divergence },
		{ 0, "keep", TRIT_OPT_INT, &o->run.keep, .min = 1, .max = 1000, .metavar = "N",
		  .help = "checkpoints to keep: the newest, and older ones as DIR/checkpoint-STEP.safetensors" },
		ROW_PATIENCE(o->patience),
		TRIT_ROWS_EXPORT(o->type, o->embedding_type),
		TRIT_ROW_THREADS(o->run.n_threads),
		TRIT_ROW_CPU(o->run.cpu),
		{ .type = TRIT_OPT_HEADING, .help = "Settings of a new run" },
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
	for (int i = 0; i < trit_n_settings && n < MAX_OPTIONS; i++)
		if (!trit_setting_is_tuning(&trit_settings[i]) && (o->distill || !trit_setting_of_teacher(&trit_settings[i])))
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
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if ((status = trit_export_types_parse(&table, o->type, o->embedding_type, "auto", &o->export)) >= 0)
		return status;
	o->run.heedless = o->on_divergence != 0;
	o->run.val_every = o->val_every;
	o->resume |= o->run.resume_from != NULL;
	if (o->resume)
		return check_resume(&table, o, first_setting);
	if (!o->data.n)
		return trit_opt_error(&table, "no text: give --data FILE or folder, or --resume");
	struct trit_error err;
	if (o->distill && (status = choose_student(&table, o, first_setting)) >= 0)
		return status;
	if (o->run.init && o->run.init != o->run.teacher && (status = check_init(&table, first_setting)) >= 0)
		return status;
	int e = complete(o, &err);
	return !e ? -1 : e == TRIT_ERR_ARG ? trit_opt_error(&table, "%s", err.message) : trit_cmd_fail(o->command, &err);
}

/* A small set of examples, a few times over, by a model that knows much already: short, gentle, without decay. What
 * is 0 depends on the model. */
static struct trit_recipe tuning_defaults(void)
{
	struct trit_recipe r = trit_recipe_defaults();
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
static int complete_tuning(struct train_options *o, struct trit_error *err)
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
	if (r->lora && (strcmp(o->type, "auto") || strcmp(o->embedding_type, "auto")))
		return trit_fail(err, TRIT_ERR_ARG, "--type is for a model, and with --lora the result is an adapter");
	return complete(o, err);
}

static int parse_tuning(struct train_options *o, int argc, char **argv)
{
	*o = (struct train_options){ .command = "finetune", .tune = true, .recipe = tuning_defaults(), .type = "auto",
		                     .embedding_type = "auto", .save_every = 100, .patience = 600, .val_every = 50 };
	o->run.max_val_windows = 256;
	o->run.keep = 2;
	o->run.examples = true;
	struct trit_opt options[MAX_OPTIONS], fixed[] = {
		{ 'm', "model", TRIT_OPT_STRING, &o->run.init, .metavar = "FILE",
		  .help = "model to train further: GGUF, Hugging Face folder, .safetensors" },
		{ 'd', "data", TRIT_OPT_LIST, &o->data, .metavar = "FILE...",
		  .help = "examples: JSONL or a JSON list of {\"messages\"}, {\"conversations\"}, {\"instruction\",\n"
		          "\"input\", \"output\"}, {\"prompt\", \"completion\"} or {\"text\"}" },
		{ 'o', "out", TRIT_OPT_STRING, &o->run.out, .metavar = "DIR", .required = true,
		  .help = "folder of the run; the result is DIR/model.gguf, or DIR/adapter.gguf" },
		{ 0, "resume", TRIT_OPT_FLAG, &o->resume,
		  .help = "go on with the run in DIR, with its settings (of adapters: and --model)" },
		{ 0, "chat-template", TRIT_OPT_STRING, &o->run.chat_template, .metavar = "NAME",
		  .help = "how conversations are written: see trit chat --help; the result keeps it",
		  .shown = "the model's own" },
		{ 0, "skip-bad", TRIT_OPT_FLAG, &o->run.skip_bad,
		  .help = "leave out and count records that cannot be used, instead of an error" },
		TRIT_ROW_TOKENIZER(o->run.tokenizer),
		{ 0, "val-every", TRIT_OPT_INT, &o->val_every, .min = 0, .max = INT_MAX, .metavar = "N",
		  .help = "steps between validations (0: only at the end)" },
		{ 0, "val-windows", TRIT_OPT_INT, &o->run.max_val_windows, .min = 0, .max = INT_MAX, .metavar = "N",
		  .help = "sequences of held-out examples a validation uses at most (0: all)" },
		{ 0, "save-every", TRIT_OPT_INT, &o->save_every, .min = 1, .max = INT_MAX, .metavar = "N",
		  .help = "steps between checkpoints" },
		ROW_PATIENCE(o->patience),
		TRIT_ROWS_EXPORT(o->type, o->embedding_type),
		TRIT_ROW_THREADS(o->run.n_threads),
		TRIT_ROW_CPU(o->run.cpu),
		{ .type = TRIT_OPT_HEADING, .help = "Settings of a new run" },
	};
	int n = TRIT_N(fixed), first_setting = n;
	memcpy(options, fixed, sizeof fixed);
	for (int tuning = 1; tuning >= 0; tuning--)
		for (int i = 0; i < trit_n_settings && n < MAX_OPTIONS; i++)
			if (trit_setting_is_tuning(&trit_settings[i]) == tuning && !trit_setting_is_shape(&trit_settings[i]) &&
			    !trit_setting_of_teacher(&trit_settings[i]))
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
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	if ((status = trit_export_types_parse(&table, o->type, o->embedding_type, "auto", &o->export)) >= 0)
		return status;
	for (int i = first_setting; o->resume && i < n; i++)
		if (options[i].given)
			return trit_opt_error(&table, "--%s: a resumed run keeps the settings it began with; leave it out",
			                      options[i].name);
	if (o->resume && o->data.n)
		return trit_opt_error(&table, "--resume goes on with the data in --out; leave --data out");
	if (o->resume)
		return -1;
	if (!o->run.init || !o->data.n)
		return trit_opt_error(&table, "give --model and --data, or --resume");
	struct trit_error err;
	return complete_tuning(o, &err) ? trit_opt_error(&table, "%s", err.message) : -1;
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

struct display {
	struct trit_progress_bar preparing;
	bool terminal;
	double begin, last;  /* seconds: of this process's first step; of the last line */
	int first_step;
	double val_loss;     /* the newest one */
	bool open; /* the line on the terminal is not ended */
	bool bars; /* the terminal shows UTF-8 */
	double losses[SPARKS]; /* the newest ones shown, oldest first */
	int n_losses;
};

/* Whether lines can be drawn over. */
static bool is_terminal(void)
{
	const char *term = getenv("TERM");
	return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

/* Bars of the losses shown last, from the lowest to the highest of them. */
static void sparkline(char *out, size_t size, struct display *d, double loss)
{
	static const char bars[8][4] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	double low = loss, high = loss;
	if (d->n_losses == SPARKS)
		memmove(d->losses, d->losses + 1, (SPARKS - 1) * sizeof *d->losses);
	else
		d->n_losses++;
	d->losses[d->n_losses - 1] = loss;
	for (int i = 0; i < d->n_losses; i++) {
		low = fmin(low, d->losses[i]);
		high = fmax(high, d->losses[i]);
	}
	size_t used = (size_t)snprintf(out, size, "  ");
	for (int i = 0; i < d->n_losses; i++) {
		double height = high > low ? (d->losses[i] - low) / (high - low) : 0;
		used += (size_t)snprintf(out + used, size - used, "%s", bars[height > 0 ? (int)(height * 7.99) : 0]);
	}
}

/* What there is to say about a step: the head of it, and the rest. */
static void describe_step(char head[LINE], char rest[LINE], const struct display *d, const struct trit_step_report *r)
{
	char left[TRIT_NUMBER_BYTES], memory[TRIT_NUMBER_BYTES];
	struct rusage usage;
	int n = snprintf(head, LINE, "step %d/%d  loss %.4f", r->step, r->steps, r->loss);
	if (r->has_kl)
		n += snprintf(head + n, LINE - (size_t)n, "  kl %.4f", r->kl);
	if (!isnan(d->val_loss))
		snprintf(head + n, LINE - (size_t)n, "  val %.4f", d->val_loss);
	trit_text_seconds(left, (d->last - d->begin) / (r->step - d->first_step) * (r->steps - r->step));
	n = snprintf(rest, LINE, "lr %.2e  %.0f tok/s  %s left", (double)r->lr, r->tokens_per_s, left);
	if (r->share[0] > 0 || r->share[2] > 0)
		n += snprintf(rest + n, LINE - (size_t)n, "  -1/0/+1 %.0f/%.0f/%.0f %%, %.2f %% flip", 100 * r->share[0],
		              100 * r->share[1], 100 * r->share[2], 100 * r->flips);
	n += snprintf(rest + n, LINE - (size_t)n, "  gradient %.3g", r->grad_norm);
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		n += snprintf(rest + n, LINE - (size_t)n, "  %s", trit_text_bytes(memory, (double)usage.ru_maxrss * 1024));
	if (r->skipped)
		snprintf(rest + n, LINE - (size_t)n, "  skipped %d", r->skipped);
}

/* Two lines that are drawn over by the next; both cut to the width, since a wrapped one could not be. */
static void draw(struct display *d, const char *head, const char *rest, double loss)
{
	struct winsize size;
	char bars[4 * SPARKS + 8] = "";
	int columns = !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col > 1 ? size.ws_col : 80;
	if (d->bars)
		sparkline(bars, sizeof bars, d, loss);
	bool fits = (int)strlen(head) + 2 + SPARKS < columns;
	fprintf(stderr, "%s\r\033[J%.*s%s\n%.*s", d->open ? "\033[1A" : "", columns - 1, head, fits ? bars : "",
	        columns - 1, rest);
	d->open = true;
}

static void show_step(struct display *d, const struct trit_step_report *r)
{
	double now = trit_clock();
	bool measured = !isnan(r->val_loss), last = r->step == r->steps;
	char head[LINE], rest[LINE];
	if (measured)
		d->val_loss = r->val_loss;
	if (!measured && !last && r->step != d->first_step + 1 && now - d->last < (d->terminal ? 0.25 : 10.0))
		return;
	d->last = now;
	describe_step(head, rest, d, r);
	if (!d->terminal) {
		fprintf(stderr, "%s  %s\n", head, rest);
	} else {
		if (measured) { /* stays */
			fprintf(stderr, "%s\r\033[J%s  lr %.2e\n", d->open ? "\033[1A" : "", head, (double)r->lr);
			d->open = false;
		}
		draw(d, head, rest, r->loss);
	}
	fflush(stderr);
}

/* What was made of the records. */
static void show_examples(const struct trit_trainer *t)
{
	const struct trit_example_counts *c = &t->counts;
	double filled = (double)c->tokens / ((double)(t->windows.n[0] + t->windows.n[1]) * (t->recipe.seq_len + 1));
	fprintf(stderr, "%llu examples in %llu sequences (%.0f %% filled), %llu of %llu tokens to learn\n",
	        (unsigned long long)c->examples, (unsigned long long)(t->windows.n[0] + t->windows.n[1]), 100 * filled,
	        (unsigned long long)c->learnt, (unsigned long long)c->tokens);
	if (c->bad)
		trit_cmd_note("finetune", "%llu records could not be used; the first: %s", (unsigned long long)c->bad,
		              c->first_bad.message);
	if (c->cut || c->too_long)
		trit_cmd_note("finetune", "%llu examples were cut to %d tokens and %llu left out, of which nothing to learn "
		              "was left; --seq-len takes longer ones", (unsigned long long)c->cut, t->recipe.seq_len + 1,
		              (unsigned long long)c->too_long);
	if (c->endless)
		trit_cmd_note("finetune", "the chat template ends %llu answers with no token that ends a turn; the end of text "
		              "was added to the last of each conversation, so that the model learns to stop",
		              (unsigned long long)c->endless);
}

static void show_teacher(const struct trit_trainer *t)
{
	const struct trit_model *m = t->teacher.model;
	const struct trit_distill_options *o = &t->teacher.distill.options;
	char parameters[TRIT_NUMBER_BYTES], memory[TRIT_NUMBER_BYTES];
	trit_text_count(parameters, (double)m->stats.parameters);
	trit_text_bytes(memory, (double)trit_teacher_bytes(&t->teacher));
	fprintf(stderr, "teacher: %s, %s parameters, %d layers of %d, %s of the memory", m->config.arch->title, parameters,
	        m->config.n_layers, m->config.d_model, memory);
	if (o->relation)
		fprintf(stderr, "; layer %d is compared with its layer %d, in %d heads", o->layer + 1, o->teacher_layer + 1,
		        o->heads);
	fputc('\n', stderr);
	if (m->stats.ternary_weights)
		trit_cmd_note("distill", "the teacher is ternary itself; one in full precision knows more");
}

static void show_start(const struct trit_trainer *t)
{
	const struct trit_recipe *r = &t->recipe;
	char parameters[TRIT_NUMBER_BYTES], tokens[TRIT_NUMBER_BYTES], memory[TRIT_NUMBER_BYTES], epochs[TRIT_NUMBER_BYTES];
	trit_text_count(parameters, (double)trit_config_parameters(&t->config));
	trit_text_count(tokens, (double)t->data.n_train_tokens);
	trit_text_bytes(memory, trit_trainer_bytes(t));
	snprintf(epochs, sizeof epochs, "%.2f", (double)t->progress.steps * r->batch / (double)t->data.n_windows);
	fprintf(stderr,
	        "%s: %s parameters, %d layers of %d (feed-forward %d, heads %d/%d), vocabulary %d\n"
	        "%s training tokens, %llu for validation; %d steps of %d x %d tokens, %s epochs; %s of memory, %d threads, "
	        "%s\n",
	        t->config.arch->title, parameters, r->n_layers, r->d_model, r->d_ff, r->n_heads, r->n_kv_heads, r->n_vocab,
	        tokens, (unsigned long long)t->data.n_val_tokens, t->progress.steps, r->batch, r->seq_len, epochs, memory,
	        trit_pool_size(t->pool), trit_tier_name(t->kernels.tier));
	if (t->dist)
		fprintf(stderr,
		        "%d processes, %d on this machine, %d x %d tokens a step each; memory and threads are those of one.\n"
		        "When one dies all end: trit train --resume goes on from the last checkpoint, on any number that\n"
		        "divides the batch\n",
		        t->transport->ranks, t->transport->local_ranks, r->batch / t->transport->ranks, r->seq_len);
	if (t->teacher.model)
		show_teacher(t);
	if (!t->config.tied && !t->config.arch->others_untie)
		trit_cmd_note("train", "an untied head in architecture %s: llama.cpp will not open the model",
		              t->config.arch->name);
	if (t->config.sub_norm && !t->config.arch->sub_norm)
		trit_cmd_note("train",
		              "sub-norms in architecture %s: other programs will not open the model (--sub-norm no: without)",
		              t->config.arch->name);
	if (!t->data.n_val_windows)
		trit_cmd_note(t->examples ? "finetune" : "train",
		              "too little text to hold some out: no validation loss (--val-share raises the share)");
}

static void show_adapters(const struct trit_trainer *t)
{
	char n[TRIT_NUMBER_BYTES];
	fprintf(stderr, "adapters of rank %d for %s: %s parameters are trained, the model's stay as they are\n",
	        t->recipe.lora, trit_lora_set_names[t->recipe.lora_set], trit_text_count(n, (double)t->params.total));
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* Checkpoint and packed model. */
static int save(struct trit_trainer *t, const struct train_options *o, struct trit_error *err)
{
	char path[4096];
	int e = trit_trainer_save(t, err);
	if (e)
		return e;
	if (trit_dist_rank(t->transport) == 0) {
		if (t->recipe.lora)
			e = trit_adapter_write(t->out, &t->lora, &t->config, err);
		else if (snprintf(path, sizeof path, "%s/model.gguf", t->out) < (int)sizeof path)
			e = trit_convert(t->out, path, &o->export, err);
		else
			e = trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", t->out);
	}
	return trit_dist_agree(t->transport, e, err);
}

/* A disk that is full now may have room later, and the last checkpoint is whole: no reason to end a long run. */
static int save_on_the_way(struct trit_trainer *t, const struct train_options *o, struct display *d, int *saved,
                           struct trit_error *err)
{
	int e = save(t, o, err);
	if (!e)
		*saved = t->progress.step;
	if (e != TRIT_ERR_IO)
		return e;
	if (d->open)
		fputc('\n', stderr);
	d->open = false;
	if (trit_dist_rank(t->transport) == 0)
		trit_cmd_note(o->command, "not saved: %s; training goes on and tries again in %d steps", err->message,
		              o->save_every);
	return TRIT_OK;
}

static int run(struct trit_trainer *t, const struct train_options *o, struct display *d, struct trit_error *err)
{
	int saved = -1, e;
	d->begin = trit_clock();
	d->first_step = t->progress.step;
	bool first = trit_dist_rank(t->transport) == 0;
	while (t->progress.step < t->progress.steps && !trit_dist_any(t->transport, trit_interrupts > 0)) {
		struct trit_step_report r;
		int next = t->progress.step + 1;
		bool last = next == t->progress.steps;
		if ((e = trit_trainer_step(t, last || (o->val_every && next % o->val_every == 0), &r, err)))
			return e;
		if (first)
			show_step(d, &r);
		if (next % o->save_every == 0 && !last) {
			if ((e = save_on_the_way(t, o, d, &saved, err)))
				return e;
		}
	}
	return saved == t->progress.step ? TRIT_OK : save(t, o, err);
}

/* The end of one process of several, or of the only one. What fails in one fails in all, and is for the first to say.
 * Returns the exit status. */
static int fail(const struct train_options *o, const struct trit_error *err)
{
	if (trit_dist_rank(o->run.transport) == 0)
		trit_cmd_fail(o->command, err);
	trit_mpi_close();
	return 1;
}

static void show_notes(const struct trit_trainer *t, const char *name, size_t first)
{
	for (size_t i = first; i < t->notes.n; i++)
		trit_cmd_note(name, "%s", t->notes.lines[i].text);
}

static int train(struct train_options *o, struct display *d)
{
	struct trit_trainer t;
	struct trit_error err;
	int e = o->resume ? trit_trainer_resume(&t, &o->run, &err)
	                  : trit_trainer_create(&t, &o->recipe, (size_t)o->data.n, o->data.items, &o->run, &err);
	bool first = trit_dist_rank(o->run.transport) == 0;
	trit_progress_end(&d->preparing);
	if (e)
		return fail(o, &err);
	if (t.examples != o->tune)
		e = trit_fail(&err, TRIT_ERR_ARG, "%s is a run of trit %s", o->run.out, t.examples ? "finetune" : "train");
	else if (!t.recipe.lora)
		e = trit_export_check(&t.config, trit_recipe_method(&t.recipe), &o->export, &err);
	if (e) {
		trit_trainer_close(&t);
		return fail(o, &err);
	}
	if (first)
		show_notes(&t, o->command, 0);
	size_t n_notes = t.notes.n;
	if (first && t.counts.examples)
		show_examples(&t);
	if (first)
		show_start(&t);
	if (first && t.recipe.lora)
		show_adapters(&t);
	e = run(&t, o, d, &err);
	if (d->open)
		fputc('\n', stderr);
	if (e) {
		if (first)
			show_notes(&t, o->command, n_notes);
		int status = fail(o, &err);
		trit_trainer_close(&t);
		return status;
	}
	bool done = t.progress.step == t.progress.steps;
	if (first && done)
		trit_cmd_note(o->command, "done: %s/%s.gguf", o->run.out, t.recipe.lora ? "adapter" : "model");
	else if (first)
		trit_cmd_note(o->command, "stopped at step %d of %d and saved; go on with: trit %s --resume --out %s%s",
		              t.progress.step, t.progress.steps, o->command, o->run.out, t.recipe.lora ? " --model FILE" : "");
	trit_trainer_close(&t);
	trit_mpi_close();
	return done ? 0 : 130;
}

static int parse_distill(struct train_options *o, int argc, char **argv)
{
	o->distill = true;
	return parse(o, argc, argv);
}

typedef int parse_fn(struct train_options *o, int argc, char **argv);

static int command(parse_fn *parse_options, int argc, char **argv)
{
	struct train_options o = { 0 };
	struct trit_error err;
	struct display d = { .terminal = is_terminal(), .val_loss = (double)NAN };
	struct trit_mpi_muted muted = trit_mpi_mute();
	int status = parse_options(&o, argc, argv);
	trit_mpi_unmute(muted);
	if (status >= 0) {
		trit_free(o.data.items);
		return status;
	}
	trit_interrupt_catch();
	setlocale(LC_CTYPE, "");
	d.bars = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	trit_progress_init(&d.preparing);
	o.run.progress = trit_progress_show;
	o.run.progress_arg = &d.preparing;
	if (trit_mpi_open(&o.run.transport, o.patience, &err)) {
		status = fail(&o, &err);
	} else {
		if (o.run.transport && o.run.n_threads == 0)
			o.run.n_threads = trit_mpi_threads();
		status = train(&o, &d);
	}
	trit_free(o.data.items);
	return status;
}

int trit_cmd_train(int argc, char **argv)
{
	return command(parse, argc, argv);
}

int trit_cmd_distill(int argc, char **argv)
{
	return command(parse_distill, argc, argv);
}

int trit_cmd_finetune(int argc, char **argv)
{
	return command(parse_tuning, argc, argv);
}
