/*
 * diagnosis.c - looks at everything that is there when a run has failed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/diagnosis.h"

#include <math.h>

#define say(notes, ...) trit_note(notes, TRIT_NOTE_WARNING, __VA_ARGS__)

struct tensor_facts {
	size_t bad;  /* numbers that are not finite */
	double norm; /* of the others */
};

static struct tensor_facts look(const float *values, size_t n)
{
	struct tensor_facts f = { 0, 0 };
	for (size_t i = 0; i < n; i++) {
		if (isfinite(values[i]))
			f.norm += (double)values[i] * (double)values[i];
		else
			f.bad++;
	}
	f.norm = sqrt(f.norm);
	return f;
}

static void name_of(char name[TRIT_TENSOR_NAME_BYTES], const struct trit_param *t)
{
	trit_tensor_name(name, t->id, t->layer, "weight");
}

/* The first tensor with a weight that is not finite; whether there is one. */
static bool say_weights(struct trit_notes *notes, const struct trit_params *p)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	for (int i = 0; i < p->n; i++) {
		struct tensor_facts f = look(p->w + p->list[i].offset, p->list[i].rows * p->list[i].cols);
		if (!f.bad)
			continue;
		name_of(name, &p->list[i]);
		say(notes, "weights: %zu of %zu in %s are not finite, the others have norm %.4g; what came before that step "
		    "is the cause", f.bad, p->list[i].rows * p->list[i].cols, name, f.norm);
		return true;
	}
	say(notes, "weights: all are finite");
	return false;
}

/* The backward pass goes through the tensors from the last to the first, so the first to have something wrong is the
 * last of the list; those before it have got it from there. */
static void say_gradients(struct trit_notes *notes, const struct trit_params *p)
{
	char name[TRIT_TENSOR_NAME_BYTES];
	int bad = 0, first = -1, largest = -1;
	double norm = -1;
	struct tensor_facts at_first = { 0, 0 };
	for (int i = 0; i < p->n; i++) {
		struct tensor_facts f = look(p->g + p->list[i].offset, p->list[i].rows * p->list[i].cols);
		if (f.bad) {
			bad++;
			first = i;
			at_first = f;
		} else if (f.norm > norm) {
			norm = f.norm;
			largest = i;
		}
	}
	if (first >= 0) {
		name_of(name, &p->list[first]);
		say(notes, "gradient: not finite in %d of %d tensors, first on the way back in %s (%zu of %zu numbers, the "
		    "others have norm %.4g)", bad, p->n, name, at_first.bad, p->list[first].rows * p->list[first].cols,
		    at_first.norm);
	}
	if (norm > 0) { /* else it is used up: the optimiser has taken its step */
		name_of(name, &p->list[largest]);
		say(notes, "gradient: of the finite ones that of %s is the largest, of norm %.4g", name, norm);
	}
}

/* Whether they are finite all the way. */
static bool say_activations(struct trit_notes *notes, const struct trit_net *net)
{
	int layers = net->config->n_layers;
	float most = 0;
	int where = 0;
	for (int i = 0; i <= layers; i++) {
		float x = trit_net_largest(net, i);
		if (!isfinite(x)) {
			if (i)
				say(notes, "activations: finite, at most %.4g, up to layer %d, whose output is not", (double)most,
				    i - 1);
			else
				say(notes, "activations: not finite from the embedding on");
			return false;
		}
		if (x > most) {
			most = x;
			where = i;
		}
	}
	say(notes, "activations: finite; the largest is %.4g, %s %d", (double)most,
	    where < layers ? "at the input of layer" : "at the output of layer", where < layers ? where : where - 1);
	return true;
}

static void say_loss(struct trit_notes *notes, const struct trit_patient *p)
{
	double before = trit_health_median(p->health, 0), now = trit_health_median(p->health, 1);
	if (isnan(now))
		say(notes, "loss: %.4g at step %d, learning rate %.3g; too few steps to say whether it was rising", p->loss,
		    p->step, (double)p->lr);
	else
		say(notes, "loss: %.4g at step %d, learning rate %.3g; before that it was %s, from %.4g to %.4g (medians of %d "
		    "steps each)", p->loss, p->step, (double)p->lr, now > before + 0.05 ? "rising" : "not rising", before, now,
		    p->health->n / 2);
}

void trit_diagnose(struct trit_notes *notes, const struct trit_patient *p)
{
	bool bad_weights = say_weights(notes, p->params);
	say_gradients(notes, p->params);
	say_activations(notes, p->net);
	say_loss(notes, p);
	if (bad_weights)
		say(notes, "try: --resume, which begins at the last sound checkpoint; if it comes again, a new run with a "
		    "smaller --lr");
	else if (p->step <= 2 * p->warmup)
		say(notes, "try: a new run with a longer --warmup or a smaller --lr; it failed while the learning rate was at "
		    "its highest");
	else
		say(notes, "try: a new run with a smaller --lr (half of it), a smaller --clip, or --beta2 0.95 if it is "
		    "larger; --resume-from STEP goes back to an older checkpoint");
}
