/*
 * events.c - writes TensorBoard's event files.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "train/events.h"

#include "base/buf.h"
#include "base/mem.h"

#define PREFIX "events.out.tfevents."
#define VALUE_BYTES 64 /* of a number with its tag, at most */
#define PLAIN_VALUES 16 /* beside the scales */

enum { PATH_BYTES = 4096 };

struct trit_events {
	FILE *f;
	char path[PATH_BYTES];
	struct trit_buf event, summary, value; /* scratch: a message and those inside it */
};

uint32_t trit_masked_crc32c(size_t len, const void *bytes)
{
	const unsigned char *p = bytes;
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0x82F63B78 & -(crc & 1));
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

/* ---- protocol buffers -------------------------------------------------------------------------------------------- */

/* Key of a field: its number and how its value is written. */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static int put_varint(struct trit_buf *b, uint64_t v, struct trit_error *err)
{
	unsigned char out[10];
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		out[n++] = (unsigned char)(v | 0x80);
	out[n++] = (unsigned char)v;
	return trit_buf_append(b, n, out, err);
}

static int put_key(struct trit_buf *b, unsigned field, unsigned kind, struct trit_error *err)
{
	return put_varint(b, field << 3 | kind, err);
}

static int put_bytes(struct trit_buf *b, unsigned field, size_t len, const char *bytes, struct trit_error *err)
{
	int e = put_key(b, field, BYTES, err);
	if (!e)
		e = put_varint(b, len, err);
	return e ? e : trit_buf_append(b, len, bytes, err);
}

/* The event's head: now, and its step. */
static int begin_event(struct trit_buf *b, int64_t step, struct trit_error *err)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
	trit_buf_reset(b);
	int e = put_key(b, 1, FIXED64, err);
	if (!e)
		e = trit_buf_append(b, sizeof seconds, &seconds, err);
	if (!e)
		e = put_key(b, 2, VARINT, err);
	return e ? e : put_varint(b, (uint64_t)step, err);
}

