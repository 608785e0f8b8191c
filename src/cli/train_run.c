/*
 * train_run.c - what the commands that train share: the run itself, and its display.
 *
 * SPDX-License-Identifier: MIT
 */
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/train_run.h"

#include "base/clock.h"
#include "base/free_memory.h"
#include "base/mem.h"
#include "cli/classify_actions.h"
#include "cli/mpi.h"
#include "cli/progress.h"
#include "convert/convert.h"
#include "convert/label_source.h"
#include "train/adapter.h"

enum { SPARKS = 24, LINE = 256 /* bytes of one */ };

/* ---- progress ---------------------------------------------------------------------------------------------------- */

struct display {
	struct trit_progress_bar preparing;
	bool terminal;
	double begin, last;  /* seconds: of this process's first step; of the last line */
	int first_step;
	double val_loss;     /* the newest one */
	bool has_accuracy;
	double val_accuracy, val_f1;
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
		n += snprintf(head + n, LINE - (size_t)n, "  val %.4f", d->val_loss);
	if (d->has_accuracy)
		snprintf(head + n, LINE - (size_t)n, ", accuracy %.4f, F1 %.4f", d->val_accuracy, d->val_f1);
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
	if (measured) {
		d->val_loss = r->val_loss;
		d->has_accuracy = r->has_accuracy;
		d->val_accuracy = r->val_accuracy;
		d->val_f1 = r->val_f1;
	}
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

/* What was made of labelled texts. */
static void show_labels(const struct trit_trainer *t, const struct trit_train_job *o)
{
	const struct trit_labels *l = &o->classify.labels;
	const struct trit_classify_counts *c = &t->label_counts;
	uint64_t texts[2] = { 0 }, bad = c->rows[0].bad + c->rows[1].bad, empty = c->rows[0].empty + c->rows[1].empty;
	uint64_t least = UINT64_MAX, most = 0;
	struct trit_error name;
	for (int i = 0; i < l->n; i++) {
		texts[0] += c->of_label[i];
		texts[1] += c->of_label[l->n + i];
		least = c->of_label[i] < least ? c->of_label[i] : least;
		most = c->of_label[i] > most ? c->of_label[i] : most;
	}
	fprintf(stderr, "%llu texts to learn from, %llu to validate on;", (unsigned long long)texts[0],
	        (unsigned long long)texts[1]);
	for (int i = 0; i < l->n && i < 12; i++)
		fprintf(stderr, "%s %s %.1f %%", i ? "," : "", trit_label_printable(&name, l->names[i]),
		        100 * (double)c->of_label[i] / (double)(texts[0] ? texts[0] : 1));
	fprintf(stderr, l->n > 12 ? ", ... (%d labels)\n" : "\n", l->n);
	if (least == 0)
		trit_cmd_note(o->command, "there are labels without a text to learn from");
	else if (most > 3 * least)
		trit_cmd_note(o->command, "the most frequent label has %.1f times the texts of the rarest: accuracy alone says "
		              "little, see F1", (double)most / (double)least);
	if (c->cut)
		trit_cmd_note(o->command, "%llu texts were cut to %d tokens; --seq-len takes longer ones",
		              (unsigned long long)c->cut, t->recipe.seq_len);
	if (empty)
		trit_cmd_note(o->command, "%llu texts are empty and were left out", (unsigned long long)empty);
	if (bad)
		trit_cmd_note(o->command, "%llu rows could not be used; the first: %s", (unsigned long long)bad,
		              (c->rows[0].bad ? &c->rows[0] : &c->rows[1])->first_bad.message);
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
		fprintf(stderr, "; layer %d is compared with its layer %d, in %d head%s", o->layer + 1, o->teacher_layer + 1,
		        o->heads, o->heads == 1 ? "" : "s");
	if (t->recipe.warm_steps)
		fprintf(stderr, "; from step %d on", t->recipe.warm_steps + 1);
	fputc('\n', stderr);
	if (m->stats.ternary_weights)
		trit_cmd_note("distill", "the teacher is ternary itself; one in full precision knows more");
}

/* What the run will take up. */
static void show_plan(const struct trit_trainer *t)
{
	const struct trit_space *s = &t->space;
	char parts[TRIT_PLAN_BYTES], all[TRIT_NUMBER_BYTES], left[TRIT_NUMBER_BYTES], data[TRIT_NUMBER_BYTES];
	char checkpoints[TRIT_NUMBER_BYTES];
	uint64_t free = trit_free_memory("");
	double data_bytes = (double)(t->data.n_train_tokens + t->data.n_val_tokens) * (t->config.n_vocab > 65536 ? 4 : 2);
	trit_memory_plan_describe(parts, &t->memory);
	fprintf(stderr, "memory: %s of %s free (%s)\n", trit_text_bytes(all, trit_memory_plan_total(&t->memory)),
	        free == UINT64_MAX ? "what is" : trit_text_bytes(left, (double)free), parts);
	fprintf(stderr, "disk: %s of tokens, read as they are needed", trit_text_bytes(data, data_bytes));
	if (s->checkpoints > 0)
		fprintf(stderr, "; %s for %d checkpoints and one being written",
		        trit_text_bytes(checkpoints, s->checkpoints), t->keep);
	fputc('\n', stderr);
}

static void show_start(const struct trit_trainer *t, const char *command)
{
	const struct trit_recipe *r = &t->recipe;
	char parameters[TRIT_NUMBER_BYTES], tokens[TRIT_NUMBER_BYTES], epochs[TRIT_NUMBER_BYTES];
	trit_text_count(parameters, (double)trit_config_parameters(&t->config));
	trit_text_count(tokens, (double)t->data.n_train_tokens);
	snprintf(epochs, sizeof epochs, "%.2f", (double)t->progress.steps * r->batch / (double)t->data.n_windows);
	fprintf(stderr,
	        "%s: %s parameters, %d layers of %d (feed-forward %d, heads %d/%d), vocabulary %d\n"
	        "%s training tokens, %llu for validation; %d steps of %d x %d tokens, %s epochs; %d threads, %s%s%s\n",
	        t->config.arch->title, parameters, r->n_layers, r->d_model, r->d_ff, r->n_heads, r->n_kv_heads, r->n_vocab,
	        tokens, (unsigned long long)t->data.n_val_tokens, t->progress.steps, r->batch, r->seq_len, epochs,
	        trit_pool_size(t->pool), trit_tier_name(t->kernels.tier),
	        trit_kernels_round(&t->step_kernels) ? ", bf16" : "",
	        t->net.options.recompute ? ", activations computed again" : "");
	show_plan(t);
	if (t->dist)
		fprintf(stderr,
		        "%d processes, %d on this machine, %d x %d tokens a step each; memory and threads are those of one.\n"
		        "When one dies all end: trit %s --resume goes on from the last checkpoint, on any number that\n"
		        "divides the batch\n",
		        t->transport->ranks, t->transport->local_ranks, r->batch / t->transport->ranks, r->seq_len, command);
	if (t->teacher.model)
		show_teacher(t);
	if (!t->config.tied && !t->config.arch->others_untie)
		trit_cmd_note(command, "an untied head in architecture %s: llama.cpp will not open the model",
		              t->config.arch->name);
	if (t->config.sub_norm && !t->config.arch->sub_norm)
		trit_cmd_note(command,
		              "sub-norms in architecture %s: other programs will not open the model (--sub-norm no: without)",
		              t->config.arch->name);
	if (!t->data.n_val_windows)
		trit_cmd_note(command,
		              "too little text to hold some out: no validation loss (--val-share raises the share)");
}

static void show_adapters(const struct trit_trainer *t)
{
	char n[TRIT_NUMBER_BYTES];
	fprintf(stderr, "adapters of rank %d for %s: %s parameters are trained, the model's stay as they are\n",
	        t->recipe.lora, trit_lora_set_names[t->recipe.lora_set], trit_text_count(n, (double)t->params.total));
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* Whether the result is an adapter alone. */
static bool is_adapter(const struct trit_trainer *t)
{
	return t->recipe.lora && !t->recipe.n_labels;
}

static int save_model(struct trit_trainer *t, const struct trit_train_job *o, struct trit_error *err)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/model.gguf", t->out) >= (int)sizeof path)
		return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", t->out);
	if (!trit_recipe_is_frozen(&t->recipe))
		return trit_convert(t->out, path, &o->export, err);
	struct trit_label_overlay overlay = { .config = &t->config, .w = t->label_head.w, .bias = t->label_head.bias,
		                                  .vocab = trit_tokenizer_vocab(t->tokenizer), .folder = t->out };
	return trit_convert_labelled(o->run.init, path, &overlay, &o->export, err);
}

/* Checkpoint and packed model, for which the first process may take as long as it likes. */
static int save(struct trit_trainer *t, const struct trit_train_job *o, struct trit_error *err)
{
	trit_dist_expect(t->transport, false);
	int e = trit_trainer_save(t, err);
	if (!e && trit_dist_rank(t->transport) == 0) {
		if (t->recipe.lora)
			e = trit_adapter_write(t->out, &t->lora, &t->config, err);
		if (!e && !is_adapter(t))
			e = save_model(t, o, err);
	}
	e = trit_dist_agree(t->transport, e, err);
	trit_dist_expect(t->transport, true);
	return e;
}

/* A disk that is full now may have room later, and the last checkpoint is whole: no reason to end a long run. */
static int save_on_the_way(struct trit_trainer *t, const struct trit_train_job *o, struct display *d, int *saved,
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
		              o->run.save_every);
	return TRIT_OK;
}

