/*
 * events.h - the numbers of a training run as TensorBoard reads them: OUT/events.out.tfevents.TIME.trit.PID.
 *
 * A file a process: a resumed run begins another one, whose first record tells TensorBoard to forget what the earlier
 * ones have from that step on.
 *
 *     record    u64 length | u32 masked CRC-32C of it | protocol buffer | u32 masked CRC-32C of that        [TFRecord]
 *     Event     1 double wall_time | 2 int64 step | 3 string file_version | 5 Summary | 7 SessionLog { 1 status }
 *     Summary   repeated 1 Value { 1 string tag | 2 float simple_value }
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_TRAIN_EVENTS_H
#define TRIT_TRAIN_EVENTS_H

#include "train/metrics.h"

struct trit_events;

/** Begins a file in `folder` for the steps after `step`, with up to n_scales scales each. Errors: IO, ARG (path too
 * long), MEMORY. */
TRIT_MUST_CHECK int trit_events_open(struct trit_events **out, const char *folder, int step, int n_scales,
                                     struct trit_error *err);
/** NULL: nothing. */
void trit_events_close(struct trit_events *e);
/** A step. Numbers that are not finite are left out. Errors: IO. */
TRIT_MUST_CHECK int trit_events_write(struct trit_events *e, const struct trit_step_report *r, struct trit_error *err);
/** Deletes all such files in a folder. */
void trit_events_remove(const char *folder);

/** CRC-32C (Castagnoli) of len bytes, masked as TFRecord does. */
uint32_t trit_masked_crc32c(size_t len, const void *bytes);

#endif
