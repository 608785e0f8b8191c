/*
 * torch_file.c - what the pickle of a PyTorch checkpoint means.
 *
 *     tensor      call of torch._utils._rebuild_tensor_v2(storage, offset, (size, ...), (stride, ...), ...)
 *     parameter   call of torch._utils._rebuild_parameter(tensor, ...)
 *     storage     persistent id ("storage", torch.FloatStorage, "KEY", "cpu", number of elements)
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/torch_file.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/file_kind.h"
#include "format/pickle.h"
#include "format/zip_file.h"

#define MAX_NAME 1000
#define REMEDY "open it with torch and save its tensors with safetensors.torch.save_file"

struct reader {
	struct trit_torch_file *f;
	struct trit_zip zip;
	struct trit_pickle pickle;
	const char *folder; /* in the archive, with its slash */
	size_t folder_len;
	struct trit_error *err;
};

/* ---- names that are known ---------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum trit_dtype dtype;
} storages[] = {
	{ "FloatStorage", TRIT_DTYPE_F32 }, { "HalfStorage", TRIT_DTYPE_F16 }, { "BFloat16Storage", TRIT_DTYPE_BF16 },
	{ "DoubleStorage", TRIT_DTYPE_F64 }, { "CharStorage", TRIT_DTYPE_I8 }, { "ByteStorage", TRIT_DTYPE_U8 },
	{ "BoolStorage", TRIT_DTYPE_U8 },   { "IntStorage", TRIT_DTYPE_I32 },  { "LongStorage", TRIT_DTYPE_I64 },
};

#define N_STORAGES (sizeof storages / sizeof storages[0])

/* The element type of a class of storages; -1 for another global. */
static int storage_dtype(const struct trit_pickle_value *v)
{
	for (size_t i = 0; i < N_STORAGES; i++)
		if (trit_pickle_is_global(v, "torch", storages[i].name))
			return (int)storages[i].dtype;
	return -1;
}

static bool is_known(const struct trit_pickle_value *v)
{
	static const char *const known[][2] = {
		{ "collections", "OrderedDict" },         { "torch._utils", "_rebuild_tensor_v2" },
		{ "torch._utils", "_rebuild_parameter" }, { "torch", "Size" },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (trit_pickle_is_global(v, known[i][0], known[i][1]))
			return true;
	return storage_dtype(v) >= 0;
}

/* A pickle that names anything else is refused, also where that would not matter. */
static int check_globals(const struct reader *r)
{
	for (size_t i = 0; i < r->pickle.n_values; i++) {
		const struct trit_pickle_value *v = &r->pickle.values[i];

		if (v->kind == TRIT_PICKLE_GLOBAL && !is_known(v))
			return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
			                 "the pickle names %.*s.%.*s, which is no part of tensors and is not run here; "
			                 REMEDY,
			                 (int)(v->n < 100 ? v->n : 100), v->text,
			                 (int)(v->name_len < 100 ? v->name_len : 100), v->name);
	}
	return 0;
}

static bool is_call(const struct reader *r, const struct trit_pickle_value *v, const char *module, const char *name)
{
	return v && v->kind == TRIT_PICKLE_CALL && trit_pickle_is_global(&r->pickle.values[v->callee], module, name);
}

static bool is_dict(const struct reader *r, const struct trit_pickle_value *v)
{
	return v->kind == TRIT_PICKLE_DICT || is_call(r, v, "collections", "OrderedDict");
}

/* The call that makes a tensor, inside a parameter or not; NULL when v is neither. */
static const struct trit_pickle_value *find_tensor(const struct reader *r, const struct trit_pickle_value *v)
{
	if (is_call(r, v, "torch._utils", "_rebuild_parameter"))
		v = trit_pickle_item(&r->pickle, &r->pickle.values[v->args], 0);
	return is_call(r, v, "torch._utils", "_rebuild_tensor_v2") ? v : NULL;
}

/* ---- one tensor -------------------------------------------------------------------------------------------------- */

static int fail_tensor(const struct reader *r, const struct trit_st_tensor *t, const char *what)
{
	return trit_fail(r->err, TRIT_ERR_FORMAT, "tensor %.100s: %s; the file is damaged", t->name, what);
}

static bool get_count(const struct trit_pickle_value *v, uint64_t *out)
{
	if (!v || v->kind != TRIT_PICKLE_INT || v->integer < 0)
		return false;
	*out = (uint64_t)v->integer;
	return true;
}

/* A tuple, or torch.Size of one. */
static const struct trit_pickle_value *as_tuple(const struct reader *r, const struct trit_pickle_value *v)
{
	if (is_call(r, v, "torch", "Size"))
		v = trit_pickle_item(&r->pickle, &r->pickle.values[v->args], 0);
	return v && v->kind == TRIT_PICKLE_TUPLE ? v : NULL;
}

