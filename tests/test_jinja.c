/*
 * test_jinja.c - templates against Jinja itself (tests/data/chat, made by tests/reference/make_chat_golden.py), their
 * bounds, their errors, and the marks of what came from outside.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/json_value.h"
#include "text/chat.h"

#define NOW 1700049600 /* noon of 15 November 2023 */

/* Renders a template; the text lives in h. Returns the status. */
static int render(struct trit_heap *h, const char *source, size_t len, struct trit_value variables,
                  struct trit_string *out, struct trit_error *err)
{
	struct trit_jinja *t;
	int status = trit_jinja_new(&t, len, source, err);

	if (status < 0)
		return status;
	status = trit_jinja_render(t, h, variables, NOW, out, err);
	trit_jinja_free(t);
	return status;
}

static struct trit_value no_variables(struct trit_heap *h)
{
	trit_heap_init(h, TRIT_JINJA_MAX_MEMORY, TRIT_JINJA_MAX_STEPS);
	return trit_value_dict(h, TRIT_VALUE_DICT);
}

/* ---- against Jinja ----------------------------------------------------------------------------------------------- */

static struct trit_value member(struct trit_heap *h, struct trit_value v, const char *name)
{
	struct trit_pair *p = trit_value_find(h, v, trit_value_of(trit_string_c(name)));

	assert_non_null(p);
	return p->value;
}

static struct trit_value read_golden(struct trit_heap *h)
{
	struct trit_buf file;
	struct trit_value golden;
	struct trit_error err;

	trit_heap_init(h, (size_t)64 << 20, UINT64_MAX);
	trit_buf_init(&file, 1 << 24);
	assert_int_equal(trit_file_read(&file, TRIT_TEST_DATA "/chat/golden.json", &err), 0);
	if (trit_json_value(h, file.len, file.data, false, &golden, &err) == TRIT_ERR_UNSUPPORTED) {
		trit_buf_release(&file);
		skip();
	}
	trit_buf_release(&file);
	assert_int_equal(h->status, 0);
	return golden;
}

/* Renders with the variables of two dicts and compares; a template that Jinja refuses must fail here too. */
static bool agrees(struct trit_heap *golden, const char *what, struct trit_string source, struct trit_value common,
                   struct trit_value more, struct trit_value expected)
{
	struct trit_heap h;
	struct trit_error err = { 0 };
	struct trit_string out = { 0 };
	struct trit_value variables = no_variables(&h);
	int status;
	bool same;

	(void)golden;
	for (size_t i = 0; i < common.dict->n; i++)
		trit_value_put(&h, variables, common.dict->items[i].key, common.dict->items[i].value);
	for (size_t i = 0; i < more.dict->n; i++)
		trit_value_put(&h, variables, more.dict->items[i].key, more.dict->items[i].value);
	status = render(&h, source.bytes, source.len, variables, &out, &err);
	if (expected.kind == TRIT_VALUE_NONE)
		same = status < 0 && err.message[0];
	else
		same = status == 0 && trit_string_equal(out, expected.string);
	if (!same)
		print_error("%s\n    expected %.*s\n    got %.*s%s\n", what,
		            expected.kind == TRIT_VALUE_NONE ? 9 : (int)expected.string.len,
		            expected.kind == TRIT_VALUE_NONE ? "a failure" : expected.string.bytes, (int)out.len,
		            out.len ? out.bytes : "", status < 0 ? err.message : "");
	trit_heap_release(&h);
	return same;
}

static void test_expressions(void **state)
{
	struct trit_heap h;
	struct trit_value golden = read_golden(&h), list = member(&h, golden, "expressions");
	struct trit_value variables = member(&h, golden, "variables"), none = trit_value_dict(&h, TRIT_VALUE_DICT);
	size_t bad = 0;

	(void)state;
	assert_true(list.list->n > 300);
	for (size_t i = 0; i < list.list->n; i++) {
		struct trit_string e = list.list->items[i].list->items[0].string;
		char source[256];
		int len = snprintf(source, sizeof source, "{{ %.*s }}", (int)e.len, e.bytes);

		bad += !agrees(&h, source, (struct trit_string){ source, NULL, (size_t)len }, variables, none,
		               list.list->items[i].list->items[1]);
	}
	assert_int_equal(bad, 0);
	trit_heap_release(&h);
}

