/*
 * gguf_types.h - numbers of element types that stand for several types, told apart by the sizes of the tensors.
 *
 *     42   Q2_0 in blocks of 64 (llama.cpp) or of 128 (PrismML)
 *     39   MXFP4 (llama.cpp, ik_llama.cpp) or TL2 (bitnet.cpp)
 *
 * Each tensor's room - up to the next one - tells. A file comes from one program, so one meaning of a number is looked
 * for that all its tensors agree with. What 36 means sizes cannot tell: model/i2_s_layout.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_GGUF_TYPES_H
#define TRIT_FORMAT_GGUF_TYPES_H

#include "base/notes.h"
#include "format/gguf.h"

/** Whether a number in a file has several meanings, so that a tensor's size is not known before all offsets are. */
bool trit_gguf_type_unsure(uint32_t file_id);
/** Sets type and bytes of all tensors with such a number. tensor_index is sorted by offset, offsets count from the
 * beginning of the data, of which there are data_bytes. Errors: FORMAT. */
TRIT_MUST_CHECK int trit_gguf_settle_types(struct trit_gguf *g, uint64_t data_bytes, struct trit_error *err);
/** Notes what was decided, and what of a type is not in the file. */
void trit_gguf_note_types(const struct trit_gguf *g, struct trit_notes *notes);

#endif
