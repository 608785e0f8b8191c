/*
 * test_metrics.c - what a training run writes for people to look at: metrics.jsonl read back, and TensorBoard's event
 * files, decoded here by the format's own description.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

#include "train/events.h"
#include "train/metrics_file.h"

static const float scales[] = { 0.5f, 0.25f, 0.125f, 1, 2, 3, 4, 5 };

static struct trit_step_report report_of(int step)
{
	bool validated = step % 2 == 0;
	return (struct trit_step_report){ .step = step, .steps = 9, .tokens = 100 * (uint64_t)step, .loss = 4.0 / step,
		                          .val_loss = validated ? 5.0 / step : (double)NAN, .lr = 0.5f,
		                          .grad_norm = step == 3 ? (double)INFINITY : 2, .tokens_per_s = 1000,
		                          .share = { 0.25, 0.5, 0.25 }, .flips = 0.125, .scales = scales,
		                          .n_scales = validated ? 8 : 0 };
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* The well-known check value of CRC-32C, E3069283, and TFRecord's mask: rotated right by 15, plus A282EAD8. */
static void test_crc(void **state)
{
	uint32_t crc = 0xE3069283;
	(void)state;
	assert_int_equal(trit_masked_crc32c(9, "123456789"), (crc >> 15 | crc << 17) + 0xA282EAD8u);
	assert_int_equal(trit_masked_crc32c(0, ""), 0xA282EAD8u);
}

struct bytes {
	const unsigned char *at, *end;
};

static uint64_t varint(struct bytes *b)
{
	uint64_t v = 0;
	for (int shift = 0;; shift += 7) {
		assert_true(b->at < b->end && shift < 64);
		v |= (uint64_t)(*b->at & 127) << shift;
		if (!(*b->at++ & 128))
			return v;
	}
}

static struct bytes taken(struct bytes *b, uint64_t n)
{
	struct bytes part = { b->at, b->at + n };
	assert_true(n <= (uint64_t)(b->end - b->at));
	b->at += n;
	return part;
}

/* The next record of a file, its checksums right. */
static struct bytes record(struct bytes *b)
{
	uint64_t len;
	uint32_t crc[2];
	memcpy(&len, taken(b, 8).at, 8);
	memcpy(&crc[0], taken(b, 4).at, 4);
	struct bytes data = taken(b, len);
	memcpy(&crc[1], taken(b, 4).at, 4);
	assert_int_equal(crc[0], trit_masked_crc32c(8, &len));
	assert_int_equal(crc[1], trit_masked_crc32c((size_t)len, data.at));
	return data;
}

/* The field of an event: its bytes, empty if it is not there; a number goes to *number. */
static struct bytes field(struct bytes event, unsigned wanted, uint64_t *number)
{
	while (event.at < event.end) {
		uint64_t key = varint(&event), v = 0;
		struct bytes data = { NULL, NULL };
		if ((key & 7) == 0)
			v = varint(&event);
		else if ((key & 7) == 1)
			data = taken(&event, 8);
		else if ((key & 7) == 5)
			data = taken(&event, 4);
		else
			data = taken(&event, varint(&event));
		if (key >> 3 == wanted) {
			if (number)
				*number = v;
			return data;
		}
	}
	return (struct bytes){ NULL, NULL };
}

/* The value under a tag; NaN without it. */
static double value(struct bytes event, const char *tag)
{
	struct bytes summary = field(event, 5, NULL);
	while (summary.at < summary.end) {
		float v;
		assert_int_equal(varint(&summary), 1 << 3 | 2);
		struct bytes one = taken(&summary, varint(&summary)), name = field(one, 1, NULL);
		if ((size_t)(name.end - name.at) == strlen(tag) && !memcmp(name.at, tag, strlen(tag))) {
			memcpy(&v, field(one, 2, NULL).at, sizeof v);
			return (double)v;
		}
	}
	return (double)NAN;
}

