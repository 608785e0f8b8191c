/*
 * free_memory.c - reads what Linux says about memory.
 *
 * A control group's count of memory in use has cached files in it, of which the inactive ones go when memory is wanted.
 * Groups nest; the least that one of them leaves is what there is. Version 2 has one tree, whose path for this process
 * is in /proc/self/cgroup; of version 1 only the group that a container sees as its root is read.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/free_memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

enum { PATH_BYTES = 4096, LINE_BYTES = 4096 };

/* The number behind `key` at the beginning of a line of root + path, with key "" of the first line. */
static bool number_of(uint64_t *value, const char *root, const char *path, const char *key)
{
	char name[PATH_BYTES], line[LINE_BYTES];
	size_t n = strlen(key);
	bool found = false;
	if (snprintf(name, sizeof name, "%s%s", root, path) >= (int)sizeof name)
		return false;
	FILE *f = fopen(name, "r");
	while (f && !found && fgets(line, sizeof line, f)) {
		char *end, *at = line + n;
		if (strncmp(line, key, n))
			continue;
		*value = strtoull(at, &end, 10);
		found = end > at;
		if (!found)
			break; /* "max": no limit */
	}
	if (f)
		fclose(f);
	return found;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What a group in `folder` leaves; UINT64_MAX where it sets no limit, or there is no such group. */
static uint64_t left_by(const char *root, const char *folder, const char *limit, const char *used, const char *inactive)
{
	char path[PATH_BYTES];
	uint64_t most, now, cached = 0;
	snprintf(path, sizeof path, "%s/%s", folder, limit);
	if (!number_of(&most, root, path, ""))
		return UINT64_MAX;
	snprintf(path, sizeof path, "%s/%s", folder, used);
	if (!number_of(&now, root, path, ""))
		return UINT64_MAX;
	snprintf(path, sizeof path, "%s/memory.stat", folder);
	if (number_of(&cached, root, path, inactive))
		now -= smaller(now, cached);
	return most - smaller(most, now);
}

/* What the groups of version 2 leave that this process is in: "0::/a/b" is in /a/b, /a and the root. */
static uint64_t left_by_groups(const char *root)
{
	char name[PATH_BYTES], line[PATH_BYTES], folder[2 * PATH_BYTES];
	uint64_t left = UINT64_MAX;
	bool found = false;
	if (snprintf(name, sizeof name, "%s/proc/self/cgroup", root) >= (int)sizeof name)
		return left;
	FILE *f = fopen(name, "r");
	while (f && !found && fgets(line, sizeof line, f))
		found = !strncmp(line, "0::/", 4);
	if (f)
		fclose(f);
	char *path = line + 3; /* "/a/b" */
	for (size_t n = found ? strcspn(path, "\n") : 0;; n = (size_t)(strrchr(path, '/') - path)) {
		path[n] = 0;
		snprintf(folder, sizeof folder, "/sys/fs/cgroup%s", found ? path : "");
		left = smaller(left, left_by(root, folder, "memory.max", "memory.current", "inactive_file "));
		if (!found || n == 0)
			return left;
	}
}

uint64_t trit_free_memory(const char *root)
{
	uint64_t kib, left = UINT64_MAX;
	if (number_of(&kib, root, "/proc/meminfo", "MemAvailable:"))
		left = kib * 1024;
	left = smaller(left, left_by_groups(root));
	return smaller(left, left_by(root, "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
	                             "total_inactive_file "));
}
