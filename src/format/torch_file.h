/*
 * torch_file.h - the tensors of a PyTorch checkpoint (pytorch_model.bin, .pt, .pth) as torch.save writes it since
 * version 1.6: a zip archive of stored entries.
 *
 *     NAME/data.pkl     a pickle: a dict of tensors, by name; each says where in which storage it lies
 *     NAME/data/0, ...  the storages
 *     NAME/byteorder    "little"
 *
 * Nothing in the pickle is run (format/pickle.h): the few names that tensors need are recognised, any other is an error
 * that tells it. A dict of tensors inside the dict, under one of the names that trainers use ("model", "state_dict",
 * ...), is found too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRIT_FORMAT_TORCH_FILE_H
#define TRIT_FORMAT_TORCH_FILE_H

#include "format/safetensors.h"

struct trit_torch_file {
	struct trit_map map; /* zero when opened over bytes in memory */
	struct trit_st_tensor *tensors; /* in the pickle's order; names may come twice, data may overlap */
	size_t n_tensors;
	char *names; /* private */
};

/** Errors: IO; FORMAT; MEMORY; LIMIT; UNSUPPORTED: the format before 1.6, a pickle of other things than tensors,
 * tensors that are not contiguous, another byte order. */
TRIT_MUST_CHECK int trit_torch_open(struct trit_torch_file *f, const char *path, struct trit_error *err);
/** The same over bytes in memory, which must outlive f. */
TRIT_MUST_CHECK int trit_torch_open_bytes(struct trit_torch_file *f, const unsigned char *data, size_t size,
                                          struct trit_error *err);
void trit_torch_close(struct trit_torch_file *f);

#endif