/* The bytes of a storage, and what its elements are. */
static int read_storage(const struct reader *r, struct trit_st_tensor *t, const struct trit_pickle_value *v,
                        const struct trit_zip_entry **entry)
{
	const struct trit_pickle_value *id, *type, *key;
	char name[MAX_NAME];
	int len, dtype;

	if (!v || v->kind != TRIT_PICKLE_PERSISTENT)
		return fail_tensor(r, t, "it has no storage");
	id = &r->pickle.values[v->args];
	type = trit_pickle_item(&r->pickle, id, 1);
	key = trit_pickle_item(&r->pickle, id, 2);
	dtype = type ? storage_dtype(type) : -1;
	if (dtype < 0 || !key || key->kind != TRIT_PICKLE_TEXT || key->n > 100)
		return fail_tensor(r, t, "its storage is of no known kind");
	t->dtype = (enum trit_dtype)dtype;
	len = snprintf(name, sizeof name, "%.*sdata/%.*s", (int)r->folder_len, r->folder, (int)key->n, key->text);
	*entry = len > 0 && (size_t)len < sizeof name ? trit_zip_find(&r->zip, (size_t)len, name) : NULL;
	return *entry ? 0 : fail_tensor(r, t, "its storage is not in the archive");
}

/* Shape, and that the strides are those of a tensor without gaps. */
static int read_shape(const struct reader *r, struct trit_st_tensor *t, const struct trit_pickle_value *sizes,
                      const struct trit_pickle_value *strides)
{
	size_t run = 1; /* elements of one step in the dimension */

	if (!sizes || !strides || sizes->n != strides->n)
		return fail_tensor(r, t, "it has no shape");
	if (sizes->n > TRIT_SAFETENSORS_MAX_DIMS)
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED, "tensor %.100s: %" PRIu32
		                 " dimensions; up to %d can be read", t->name, sizes->n, TRIT_SAFETENSORS_MAX_DIMS);
	t->n_dims = (int)sizes->n;
	for (int i = 0; i < TRIT_SAFETENSORS_MAX_DIMS; i++)
		t->shape[i] = 1;
	for (int i = t->n_dims - 1; i >= 0; i--) {
		uint64_t stride;

		if (!get_count(trit_pickle_item(&r->pickle, sizes, (uint32_t)i), &t->shape[i]) ||
		    !get_count(trit_pickle_item(&r->pickle, strides, (uint32_t)i), &stride))
			return fail_tensor(r, t, "its shape has what is no count");
		if (stride != run && t->shape[i] > 1)
			return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
			                 "tensor %.100s: not contiguous (transposed, or a part of another); call "
			                 ".contiguous() on it before saving", t->name);
		if (!trit_mul_size(&run, run, (size_t)t->shape[i]))
			return fail_tensor(r, t, "it has more elements than can exist");
	}
	t->elements = run;
	return 0;
}

static int read_tensor(const struct reader *r, struct trit_st_tensor *t, const struct trit_pickle_value *call)
{
	const struct trit_pickle_value *args = &r->pickle.values[call->args];
	const struct trit_zip_entry *entry = NULL;
	uint64_t offset;
	size_t begin, bytes, unit;
	int status = read_storage(r, t, trit_pickle_item(&r->pickle, args, 0), &entry);

	if (status == 0)
		status = read_shape(r, t, as_tuple(r, trit_pickle_item(&r->pickle, args, 2)),
		                    as_tuple(r, trit_pickle_item(&r->pickle, args, 3)));
	if (status < 0)
		return status;
	unit = (size_t)trit_dtype_bytes(t->dtype);
	if (!get_count(trit_pickle_item(&r->pickle, args, 1), &offset) || offset > SIZE_MAX ||
	    !trit_mul_size(&begin, (size_t)offset, unit) || !trit_mul_size(&bytes, (size_t)t->elements, unit) ||
	    begin > entry->size || bytes > entry->size - begin)
		return fail_tensor(r, t, "it lies outside its storage");
	t->data = entry->data + begin;
	t->bytes = bytes;
	return 0;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

/* How many tensors a dict holds, and how long their names are together. */
static size_t count_tensors(const struct reader *r, const struct trit_pickle_value *dict, size_t *name_bytes)
{
	const struct trit_pickle_value *key, *value;
	uint32_t cell = 0;
	size_t n = 0;

	*name_bytes = 0;
	while (trit_pickle_next(&r->pickle, dict, &cell, &key, &value))
		if (key->kind == TRIT_PICKLE_TEXT && key->n > 0 && key->n <= MAX_NAME && find_tensor(r, value)) {
			*name_bytes += key->n + 1;
			n++;
		}
	return n;
}

/* The dict of the tensors: the pickle's own, or one in it, at most three deep. */
static const struct trit_pickle_value *find_dict(const struct reader *r)
{
	static const char *const inner[] = { "state_dict", "model_state_dict", "model", "module", "net", "weights" };
	const struct trit_pickle_value *dict = &r->pickle.values[r->pickle.result], *key, *value;
	size_t bytes;

	for (int depth = 0; depth < 3; depth++) {
		const struct trit_pickle_value *deeper = NULL;
		uint32_t cell = 0;

		if (!is_dict(r, dict))
			return NULL;
		if (count_tensors(r, dict, &bytes) > 0)
			return dict;
		while (!deeper && trit_pickle_next(&r->pickle, dict, &cell, &key, &value))
			for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++)
				if (trit_pickle_is_text(key, inner[i]) && is_dict(r, value))
					deeper = value;
		if (!deeper)
			return NULL;
		dict = deeper;
	}
	return NULL;
}

