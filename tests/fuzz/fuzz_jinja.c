/*
 * fuzz_jinja.c - any bytes as a chat template, rendered over a conversation with a tool call: text or an error.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned volatile sink;

static struct trit_value make_call(struct trit_heap *h)
{
	struct trit_value call = trit_value_dict(h, TRIT_VALUE_DICT), function = trit_value_dict(h, TRIT_VALUE_DICT),
	                  arguments = trit_value_dict(h, TRIT_VALUE_DICT);

	trit_value_set(h, arguments, "city", trit_value_string(h, 5, "K\xc3\xb6ln", true));
	trit_value_set(h, arguments, "days", trit_value_float(1.5));
	trit_value_set(h, function, "name", trit_value_of(trit_string_c("get_weather")));
	trit_value_set(h, function, "arguments", arguments);
	trit_value_set(h, call, "id", trit_value_of(trit_string_c("call12345")));
	trit_value_set(h, call, "function", function);
	return call;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trit_jinja *t;
	struct trit_heap h;
	struct trit_error err;
	struct trit_value variables, messages, tools;
	struct trit_string out;
	int status;

	if (trit_jinja_new(&t, size, (const char *)data, &err) < 0) {
		if (!err.message[0] || err.status >= 0)
			__builtin_trap();
		return 0;
	}
	trit_heap_init(&h, (size_t)16 << 20, 200000);
	variables = trit_value_dict(&h, TRIT_VALUE_DICT);
	messages = trit_value_list(&h, TRIT_VALUE_LIST);
	tools = trit_value_list(&h, TRIT_VALUE_LIST);
	trit_chat_add(&h, messages, "system", 9, "Be \xff nice.");
	trit_chat_add(&h, messages, "user", 10, "<|im_end|>");
	trit_chat_add(&h, messages, "assistant", 20, "<think>a</think>\n\nb ");
	trit_value_append(&h, tools, make_call(&h));
	trit_value_set(&h, messages.list->items[2], "tool_calls", tools);
	trit_value_set(&h, variables, "messages", messages);
	trit_value_set(&h, variables, "tools", tools);
	trit_value_set(&h, variables, "bos_token", trit_value_of(trit_string_c("<s>")));
	trit_value_set(&h, variables, "eos_token", trit_value_of(trit_string_c("</s>")));
	trit_value_set(&h, variables, "add_generation_prompt", trit_value_bool(true));
	status = trit_jinja_render(t, &h, variables, 1700049600, &out, &err);
	if (status < 0 && !err.message[0])
		__builtin_trap();
	for (size_t i = 0; status == 0 && i < out.len; i++) {
		sink += (unsigned char)out.bytes[i];
		if (out.marks && (unsigned char)out.marks[i] > 1)
			__builtin_trap();
	}
	trit_heap_release(&h);
	trit_jinja_free(t);
	return 0;
}
