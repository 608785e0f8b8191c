/*
 * generate.c - the smallest program that writes text with libtrit: generate MODEL PROMPT
 *
 * Build it against an installed Trit with: cc generate.c $(pkg-config --cflags --libs trit)
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include <trit.h>

int main(int argc, char **argv)
{
	struct trit_model *model = NULL;
	struct trit_session *session = NULL;
	struct trit_sampler *sampler = NULL;
	struct trit_sampler_options options = trit_sampler_defaults();
	struct trit_error err;
	trit_token prompt[1024], token;
	size_t n;

	if (argc != 3) {
		fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
		return 2;
	}
	options.seed = 1;
	if (trit_model_open(&model, argv[1], &err) || trit_session_new(&session, model, NULL, &err) ||
	    trit_sampler_new(&sampler, trit_model_vocab_size(model), &options, &err) ||
	    trit_tokenize(model, strlen(argv[2]), argv[2], TRIT_TOKENIZE_BOS, 1024, prompt, &n, &err) ||
	    trit_session_feed(session, n, prompt, &err)) {
		fprintf(stderr, "%s: %s\n", argv[0], err.message);
		trit_sampler_free(sampler);
		trit_session_free(session);
		trit_model_close(model);
		return 1;
	}
	fputs(argv[2], stdout);
	for (int i = 0; i < 100; i++) {
		token = trit_sampler_next(sampler, trit_session_logits(session));
		if (trit_token_is_end(model, token))
			break;
		const char *bytes = trit_token_bytes(model, token, &n);
		fwrite(bytes, 1, n, stdout);
		fflush(stdout);
		if (trit_session_feed(session, 1, &token, NULL))
			break; /* the context is full */
	}
	putchar('\n');
	trit_sampler_free(sampler);
	trit_session_free(session);
	trit_model_close(model);
	return 0;
}
