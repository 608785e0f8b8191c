/*
 * fuzz_examples.c - any bytes as a file of examples: an error that says where, or examples that can be trained on.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>
#include <unistd.h>

#include "text/bpe_train.h"
#include "train/examples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TOKENS = 40 };

static struct trit_tokenizer *tokenizer;
static struct trit_chat_template chat;

/* Bytes and an end of text, made once. */
static void make_tokenizer(void)
{
	struct trit_bpe_trainer *trainer;
	struct trit_vocab v = { 0 };

	if (tokenizer)
		return;
	if (trit_bpe_trainer_new(&trainer, "gpt-2", NULL) || trit_bpe_trainer_add(trainer, 1, "a", NULL) ||
	    trit_bpe_train(trainer, 257, &v, NULL) || trit_tokenizer_new(&tokenizer, &v, NULL) ||
	    trit_chat_open(&chat, NULL, "chatml", NULL))
		__builtin_trap();
	trit_bpe_trainer_free(trainer);
}

static int check(void *arg, size_t n, const trit_token *tokens, const bool *loss, uint64_t key, struct trit_error *err)
{
	size_t learnt = 0;

	(void)arg;
	(void)key;
	(void)err;
	for (size_t i = 0; i < n; i++) {
		learnt += loss[i];
		if (tokens[i] < 0 || tokens[i] >= trit_tokenizer_vocab(tokenizer)->n_tokens)
			__builtin_trap();
	}
	if (!learnt || n > MAX_TOKENS || loss[0])
		__builtin_trap();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], *paths[] = { path };
	int file = memfd_create("examples", 0);

	make_tokenizer();
	if (file < 0 || write(file, data, size) != (ssize_t)size)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	for (int way = 0; way < 6; way++) {
		const struct trit_example_options o = { .tokenizer = tokenizer, .chat = &chat,
			                                    .loss = (enum trit_loss_on)(way / 2), .skip_bad = way % 2,
			                                    .max_tokens = MAX_TOKENS };
		struct trit_example_counts counts;
		struct trit_error err;
		int e = trit_examples_each(1, paths, &o, check, NULL, &counts, &err);
		if (e > 0 || (e < 0 && !err.message[0]) || (e == 0 && (!counts.examples || counts.done != size)))
			__builtin_trap();
	}
	close(file);
	return 0;
}
