/*
 * zip_file.c - reads the central directory of a zip archive.
 *
 * Sizes and positions come from the directory, as every reader takes them; from an entry's local header only the length
 * of what stands before its data. All of them are checked against the size of the archive.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/zip_file.h"

#include "base/mem.h"
#include "base/num.h"

#define END_BYTES 22       /* of the end record, without its comment */
#define MAX_COMMENT 65535
#define LOCATOR_BYTES 20
#define END64_BYTES 56
#define DIRECTORY_BYTES 46 /* of an entry, without name, extra field and comment */
#define LOCAL_BYTES 30

#define FIELD64_ID 1 /* extra field with the 64-bit forms of what is all ones in the entry */

struct directory {
	uint64_t n, at, size; /* number of entries; position and size of the list */
};

static int fail_damaged(struct trit_error *err, const char *what)
{
	return trit_fail(err, TRIT_ERR_FORMAT,
	                 "zip archive: %s; the file is truncated or damaged, copy or download it again", what);
}

/* The end record: the last place with its signature where the comment ends with the file. NULL: there is none. */
static const unsigned char *find_end(const unsigned char *data, size_t size)
{
	size_t most = size < END_BYTES + MAX_COMMENT ? size : END_BYTES + MAX_COMMENT;

	for (size_t back = END_BYTES; back <= most; back++) {
		const unsigned char *p = data + size - back;

		if (trit_get32(p) == 0x06054b50 && trit_get16(p + 20) == back - END_BYTES)
			return p;
	}
	return NULL;
}

/* Where the list of entries is, of which `end` is the end record. */
static int read_end(struct directory *d, const unsigned char *data, const unsigned char *end, struct trit_error *err)
{
	const unsigned char *locator = end - LOCATOR_BYTES, *end64;
	uint64_t at;

	if (trit_get16(end + 4) != 0 || trit_get16(end + 6) != 0)
		return trit_fail(err, TRIT_ERR_UNSUPPORTED, "zip archive: one part of several; put them together first");
	d->n = trit_get16(end + 10);
	d->size = trit_get32(end + 12);
	d->at = trit_get32(end + 16);
	if (end - data < LOCATOR_BYTES || trit_get32(locator) != 0x07064b50)
		return 0;
	at = trit_get64(locator + 8);
	if ((uint64_t)(locator - data) < END64_BYTES || at > (uint64_t)(locator - data) - END64_BYTES)
		return fail_damaged(err, "its end record of 64 bits lies outside");
	end64 = data + at;
	if (trit_get32(end64) != 0x06064b50)
		return fail_damaged(err, "no end record of 64 bits where it should be");
	d->n = trit_get64(end64 + 32);
	d->size = trit_get64(end64 + 40);
	d->at = trit_get64(end64 + 48);
	return 0;
}

/* Takes the 64-bit forms out of the extra field: size, packed size and position, those of the three that are all ones
 * in the entry, in this order. */
static void read_extra64(const unsigned char *extra, size_t len, uint64_t values[3])
{
	while (len >= 4) {
		size_t field = trit_get16(extra + 2);
		const unsigned char *p = extra + 4;

		if (field > len - 4)
			return;
		for (int i = 0; i < 3 && trit_get16(extra) == FIELD64_ID; i++)
			if (values[i] == UINT32_MAX && (size_t)(p + 8 - (extra + 4)) <= field) {
				values[i] = trit_get64(p);
				p += 8;
			}
		extra += 4 + field;
		len -= 4 + field;
	}
}

/* Reads the entry at *at of the directory, which ends at `end`, and moves on. */
static int read_entry(struct trit_zip_entry *e, const unsigned char *data, size_t size, const unsigned char **at,
                      const unsigned char *end, struct trit_error *err)
{
	const unsigned char *p = *at, *local;
	size_t name_len, extra_len, comment_len, before;
	uint64_t values[3]; /* size, size as packed, position of the local header */

	if (end - p < DIRECTORY_BYTES || trit_get32(p) != 0x02014b50)
		return fail_damaged(err, "its list of entries ends too early");
	name_len = trit_get16(p + 28);
	extra_len = trit_get16(p + 30);
	comment_len = trit_get16(p + 32);
	if ((size_t)(end - p) - DIRECTORY_BYTES < name_len + extra_len + comment_len)
		return fail_damaged(err, "its list of entries ends too early");
	values[0] = trit_get32(p + 24);
	values[1] = trit_get32(p + 20);
	values[2] = trit_get32(p + 42);
	read_extra64(p + DIRECTORY_BYTES + name_len, extra_len, values);
	e->name = (const char *)p + DIRECTORY_BYTES;
	e->name_len = name_len;
	*at = p + DIRECTORY_BYTES + name_len + extra_len + comment_len;
	if (trit_get16(p + 10) != 0 || values[0] != values[1] || (trit_get16(p + 8) & 1))
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "zip archive: entry %.*s is compressed or encrypted; unpack the archive, or save the "
		                 "model again with torch.save",
		                 (int)(name_len < 100 ? name_len : 100), e->name);
	if (size < LOCAL_BYTES || values[2] > size - LOCAL_BYTES)
		return fail_damaged(err, "an entry lies outside");
	local = data + values[2];
	before = LOCAL_BYTES + (size_t)trit_get16(local + 26) + trit_get16(local + 28);
	if (trit_get32(local) != 0x04034b50 || before > size - values[2] || values[0] > size - values[2] - before)
		return fail_damaged(err, "an entry lies outside");
	e->data = local + before;
	e->size = (size_t)values[0];
	return 0;
}

static int compare_names(size_t a_len, const char *a, size_t b_len, const char *b)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_entries(const void *a, const void *b)
{
	const struct trit_zip_entry *x = a, *y = b;

	return compare_names(x->name_len, x->name, y->name_len, y->name);
}

int trit_zip_open(struct trit_zip *z, const unsigned char *data, size_t size, struct trit_error *err)
{
	const unsigned char *end = size >= END_BYTES ? find_end(data, size) : NULL, *at;
	struct directory d = { 0 };
	int status;

	*z = (struct trit_zip){ 0 };
	if (!end)
		return fail_damaged(err, "it has no end record");
	status = read_end(&d, data, end, err);
	if (status < 0)
		return status;
	if (d.at > (size_t)(end - data) || d.size > (size_t)(end - data) - d.at || d.n > d.size / DIRECTORY_BYTES)
		return fail_damaged(err, "its list of entries lies outside");
	z->entries = trit_calloc((size_t)d.n, sizeof *z->entries);
	if (!z->entries)
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of a zip archive");
	z->n = (size_t)d.n;
	at = data + d.at;
	for (size_t i = 0; status == 0 && i < z->n; i++)
		status = read_entry(&z->entries[i], data, size, &at, data + d.at + d.size, err);
	if (status < 0) {
		trit_zip_close(z);
		return status;
	}
	qsort(z->entries, z->n, sizeof *z->entries, compare_entries);
	return 0;
}

void trit_zip_close(struct trit_zip *z)
{
	if (!z)
		return;
	trit_free(z->entries);
	*z = (struct trit_zip){ 0 };
}

const struct trit_zip_entry *trit_zip_find(const struct trit_zip *z, size_t len, const char *name)
{
	const struct trit_zip_entry wanted = { .name = name, .name_len = len };

	return z->n ? bsearch(&wanted, z->entries, z->n, sizeof wanted, compare_entries) : NULL;
}
