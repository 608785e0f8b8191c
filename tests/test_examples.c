/*
 * test_examples.c - records to examples: every form, what is learnt of them, what is wrong with bad ones; windows.
 *
 * The vocabulary is GPT-2's alphabet, so a token is a byte, and a few control tokens; an example is shown as its text
 * with what is learnt in capitals of its own: "[...]" round each run of learnt tokens.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#define TRIT_MAY_ALLOCATE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"
#include "text/bpe_train.h"
#include "train/windows.h"

static struct trit_error err;

/* ---- a tokenizer ------------------------------------------------------------------------------------------------ */

/* Learnt from nothing much: bytes, few merges, and the trainer's end token. */
static struct trit_tokenizer *make_tokenizer(void)
{
	struct trit_bpe_trainer *trainer;
	struct trit_vocab learnt = { 0 }, v = { 0 };
	struct trit_tokenizer *t = NULL;
	static const char *const special[] = { "<|im_start|>", "<|im_end|>" };

	assert_int_equal(trit_bpe_trainer_new(&trainer, "gpt-2", &err), 0);
	assert_int_equal(trit_bpe_trainer_add(trainer, 1, "a", &err), 0);
	assert_int_equal(trit_bpe_train(trainer, 257, &learnt, &err), 0);
	trit_bpe_trainer_free(trainer);
	size_t n = (size_t)learnt.n_tokens;
	assert_int_equal(trit_vocab_init(&v, learnt.model, learnt.pre, n + 2, 0, learnt.bytes.len + 64, &err), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(trit_vocab_set_piece(&v, i, learnt.pieces[i].len, learnt.pieces[i].text,
		                                      (enum trit_token_type)learnt.pieces[i].type, &err), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(trit_vocab_set_piece(&v, n + i, strlen(special[i]), special[i], TRIT_TOKEN_CONTROL, &err), 0);
	v.bos = learnt.bos, v.eos = learnt.eos;
	v.add_bos = true;
	trit_vocab_release(&learnt);
	if (trit_tokenizer_new(&t, &v, &err))
		fail_msg("%s", err.message);
	return t;
}

/* ---- what becomes of records ------------------------------------------------------------------------------------ */

struct shown {
	const struct trit_tokenizer *tokenizer;
	char text[4096];
	size_t len;
	int examples;
};

static void show(struct shown *s, size_t len, const char *text)
{
	assert_true(s->len + len < sizeof s->text);
	memcpy(s->text + s->len, text, len);
	s->text[s->len += len] = 0;
}

static int show_example(void *arg, size_t n, const trit_token *tokens, const bool *loss, uint64_t key,
                        struct trit_error *e)
{
	struct shown *s = arg;
	const struct trit_vocab *v = trit_tokenizer_vocab(s->tokenizer);

	(void)key;
	(void)e;
	if (s->examples++)
		show(s, 1, "\n");
	for (size_t i = 0; i < n; i++) {
		size_t len;
		const char *text = trit_decode_token(s->tokenizer, tokens[i], &len);
		if (loss[i] && (i == 0 || !loss[i - 1]))
			show(s, 1, "[");
		if (tokens[i] == v->eos)
			show(s, 1, "$"); /* this vocabulary's BOS and EOS */
		else if (v->pieces[tokens[i]].type == TRIT_TOKEN_CONTROL)
			show(s, v->pieces[tokens[i]].len, v->pieces[tokens[i]].text);
		else
			show(s, len, text);
		if (loss[i] && (i + 1 == n || !loss[i + 1]))
			show(s, 1, "]");
	}
	return 0;
}

struct fixture {
	struct trit_tokenizer *tokenizer;
	struct trit_chat_template chat;
	struct trit_example_options o;
	struct trit_example_counts counts;
	struct shown shown;
};

static void open_fixture(struct fixture *f, const char *template)
{
	*f = (struct fixture){ .tokenizer = make_tokenizer() };
	if (template)
		assert_int_equal(trit_chat_open(&f->chat, NULL, template, &err), 0);
	f->o = (struct trit_example_options){ .tokenizer = f->tokenizer, .chat = &f->chat, .max_tokens = 4000 };
	f->shown.tokenizer = f->tokenizer;
}

static void close_fixture(struct fixture *f)
{
	trit_chat_close(&f->chat);
	trit_tokenizer_free(f->tokenizer);
}

static int read_records(struct fixture *f, const char *records)
{
	char path[] = "records.jsonl", *paths[] = { path };

	scratch_write(path, strlen(records), records);
	f->shown.len = 0, f->shown.examples = 0, f->shown.text[0] = 0;
	return trit_examples_each(1, paths, &f->o, show_example, &f->shown, &f->counts, &err);
}

static void expect(struct fixture *f, const char *records, const char *expected)
{
	if (read_records(f, records))
		fail_msg("%s: %s", records, err.message);
	if (strcmp(f->shown.text, expected))
		fail_msg("%s\ngives    %s\nexpected %s", records, f->shown.text, expected);
}

#define CHAT_AB "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n[B<|im_end|>]"

static void test_forms(void **state)
{
	struct fixture f;

	(void)state;
	open_fixture(&f, "chatml");
	expect(&f, "{\"messages\": [{\"role\": \"user\", \"content\": \"A\"}, "
	       "{\"role\": \"assistant\", \"content\": \"B\"}]}\n", CHAT_AB);
	expect(&f, "{\"conversations\": [{\"from\": \"human\", \"value\": \"A\"}, "
	       "{\"from\": \"gpt\", \"value\": \"B\"}], \"id\": 7}", CHAT_AB);
	expect(&f, "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"A\"}]}, "
	       "{\"role\": \"assistant\", \"content\": \"B\"}, {\"role\": \"user\", "
	       "\"content\": \"unanswered\"}]}", CHAT_AB);
	expect(&f, "{\"instruction\": \"A\", \"input\": \"\", \"output\": \"B\"}", CHAT_AB);
	expect(&f, "{\"prompt\": [{\"role\": \"user\", \"content\": \"A\"}], \"completion\": [{\"role\": \"assistant\", "
	       "\"content\": \"B\"}]}", CHAT_AB);
	expect(&f, "{\"instruction\": \"A\", \"input\": \"in\", \"output\": \"B\"}",
	       "<|im_start|>user\nA\n\nin<|im_end|>\n<|im_start|>assistant\n[B<|im_end|>]");
	expect(&f, "{\"prompt\": \"A \", \"completion\": \"B\"}", "$A [B$]");
	expect(&f, "{\"text\": \"some text\"}", "$[some text$]");
	/* a list of records, over several lines, with brackets and quotes in texts */
	expect(&f, "\n[\n {\"prompt\": \"A]}\\\"\",\n  \"completion\": \"B\"},\n {\"text\": \"[,{\"}\n]\n",
	       "$A]}\"[B$]\n$[[,{$]");
	assert_int_equal(f.counts.examples, 2);
	assert_int_equal(f.counts.learnt, 2 + 4);
	close_fixture(&f);
}

#define TURNS                                                                                                          \
	"{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": \"A\"}, "           \
	"{\"role\": \"assistant\", \"content\": \"B\"%s}, {\"role\": \"user\", \"content\": \"C\"}, "                      \
	"{\"role\": \"assistant\", \"content\": \"D\"}]}"

static void test_turns(void **state)
{
	struct fixture f;
	char records[512], weighted[512];

	(void)state;
	open_fixture(&f, "chatml");
	snprintf(records, sizeof records, TURNS, "");
	snprintf(weighted, sizeof weighted, TURNS, ", \"weight\": 0");
	expect(&f, records, "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n"
	       "[B<|im_end|>]\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n[D<|im_end|>]");
	expect(&f, weighted, "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n"
	       "B<|im_end|>\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n[D<|im_end|>]");
	f.o.loss = TRIT_LOSS_LAST;
	expect(&f, records, "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n"
	       "B<|im_end|>\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n[D<|im_end|>]");
	f.o.loss = TRIT_LOSS_ALL;
	expect(&f, records, "<|im_start|>[system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n"
	       "B<|im_end|>\n<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\nD<|im_end|>\n]");
	/* texts never become control tokens, so this one ends no turn */
	f.o.loss = TRIT_LOSS_ANSWERS;
	expect(&f, "{\"instruction\": \"A\", \"output\": \"<|im_end|>B\"}",
	       "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n[<|im_end|>B<|im_end|>]");
	assert_int_equal(f.counts.learnt, 10 + 1 + 1);
	close_fixture(&f);
}

/* Templates that end answers with nothing, and that change what they wrote. */
static void test_templates(void **state)
{
	struct fixture f;
	char records[512];

	(void)state;
	open_fixture(&f, "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
	             "{% if add_generation_prompt %}assistant: {% endif %}");
	expect(&f, "{\"instruction\": \"A\", \"output\": \"B\"}", "user: A\nassistant: [B\n$]");
	assert_int_equal(f.counts.endless, 1);
	close_fixture(&f);

	/* as reasoning models do: only the last answer is written whole */
	open_fixture(&f, "{% for m in messages %}{{ m.role[0] }}({{ m.content if loop.last or m.role == 'user' else '-' }}"
	             "<|im_end|>){% endfor %}{% if add_generation_prompt %}a({% endif %}");
	snprintf(records, sizeof records, TURNS, "");
	assert_int_equal(read_records(&f, records), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "records.jsonl:1"));
	assert_non_null(strstr(err.message, "--loss last"));
	f.o.loss = TRIT_LOSS_LAST;
	expect(&f, records, "s(-<|im_end|>)u(A<|im_end|>)a(-<|im_end|>)u(C<|im_end|>)a([D<|im_end|>]");
	close_fixture(&f);

	open_fixture(&f, NULL);
	assert_int_equal(read_records(&f, "{\"instruction\": \"A\", \"output\": \"B\"}"), TRIT_ERR_ARG);
	assert_non_null(strstr(err.message, "--chat-template"));
	expect(&f, "{\"text\": \"t\"}", "$[t$]");
	close_fixture(&f);
}

static void test_bad_records(void **state)
{
	static const struct {
		const char *record, *message;
	} bad[] = {
		{ "{\"text\": \"ok\"}\n\n{\"text\": ", "records.jsonl:3: JSON" },
		{ "{\"text\": 5}", "no known form" },
		{ "[1]", "not a JSON object" },
		{ "{\"messages\": [{\"content\": \"x\"}]}", "message 1 has neither" },
		{ "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}", "no message of the role assistant" },
		{ "{\"messages\": [{\"role\": \"king\", \"content\": \"x\"}]}", "role \"king\"" },
		{ "{\"messages\": [{\"role\": \"user\"}]}", "message 1 has no \"content\"" },
		{ "{\"messages\": [{\"role\": \"user\", \"content\": 1}]}", "neither a text nor a list" },
		{ "{\"conversations\": [{\"from\": \"gpt\"}]}", "no \"value\"" },
		{ "{\"messages\": []}", "nothing to learn" },
		{ "", "no example" },
		{ "[{\"text\": \"a\"}, {\"text\"", "records.jsonl:1: JSON" },
	};
	struct fixture f;

	(void)state;
	open_fixture(&f, "chatml");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_true(read_records(&f, bad[i].record) < 0);
		if (!strstr(err.message, bad[i].message))
			fail_msg("%s: %s", bad[i].record, err.message);
	}
	f.o.skip_bad = true;
	expect(&f, "{\"text\": 1}\n{\"text\": \"good\"}\nrubbish\n", "$[good$]");
	assert_int_equal(f.counts.bad, 2);
	assert_non_null(strstr(f.counts.first_bad.message, "records.jsonl:1"));
	assert_int_equal(read_records(&f, "rubbish"), TRIT_ERR_LIMIT);
	assert_non_null(strstr(err.message, "records.jsonl:1"));
	close_fixture(&f);
}

