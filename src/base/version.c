/*
 * version.c - the version, which the build takes from the top CMakeLists.txt.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/error.h"

const char *trit_version(void)
{
	return TRIT_VERSION;
}