/* Every template of the folder over every conversation. */
static void test_templates(void **state)
{
	struct trit_heap h;
	struct trit_value golden = read_golden(&h), rendered = member(&h, golden, "rendered"),
	                  conversations = member(&h, golden, "conversations"), common = member(&h, golden, "common");
	size_t bad = 0, n = 0;

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < rendered.dict->n; i++) {
		struct trit_string name = rendered.dict->items[i].key.string;
		struct trit_buf file;
		struct trit_error err;
		char path[400], what[200];

		snprintf(path, sizeof path, "%s/chat/%.*s.jinja", TRIT_TEST_DATA, (int)name.len, name.bytes);
		trit_buf_init(&file, 1 << 20);
		assert_int_equal(trit_file_read(&file, path, &err), 0);
		for (size_t k = 0; k < conversations.dict->n; k++, n++) {
			struct trit_string key = conversations.dict->items[k].key.string;

			snprintf(what, sizeof what, "%.*s, %.*s", (int)name.len, name.bytes, (int)key.len, key.bytes);
			bad += !agrees(&h, what, (struct trit_string){ file.data, NULL, file.len }, common,
			               conversations.dict->items[k].value,
			               trit_value_find(&h, rendered.dict->items[i].value, conversations.dict->items[k].key)->value);
		}
		trit_buf_release(&file);
	}
	assert_true(n > 200);
	assert_int_equal(bad, 0);
	trit_heap_release(&h);
}

/* The built-in templates write what the published ones of their name do, for conversations that these accept. */
static void test_builtin(void **state)
{
	static const char *const names[] = { "bitnet", "chatml", "falcon3", "gemma", "llama2", "llama3", "mistral", "qwen",
		                             "smollm2" };
	static const char *const keys[] = { "one", "system", "long", "ended" };
	struct trit_heap h;
	struct trit_value golden = read_golden(&h), common = member(&h, golden, "common");
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
			struct trit_value expected = member(&h, member(&h, member(&h, golden, "rendered"), names[i]), keys[k]);

			bad += !agrees(&h, names[i], trit_string_c(trit_chat_builtin(names[i])), common,
			               member(&h, member(&h, golden, "conversations"), keys[k]), expected);
		}
	assert_int_equal(bad, 0);
	trit_heap_release(&h);
}

/* ---- bounds and errors ------------------------------------------------------------------------------------------- */

static void expect_failure(const char *source, size_t len, enum trit_status status, const char *message)
{
	struct trit_heap h;
	struct trit_error err = { 0 };
	struct trit_string out;

	if (render(&h, source, len, no_variables(&h), &out, &err) != (int)status || !strstr(err.message, message))
		fail_msg("%.60s: status %d, \"%s\" instead of \"%s\"", source, err.status, err.message, message);
	trit_heap_release(&h);
}

