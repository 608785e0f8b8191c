/*
 * banned.h - functions that are not used here, turned into compile errors whose name says why.
 *
 * Included last by base/error.h, so after the system headers a file needs. cli/ and tests/ may define
 * TRIT_MAY_PRINT before including anything: they are the only ones that print and exit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_BASE_BANNED_H
#define TRIT_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef strcpy
#undef strcat
#undef strncpy
#undef strtok
#undef alloca
#define strcpy(a, b) sorry_strcpy_is_banned_use_memcpy_or_snprintf
#define strcat(a, b) sorry_strcat_is_banned_use_trit_buf
#define strncpy(a, b, n) sorry_strncpy_is_banned_use_memcpy_or_snprintf
#define strtok(a, b) sorry_strtok_is_banned
#define sprintf(...) sorry_sprintf_is_banned_use_snprintf
#define vsprintf(...) sorry_vsprintf_is_banned_use_vsnprintf
#define atoi(a) sorry_atoi_is_banned_use_strtol
#define atof(a) sorry_atof_is_banned_use_strtod
#define rand() sorry_rand_is_banned_use_trit_rng
#define alloca(n) sorry_alloca_is_banned
#ifndef TRIT_MAY_ALLOCATE
#define malloc(n) sorry_malloc_is_banned_use_trit_calloc
#define calloc(n, s) sorry_calloc_is_banned_use_trit_calloc
#define realloc(p, n) sorry_realloc_is_banned_use_trit_realloc
#define free(p) sorry_free_is_banned_use_trit_free
#endif
#ifndef TRIT_MAY_PRINT
#define printf(...) sorry_printf_is_banned_outside_cli
#define puts(s) sorry_puts_is_banned_outside_cli
#define exit(n) sorry_exit_is_banned_outside_cli
#define abort() sorry_abort_is_banned_outside_cli
#endif

#endif
