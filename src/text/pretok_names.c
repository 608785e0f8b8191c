/*
 * pretok_names.c - the table of pre-tokenisers that have a name in GGUF files.
 *
 * The expressions are the ones the models' makers published, in their own dialect (text/regex translates it), so that
 * the stages of a tokenizer.json can be looked up here.
 *
 * References: Radford et al. 2019 (GPT-2's encoder.py); the tokenizer.json of Llama 3, Qwen 2 and 3.5, SmolLM,
 * StarCoder, Falcon, BLOOM, DeepSeek LLM, Coder and V3, Mistral Nemo; tiktoken's o200k_base;
 * tokenization_kimi.py of Kimi K2. The names, and what "default" means, are llama.cpp's; falcon_e is bitnet.cpp's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "text/pretok.h"
#include "text/pretok_names.h"

/* The last space of a run goes with the word that follows. */
#define SPACES "\\s+(?!\\S)|\\s+"
#define SHORT_FORMS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LLAMA3_WITH(digits) \
	SHORT_FORMS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|" SPACES
#define QWEN35 \
	SHORT_FORMS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" \
	"|\\s*[\\r\\n]+|" SPACES
/* Words in camel case are cut; capital letters, then small ones. */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED_WITH(short_forms, digits) \
	"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" short_forms "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" short_forms \
	"|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|" SPACES
/* The same without Chinese characters, which are words of their own; the makers write [...&&[^\p{Han}]]. */
#define KIMI_UPPER "(?:(?!\\p{Han})" UPPER ")"
#define KIMI_LOWER "(?:(?!\\p{Han})" LOWER ")"
#define KIMI \
	"\\p{Han}+|[^\\r\\n\\p{L}\\p{N}]?" KIMI_UPPER "*" KIMI_LOWER "+" SHORT_FORMS "?|[^\\r\\n\\p{L}\\p{N}]?" \
	KIMI_UPPER "+" KIMI_LOWER "*" SHORT_FORMS "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|" SPACES
#define PUNCTUATION TRIT_PUNCTUATION "+"
#define BLOOM " ?[^(\\s|[.,!?…。，、।۔،])]+"
#define CJK "[一-龥぀-ゟ゠-ヿ]+"
#define DEEPSEEK3 \
	"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+" \
	"| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|" SPACES
/* Letters of alphabets that have two cases. */
#define CASED_LETTERS \
	"A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ" \
	"-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰" \
	"-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"

#define TILE(expression) { .pattern = expression, .behavior = TRIT_SPLIT_ISOLATED, .tiles = true }
#define ISOLATE(expression) { .pattern = expression, .behavior = TRIT_SPLIT_ISOLATED }
#define ISOLATE_BYTES(expression) { .pattern = expression, .behavior = TRIT_SPLIT_ISOLATED, .bytes = true }
#define END { .pattern = NULL }

static const struct trit_split gpt2[] = { TILE(TRIT_GPT2_SPLIT), END };
static const struct trit_split llama3[] = { TILE(LLAMA3_WITH("\\p{N}{1,3}")), END };
static const struct trit_split qwen2[] = { TILE(LLAMA3_WITH("\\p{N}")), END };
static const struct trit_split qwen35[] = { TILE(QWEN35), END };
static const struct trit_split tekken[] = { TILE(CASED_WITH("", "\\p{N}")), END };
static const struct trit_split gpt4o[] = { TILE(CASED_WITH(SHORT_FORMS "?", "\\p{N}{1,3}")), END };
static const struct trit_split kimi[] = { TILE(KIMI), END };
static const struct trit_split smollm[] = { ISOLATE("\\p{N}"), TILE(TRIT_GPT2_SPLIT), END };
static const struct trit_split falcon[] = {
	ISOLATE(PUNCTUATION), TILE(TRIT_GPT2_SPLIT), ISOLATE_BYTES(TRIT_DIGIT_BYTES "+"), ISOLATE_BYTES("[0-9][0-9][0-9]"),
	END
};
static const struct trit_split bloom[] = { ISOLATE(BLOOM), END };
static const struct trit_split viking[] = { ISOLATE(BLOOM), ISOLATE("\\p{N}"), END };
static const struct trit_split deepseek_llm[] = {
	ISOLATE("[\\r\\n]"), ISOLATE("\\s?[" CASED_LETTERS "]+"), ISOLATE("\\s?[!-/:-~！-／：-～‘-‟　-。]+"), ISOLATE("\\s+$"),
	ISOLATE("[一-龥ࠀ-一가-퟿]+"), ISOLATE("\\p{N}+"), END
};
static const struct trit_split deepseek_coder[] = {
	ISOLATE("[\\r\\n]"), ISOLATE("\\s?\\p{L}+"), ISOLATE("\\s?\\p{P}+"), ISOLATE("[一-龥ࠀ-一가-퟿]+"), ISOLATE("\\p{N}"), END
};
static const struct trit_split deepseek3[] = { ISOLATE("\\p{N}{1,3}"), ISOLATE(CJK), ISOLATE(DEEPSEEK3), END };
static const struct trit_split unnamed[] = { ISOLATE("[\\p{P}$+<=>^~|]+"), TILE(TRIT_GPT2_SPLIT), ISOLATE("\\p{N}+"),
	                                     ISOLATE("[0-9][0-9][0-9]"), END };

