/*
 * free_memory.h - how much memory can still be had.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_FREE_MEMORY_H
#define TRIT_BASE_FREE_MEMORY_H

#include <stdint.h>

/** Bytes this process can still use without driving others into swap: what Linux calls available, and no more than its
 * control groups (containers, systemd units) leave. UINT64_MAX: unknown. root: "", or in tests a folder with proc/ and
 * sys/ in it. */
uint64_t trit_free_memory(const char *root);

#endif