static char *read_events(size_t *len)
{
	DIR *d = opendir(".");
	char *text = NULL;
	for (struct dirent *e; d && !text && (e = readdir(d));)
		if (!strncmp(e->d_name, "events.out.tfevents.", 20))
			text = scratch_read(e->d_name, len);
	closedir(d);
	assert_non_null(text);
	return text;
}

static void check_file(int step)
{
	struct trit_events *ev;
	struct trit_error err;
	size_t len = 0;
	assert_int_equal(trit_events_open(&ev, ".", step, 8, &err), 0);
	for (int i = step + 1; i <= step + 4; i++) {
		struct trit_step_report r = report_of(i);
		assert_int_equal(trit_events_write(ev, &r, &err), 0);
	}
	trit_events_close(ev);
	char *text = read_events(&len);
	struct bytes file = { (const unsigned char *)text, (const unsigned char *)text + len };
	struct bytes event = record(&file), version = field(event, 3, NULL);
	uint64_t number = 0;
	assert_int_equal(version.end - version.at, 13);
	assert_memory_equal(version.at, "brain.Event:2", 13);
	if (step) { /* goes on: SessionLog { status: START } */
		event = record(&file);
		field(event, 2, &number);
		assert_int_equal(number, step + 1);
		struct bytes log = field(event, 7, NULL);
		field(log, 1, &number);
		assert_int_equal(number, 1);
	}
	for (int i = step + 1; i <= step + 4; i++) {
		event = record(&file);
		field(event, 2, &number);
		assert_int_equal(number, i);
		assert_true(value(event, "loss/train") == (double)(float)(4.0 / i));
		assert_true(isnan(value(event, "loss/validation")) == (i % 2 == 1));
		assert_true(isnan(value(event, "step/gradient norm")) == (i == 3));
		assert_true(value(event, "weights/0") == 0.5 && value(event, "weights/flips") == 0.125);
		assert_true(i % 2 ? isnan(value(event, "scale.q/layer 1")) : value(event, "scale.q/layer 1") == 5);
	}
	assert_true(file.at == file.end);
	trit_free(text);
	trit_events_remove(".");
}

static void test_events(void **state)
{
	(void)state;
	check_file(0);
	check_file(6);
}

/* ---- metrics.jsonl ----------------------------------------------------------------------------------------------- */

#ifdef TRIT_HAVE_JANSSON

static void test_read(void **state)
{
	struct trit_error err;
	struct trit_metrics m;
	FILE *f;
	(void)state;
	assert_int_equal(trit_metrics_open(&f, "metrics.jsonl", 0, &err), 0);
	for (int i = 1; i <= 9; i++) {
		struct trit_step_report r = report_of(i);
		assert_int_equal(trit_metrics_write(f, &r, &err), 0);
	}
	fputs("{\"step\": 10, \"tok", f); /* being written */
	fclose(f);

	assert_int_equal(trit_metrics_read(&m, "metrics.jsonl", 100, &err), 0);
	assert_int_equal(m.n, 9);
	assert_int_equal(m.points[8].step, 9);
	assert_true(fabs(m.points[2].loss - 4.0 / 3) < 1e-8 && isnan(m.points[2].val_loss) && isnan(m.points[2].grad_norm));
	assert_true(m.points[3].val_loss == 1.25 && m.points[3].flips == 0.125 && m.points[3].share[1] == 0.5);
	assert_int_equal(m.points[3].n_scales, 8);
	assert_memory_equal(m.points[3].scales, scales, sizeof scales);
	trit_metrics_release(&m);

	assert_int_equal(trit_metrics_read(&m, "metrics.jsonl", 4, &err), 0); /* three lines a point */
	assert_int_equal(m.n, 3);
	assert_int_equal(m.points[0].step, 3);
	assert_true(fabs(m.points[0].loss - (4 + 2 + 4.0 / 3) / 3) < 1e-8 && m.points[0].val_loss == 2.5);
	assert_int_equal(m.points[2].tokens, 900);
	assert_int_equal(m.points[2].n_scales, 8);
	trit_metrics_release(&m);
}

