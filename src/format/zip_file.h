/*
 * zip_file.h - the entries of a zip archive that lies in memory, where they are: archives whose entries are stored
 * without compression, as PyTorch writes them, zip64 included.
 *
 *     local header | name | extra | data      for each entry
 *     central directory: for each entry sizes, position of its local header, name
 *     [zip64 end record, locator] end record: number of entries, size and position of the directory
 *
 * Reference: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_ZIP_FILE_H
#define TRIT_FORMAT_ZIP_FILE_H

#include "base/error.h"

struct trit_zip_entry {
	const char *name; /* name_len bytes inside the archive, not NUL-terminated */
	size_t name_len;
	const unsigned char *data;
	size_t size;
};

struct trit_zip {
	struct trit_zip_entry *entries; /* sorted by name; names may come twice */
	size_t n;
};

/** The bytes must outlive z. Errors: FORMAT (damaged, cut short), UNSUPPORTED (compressed or encrypted entries, several
 * discs), MEMORY. */
TRIT_MUST_CHECK int trit_zip_open(struct trit_zip *z, const unsigned char *data, size_t size, struct trit_error *err);
void trit_zip_close(struct trit_zip *z);
/** NULL if absent. */
const struct trit_zip_entry *trit_zip_find(const struct trit_zip *z, size_t len, const char *name);

#endif