static int run(struct trit_trainer *t, const struct trit_train_job *o, struct display *d, struct trit_error *err)
{
	int saved = -1, e;
	d->begin = trit_clock();
	d->first_step = t->progress.step;
	bool first = trit_dist_rank(t->transport) == 0;
	trit_dist_expect(t->transport, true);
	while (t->progress.step < t->progress.steps && !trit_dist_any(t->transport, trit_interrupts > 0)) {
		struct trit_step_report r;
		int next = t->progress.step + 1;
		bool last = next == t->progress.steps;
		if ((e = trit_trainer_step(t, last || (o->run.val_every && next % o->run.val_every == 0), &r, err)))
			return e;
		if (first)
			show_step(d, &r);
		if (next % o->run.save_every == 0 && !last) {
			if ((e = save_on_the_way(t, o, d, &saved, err)))
				return e;
		}
	}
	return saved == t->progress.step ? TRIT_OK : save(t, o, err);
}

/* The end of one process of several, or of the only one. What fails in one fails in all, and is for the first to say.
 * Returns the exit status. */
static int fail(const struct trit_train_job *o, const struct trit_error *err)
{
	if (trit_dist_rank(o->run.transport) == 0)
		trit_cmd_fail(o->command, err);
	trit_mpi_close();
	return trit_interrupts ? 130 : 1;
}

