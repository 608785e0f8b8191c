/*
 * cmd_data.c - trit data: text to token shards, and what is in them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cli/cmd.h"
#include "cli/progress.h"

#include "base/clock.h"
#include "base/mem.h"
#include "train/data_stats.h"

struct data_options {
	struct trit_prepare_settings settings;
	struct trit_data_folder_options folder;
	const char *out, *stats;
	int dedup_memory; /* MiB */
	uint64_t min_chars, max_chars;
	bool json;
	size_t n_paths;
	char **paths;
};

static int parse(struct data_options *o, int argc, char **argv)
{
	*o = (struct data_options){ .settings = trit_prepare_defaults(), .folder.n_vocab = 4096, .dedup_memory = 1024 };
	struct trit_prepare_settings *s = &o->settings;
	s->dedup = TRIT_DEDUP_EXACT;
	s->clean.field = "text";
	struct trit_opt options[] = {
		{ 'o', "out", TRIT_OPT_STRING, &o->out, .metavar = "DIR", .help = "folder to make" },
		{ 0, "tokenizer", TRIT_OPT_STRING, &o->folder.tokenizer, .metavar = "FILE|DIR",
		  .help = "take the vocabulary from a model, a tokenizer or prepared data instead of learning one" },
		{ 0, "vocab-size", TRIT_OPT_INT, &o->folder.n_vocab, .min = 257, .max = TRIT_MAX_VOCAB, .metavar = "N",
		  .help = "tokens to learn" },
		{ 0, "val-share", TRIT_OPT_FLOAT, &s->val_share, .min = 0, .max = 0.5, .metavar = "X",
		  .help = "share of the documents held out for validation" },
		{ 0, "force", TRIT_OPT_FLAG, &o->folder.force, .help = "replace prepared data in DIR" },
		TRIT_ROW_THREADS(s->n_threads),
		{ .type = TRIT_OPT_HEADING, .help = "What a document is" },
		{ 0, "documents", TRIT_OPT_CHOICE, &s->documents, .metavar = "HOW", .choices = trit_documents_names,
		  .help = "where one ends: at a line <|endoftext|> (mark), at blank lines, with its file, or each is a line "
		          "of JSON; auto: jsonl for files named .jsonl, else mark" },
		{ 0, "field", TRIT_OPT_STRING, &s->clean.field, .metavar = "NAME",
		  .help = "of JSON, the member that is the text; a.b is b in a" },
		{ 0, "invalid", TRIT_OPT_CHOICE, &s->clean.invalid, .metavar = "HOW", .choices = trit_invalid_names,
		  .help = "bytes that are not UTF-8, lines that are no JSON: an error; replaced by U+FFFD (bytes only); "
		          "skip leaves the document out" },
		{ 0, "keep-crlf", TRIT_OPT_FLAG, &s->clean.keep_crlf, .help = "keep CR LF; without it they become LF" },
		{ 0, "nfc", TRIT_OPT_FLAG, &s->clean.nfc, .help = "normalise to Unicode's NFC" },
		{ 0, "min-chars", TRIT_OPT_UINT64, &o->min_chars, .metavar = "N", .help = "leave out shorter documents" },
		{ 0, "max-chars", TRIT_OPT_UINT64, &o->max_chars, .metavar = "N", .help = "leave out longer ones",
		  .shown = "" },
		{ .type = TRIT_OPT_HEADING, .help = "Duplicates" },
		{ 0, "dedup", TRIT_OPT_CHOICE, &s->dedup, .metavar = "HOW", .choices = trit_dedup_names,
		  .help = "exact: those that differ in case and white space only; near: also those that share most runs "
		          "of five words; the first one stays" },
		{ 0, "likeness", TRIT_OPT_FLOAT, &s->likeness, .min = 0.1, .max = 1, .metavar = "X",
		  .help = "of near duplicates: the share of runs they have in common" },
		{ 0, "dedup-memory", TRIT_OPT_INT, &o->dedup_memory, .min = 4, .max = 1 << 30, .metavar = "MIB",
		  .help = "for near duplicates; when it is full the oldest documents are forgotten" },
		{ .type = TRIT_OPT_HEADING, .help = "Instead of preparing" },
		{ 0, "stats", TRIT_OPT_STRING, &o->stats, .metavar = "DIR",
		  .help = "check prepared data, and say what is in it" },
		{ 0, "json", TRIT_OPT_FLAG, &o->json, .help = "as JSON" },
	};
	struct trit_opt_table table = {
		.command = "data",
		.usage = "FILE|DIR... --out DIR [OPTIONS] | --stats DIR [--json]",
		.about =
			"Turns text into token shards that trit train --data DIR uses as they are: plain text or JSON lines, also\n"
			"packed by gzip or zstd, and folders of them. What is held out for validation a document's text decides.\n"
			"The same text and options give the same bytes. DIR appears when it is complete.",
		.options = options,
		.n_options = TRIT_N(options),
		.max_args = 1 << 20,
	};
	int status = trit_opt_parse(&table, argc, argv);
	if (status >= 0)
		return status;
	s->clean.min_chars = o->min_chars;
	s->clean.max_chars = o->max_chars;
	s->dedup_bytes = (uint64_t)o->dedup_memory << 20;
	o->paths = table.args;
	o->n_paths = (size_t)table.n_args;
	if (o->stats)
		return !o->n_paths && !o->out ? -1
		                              : trit_opt_error(&table, "--stats looks at prepared data; leave the rest out");
	if (!o->n_paths)
		return trit_opt_error(&table, "no text: name files or folders");
	if (!o->out)
		return trit_opt_error(&table, "--out DIR is missing: the folder to make");
	if (s->clean.max_chars && s->clean.max_chars < s->clean.min_chars)
		return trit_opt_error(&table, "--max-chars is below --min-chars: nothing would be left");
	return -1;
}

