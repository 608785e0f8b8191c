/*
 * corpus.c - lists files, checks their text, cuts it into documents and pieces.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "train/corpus.h"

#include "base/mem.h"
#include "text/utf8.h"

#define MAX_DEPTH 32
static const char end_mark[] = "<|endoftext|>";

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int add_path(struct trit_corpus *c, const char *path, struct trit_error *err)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;
		char **paths = trit_realloc(c->paths, c->cap * sizeof *paths, cap, sizeof *paths);
		if (!paths)
			return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for a list of %zu files", cap);
		c->paths = paths;
		c->cap = cap;
	}
	c->paths[c->n] = trit_strndup(path, strlen(path));
	if (!c->paths[c->n])
		return trit_fail(err, TRIT_ERR_MEMORY, "not enough memory for the list of files");
	c->n++;
	return TRIT_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_tree(struct trit_corpus *c, const char *path, int depth, struct trit_error *err);

static int add_folder(struct trit_corpus *c, const char *path, int depth, struct trit_error *err)
{
	DIR *dir = opendir(path);
	size_t first = c->n;
	int e = TRIT_OK;
	if (!dir)
		return trit_fail_errno(err, "cannot list the folder %s", path);
	for (struct dirent *d; !e && (d = readdir(dir));) {
		char name[4096];
		if (d->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof name, "%s/%s", path, d->d_name) >= (int)sizeof name)
			e = trit_fail(err, TRIT_ERR_IO, "%s: a path in this folder is too long", path);
		else
			e = add_tree(c, name, depth + 1, err);
	}
	closedir(dir);
	if (!e && c->n > first)
		qsort(c->paths + first, c->n - first, sizeof *c->paths, by_name);
	return e;
}

static int add_tree(struct trit_corpus *c, const char *path, int depth, struct trit_error *err)
{
	struct stat st, link;
	if (stat(path, &st) || lstat(path, &link))
		return depth ? TRIT_OK : trit_fail(err, TRIT_ERR_IO, "%s: no such file or folder", path);
	if (S_ISREG(st.st_mode))
		return add_path(c, path, err);
	if (!S_ISDIR(st.st_mode) && depth == 0)
		return trit_fail(err, TRIT_ERR_IO, "%s: neither a file nor a folder (save a pipe to a file first)", path);
	if (!S_ISDIR(st.st_mode) || (depth && S_ISLNK(link.st_mode)))
		return TRIT_OK; /* pipes and sockets; links between folders may run in circles */
	if (depth > MAX_DEPTH)
		return trit_fail(err, TRIT_ERR_IO, "%s: folders nested more than %d deep", path, MAX_DEPTH);
	return add_folder(c, path, depth, err);
}

int trit_corpus_open(struct trit_corpus *c, size_t n_paths, char *const *paths, struct trit_error *err)
{
	*c = (struct trit_corpus){ 0 };
	int e = TRIT_OK;
	for (size_t i = 0; i < n_paths && !e; i++) {
		size_t before = c->n;
		e = add_tree(c, paths[i], 0, err);
		if (!e && c->n == before)
			e = trit_fail(err, TRIT_ERR_FORMAT, "%s: the folder has no files in it", paths[i]);
	}
	for (size_t i = 0; i < c->n && !e; i++) {
		struct trit_map m;
		e = trit_map_open(&m, c->paths[i], err);
		if (!e) {
			c->bytes += m.size;
			trit_map_close(&m);
		}
	}
	if (e)
		trit_corpus_close(c);
	return e;
}

void trit_corpus_close(struct trit_corpus *c)
{
	for (size_t i = 0; i < c->n; i++)
		trit_free(c->paths[i]);
	trit_free(c->paths);
	*c = (struct trit_corpus){ 0 };
}

/* ---- documents --------------------------------------------------------------------------------------------------- */

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t';
}

static int each_piece(const char *text, size_t len, trit_piece_fn *fn, void *arg, bool *any, struct trit_error *err)
{
	bool first = true;
	while (len && is_blank(*text))
		text++, len--;
	while (len && is_blank(text[len - 1]))
		len--;
	while (len) {
		size_t cut = len;
		if (len > TRIT_PIECE_BYTES) {
			for (cut = TRIT_PIECE_BYTES; cut > TRIT_PIECE_BYTES / 2 && text[cut - 1] != '\n'; cut--)
				;
			if (text[cut - 1] != '\n') /* no line ends near: cut between two characters */
				for (cut = TRIT_PIECE_BYTES; cut > 1 && ((unsigned char)text[cut] & 0xC0) == 0x80; cut--)
					;
		}
		int e = fn(arg, cut, text, first, err);
		if (e)
			return e;
		*any = true;
		first = false;
		text += cut;
		len -= cut;
	}
	return TRIT_OK;
}

/* The next line that is exactly the end mark, in [at, end); *next is where text goes on behind it. NULL if there is
 * none. */
static const char *find_mark(const char *begin, const char *at, const char *end, const char **next)
{
	size_t n = sizeof end_mark - 1;
	while ((size_t)(end - at) >= n) {
		const char *p = memchr(at, '<', (size_t)(end - at) - n + 1);
		if (!p)
			return NULL;
		const char *after = p + n;
		bool starts = p == begin || p[-1] == '\n';
		bool ends = after == end || *after == '\n' || (*after == '\r' && (after + 1 == end || after[1] == '\n'));
		if (!memcmp(p, end_mark, n) && starts && ends) {
			*next = after;
			return p;
		}
		at = p + 1;
	}
	return NULL;
}

static int each_document(const char *path, trit_piece_fn *fn, void *arg, bool *any, struct trit_error *err)
{
	struct trit_map m;
	int e = trit_map_open(&m, path, err);
	if (e)
		return e;
	const char *at = (const char *)m.data, *begin = at, *end = at + m.size;
	e = trit_utf8_require(path, m.size, begin, err);
	while (!e && at < end) {
		const char *next = end, *mark = find_mark(begin, at, end, &next);
		e = each_piece(at, (size_t)((mark ? mark : end) - at), fn, arg, any, err);
		at = next;
	}
	trit_map_close(&m);
	return e;
}

int trit_corpus_each(const struct trit_corpus *c, trit_piece_fn *fn, void *arg, struct trit_error *err)
{
	bool any = false;
	for (size_t i = 0; i < c->n; i++) {
		int e = each_document(c->paths[i], fn, arg, &any, err);
		if (e)
			return e;
	}
	if (!any)
		return trit_fail(err, TRIT_ERR_FORMAT, "%s%s: no text to train on", c->paths[0],
		                 c->n > 1 ? " and the others" : "");
	return TRIT_OK;
}