/* The same for what was found wrong with the files named on the command line. */
static int refuse(const struct trit_train_job *o, int e, const struct trit_error *err)
{
	const struct trit_opt_table table = { .command = o->command };
	if (e != TRIT_ERR_ARG)
		return fail(o, err);
	if (trit_dist_rank(o->run.transport) == 0)
		trit_opt_error(&table, "%s", err->message);
	trit_mpi_close();
	return 2;
}

static void show_notes(const struct trit_trainer *t, const char *name, size_t first)
{
	for (size_t i = first; i < t->notes.n; i++)
		trit_cmd_note(name, "%s", t->notes.lines[i].text);
}

/* A new run, and what is to be known of it if it is killed. */
static int create(struct trit_trainer *t, struct trit_train_job *o, struct trit_error *err)
{
	struct trit_buf text;
	trit_buf_init(&text, TRIT_RUN_OPTIONS_MOST);
	int e = trit_run_options_text(&o->kept, &text, err);
	o->run.kept = o->kept.n ? &text : NULL;
	if (!e)
		e = trit_trainer_create(t, &o->recipe, (size_t)o->data.n, o->data.items, &o->run, err);
	o->run.kept = NULL;
	trit_buf_release(&text);
	return e;
}

static int train(struct trit_train_job *o, struct display *d)
{
	struct trit_trainer t;
	struct trit_error err;
	int e = o->resume ? trit_trainer_resume(&t, &o->run, &err) : create(&t, o, &err);
	bool first = trit_dist_rank(o->run.transport) == 0;
	trit_progress_end(&d->preparing);
	if (e)
		return fail(o, &err);
	if (t.recipe.n_labels && !o->is_classifier)
		e = trit_fail(&err, TRIT_ERR_ARG, "%s is a run of trit classify train", o->run.out);
	else if (t.examples != o->tune || (o->is_classifier && !t.recipe.n_labels))
		e = trit_fail(&err, TRIT_ERR_ARG, "%s is a run of trit %s", o->run.out, t.examples ? "finetune" : "train");
	else if (!t.recipe.lora)
		e = trit_export_check(&t.config, trit_recipe_method(&t.recipe), &o->export, &err);
	if (e) {
		trit_trainer_close(&t);
		return fail(o, &err);
	}
	if (first && o->resume && trit_run_options_write(&o->kept, o->run.out, &err))
		trit_cmd_note(o->command, "%s; a resumed run will need its options again", err.message);
	if (first)
		show_notes(&t, o->command, 0);
	size_t n_notes = t.notes.n;
	if (first && t.counts.examples)
		show_examples(&t);
	if (first && t.label_counts.of_label)
		show_labels(&t, o);
	if (first)
		show_start(&t, o->command);
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
		trit_cmd_note(o->command, "done: %s/%s.gguf", o->run.out, is_adapter(&t) ? "adapter" : "model");
	else if (first)
		trit_cmd_note(o->command, "stopped at step %d of %d and saved; go on with: trit %s --resume --out %s%s",
		              t.progress.step, t.progress.steps, o->command, o->run.out,
		              trit_recipe_is_frozen(&t.recipe) ? " --model FILE" : "");
	trit_trainer_close(&t);
	trit_mpi_close();
	return done ? 0 : 130;
}