static int read_tensors(struct reader *r)
{
	struct trit_torch_file *f = r->f;
	const struct trit_pickle_value *dict = find_dict(r), *key, *value, *call;
	size_t bytes, n;
	uint32_t cell = 0;
	char *name;
	int status = 0;

	if (!dict)
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
		                 "the pickle holds no dict of tensors; save the model's state_dict()");
	n = count_tensors(r, dict, &bytes);
	f->tensors = trit_calloc(n, sizeof *f->tensors);
	f->names = name = trit_calloc(bytes, 1);
	if (!f->tensors || !f->names)
		return trit_fail(r->err, TRIT_ERR_MEMORY, "not enough memory for the list of %zu tensors", n);
	while (status == 0 && f->n_tensors < n && trit_pickle_next(&r->pickle, dict, &cell, &key, &value)) {
		struct trit_st_tensor *t = &f->tensors[f->n_tensors];

		if (key->kind != TRIT_PICKLE_TEXT || key->n == 0 || key->n > MAX_NAME || !(call = find_tensor(r, value)))
			continue;
		memcpy(name, key->text, key->n);
		t->name = name;
		name += key->n + 1;
		f->n_tensors++;
		status = memchr(key->text, 0, key->n) ? fail_tensor(r, t, "its name has a NUL")
		                                      : read_tensor(r, t, call);
	}
	return status;
}

/* The pickle's entry: FOLDER/data.pkl. */
static const struct trit_zip_entry *find_pickle(struct reader *r)
{
	static const char name[] = "data.pkl";
	const size_t len = sizeof name - 1;

	for (size_t i = 0; i < r->zip.n; i++) {
		const struct trit_zip_entry *e = &r->zip.entries[i];

		if (e->name_len >= len && e->name_len < MAX_NAME / 2 &&
		    memcmp(e->name + e->name_len - len, name, len) == 0 &&
		    (e->name_len == len || e->name[e->name_len - len - 1] == '/')) {
			r->folder = e->name;
			r->folder_len = e->name_len - len;
			return e;
		}
	}
	return NULL;
}

static int check_byte_order(const struct reader *r)
{
	char name[MAX_NAME];
	int len = snprintf(name, sizeof name, "%.*sbyteorder", (int)r->folder_len, r->folder);
	const struct trit_zip_entry *e = len > 0 ? trit_zip_find(&r->zip, (size_t)len, name) : NULL;

	if (e && (e->size < 6 || memcmp(e->data, "little", 6) != 0))
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED, "the numbers in it are big-endian; " REMEDY);
	return 0;
}

static int read_archive(struct reader *r, const unsigned char *data, size_t size)
{
	const struct trit_zip_entry *pickle;
	int status = trit_zip_open(&r->zip, data, size, r->err);

	if (status < 0)
		return status;
	pickle = find_pickle(r);
	if (!pickle)
		return trit_fail(r->err, TRIT_ERR_UNSUPPORTED,
		                 "a zip archive without data.pkl: not written by torch.save; unpack it and name the model "
		                 "inside");
	status = check_byte_order(r);
	if (status == 0)
		status = trit_pickle_read(&r->pickle, pickle->data, pickle->size, r->err);
	if (status == 0)
		status = check_globals(r);
	return status == 0 ? read_tensors(r) : status;
}

int trit_torch_open_bytes(struct trit_torch_file *f, const unsigned char *data, size_t size, struct trit_error *err)
{
	struct reader r = { .f = f, .err = err };
	int status;

	*f = (struct trit_torch_file){ 0 };
	if (trit_file_kind(data, size) != TRIT_KIND_PYTORCH)
		return trit_fail_kind(err, TRIT_KIND_PYTORCH, data, size);
	if (data[0] != 'P')
		return trit_fail(err, TRIT_ERR_UNSUPPORTED,
		                 "the format of PyTorch before 1.6 (a bare pickle, no zip archive); " REMEDY);
	status = read_archive(&r, data, size);
	trit_pickle_release(&r.pickle);
	trit_zip_close(&r.zip);
	if (status < 0)
		trit_torch_close(f);
	return status;
}

int trit_torch_open(struct trit_torch_file *f, const char *path, struct trit_error *err)
{
	struct trit_map map;
	int status = trit_map_open(&map, path, err);

	if (status < 0) {
		*f = (struct trit_torch_file){ 0 };
		return status;
	}
	status = trit_torch_open_bytes(f, map.data, map.size, err);
	if (status < 0) {
		trit_map_close(&map);
		return trit_fail_prefix(err, status, "%s", path);
	}
	f->map = map;
	return 0;
}

void trit_torch_close(struct trit_torch_file *f)
{
	if (!f)
		return;
	trit_free(f->tensors);
	trit_free(f->names);
	trit_map_close(&f->map);
	*f = (struct trit_torch_file){ 0 };
}