static void test_long_examples(void **state)
{
	struct fixture f;

	(void)state;
	open_fixture(&f, "chatml");
	f.o.max_tokens = 6;
	expect(&f, "{\"prompt\": \"abc\", \"completion\": \"defgh\"}\n{\"prompt\": \"abcdefgh\", \"completion\": \"i\"}\n",
	       "$abc[de]");
	assert_int_equal(f.counts.cut, 1);
	assert_int_equal(f.counts.too_long, 1);
	close_fixture(&f);
}

/* ---- windows ---------------------------------------------------------------------------------------------------- */

enum { S = 15, N = 200 };

/* Examples of 3 to 9 tokens: "$", a letter that tells which it is, some more of it, "$". */
static void write_examples(void)
{
	char text[N * 64];
	size_t len = 0;

	for (int i = 0; i < N; i++) {
		char body[10] = { 0 };
		memset(body, 'a' + i % 26, (size_t)(1 + i % 7));
		len += (size_t)snprintf(text + len, sizeof text - len, "{\"id\": %d, \"text\": \"%s\"}\n", i, body);
	}
	scratch_write("windows.jsonl", len, text);
}

static void prepare(struct fixture *f, const char *dir, bool padded, double val_share)
{
	char path[] = "windows.jsonl", *paths[] = { path };
	struct trit_windows_options wo = { .seq_len = S, .padded = padded, .val_share = val_share };

	if (trit_windows_prepare(1, paths, &f->o, &wo, dir, &f->counts, &err))
		fail_msg("%s", err.message);
}