static void release_job(struct trit_train_job *o)
{
	trit_labels_release(&o->classify.labels);
	trit_free(o->data.items);
	trit_free(o->val.items);
	trit_free(o->labels.items);
	trit_free(o->words.items);
}

const char *const trit_on_divergence[] = { "stop", "go-on", NULL };

/* A setting that would do nothing is a mistake. */
static int check_needs(const struct trit_train_job *o, const struct trit_opt_table *table, int first_setting)
{
	for (int i = first_setting; i < table->n_options; i++) {
		const struct trit_opt *option = &table->options[i];
		const struct trit_setting *s = option->given ? trit_setting_by_name(option->name) : NULL;
		const char *needs = s ? trit_setting_needs(s, &o->recipe, o->run.init || o->run.teacher) : NULL;
		if (needs)
			return trit_opt_error(table, "--%s does nothing without %s; leave it out", s->name, needs);
	}
	return -1;
}

int trit_train_parse(struct trit_train_job *o, struct trit_opt_table *table, int first_setting, int argc, char **argv)
{
	int status = trit_opt_parse(table, argc, argv);
	if (status >= 0)
		return status;
	o->resume |= o->run.resume_from != NULL;
	if ((o->resume && (status = trit_run_options_take(&o->kept, table, o->run.out)) >= 0) ||
	    (status = trit_export_types_parse(table, o->type, o->embedding_type, "auto", &o->export)) >= 0)
		return status;
	o->run.heedless = o->on_divergence != 0;
	trit_run_options_note(&o->kept, table);
	for (int i = first_setting; o->resume && i < table->n_options; i++)
		if (table->options[i].given)
			return trit_opt_error(table, "--%s: a resumed run keeps the settings it began with; leave it out",
			                      table->options[i].name);
	return check_needs(o, table, first_setting);
}

int trit_train_parsed(struct trit_train_job *o, int e, const struct trit_error *err)
{
	if ((o->refused = e))
		o->why = *err;
	return -1;
}

int trit_train_command(trit_train_parse_fn *parse, int argc, char **argv)
{
	struct trit_train_job o = { 0 };
	struct trit_error err;
	struct display d = { .terminal = is_terminal(), .val_loss = (double)NAN };
	struct trit_mpi_muted muted = trit_mpi_mute();
	int status = parse(&o, argc, argv);
	trit_mpi_unmute(muted);
	if (status >= 0) {
		release_job(&o);
		return status;
	}
	trit_interrupt_catch();
	setlocale(LC_CTYPE, "");
	d.bars = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	trit_progress_init(&d.preparing);
	o.run.progress = trit_progress_show;
	o.run.progress_arg = &d.preparing;
	int e = trit_mpi_open(&o.run.transport, o.patience, &err);
	if (e) {
		status = fail(&o, &err);
	} else if ((e = trit_dist_agree(o.run.transport, o.refused, &o.why))) {
		status = refuse(&o, e, &o.why);
	} else {
		if (o.run.transport && o.run.n_threads == 0)
			o.run.n_threads = trit_mpi_threads();
		status = train(&o, &d);
	}
	release_job(&o);
	return status;
}
