/*
 * peer_logits.c - what llama.cpp, ik_llama.cpp or bitnet.cpp computes: peer_logits MODEL TOKEN... prints a line of all
 * logits after each token, as tests/print_logits.c does. Used by check_gguf_interop.py; not part of the build:
 *
 *     cc -I LLAMA/include -I LLAMA/ggml/include peer_logits.c -o peer_logits -L LIBS -lllama -lggml -Wl,-rpath,LIBS
 *
 * with -DIK_LLAMA for ik_llama.cpp, -DBITNET_CPP for bitnet.cpp, which have older functions.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>

#include <llama.h>

#ifdef BITNET_CPP
#define llama_model_load_from_file llama_load_model_from_file
#define llama_init_from_model llama_new_context_with_model
#endif
#if defined(BITNET_CPP) || defined(IK_LLAMA)
#define VOCAB_SIZE(m) llama_n_vocab(m)
#define ONE(token, at) llama_batch_get_one(token, 1, at, 0)
#else
#define VOCAB_SIZE(m) llama_vocab_n_tokens(llama_model_get_vocab(m))
#define ONE(token, at) llama_batch_get_one(token, 1)
#endif

static void quiet(enum ggml_log_level level, const char *text, void *arg)
{
	(void)arg;
	if (level == GGML_LOG_LEVEL_ERROR)
		fputs(text, stderr);
}

int main(int argc, char **argv)
{
	struct llama_model_params mp = llama_model_default_params();
	struct llama_context_params cp = llama_context_default_params();

	llama_backend_init();
	llama_log_set(quiet, NULL);
	cp.n_ctx = 64;
	cp.n_threads = 1;
	struct llama_model *m = argc > 2 ? llama_model_load_from_file(argv[1], mp) : NULL;
	struct llama_context *c = m ? llama_init_from_model(m, cp) : NULL;
	if (!c)
		return 1;
	int n_vocab = VOCAB_SIZE(m);
	for (int i = 2; i < argc; i++) {
		llama_token token = (llama_token)strtol(argv[i], NULL, 10);
		struct llama_batch b = ONE(&token, i - 2);
		if (llama_decode(c, b))
			return 1;
		const float *logits = llama_get_logits(c);
		for (int j = 0; j < n_vocab; j++)
			printf("%.9g ", (double)logits[j]);
		printf("\n");
	}
	return 0;
}