/* ---- preparing --------------------------------------------------------------------------------------------------- */

static struct trit_prepare_count add_counts(const struct trit_prepare_report *r)
{
	struct trit_prepare_count sum = { 0 };
	for (size_t i = 0; i < r->n; i++) {
		sum.files += r->counts[i].files;
		sum.bytes += r->counts[i].bytes;
		sum.tokens += r->counts[i].tokens;
		sum.val_tokens += r->counts[i].val_tokens;
		for (int k = 0; k < TRIT_N_FATES; k++)
			sum.fates[k] += r->counts[i].fates[k];
	}
	return sum;
}

/* ", 12 duplicates, 3 empty": what was left out. */
static void put_left_out(const uint64_t fates[TRIT_N_FATES])
{
	for (int i = TRIT_FATE_EMPTY; i < TRIT_N_FATES; i++)
		if (fates[i])
			trit_outf(", %llu %s", (unsigned long long)fates[i], trit_fate_names[i]);
}

static int prepare(struct data_options *o)
{
	struct trit_progress_bar bar;
	struct trit_prepare_report report;
	struct trit_error err;
	char tokens[TRIT_NUMBER_BYTES], bytes[TRIT_NUMBER_BYTES];
	trit_interrupt_catch();
	trit_progress_init(&bar);
	o->settings.progress = trit_progress_show;
	o->settings.progress_arg = &bar;
	double begin = trit_clock();
	int e = trit_data_folder_make(o->out, o->n_paths, o->paths, &o->settings, &o->folder, &report, &err);
	double seconds = trit_clock() - begin;
	struct trit_prepare_count sum = add_counts(&report);
	uint64_t forgotten = report.forgotten;
	trit_prepare_report_release(&report);
	trit_progress_end(&bar);
	if (e) {
		trit_cmd_fail("data", &err);
		return trit_interrupts ? 130 : 1;
	}
	trit_outf("%s: %llu documents", o->out, (unsigned long long)sum.fates[TRIT_FATE_KEPT]);
	put_left_out(sum.fates);
	trit_outf("\n%s tokens from %s of text, %.2f bytes a token, %.2f %% held out; %.1f MB/s\n",
	          trit_text_count(tokens, (double)sum.tokens), trit_text_bytes(bytes, (double)sum.bytes),
	          (double)sum.bytes / (double)(sum.tokens ? sum.tokens : 1),
	          100.0 * (double)sum.val_tokens / (double)(sum.tokens ? sum.tokens : 1),
	          (double)sum.bytes / 1e6 / (seconds > 1e-3 ? seconds : 1e-3));
	if (sum.tokens && !sum.val_tokens && o->settings.val_share > 0)
		trit_cmd_note("data", "too little text to hold some out; --val-share raises the share");
	if (forgotten)
		trit_cmd_note("data", "%llu documents were forgotten before the end, so near duplicates of them may have "
		                      "stayed; --dedup-memory raises the bound", (unsigned long long)forgotten);
	return trit_out_finish("data", 0);
}

/* ---- statistics -------------------------------------------------------------------------------------------------- */

static uint64_t sum_fates(const uint64_t fates[TRIT_N_FATES])
{
	uint64_t n = 0;
	for (int i = 0; i < TRIT_N_FATES; i++)
		n += fates[i];
	return n;
}

static void put_token(const struct trit_data_stats *s, trit_token id)
{
	size_t len;
	const char *text = trit_decode_token(s->tokenizer, id, &len);
	if (!len) { /* a special token: its name */
		text = trit_tokenizer_vocab(s->tokenizer)->pieces[id].text;
		len = trit_tokenizer_vocab(s->tokenizer)->pieces[id].len;
	}
	trit_out_json(len, text);
}

