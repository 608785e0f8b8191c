/*
 * trainer.c - a training run, step by step.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <unistd.h>

#include "base/clock.h"
#include "train/schedule.h"
#include "train/trainer_parts.h"

#define MAX_LOSS 50 /* nats a token: beyond it the run has diverged */

void trit_trainer_close(struct trit_trainer *t)
{
	if (t->metrics)
		fclose(t->metrics);
	if (t->out && t->lock >= 0)
		close(t->lock);
	trit_dist_free(t->dist);
	trit_teacher_close(&t->teacher);
	trit_trainer_give_back(t);
	trit_free(t->label_counts.of_label);
	trit_windows_close(&t->windows);
	trit_free(t->starts);
	trit_data_close(&t->data);
	trit_tokenizer_free(t->tokenizer);
	trit_events_close(t->events);
	trit_free(t->losses);
	trit_free(t->val_losses);
	trit_free(t->scales);
	trit_free(t->batch);
	trit_free(t->weights);
	trit_notes_release(&t->notes);
	trit_free(t->out);
	*t = (struct trit_trainer){ 0 };
}

int trit_trainer_save(struct trit_trainer *t, struct trit_error *err)
{
	int e = TRIT_OK;
	t->n_fetched = 0;
	if (trit_trainer_is_first(t) && !(e = trit_metrics_flush(t->metrics, err)))
		e = trit_kept_save(t->out, t->keep, &t->params, &t->recipe, &t->config, t->progress, err);
	/* The other side of fetching, for checksums and then for the file. After an error both sides go on to the end. */
	for (int n = t->params.n; t->dist && t->n_fetched < 4 * n;) {
		int array = 1 + t->n_fetched / n % 2, i = t->n_fetched % n;
		t->params.fetch(t, array, i);
		if (trit_trainer_is_first(t))
			t->params.forget(t, array, i);
	}
	return trit_dist_agree(t->transport, e, err);
}

/* ---- shared with trainer_begin.c --------------------------------------------------------------------------------- */

void trit_trainer_draw(struct trit_trainer *t, bool val, uint64_t first, int n)
{
	if (!t->examples)
		(val ? trit_data_val : trit_data_train)(&t->data, first, n, t->batch, t->weights);
	else
		(val ? trit_windows_val : trit_windows_train)(&t->windows, first, n, t->batch, t->weights, t->starts);
	t->net.starts = t->starts;
}

void trit_trainer_quantise(struct trit_trainer *t, int step)
{
	t->net.lambda = trit_schedule_quantisation(&t->recipe, step);
	trit_net_quantise(&t->net);
}

