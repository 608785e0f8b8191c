/*
 * chat_builtin.c - chat templates by name, for models whose file has none or a wrong one.
 *
 * Each writes what the family's own template writes for messages of the roles system, user and assistant.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "text/chat.h"

/* ChatML with the system prompt that a family puts where there is none. */
#define CHATML(system)                                                                                                 \
	system                                                                                                         \
	"{% for message in messages %}"                                                                                \
	"{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"                                  \
	"{% endfor %}"                                                                                                 \
	"{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
#define DEFAULT_SYSTEM(text)                                                                                           \
	"{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\n" text "<|im_end|>\\n' }}{% endif %}"

/* The system prompt as `system`, the other messages as `rest`. */
#define SPLIT_SYSTEM                                                                                                   \
	"{% if messages[0].role == 'system' %}"                                                                        \
	"{% set system = messages[0].content %}{% set rest = messages[1:] %}"                                          \
	"{% else %}"                                                                                                   \
	"{% set system = '' %}{% set rest = messages %}"                                                               \
	"{% endif %}"

static const char chatml[] = CHATML("");
static const char qwen[] = CHATML(
	DEFAULT_SYSTEM("You are Qwen, created by Alibaba Cloud. You are a helpful assistant."));
static const char smollm2[] = CHATML(
	DEFAULT_SYSTEM("You are a helpful AI assistant named SmolLM, trained by Hugging Face"));

static const char llama2[] =
	SPLIT_SYSTEM
	"{% if system %}{% set system = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' %}{% endif %}"
	"{% for message in rest %}"
	"{% if message.role == 'user' %}"
	"{{ bos_token + '[INST] ' + ((system if loop.first else '') + message.content) | trim + ' [/INST]' }}"
	"{% else %}"
	"{{ ' ' + message.content | trim + ' ' + eos_token }}"
	"{% endif %}"
	"{% endfor %}";

static const char llama3[] =
	"{{ bos_token }}"
	"{% for message in messages %}"
	"{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}"
	"{% endfor %}"
	"{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";

static const char mistral[] =
	SPLIT_SYSTEM
	"{{ bos_token }}"
	"{% for message in rest %}"
	"{% if message.role == 'user' %}"
	"{{ '[INST] ' + (system + '\\n\\n' if system and loop.first else '') + message.content + ' [/INST]' }}"
	"{% else %}"
	"{{ ' ' + message.content + eos_token }}"
	"{% endif %}"
	"{% endfor %}";

static const char gemma[] =
	SPLIT_SYSTEM
	"{{ bos_token }}"
	"{% for message in rest %}"
	"{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}"
	"{{ (system + '\\n\\n' if system and loop.first else '') + message.content | trim + '<end_of_turn>\\n' }}"
	"{% endfor %}"
	"{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}";

static const char zephyr[] =
	"{% for message in messages %}"
	"{{ '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}"
	"{% endfor %}"
	"{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

static const char falcon3[] =
	"{% for message in messages %}"
	"{{ '<|' + message.role + '|>\\n' + message.content }}"
	"{{ (eos_token if message.role == 'assistant' else '') + '\\n' }}"
	"{% endfor %}"
	"{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

static const char bitnet[] =
	"{{ bos_token }}"
	"{% for message in messages %}"
	"{{ message.role | capitalize + ': ' + message.content | trim + '<|eot_id|>' }}"
	"{% endfor %}"
	"{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

static const char alpaca[] =
	SPLIT_SYSTEM
	"{{ (system or 'Below is an instruction that describes a task. Write a response that appropriately completes the "
	"request.') + '\\n\\n' }}"
	"{% for message in rest %}"
	"{{ ('### Response:\\n' if message.role == 'assistant' else '### Instruction:\\n') + message.content }}"
	"{{ (eos_token if message.role == 'assistant' else '') + '\\n\\n' }}"
	"{% endfor %}"
	"{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}";

static const char plain[] =
	"{% for message in messages %}"
	"{{ message.role | capitalize + ': ' + message.content + '\\n' }}"
	"{% endfor %}"
	"{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";

const char *const trit_chat_names[] = { "alpaca", "bitnet", "chatml", "falcon3", "gemma", "llama2", "llama3", "mistral",
	                                "plain", "qwen", "smollm2", "stablelm", "zephyr", NULL };
static const char *const sources[] = { alpaca, bitnet, chatml, falcon3, gemma, llama2, llama3, mistral,
	                               plain, qwen, smollm2, zephyr, zephyr };

const char *trit_chat_builtin(const char *name)
{
	for (size_t i = 0; trit_chat_names[i]; i++)
		if (strcmp(trit_chat_names[i], name) == 0)
			return sources[i];
	return NULL;
}
