/*
 * fuzz_documents.c - any bytes as a file to train on: an error, or documents of clean UTF-8 in the order of the file.
 *
 * The first byte chooses how documents are cut and what is done with invalid ones; the rest is the file, which may be
 * gzip or Zstandard.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "text/utf8.h"
#include "train/dedup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void clean_one(const struct trit_cleaner *c, struct trit_normal_work *work, const struct trit_document *d,
                      char *bytes)
{
	struct trit_clean_text t = { 0 };
	struct trit_error err;
	memcpy(bytes, d->text, d->len);
	if (trit_clean(c, work, d, "fuzz", bytes, &t, &err) == 0 && t.fate == TRIT_FATE_KEPT) {
		struct trit_signature s;
		require(t.len > 0 && trit_utf8_valid(t.len, t.text) == t.len && !memchr(t.text, 0, t.len));
		trit_signature_of(&s, t.len, t.text);
		require(trit_signature_likeness(&s, &s) == 1);
	}
	trit_clean_text_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], *paths[] = { path }, *bytes = NULL;
	size_t sources[] = { 0 }, cap = 0;
	struct trit_corpus corpus = { .paths = paths, .sources = sources, .n = 1 };
	struct trit_clean_settings settings = { 0 };
	struct trit_normal_work work = { 0 };
	struct trit_reader *reader = NULL;
	struct trit_cleaner *cleaner = NULL;
	struct trit_document d;
	struct trit_error err;
	uint64_t at = 0, line = 1;
	if (!size)
		return 0;
	settings.field = data[0] & 64 ? "a.0.b" : "text";
	settings.invalid = data[0] / 8 % 3;
	settings.keep_crlf = (data[0] & 128) != 0;
	int fd = memfd_create("fuzz", 0);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	require(!trit_reader_open(&reader, &corpus, (enum trit_documents)(data[0] % 5),
	                          settings.invalid == TRIT_INVALID_SKIP, &err) &&
	        !trit_cleaner_new(&cleaner, &settings, &err));
	while (trit_reader_next(reader, &d, &err) > 0) {
		require(d.at >= at && d.line >= line && (d.len || d.too_long));
		at = d.at + d.len;
		line = d.line;
		if (d.len > cap) {
			bytes = trit_realloc(bytes, cap, d.len, 1);
			cap = d.len;
			require(bytes);
		}
		clean_one(cleaner, &work, &d, bytes);
	}
	trit_normal_work_release(&work);
	trit_cleaner_free(cleaner);
	trit_reader_close(reader);
	trit_free(bytes);
	close(fd);
	return 0;
}
