/*
 * bench_train.h - the part of trit bench that measures training.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_BENCH_TRAIN_H
#define TRIT_CLI_BENCH_TRAIN_H

/** `trit bench` with --train among its arguments. Returns the exit status. */
int trit_bench_train(int argc, char **argv);

#endif