static int add_value(struct trit_events *ev, const char *tag, double v, struct trit_error *err)
{
	float number = (float)v;
	if (!isfinite(number))
		return TRIT_OK;
	trit_buf_reset(&ev->value);
	int e = put_bytes(&ev->value, 1, strlen(tag), tag, err);
	if (!e)
		e = put_key(&ev->value, 2, FIXED32, err);
	if (!e)
		e = trit_buf_append(&ev->value, sizeof number, &number, err);
	return e ? e : put_bytes(&ev->summary, 1, ev->value.len, ev->value.data, err);
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static int write_record(struct trit_events *e, struct trit_error *err)
{
	uint64_t len = e->event.len;
	uint32_t len_crc = trit_masked_crc32c(sizeof len, &len), crc = trit_masked_crc32c(len, e->event.data);
	fwrite(&len, sizeof len, 1, e->f);
	fwrite(&len_crc, sizeof len_crc, 1, e->f);
	fwrite(e->event.data, 1, len, e->f);
	fwrite(&crc, sizeof crc, 1, e->f);
	if (fflush(e->f) || ferror(e->f))
		return trit_fail_errno(err, "cannot write %s", e->path);
	return TRIT_OK;
}

/* What every file begins with; then, where others may lie before it, that this one goes on after `step`. */
static int write_start(struct trit_events *ev, int step, struct trit_error *err)
{
	static const char version[] = "brain.Event:2", start[] = { 1 << 3 | VARINT, 1 };
	int e = begin_event(&ev->event, 0, err);
	if (!e)
		e = put_bytes(&ev->event, 3, sizeof version - 1, version, err);
	if (!e)
		e = write_record(ev, err);
	if (e || !step)
		return e;
	e = begin_event(&ev->event, (int64_t)step + 1, err);
	if (!e)
		e = put_bytes(&ev->event, 7, sizeof start, start, err);
	return e ? e : write_record(ev, err);
}

/* An empty buffer that will hold `bytes` without asking for memory. */
static int make_buffer(struct trit_buf *b, size_t bytes, struct trit_error *err)
{
	static const char zeros[VALUE_BYTES];
	int e = TRIT_OK;
	trit_buf_init(b, bytes);
	while (!e && b->len < bytes)
		e = trit_buf_append(b, sizeof zeros, zeros, err);
	trit_buf_reset(b);
	return e;
}

static int open_file(struct trit_events *ev, const char *folder, struct trit_error *err)
{
	if (snprintf(ev->path, sizeof ev->path, "%s/" PREFIX "%lld.trit.%ld", folder, (long long)time(NULL),
	             (long)getpid()) >= PATH_BYTES)
		return trit_fail(err, TRIT_ERR_ARG, "%.64s...: the path is too long", folder);
	ev->f = fopen(ev->path, "ab");
	return ev->f ? TRIT_OK : trit_fail_errno(err, "cannot write %s", ev->path);
}

int trit_events_open(struct trit_events **out, const char *folder, int step, int n_scales, struct trit_error *err)
{
	struct trit_events *ev = trit_calloc(1, sizeof *ev);
	size_t most = (size_t)(PLAIN_VALUES + n_scales) * VALUE_BYTES;
	int e;
	if (!ev)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for TensorBoard's events");
	if (!(e = make_buffer(&ev->event, most, err)) && !(e = make_buffer(&ev->summary, most, err)) &&
	    !(e = make_buffer(&ev->value, VALUE_BYTES, err)) && !(e = open_file(ev, folder, err)))
		e = write_start(ev, step, err);
	if (e)
		trit_events_close(ev);
	else
		*out = ev;
	return e;
}

void trit_events_close(struct trit_events *e)
{
	if (!e)
		return;
	if (e->f)
		fclose(e->f);
	trit_buf_release(&e->event);
	trit_buf_release(&e->summary);
	trit_buf_release(&e->value);
	trit_free(e);
}

static int add_scales(struct trit_events *ev, const struct trit_step_report *r, struct trit_error *err)
{
	static const char *const names[] = { "q", "k", "v", "o", "gate", "up", "down" };
	const int n = (int)(sizeof names / sizeof names[0]);
	char tag[56];
	int e = TRIT_OK;
	for (int i = 0; i < r->n_scales && !e; i++) {
		snprintf(tag, sizeof tag, "scale.%s/layer %d", names[i % n], i / n);
		e = add_value(ev, tag, (double)r->scales[i], err);
	}
	for (int i = 0; i < r->n_loads && !e; i++) {
		snprintf(tag, sizeof tag, "load.expert %d/layer %d", i % r->n_experts, i / r->n_experts);
		e = add_value(ev, tag, (double)r->loads[i], err);
	}
	return e;
}

int trit_events_write(struct trit_events *ev, const struct trit_step_report *r, struct trit_error *err)
{
	bool quantised = r->share[0] + r->share[1] + r->share[2] > 0;
	const struct {
		const char *tag;
		double value;
	} values[] = {
		{ "loss/train", r->loss }, { "loss/validation", r->val_loss }, { "step/learning rate", (double)r->lr },
		{ "step/gradient norm", r->grad_norm }, { "step/tokens a second", r->tokens_per_s },
		{ "weights/-1", quantised ? r->share[0] : (double)NAN }, { "weights/0", quantised ? r->share[1] : (double)NAN },
		{ "weights/+1", quantised ? r->share[2] : (double)NAN },
		{ "weights/flips", quantised ? r->flips : (double)NAN },
		{ "labels/accuracy", r->has_accuracy ? r->val_accuracy : (double)NAN },
		{ "labels/F1", r->has_accuracy ? r->val_f1 : (double)NAN },
		{ "teacher/kl", r->has_kl ? r->kl : (double)NAN },
		{ "teacher/relation", r->has_relation ? r->relation : (double)NAN },
		{ "teacher/weight of kl", r->has_kl ? (double)r->kl_weight : (double)NAN },
		{ "teacher/weight of relation", r->has_relation ? (double)r->relation_weight : (double)NAN },
	};
	int e = TRIT_OK;
	trit_buf_reset(&ev->summary);
	for (size_t i = 0; i < sizeof values / sizeof values[0] && !e; i++)
		e = add_value(ev, values[i].tag, values[i].value, err);
	if (!e)
		e = add_scales(ev, r, err);
	if (!e)
		e = begin_event(&ev->event, r->step, err);
	if (!e)
		e = put_bytes(&ev->event, 5, ev->summary.len, ev->summary.data, err);
	return e ? e : write_record(ev, err);
}

void trit_events_remove(const char *folder)
{
	char path[PATH_BYTES];
	DIR *d = opendir(folder);
	for (struct dirent *entry; d && (entry = readdir(d));)
		if (!strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) &&
		    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < PATH_BYTES)
			remove(path);
	if (d)
		closedir(d);
}