void trit_trainer_give_back(struct trit_trainer *t)
{
	trit_part_sums_release(&t->sums);
	trit_optim_release(&t->optim);
	trit_net_release(&t->net);
	trit_params_release(&t->params);
	trit_params_release(&t->base);
	trit_lora_release(&t->lora);
	trit_label_head_release(&t->label_head);
	trit_pool_free(t->pool);
	t->pool = NULL;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void layer_ready(void *arg, int layer)
{
	trit_dist_ready(((struct trit_trainer *)arg)->dist, layer);
}

/* Sum of the weights of n sequences' losses: how many losses their sum counts. */
static double total_weight(const struct trit_trainer *t, int n)
{
	size_t all = (size_t)n * (size_t)t->recipe.seq_len;
	double sum = t->weights ? 0 : (double)all;
	for (size_t i = 0; t->weights && i < all; i++)
		sum += (double)t->weights[i];
	return sum;
}

double trit_trainer_validate(struct trit_trainer *t)
{
	uint64_t n = t->data.n_val_windows, micro = (uint64_t)t->micro_batch;
	uint64_t rank = (uint64_t)trit_dist_rank(t->transport), ranks = (uint64_t)trit_dist_ranks(t->transport);
	if (t->max_val_windows > 0 && n > (uint64_t)t->max_val_windows)
		n = (uint64_t)t->max_val_windows;
	if (!n)
		return (double)NAN;
	uint64_t n_micro = (n + micro - 1) / micro;
	memset(t->val_losses, 0, n_micro * 2 * sizeof *t->val_losses);
	if (t->recipe.n_labels)
		trit_label_head_clear(&t->label_head);
	for (uint64_t i = rank; i < n_micro; i += ranks) {
		int m = (int)(n - i * micro < micro ? n - i * micro : micro);
		trit_trainer_draw(t, true, i * micro, m);
		t->val_losses[2 * i] = trit_net_loss(&t->net, m, t->batch, t->weights);
		t->val_losses[2 * i + 1] = total_weight(t, m);
	}
	trit_dist_sum(t->transport, t->val_losses, 2 * n_micro);
	if (t->recipe.n_labels)
		trit_dist_sum(t->transport, t->label_head.expected, 3 * (size_t)t->recipe.n_labels);
	double loss = 0, total = 0;
	for (uint64_t i = 0; i < n_micro; i++) {
		loss += t->val_losses[2 * i];
		total += t->val_losses[2 * i + 1];
	}
	return loss / total; /* NaN where nothing is to be predicted */
}

/* Loss and gradient of n sequences from the `first` of this process's on, in micro-batches. last: nothing is added to
 * the gradients of this step afterwards. */
static double part_gradient(struct trit_trainer *t, int first, int n, float scale, bool last)
{
	size_t s = (size_t)t->recipe.seq_len;
	double loss = 0;
	for (int i = first, m; i < first + n; i += m) {
		m = first + n - i < t->micro_batch ? first + n - i : t->micro_batch;
		t->net.ready = t->dist && last && i + m == first + n ? layer_ready : NULL;
		t->net.starts = t->starts ? t->starts + (size_t)i * s : NULL;
		loss += trit_net_step(&t->net, m, t->batch + (size_t)i * (s + 1),
		                      t->weights ? t->weights + (size_t)i * s : NULL, scale);
	}
	return loss;
}

/* Mean loss and its gradient of the step's batch, of which this process computes its parts. */
static double batch_gradient(struct trit_trainer *t)
{
	const struct trit_recipe *r = &t->recipe;
	int here = t->sums.parts, size = r->batch / t->parts, first = trit_dist_rank(t->transport) * here;
	uint64_t begin = (uint64_t)t->progress.step * (uint64_t)r->batch;
	trit_trainer_draw(t, false, begin + (uint64_t)first * (uint64_t)size, here * size);
	double total = total_weight(t, here * size), loss = 0;
	trit_dist_sum(t->transport, &total, 1); /* exact: weights are whole numbers */
	total = fmax(total, 1);                 /* below 1 is 0 */
	trit_teacher_begin_step(&t->teacher, t->progress.step, size < t->micro_batch ? size : t->micro_batch, t->batch,
	                        t->weights);
	memset(t->losses, 0, (size_t)t->parts * sizeof *t->losses);
	for (int i = 0; i < here; i++) {
		t->losses[first + i] = part_gradient(t, i * size, size, (float)(1 / total), i + 1 == here);
		trit_teacher_end_part(&t->teacher, first + i);
		if (i + 1 < here)
			trit_part_sums_put(&t->sums, i, t->params.g);
	}
	if (t->dist) {
		trit_dist_ready(t->dist, -1);
		trit_dist_wait(t->dist);
	} else {
		trit_part_sums_finish(&t->sums, t->params.g);
	}
	trit_dist_sum(t->transport, t->losses, (size_t)t->parts);
	trit_teacher_end_step(&t->teacher, total);
	for (int i = 0; i < t->parts; i++)
		loss += t->losses[i];
	return loss / total;
}

/* New weights from gradients, on all processes. */
static void update(struct trit_trainer *t, double norm, float lr)
{
	int step = t->progress.step, steps = t->progress.steps;
	trit_optim_step(&t->optim, norm, lr, trit_schedule_weight_decay(&t->recipe, step, steps), step + 1);
	if (t->dist) {
		trit_dist_gather(t->dist);
		trit_dist_wait(t->dist);
	}
	trit_trainer_quantise(t, step + 1);
}

static void diagnose(struct trit_trainer *t, double loss, double norm, float lr)
{
	struct trit_patient p = { .params = &t->params, .net = &t->net, .health = &t->progress.health, .loss = loss,
		                  .norm = norm, .lr = lr, .step = t->progress.step, .warmup = t->recipe.warmup };
	trit_diagnose(&t->notes, &p);
}

/* Whether the run may go on after this step. */
static int judge(struct trit_trainer *t, double loss, double norm, float lr, struct trit_error *err)
{
	static const char *const what[] = {
		[TRIT_VERDICT_LOSS] = "the loss has jumped",
		[TRIT_VERDICT_NORM] = "the gradient has exploded",
		[TRIT_VERDICT_CREEPING] = "the loss has risen",
		[TRIT_VERDICT_DEAD] = "the gradient is 0",
	};
	if (t->progress.health.skipped_in_a_row >= t->max_skipped)
		return trit_fail(err, TRIT_ERR_FORMAT,
		                 "%s: at step %d and the %d before it the gradient was not finite (loss %g); go back with "
		                 "--resume-from or begin again in another --out with a smaller --lr",
		                 t->out, t->progress.step, t->max_skipped - 1, loss);
	if (t->progress.health.skipped_in_a_row)
		return TRIT_OK;
	enum trit_verdict verdict = trit_health_add(&t->progress.health, loss, norm);
	if (loss > MAX_LOSS)
		verdict = TRIT_VERDICT_LOSS;
	if (verdict == TRIT_VERDICT_FINE || t->heedless)
		return TRIT_OK;
	diagnose(t, loss, norm, lr);
	return trit_fail(err, TRIT_ERR_FORMAT,
	                 "%s: training diverged at step %d: %s (loss %g, gradient norm %g); go back with --resume-from or "
	                 "begin again in another --out with a smaller --lr",
	                 t->out, t->progress.step, what[verdict], loss, norm);
}

int trit_trainer_step(struct trit_trainer *t, bool validate, struct trit_step_report *report, struct trit_error *err)
{
	const struct trit_recipe *r = &t->recipe;
	double begin = trit_clock();
	int step = t->progress.step;
	double flips = 0;
	double loss = batch_gradient(t), norm = trit_optim_grad_norm(&t->optim);
	float lr = trit_schedule_lr(r, step, t->progress.steps);
	if (isfinite(norm) && isfinite(loss)) {
		update(t, norm, lr);
		flips = t->base.n ? 0 : trit_net_flips(&t->net);
		t->progress.health.skipped_in_a_row = 0;
	} else {
		if (t->progress.health.skipped_in_a_row + 1 == t->max_skipped)
			diagnose(t, loss, norm, lr);
		memset(t->params.g, 0, t->params.total * sizeof *t->params.g);
		t->progress.health.skipped++;
		t->progress.health.skipped_in_a_row++;
		if (t->net.lambda < 1)
			trit_trainer_quantise(t, step + 1);
	}
	t->progress.step++;

	uint64_t tokens = (uint64_t)r->batch * (uint64_t)r->seq_len;
	*report = (struct trit_step_report){ .step = t->progress.step, .steps = t->progress.steps,
		                             .tokens = tokens * (uint64_t)t->progress.step, .loss = loss,
		                             .val_loss = (double)NAN, .lr = lr, .grad_norm = norm,
		                             .tokens_per_s = (double)tokens / (trit_clock() - begin),
		                             .flips = flips, .skipped = t->progress.health.skipped };
	trit_net_shares(&t->net, report->share);
	if (t->dist) {
		struct trit_dist_cost cost = trit_dist_cost(t->dist);
		report->exchange_s = cost.busy;
		report->wait_s = cost.waited;
		report->sent = cost.bytes;
	}
	trit_net_loads(&t->net, t->loads);
	trit_teacher_report(&t->teacher, report);
	if (validate) {
		report->val_loss = trit_trainer_validate(t);
		report->has_accuracy = r->n_labels && t->data.n_val_windows;
		if (r->n_labels)
			trit_classify_scores(&t->label_head, &report->val_accuracy, &report->val_f1);
		report->n_scales = t->recipe.weights == TRIT_WEIGHT_FULL ? 0 : t->config.n_layers * TRIT_NET_LINEARS;
		report->scales = t->scales;
		trit_net_scales(&t->net, t->scales);
		report->n_experts = t->config.moe.n_experts;
		report->n_loads = t->config.n_layers * report->n_experts;
		report->loads = t->loads;
	}
	int e = trit_trainer_is_first(t) ? trit_metrics_write(t->metrics, report, err) : TRIT_OK;
	if (!e && trit_trainer_is_first(t))
		e = trit_events_write(t->events, report, err);
	if (e)
		e = trit_fail_prefix(err, e, "%s (free space, then go on with --resume)", t->out);
	else
		e = trit_data_check(&t->data, err);
	e = trit_dist_agree(t->transport, e, err);
	if (e)
		return e;
	return judge(t, loss, norm, lr, err);
}
