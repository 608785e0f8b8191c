/*
 * gguf_types.c - decides what an ambiguous number of an element type means in a file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "format/gguf_types.h"

/* The meanings of a number, the likelier one first. */
static const struct {
	uint32_t file_id, types[2];
} meanings[] = {
	{ 42, { TRIT_GGML_Q2_0, TRIT_GGML_Q2_0_G128 } },
	{ 39, { TRIT_GGML_MXFP4, TRIT_GGML_TL2 } },
};

#define N_MEANINGS (sizeof meanings / sizeof meanings[0])

bool trit_gguf_type_unsure(uint32_t file_id)
{
	for (size_t i = 0; i < N_MEANINGS; i++)
		if (meanings[i].file_id == file_id)
			return true;
	return false;
}

static int tensor_bytes(uint32_t type, const struct trit_gguf_tensor *t, uint64_t *bytes, struct trit_error *err)
{
	return trit_ggml_tensor_bytes(type, t->dims[1] * t->dims[2] * t->dims[3], t->dims[0], bytes, err);
}

/* How well a type explains the room of all tensors with the number. */
enum fit { NOT, SMALLER, EXACT };

static enum fit fit_of(const struct trit_gguf *g, uint64_t data_bytes, uint32_t file_id, uint32_t type)
{
	enum fit all = EXACT;

	for (uint64_t i = 0; i < g->n_tensors; i++) {
		const struct trit_gguf_tensor *t = g->tensor_index[i];
		bool last = i + 1 == g->n_tensors;
		uint64_t end = last ? data_bytes : g->tensor_index[i + 1]->offset, bytes, room, padding;

		if (t->type != file_id)
			continue;
		room = end > t->offset ? end - t->offset : 0;
		if (tensor_bytes(type, t, &bytes, NULL) < 0 || bytes > room)
			return NOT;
		padding = (g->alignment - bytes % g->alignment) % g->alignment; /* the last tensor's may be missing */
		if (room - bytes != padding && !(last && room == bytes))
			all = SMALLER;
	}
	return all;
}

static int settle(struct trit_gguf *g, uint32_t file_id, uint32_t type, struct trit_error *err)
{
	for (uint64_t i = 0; i < g->n_tensors; i++) {
		struct trit_gguf_tensor *t = &g->tensors[i];
		struct trit_error why;

		if (t->type != file_id)
			continue;
		if (tensor_bytes(type, t, &t->bytes, &why) < 0)
			return trit_fail(err, TRIT_ERR_FORMAT, "tensor %s: %s; the file is damaged", t->name, why.message);
		t->type = type;
	}
	return 0;
}

int trit_gguf_settle_types(struct trit_gguf *g, uint64_t data_bytes, struct trit_error *err)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < N_MEANINGS; i++) {
		const uint32_t *types = meanings[i].types;
		enum fit first = fit_of(g, data_bytes, meanings[i].file_id, types[0]);
		enum fit second = fit_of(g, data_bytes, meanings[i].file_id, types[1]);

		status = settle(g, meanings[i].file_id, second > first ? types[1] : types[0], err);
	}
	return status;
}

void trit_gguf_note_types(const struct trit_gguf *g, struct trit_notes *notes)
{
	for (uint64_t i = 0; i < g->n_tensors; i++)
		switch (g->tensors[i].type) {
		case TRIT_GGML_Q2_0:
			trit_note(notes, TRIT_NOTE_FOUND, "type 42 is Q2_0 in blocks of 64, as llama.cpp has it: the tensors have "
			          "that size");
			break;
		case TRIT_GGML_Q2_0_G128:
			trit_note(notes, TRIT_NOTE_FOUND, "type 42 is Q2_0 in blocks of 128, as PrismML's llama.cpp has it: the "
			          "tensors have that size");
			break;
		case TRIT_GGML_MXFP4:
			trit_note(notes, TRIT_NOTE_FOUND, "type 39 is MXFP4, not TL2: the tensors have that size");
			break;
		case TRIT_GGML_TL1:
		case TRIT_GGML_TL2:
			trit_note(notes, TRIT_NOTE_ASSUMED, "%s has tiles whose sizes are not in the file; taken for those that "
			          "bitnet.cpp publishes for matrices of these shapes",
			          trit_ggml_type_info(g->tensors[i].type)->name);
			break;
		default:
			break;
		}
}
