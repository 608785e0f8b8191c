/*
 * mpi.h - the processes that mpirun (or srun) has started side by side, as train/dist.h wants them.
 *
 * A program that was started by itself is one process and pays nothing: MPI is begun only under a launcher. Built
 * without MPI these functions say what is missing.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_CLI_MPI_H
#define TRIT_CLI_MPI_H

#include "train/dist.h"

/** Under a launcher every process would print the same about its command line. From here to _unmute only the first one
 * prints. Returns what _unmute wants. */
struct trit_mpi_muted {
	int out, err; /* file descriptors; -1: not muted */
};
struct trit_mpi_muted trit_mpi_mute(void);
void trit_mpi_unmute(struct trit_mpi_muted m);

/** *out: the other processes, or NULL when there are none. patience: seconds without an answer of the others in the
 * middle of a step after which they are lost, and this process says so and ends; 0: for ever. Errors: UNSUPPORTED
 * (started by mpirun, but built without MPI), LIMIT (too many). */
TRIT_MUST_CHECK int trit_mpi_open(const struct trit_transport **out, double patience, struct trit_error *err);
/** Before the program ends; all processes together. */
void trit_mpi_close(void);
/** Threads for this process: the cores it may run on, shared with the processes that may run on the same. */
int trit_mpi_threads(void);

#endif