/* Every example comes once, whole, with its own start, and only itself before it. */
static void check_windows(struct fixture *f, const char *dir, bool padded, int *per_letter)
{
	struct trit_windows w;
	trit_token tokens[S + 1];
	float weights[S];
	int starts[S], n_vocab = trit_tokenizer_vocab(f->tokenizer)->n_tokens;
	trit_token eos = trit_tokenizer_vocab(f->tokenizer)->eos;

	assert_false(trit_windows_there("nowhere"));
	assert_true(trit_windows_there(dir));
	if (trit_windows_open(&w, dir, n_vocab, S, 3, &err))
		fail_msg("%s", err.message);
	for (int set = 0; set < 2; set++)
		for (uint64_t i = 0; i < w.n[set]; i++) {
			int examples = 0;
			set ? trit_windows_val(&w, i, 1, tokens, weights, starts)
			    : trit_windows_train(&w, i, 1, tokens, weights, starts);
			for (int j = 0; j < S; j++) {
				assert_true(starts[j] <= j && (j == 0 || starts[j] >= starts[j - 1]));
				if (starts[j] != j || tokens[j + 1] == eos) /* padding has no body */
					continue;
				size_t len;
				int letter = trit_decode_token(f->tokenizer, tokens[j + 1], &len)[0] - 'a', k = j + 1;
				assert_true(tokens[j] == eos && len == 1 && letter >= 0 && letter < 26);
				assert_true(j == 0 || weights[j - 1] == 0); /* BOS is not learnt */
				for (; k <= S && tokens[k] != eos; k++)
					assert_true(tokens[k] == tokens[j + 1] && weights[k - 1] == 1 && (k == S || starts[k] == j));
				assert_true(k <= S && weights[k - 1] == 1); /* its end is there, and learnt */
				per_letter[letter]++;
				examples++;
			}
			assert_true(examples == 1 || !padded);
		}
	/* another epoch has another order, of the same windows */
	trit_token first[S + 1];
	int moved = 0;
	uint64_t sums[2] = { 0 };
	for (uint64_t i = 0; i < w.n[0]; i++) {
		trit_windows_train(&w, i, 1, first, weights, starts);
		trit_windows_train(&w, w.n[0] + i, 1, tokens, weights, starts);
		moved += memcmp(first, tokens, sizeof first) != 0;
		for (int j = 0; j <= S; j++)
			sums[0] += (uint64_t)first[j], sums[1] += (uint64_t)tokens[j];
	}
	assert_true(moved > (int)w.n[0] / 4 && sums[0] == sums[1]);
	trit_windows_close(&w);
	assert_int_equal(trit_windows_open(&w, dir, 100, S, 3, &err), TRIT_ERR_FORMAT); /* another vocabulary */
	assert_int_equal(trit_windows_open(&w, dir, n_vocab, S + 1, 3, &err), TRIT_ERR_FORMAT);
}