/* A skipped step has no loss; a file begun anew in the middle of a run is gone on with. */
static void test_gaps(void **state)
{
	static const char text[] = "{\"step\": 7, \"tokens\": 7, \"loss\": 2, \"grad_norm\": 1}\n"
	                           "{\"step\": 8, \"tokens\": 8, \"loss\": null, \"grad_norm\": null}\n"
	                           "{\"step\": 9, \"tokens\": 9, \"loss\": 3, \"grad_norm\": 1}\n";
	static const char late[] = "{\"step\": 1, \"tokens\": 1, \"loss\": null}\n"
	                           "{\"step\": 2, \"tokens\": 2, \"loss\": 2}\n"
	                           "{\"step\": 3, \"tokens\": 3, \"loss\": 3}\n";
	struct trit_error err;
	struct trit_metrics m;
	FILE *f;
	(void)state;
	scratch_write("late.jsonl", sizeof late - 1, late);
	assert_int_equal(trit_metrics_read(&m, "late.jsonl", 1, &err), 0);
	assert_true(m.n == 1 && m.points[0].loss == 2.5 && m.points[0].tokens == 3);
	trit_metrics_release(&m);
	scratch_write("gaps.jsonl", sizeof text - 1, text);
	assert_int_equal(trit_metrics_read(&m, "gaps.jsonl", 1, &err), 0);
	assert_true(m.n == 1 && m.points[0].loss == 2.5 && m.points[0].grad_norm == 1 && isnan(m.points[0].flips));
	trit_metrics_release(&m);
	assert_int_equal(trit_metrics_open(&f, "gaps.jsonl", 8, &err), 0);
	fclose(f);
	assert_int_equal(trit_metrics_read(&m, "gaps.jsonl", 100, &err), 0);
	assert_int_equal(m.n, 2);
	assert_int_equal(m.points[1].step, 8);
	trit_metrics_release(&m);
	assert_int_equal(trit_metrics_read(&m, "gaps.jsonl", 1, &err), 0);
	assert_true(m.n == 1 && m.points[0].loss == 2 && m.points[0].grad_norm == 1);
	trit_metrics_release(&m);
	assert_int_equal(trit_metrics_open(&f, "gaps.jsonl", 6, &err), 0);
	fclose(f);
	assert_int_equal(trit_metrics_read(&m, "gaps.jsonl", 100, &err), 0);
	assert_int_equal(m.n, 0);
	trit_metrics_release(&m);
}

static void check_bad(const char *text, const char *message)
{
	struct trit_error err;
	struct trit_metrics m;
	scratch_write("bad.jsonl", strlen(text), text);
	assert_int_equal(trit_metrics_read(&m, "bad.jsonl", 10, &err), TRIT_ERR_FORMAT);
	if (!strstr(err.message, "bad.jsonl, line ") || !strstr(err.message, message))
		fail_msg("%s: %s", text, err.message);
}

static void test_bad(void **state)
{
	struct trit_error err;
	struct trit_metrics m;
	(void)state;
	check_bad("{\"step\": 1, \"tokens\": 1}\n{\"step\": 2\n", "line 2");
	check_bad("[1]\n", "object");
	check_bad("\n", "line 1");
	check_bad("{\"step\": -1, \"tokens\": 1}\n", "step");
	check_bad("{\"step\": 1, \"tokens\": 1e300}\n", "tokens");
	check_bad("{\"step\": 1, \"step\": 1, \"tokens\": 1}\n", "duplicate");
	scratch_write("empty.jsonl", 0, "");
	assert_int_equal(trit_metrics_read(&m, "empty.jsonl", 10, &err), 0);
	assert_int_equal(m.n, 0);
	trit_metrics_release(&m);
	assert_int_equal(trit_metrics_read(&m, "none.jsonl", 10, &err), TRIT_ERR_IO);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_events),
#ifdef TRIT_HAVE_JANSSON
		cmocka_unit_test(test_read), cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_bad),
#endif
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