static void test_bounds(void **state)
{
	static const struct {
		const char *source, *message;
	} cases[] = {
		{ "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "steps" },
		{ "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "steps" },
		{ "{{ range(10 ** 15) }}", "range of more than 100000" },
		{ "{{ 'x' * 10 ** 12 }}", "limit here" },
		{ "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		  "memory" },
		{ "{% set ns = namespace(l=[1]) %}{% for i in range(80) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
		  "nested deeper" },
		{ "{% set ns = namespace(l=[1]) %}{% for i in range(50) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
		  "limit here" },
		{ "{% set ns = namespace(l=[1]) %}{% for i in range(50) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}"
		  "{{ ns.l == [ns.l[0], ns.l[1] + []] }}", "steps" },
		{ "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "calls nested deeper" },
		{ "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}", "limit here" },
		{ "{% set l = [1] %}{% set x = l.append(l) %}{{ l }}", "nested deeper" },
		{ "{{ 9223372036854775807 + 1 }}", "64 bits" },
		{ "{{ 9223372036854775808 }}", "64 bits" },
		{ "{{ 3 ** 100 }}", "64 bits" },
		{ "{{ 9223372036854775807|round(-1) }}", "64 bits" },
		{ "{{ 'a'|indent(10 ** 14) }}", "limit here" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_failure(cases[i].source, strlen(cases[i].source), TRIT_ERR_LIMIT, cases[i].message);
}

/* Anything nested too deep ends before the stack does. */
/* Loops over lists that their bodies change go over what is there. */
static void test_changed_lists(void **state)
{
	static const struct {
		const char *source, *expected;
	} cases[] = {
		{ "{% set l = range(3000)|list %}{% for x in l %}{% if loop.first %}{% for y in range(2999) %}"
		  "{% set z = l.pop() %}{% endfor %}{% set z = l.reverse() %}{% endif %}"
		  "{{ x }}.{{ loop.previtem }};{% endfor %}",
		  "0.;" },
		{ "{% set l = range(9)|list %}{% for x in l if l.pop() and not l.reverse() %}{{ x }}{% endfor %}", "0552" },
		{ "{% set l = [1, 2] %}{% for x in l %}{% set z = l.append(x) %}{{ x }}{% endfor %}{{ l }}", "12[1, 2, 1, 2]" },
		{ "{% set l = range(5)|list %}{% set z = l.reverse() %}{{ l }}", "[4, 3, 2, 1, 0]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct trit_heap h;
		struct trit_error err = { 0 };
		struct trit_string out = { 0 };
		int status = render(&h, cases[i].source, strlen(cases[i].source), no_variables(&h), &out, &err);

		if (status < 0 || !trit_string_is(out, cases[i].expected))
			fail_msg("expected %s, got %.*s%s", cases[i].expected, (int)out.len, out.len ? out.bytes : "", err.message);
		trit_heap_release(&h);
	}
}

static void test_nesting(void **state)
{
	static const struct {
		const char *begin, *end;
	} cases[] = {
		{ "(", ")" }, { "[", "]" }, { "{1:", "}" }, { "-", "" }, { "not ", "" }, { "f(", ")" }, { "l[", "]" },
		{ "1 + ", "" }, { "1 if 1 else ", "" }, { "", ".a" }, { "", "|trim" }, { "", "(1)" }, { "", " is defined" },
		{ "1 ** ", "" }, { "x and ", "" },
	};
	enum { DEPTH = 20000 };
	struct trit_buf text;
	struct trit_error err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		trit_buf_init(&text, TRIT_JINJA_MAX_SOURCE);
		assert_int_equal(trit_buf_printf(&text, &err, "{{ "), 0);
		for (int k = 0; k < DEPTH; k++)
			assert_int_equal(trit_buf_printf(&text, &err, "%s", cases[i].begin), 0);
		assert_int_equal(trit_buf_printf(&text, &err, "1"), 0);
		for (int k = 0; k < DEPTH; k++)
			assert_int_equal(trit_buf_printf(&text, &err, "%s", cases[i].end), 0);
		assert_int_equal(trit_buf_printf(&text, &err, " }}"), 0);
		expect_failure(text.data, text.len, TRIT_ERR_LIMIT, "nested deeper than 100");
		trit_buf_release(&text);
	}
	trit_buf_init(&text, TRIT_JINJA_MAX_SOURCE);
	for (int k = 0; k < DEPTH; k++)
		assert_int_equal(trit_buf_printf(&text, &err, "{%% if 1 %%}"), 0);
	expect_failure(text.data, text.len, TRIT_ERR_LIMIT, "nested deeper than 100");
	/* A long row of branches is not deep. */
	trit_buf_reset(&text);
	assert_int_equal(trit_buf_printf(&text, &err, "{%% if 0 %%}"), 0);
	for (int k = 0; k < DEPTH; k++)
		assert_int_equal(trit_buf_printf(&text, &err, "{%% elif 0 %%}"), 0);
	assert_int_equal(trit_buf_printf(&text, &err, "{%% else %%}{{ nope.x }}{%% endif %%}"), 0);
	expect_failure(text.data, text.len, TRIT_ERR_FORMAT, "'nope' is undefined");
	trit_buf_release(&text);
}

/* A filter that names itself as the next one's argument, over a list that is in itself. */
static void test_filters_of_filters(void **state)
{
	static const char begin[] = "{% set l = [] %}{% set z = l.append(l) %}{{ l|map(", end[] = "'list')|list }}";
	struct trit_buf text;
	struct trit_error err;
	int status;

	(void)state;
	trit_buf_init(&text, TRIT_JINJA_MAX_SOURCE);
	status = trit_buf_append(&text, sizeof begin - 1, begin, &err);
	for (int i = 0; i < 80000 && status == 0; i++)
		status = trit_buf_append(&text, 6, "'map',", &err);
	if (status == 0)
		status = trit_buf_append(&text, sizeof end - 1, end, &err);
	assert_int_equal(status, 0);
	expect_failure(text.data, text.len, TRIT_ERR_LIMIT, "calls nested deeper");
	trit_buf_release(&text);
}

static void test_errors(void **state)
{
	static const struct {
		const char *source;
		enum trit_status status;
		const char *message;
	} cases[] = {
		{ "a\n  {{ 1 + }}", TRIT_ERR_FORMAT, "line 2, column 10: }} instead of an expression" },
		{ "a\nb{{ x.y.z }}", TRIT_ERR_FORMAT, "line 2, column 6: 'x' is undefined" },
		{ "{% for x in [1] %}", TRIT_ERR_FORMAT, "endfor" },
		{ "{% if 1 %}{% endfor %}", TRIT_ERR_FORMAT, "name endfor instead of a statement" },
		{ "{{ 'abc }}", TRIT_ERR_FORMAT, "a string without end" },
		{ "{{ 1", TRIT_ERR_FORMAT, "{{ without }}" },
		{ "{% set x", TRIT_ERR_FORMAT, "{% without %}" },
		{ "{# x", TRIT_ERR_FORMAT, "{# without #}" },
		{ "{% raw %} {{ x }}", TRIT_ERR_FORMAT, "{% raw %} without {% endraw %}" },
		{ "{% break %}", TRIT_ERR_FORMAT, "belong in a loop" },
		{ "{% include 'x' %}", TRIT_ERR_UNSUPPORTED, "the statement include is not supported" },
		{ "{% nope %}", TRIT_ERR_FORMAT, "instead of a statement" },
		{ "{{ 1|nope }}", TRIT_ERR_UNSUPPORTED, "no filter \"nope\"" },
		{ "{{ 1 is nope }}", TRIT_ERR_UNSUPPORTED, "no test \"nope\"" },
		{ "{{ ? }}", TRIT_ERR_FORMAT, "column 4: a character that means nothing here" },
		{ "{{ raise_exception('only users') }}", TRIT_ERR_ARG, "the template refuses these messages: only users" },
		{ "{{ 'a' < 1 }}", TRIT_ERR_FORMAT, "no order between str and int" },
		{ "{{ [1] + 'a' }}", TRIT_ERR_FORMAT, "+ between list and str" },
		{ "{{ {[]: 1} }}", TRIT_ERR_FORMAT, "a list cannot be the key of a dict" },
		{ "{% set a, b = [1, 2, 3] %}", TRIT_ERR_FORMAT, "3 values for fewer names" },
		{ "{% set x = {} %}{% set x.y = 1 %}", TRIT_ERR_FORMAT, "namespace only" },
		{ "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", TRIT_ERR_FORMAT, "no more than 1 arguments" },
	};
	struct trit_error err;
	struct trit_jinja *t;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_failure(cases[i].source, strlen(cases[i].source), cases[i].status, cases[i].message);
	assert_int_equal(trit_jinja_new(&t, TRIT_JINJA_MAX_SOURCE + 1, "", &err), TRIT_ERR_LIMIT);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Every allocation fails once: an error, no leak (the sanitizers look), no crash. */
static void test_no_memory(void **state)
{
	static const char source[] =
		"{% macro f(a, b=[1]) %}{{ a|upper }}{{ b|tojson }}{% endmacro %}"
		"{% for m in messages %}{% set x %}{{ f(m.content, b=[m.role]) }}{% endset %}{{ x ~ 'y' * 5000 }}{% endfor %}"
		"{{ 'a,b'.split(',')|sort|join }}{{ messages[::-1] }}";
	int status = TRIT_ERR_MEMORY;

	(void)state;
	for (uint64_t n = 1; status == TRIT_ERR_MEMORY; n++) {
		struct trit_heap h;
		struct trit_error err = { 0 };
		struct trit_string out;
		struct trit_value variables, messages;

		trit_mem_fail_after(n);
		variables = no_variables(&h);
		messages = trit_value_list(&h, TRIT_VALUE_LIST);
		for (int i = 0; i < 3; i++)
			trit_chat_add(&h, messages, "user", 5, "hello");
		trit_value_set(&h, variables, "messages", messages);
		status = render(&h, source, sizeof source - 1, variables, &out, &err);
		trit_mem_fail_after(0);
		if (status < 0)
			assert_int_equal(err.status, TRIT_ERR_MEMORY);
		trit_heap_release(&h);
		assert_true(n < 1000);
	}
	assert_int_equal(status, 0);
}

/* ---- marks ------------------------------------------------------------------------------------------------------- */

/* A template over one message; the bytes that came with the message as capital X. */
static void expect_marks(const char *source, const char *content, const char *expected)
{
	struct trit_heap h;
	struct trit_error err = { 0 };
	struct trit_string out = { 0 };
	struct trit_value variables = no_variables(&h), messages = trit_value_list(&h, TRIT_VALUE_LIST);
	char shown[200];

	trit_chat_add(&h, messages, "user", strlen(content), content);
	trit_value_set(&h, variables, "messages", messages);
	trit_value_set(&h, variables, "c", trit_value_find(&h, messages.list->items[0],
	                                                   trit_value_of(trit_string_c("content")))->value);
	if (render(&h, source, strlen(source), variables, &out, &err) < 0)
		fail_msg("%s: %s", source, err.message);
	assert_true(out.len < sizeof shown);
	for (size_t i = 0; i < out.len; i++)
		shown[i] = out.marks && out.marks[i] ? 'X' : out.bytes[i];
	shown[out.len] = 0;
	assert_string_equal(shown, expected);
	trit_heap_release(&h);
}

static void test_marks(void **state)
{
	(void)state;
	expect_marks("<|a|>{{ c }}<|b|>", "hello", "<|a|>XXXXX<|b|>");
	expect_marks("{{ '<' + c|trim + '>' }}", "  ab ", "<XX>");
	expect_marks("{{ c.split(',')|join('+') }}", "a,b", "X+X");
	expect_marks("{{ c|upper ~ c[1:] ~ c[::-1] }}.", "abc", "XXXXXXXX.");
	expect_marks("{{ c|replace('b', '<|x|>') }}", "abc", "X<|x|>X");
	expect_marks("{{ {'k': c}|tojson }}", "a\"b", "{\"k\": \"XXXX\"}");
	expect_marks("{{ [c] }}", "a\nb", "['XXXX']");
	expect_marks("{% set x %}[{{ c }}]{% endset %}{{ x * 2 }}", "ab", "[XX][XX]");
	expect_marks("{{ c|indent(2) }}", "a\nb", "X\n  X");
	expect_marks("{% for ch in c %}{{ ch }}-{% endfor %}", "ab", "X-X-");
	expect_marks("{{ messages[0].role }}{{ 'yes' if c == 'ab' else 'no' }}", "ab", "useryes");
	expect_marks("{{ c|e }}{{ c.title() }}{{ '{}!'.format(c) }}", "<", "XXXXXX!");
}

/* ---- choosing a template ----------------------------------------------------------------------------------------- */

static void open_with(const char *own, const char *wanted, int status, const char *origin, bool note)
{
	struct trit_chat_template t;
	struct trit_vocab v = { .bos = -1, .eos = -1, .unk = -1, .pad = -1 };
	struct trit_error err = { 0 };

	v.chat_template = own ? trit_strndup(own, strlen(own)) : NULL;
	assert_int_equal(trit_chat_open(&t, &v, wanted, &err), status);
	if (status < 0)
		assert_non_null(strstr(err.message, origin));
	else
		assert_string_equal(t.origin, origin);
	if (status == 0) {
		assert_int_equal(t.note != NULL, note);
		assert_int_equal(t.jinja != NULL, own != NULL || wanted != NULL);
	}
	trit_chat_close(&t);
	trit_free(v.chat_template);
}

static void test_choice(void **state)
{
	static const char wrong[] = "{% for message in messages %}{% if message['role'] == 'user' %}{{ 'Human: ' + "
				    "message['content'] + '\\n\\nBITNETAssistant: ' + eos_token }}{% endif %}{% endfor %}";

	(void)state;
	open_with("{{ messages }}", NULL, 0, "the model's chat template", false);
	open_with(NULL, NULL, 0, "the model's chat template", false);
	open_with(wrong, NULL, 0, "built-in bitnet", true);
	open_with(wrong, "chatml", 0, "built-in chatml", false);
	open_with("{{", "{{ 1 }}", 0, "the given chat template", false);
	open_with("{{ 1 + }}", NULL, TRIT_ERR_FORMAT, "the model's chat template: line 1, column 8", false);
	open_with(NULL, "no-such-name", TRIT_ERR_ARG, "not the name of a built-in one", false);
	for (size_t i = 0; trit_chat_names[i]; i++)
		assert_non_null(trit_chat_builtin(trit_chat_names[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expressions), cmocka_unit_test(test_templates), cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_bounds),      cmocka_unit_test(test_changed_lists),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_filters_of_filters),   cmocka_unit_test(test_errors),
		cmocka_unit_test(test_no_memory),   cmocka_unit_test(test_marks),     cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
