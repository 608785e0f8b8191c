/*
 * regression_driver.c - a main() for fuzz targets that are built without libFuzzer: runs each file named on the command
 * line, and each file of each directory named, through the target once.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <dirent.h>
#include <limits.h>

#include "base/buf.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 1 when the file was run, 0 after an error. */
static int replay_file(const char *path)
{
	struct trit_error err;
	struct trit_map map;

	if (trit_map_open(&map, path, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 0;
	}
	LLVMFuzzerTestOneInput(map.data, map.size);
	trit_map_close(&map);
	return 1;
}

/* How many files were run, or -1 after an error. */
static int replay_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!dir) {
		perror(path);
		return -1;
	}
	while ((entry = readdir(dir)) && count >= 0) {
		char file[PATH_MAX];

		snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.')
			count = replay_file(file) ? count + 1 : -1;
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int n = trit_path_kind(argv[i]) == 1 ? replay_directory(argv[i]) : replay_file(argv[i]);

		if (n < 1) {
			fprintf(stderr, "%s: nothing to replay there\n", argv[i]);
			return 1;
		}
		total += n;
	}
	printf("%d inputs replayed\n", total);
	return total > 0 ? 0 : 1;
}