#define WHOLE TRIT_PRETOK_WHOLE_WORDS
#define NFC TRIT_PRETOK_NFC
#define BOS TRIT_PRETOK_BOS

/* Where several names say the same, the first is the one that is written. */
static const struct trit_pretok_row rows[] = {
	{ "gpt-2", 0, gpt2 },
	{ "phi-2", 0, gpt2 },
	{ "jais", 0, gpt2 },
	{ "exaone4", 0, gpt2 },
	{ "trillion", 0, gpt2 },
	{ "olmo", NFC, gpt2 },
	{ "mpt", NFC, gpt2 },
	{ "modern-bert", NFC, gpt2 },
	{ "llama-bpe", WHOLE | BOS, llama3 },
	{ "llama3", WHOLE | BOS, llama3 },
	{ "llama-v3", WHOLE | BOS, llama3 },
	{ "falcon3", WHOLE | BOS, llama3 },
	{ "falcon_e", WHOLE | BOS, llama3 },
	{ "falcon-h1", WHOLE | BOS, llama3 },
	{ "pixtral", WHOLE | BOS, llama3 },
	{ "lfm2", WHOLE | BOS, llama3 },
	{ "glm4", WHOLE, llama3 },
	{ "smaug-bpe", 0, llama3 },
	{ "dbrx", 0, llama3 },
	{ "chatglm-bpe", 0, llama3 },
	{ "qwen2", NFC, qwen2 },
	{ "stablelm2", NFC, qwen2 },
	{ "megrez", NFC, qwen2 },
	{ "deepseek-r1-qwen", 0, qwen2 },
	{ "hunyuan", 0, qwen2 },
	{ "grok-2", 0, qwen2 },
	{ "qwen35", 0, qwen35 },
	{ "tekken", WHOLE | BOS, tekken },
	{ "gpt-4o", 0, gpt4o },
	{ "llama4", 0, gpt4o },
	{ "kimi-k2", 0, kimi },
	{ "smollm", 0, smollm },
	{ "starcoder", 0, smollm },
	{ "refact", 0, smollm },
	{ "codeshell", 0, smollm },
	{ "exaone", 0, smollm },
	{ "minerva-7b", 0, smollm },
	{ "command-r", NFC, smollm },
	{ "falcon", 0, falcon },
	{ "bloom", 0, bloom },
	{ "gpt3-finnish", 0, bloom },
	{ "poro-chat", 0, bloom },
	{ "viking", 0, viking },
	{ "deepseek-llm", 0, deepseek_llm },
	{ "deepseek-coder", 0, deepseek_coder },
	{ "deepseek-v3", 0, deepseek3 },
	{ "default", 0, unnamed },
};

#define N_ROWS (sizeof rows / sizeof *rows)

const struct trit_pretok_row *trit_pretok_find_row(const char *name, struct trit_error *err)
{
	char list[360]; /* with the rest of the message in a struct trit_error */
	size_t used = 0;

	for (size_t i = 0; i < N_ROWS; i++) {
		int n;

		if (!strcmp(rows[i].name, name))
			return &rows[i];
		n = snprintf(list + used, sizeof list - used, "%s%s", i ? " " : "", rows[i].name);
		used += used + (size_t)n < sizeof list ? (size_t)n : 0;
	}
	trit_fail(err, TRIT_ERR_UNSUPPORTED,
	          "pre-tokenizer \"%.40s\" is unknown; if there is a tokenizer.json of the model, name that. Known are: "
	          "%.*s ...", name, (int)used, list);
	return NULL;
}

unsigned trit_pretok_traits(const char *name)
{
	const struct trit_pretok_row *row = trit_pretok_find_row(name, NULL);

	return row ? row->traits : 0;
}

/* Takes one sign off an expression: a character, or an escape. Line ends are written either way. */
static unsigned next_sign(const char **at)
{
	static const char escaped[] = "nrt", plain[] = "\n\r\t";
	unsigned c = (unsigned char)*(*at)++;
	const char *place;

	if (c != '\\' || !**at)
		return c;
	place = strchr(escaped, **at);
	c = place ? (unsigned char)plain[place - escaped] : 256 + (unsigned char)**at;
	(*at)++;
	return c;
}

static bool same_expression(const char *a, const char *b)
{
	while (*a && *b)
		if (next_sign(&a) != next_sign(&b))
			return false;
	return !*a && !*b;
}

/* Whether stage b does what stage a of the table does. Where matches tile the text, removing what lies between them
 * changes nothing. */
static bool same_stage(const struct trit_split *a, const struct trit_split *b)
{
	bool isolates = b->behavior == TRIT_SPLIT_ISOLATED && !b->invert;
	bool keeps = b->behavior == TRIT_SPLIT_REMOVED && b->invert;

	return same_expression(a->pattern, b->pattern) && (isolates || (keeps && a->tiles)) && a->bytes == b->bytes;
}

static bool same_stages(const struct trit_split *a, int n, const struct trit_split *b)
{
	int i = 0;

	while (a[i].pattern && i < n && same_stage(&a[i], &b[i]))
		i++;
	return !a[i].pattern && i == n;
}

const char *trit_pretok_name(int n, const struct trit_split *splits, unsigned traits)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if ((rows[i].traits & ~(unsigned)BOS) == traits && same_stages(rows[i].splits, n, splits))
			return rows[i].name;
	return NULL;
}