static void put_stats_text(const struct trit_data_stats *s)
{
	uint64_t all = s->tokens + s->val_tokens, read = 0, twice = 0, bytes = 0;
	for (size_t i = 0; i < s->n_sources; i++) {
		read += sum_fates(s->sources[i].fates);
		twice += s->sources[i].fates[TRIT_FATE_DUPLICATE] + s->sources[i].fates[TRIT_FATE_NEAR_DUPLICATE];
		bytes += s->sources[i].bytes;
	}
	trit_outf("tokens       %llu for training, %llu held out, in %d shards\n", (unsigned long long)s->tokens,
	          (unsigned long long)s->val_tokens, s->n_shards);
	trit_outf("text         %llu bytes, %.3f bytes a token\n", (unsigned long long)bytes,
	          all ? (double)bytes / (double)all : 0);
	trit_outf("vocabulary   %d tokens, %d of them used\n", s->n_vocab, s->n_used);
	trit_outf("duplicates   %.2f %% of the documents read\n", read ? 100.0 * (double)twice / (double)read : 0);
	trit_outf("documents    %llu, in %llu runs without a gap (long ones have parts held out); runs by tokens:\n",
	          (unsigned long long)s->documents, (unsigned long long)s->n_runs);
	for (int i = 0; i < TRIT_STATS_LENGTHS; i++)
		if (s->lengths[i])
			trit_outf("  %10llu ..  %-10llu  %llu\n", 1ull << i, (2ull << i) - 1, (unsigned long long)s->lengths[i]);
	trit_outf("most frequent tokens:\n");
	for (int i = 0; i < s->n_top; i++) {
		trit_outf("  %6.2f %%  ", 100.0 * (double)s->top[i].count / (double)all);
		put_token(s, s->top[i].id);
		trit_outf("\n");
	}
	trit_outf("sources:\n");
	for (size_t i = 0; i < s->n_sources; i++) {
		const struct trit_stats_source *c = &s->sources[i];
		trit_outf("  ");
		trit_out_text(strlen(c->path), c->path);
		trit_outf(": %llu files, %llu documents, %llu bytes, %llu tokens (%.1f %%)", (unsigned long long)c->files,
		          (unsigned long long)c->fates[TRIT_FATE_KEPT], (unsigned long long)c->bytes,
		          (unsigned long long)c->tokens, all ? 100.0 * (double)c->tokens / (double)all : 0);
		put_left_out(c->fates);
		trit_outf("\n");
	}
}

static void put_stats_json(const struct trit_data_stats *s)
{
	trit_outf("{\"tokens\": %llu, \"val_tokens\": %llu, \"shards\": %d, \"vocabulary\": %d, \"used\": %d, "
	          "\"documents\": %llu, \"runs\": %llu,\n \"lengths\": {", (unsigned long long)s->tokens,
	          (unsigned long long)s->val_tokens, s->n_shards, s->n_vocab, s->n_used, (unsigned long long)s->documents,
	          (unsigned long long)s->n_runs);
	for (int i = 0, n = 0; i < TRIT_STATS_LENGTHS; i++)
		if (s->lengths[i])
			trit_outf("%s\"%llu\": %llu", n++ ? ", " : "", 1ull << i, (unsigned long long)s->lengths[i]);
	trit_outf("},\n \"top\": [");
	for (int i = 0; i < s->n_top; i++) {
		trit_outf("%s{\"id\": %d, \"count\": %llu, \"text\": ", i ? ", " : "", (int)s->top[i].id,
		          (unsigned long long)s->top[i].count);
		put_token(s, s->top[i].id);
		trit_outf("}");
	}
	trit_outf("],\n \"sources\": [");
	for (size_t i = 0; i < s->n_sources; i++) {
		const struct trit_stats_source *c = &s->sources[i];
		trit_outf("%s\n  {\"path\": ", i ? "," : "");
		trit_out_json(strlen(c->path), c->path);
		trit_outf(", \"files\": %llu, \"bytes\": %llu, \"tokens\": %llu, \"val_tokens\": %llu, \"documents\": {",
		          (unsigned long long)c->files, (unsigned long long)c->bytes, (unsigned long long)c->tokens,
		          (unsigned long long)c->val_tokens);
		for (int k = 0; k < TRIT_N_FATES; k++)
			trit_outf("%s\"%s\": %llu", k ? ", " : "", trit_fate_names[k], (unsigned long long)c->fates[k]);
		trit_outf("}}");
	}
	trit_outf("]}\n");
}

static int stats(const struct data_options *o)
{
	struct trit_progress_bar bar;
	struct trit_data_stats s;
	struct trit_error err;
	trit_interrupt_catch();
	trit_progress_init(&bar);
	int e = trit_data_stats_read(&s, o->stats, trit_progress_show, &bar, &err);
	trit_progress_end(&bar);
	if (e) {
		trit_cmd_fail("data", &err);
		return trit_interrupts ? 130 : 1;
	}
	if (o->json)
		put_stats_json(&s);
	else
		put_stats_text(&s);
	trit_data_stats_release(&s);
	return trit_out_finish("data", 0);
}

int trit_cmd_data(int argc, char **argv)
{
	struct data_options o;
	int status = parse(&o, argc, argv);
	if (status >= 0)
		return status;
	return o.stats ? stats(&o) : prepare(&o);
}