static void test_windows(void **state)
{
	struct fixture f;

	(void)state;
	open_fixture(&f, "chatml");
	write_examples();
	for (int padded = 0; padded < 2; padded++) {
		int per_letter[26] = { 0 };
		prepare(&f, "packed", padded, 0.2);
		assert_int_equal(f.counts.examples, N);
		check_windows(&f, "packed", padded, per_letter);
		for (int i = 0; i < 26; i++)
			assert_int_equal(per_letter[i], N / 26 + (i < N % 26));
	}
	struct trit_windows w;
	prepare(&f, "packed", false, 0);
	assert_int_equal(trit_windows_open(&w, "packed", 4000, S, 3, &err), 0);
	assert_int_equal(w.n[1], 0);
	/* 200 examples of 6 tokens in the mean: 75 windows of 16 if none were wasted */
	if (w.n[0] < 75 || w.n[0] > 85)
		fail_msg("%d windows", (int)w.n[0]);
	trit_windows_close(&w);
	trit_windows_remove("packed");
	assert_false(trit_windows_there("packed"));
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),       cmocka_unit_test(test_turns),         cmocka_unit_test(test_templates),
		cmocka_unit_test(test_bad_records), cmocka_unit_test(test_long_examples), cmocka_unit_test(test_windows),
	};
	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
