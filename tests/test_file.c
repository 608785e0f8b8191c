/*
 * test_file.c - mappings, reading, directories, and above all the writer: whatever goes wrong, the target is what it
 * was before and nothing is left beside it.
 *
 * Runs in a directory of its own below the current one.
 *
 * SPDX-License-Identifier: MIT
 */
#define TRIT_MAY_PRINT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"

#define BIG 300000 /* bytes: several of the writer's buffers */

static char directory[] = "test_file.XXXXXX";
static unsigned char big[BIG];

/* ---- helpers ---------------------------------------------------------------------------------------------------- */

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void check_file(const char *path, size_t len, const void *bytes)
{
	struct trit_error err;
	struct trit_map m;

	assert_int_equal(trit_map_open(&m, path, &err), 0);
	assert_int_equal(m.size, len);
	assert_memory_equal(m.data, bytes, len);
	trit_map_close(&m);
}

/* How many files the directory holds: temporary files left behind would show. */
static int count_files(void)
{
	DIR *dir = opendir(".");
	struct dirent *e;
	int n = 0;

	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static int remove_files(void **state)
{
	DIR *dir = opendir(".");
	struct dirent *e;

	(void)state;
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.' && unlink(e->d_name) < 0)
			rmdir(e->d_name);
	closedir(dir);
	return 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static void test_map(void **state)
{
	struct trit_error err;
	struct trit_map m = { 0 };

	(void)state;
	put_file("a", "hello");
	check_file("a", 5, "hello");
	put_file("empty", "");
	assert_int_equal(trit_map_open(&m, "empty", &err), 0);
	assert_non_null(m.data);
	assert_int_equal(m.size, 0);
	trit_map_close(&m);
	trit_map_close(&m);
	trit_map_close(NULL);
	assert_int_equal(trit_map_open(&m, "missing", &err), TRIT_ERR_IO);
	assert_string_equal(err.message, "missing: cannot open: No such file or directory");
	assert_int_equal(trit_map_open(&m, ".", &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "directory"));
	assert_int_equal(trit_map_open(&m, "/dev/null", &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "not a regular file"));
}

static void test_read(void **state)
{
	struct trit_error err;
	struct trit_buf b;

	(void)state;
	trit_buf_init(&b, 100);
	put_file("a", "hello");
	assert_int_equal(trit_file_read(&b, "a", &err), 0);
	assert_int_equal(trit_file_read(&b, "a", &err), 0);
	assert_string_equal(b.data, "hellohello");
	assert_int_equal(trit_file_read(&b, "missing", &err), TRIT_ERR_IO);
	assert_int_equal(trit_file_read(&b, ".", &err), TRIT_ERR_IO);
	assert_int_equal(trit_file_read(&b, "/dev/zero", &err), TRIT_ERR_LIMIT);
	assert_non_null(strstr(err.message, "/dev/zero"));
	assert_string_equal(b.data, "hellohello");
	trit_mem_fail_after(1);
	assert_int_equal(trit_file_read(&b, "a", &err), TRIT_ERR_MEMORY);
	trit_mem_fail_after(0);
	trit_buf_release(&b);
}

static void test_read_input(void **state)
{
	struct trit_error err;
	struct trit_buf b;
	int saved = dup(STDIN_FILENO), ends[2];

	(void)state;
	trit_buf_init(&b, 100);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "piped\0x", 7), 7);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	assert_int_equal(trit_file_read(&b, "-", &err), 0);
	assert_int_equal(b.len, 7);
	assert_memory_equal(b.data, "piped\0x", 7);
	dup2(saved, STDIN_FILENO);
	close(saved);
	trit_buf_release(&b);
}

/* ---- directories ------------------------------------------------------------------------------------------------ */

static void test_make_dirs(void **state)
{
	struct trit_error err;

	(void)state;
	assert_int_equal(trit_make_dirs("d/e//f/", &err), 0);
	assert_int_equal(trit_path_kind("d/e/f"), 1);
	assert_int_equal(trit_make_dirs("d/e/f", &err), 0);
	assert_int_equal(trit_make_dirs(".", &err), 0);
	assert_int_equal(trit_make_dirs("/", &err), 0);
	assert_int_equal(trit_make_dirs("", &err), TRIT_ERR_ARG);
	put_file("d/file", "");
	assert_int_equal(trit_path_kind("d/file"), 0);
	assert_int_equal(trit_path_kind("d/none"), -1);
	assert_int_equal(trit_make_dirs("d/file/x", &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "d/file: a file of this name is in the way"));
	assert_int_equal(trit_make_dirs("/proc/none/x", &err), TRIT_ERR_IO);
	trit_mem_fail_after(1);
	assert_int_equal(trit_make_dirs("d", &err), TRIT_ERR_MEMORY);
	trit_mem_fail_after(0);
	unlink("d/file");
	rmdir("d/e/f");
	rmdir("d/e");
	assert_int_equal(rmdir("d"), 0);
}

static void test_free_space(void **state)
{
	uint64_t n = trit_free_space(".");

	(void)state;
	assert_true(n < UINT64_MAX);
	assert_true(trit_free_space("missing") == UINT64_MAX);
}

/* ---- writer ----------------------------------------------------------------------------------------------------- */

static void test_writer(void **state)
{
	struct trit_error err;
	struct trit_writer w;

	(void)state;
	assert_int_equal(trit_writer_open(&w, "out", &err), 0);
	assert_int_equal(trit_path_kind("out"), -1); /* not before commit */
	assert_int_equal(trit_writer_write(&w, 5, "hello", &err), 0);
	assert_int_equal(trit_writer_pad(&w, 8, &err), 0);
	assert_int_equal(trit_writer_pad(&w, 8, &err), 0);
	assert_int_equal(w.position, 8);
	assert_int_equal(trit_writer_write(&w, 0, NULL, &err), 0);
	assert_int_equal(trit_path_kind("out"), -1);
	assert_int_equal(trit_writer_commit(&w, &err), 0);
	check_file("out", 8, "hello\0\0\0");
	assert_int_equal(count_files(), 1);
	trit_writer_close(&w);
	trit_writer_close(NULL);
	w = (struct trit_writer){ 0 };
	trit_writer_close(&w); /* a zeroed one: must not close descriptor 0 */
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0 || errno == EBADF);
}

/* Pieces of many sizes round the buffer's, then every place overwritten: in the file, in the buffer, across both. */
static void test_writer_sizes(void **state)
{
	static const size_t sizes[] = { 1, 65535, 65536, 65537, 3, 100000, 2 };
	struct trit_error err;
	struct trit_writer w;
	unsigned char *copy = trit_calloc(BIG, 1);
	size_t at = 0;

	(void)state;
	memcpy(copy, big, BIG);
	assert_int_equal(trit_writer_open(&w, "out", &err), 0);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		assert_int_equal(trit_writer_write(&w, sizes[i], big + at, &err), 0);
		at += sizes[i];
		assert_int_equal(w.position, at);
	}
	assert_true(at < BIG);
	assert_true(w.held > 0 && w.held < 100);
	for (size_t p = 0; p + 40 <= at; p += p < at - 300 ? 997 : 1) {
		memset(copy + p, (int)p, 40);
		assert_int_equal(trit_writer_patch(&w, p, 40, copy + p, &err), 0);
	}
	memset(copy + 5, 7, at - 10);
	assert_int_equal(trit_writer_patch(&w, 5, at - 10, copy + 5, &err), 0);
	assert_int_equal(trit_writer_patch(&w, at - 1, 2, "xx", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_writer_patch(&w, at + 1, 0, "", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_writer_patch(&w, UINT64_MAX, 2, "xx", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_writer_patch(&w, at, 0, "", &err), 0);
	assert_int_equal(trit_writer_pad(&w, 4096, &err), 0);
	assert_int_equal(w.position % 4096, 0);
	assert_int_equal(trit_writer_commit(&w, &err), 0);
	struct trit_map m;
	assert_int_equal(trit_map_open(&m, "out", &err), 0);
	assert_memory_equal(m.data, copy, at);
	for (size_t i = at; i < m.size; i++)
		assert_int_equal(m.data[i], 0);
	trit_map_close(&m);
	trit_free(copy);
}

static void test_writer_replaces(void **state)
{
	struct trit_error err;
	struct trit_writer w;

	(void)state;
	put_file("out", "old");
	chmod("out", 0640);
	assert_int_equal(trit_writer_open(&w, "out", &err), 0);
	assert_int_equal(trit_writer_write(&w, BIG, big, &err), 0);
	check_file("out", 3, "old");
	trit_writer_close(&w); /* no commit */
	check_file("out", 3, "old");
	assert_int_equal(count_files(), 1);
	assert_int_equal(trit_writer_open(&w, "out", &err), 0);
	assert_int_equal(trit_writer_write(&w, 3, "new", &err), 0);
	assert_int_equal(trit_writer_commit(&w, &err), 0);
	check_file("out", 3, "new");
	assert_int_equal(mode_of("out"), 0640);
	assert_int_equal(count_files(), 1);
}

static void test_writer_mode(void **state)
{
	struct trit_error err;
	struct trit_writer w;
	mode_t before = umask(0027);

	(void)state;
	assert_int_equal(trit_writer_open(&w, "out", &err), 0);
	assert_int_equal(trit_writer_commit(&w, &err), 0);
	assert_int_equal(mode_of("out"), 0640);
	umask(before);
}

static void test_writer_link(void **state)
{
	struct trit_error err;
	struct trit_writer w;
	struct stat st;

	(void)state;
	put_file("target", "old");
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(trit_writer_open(&w, "link", &err), 0);
	assert_int_equal(trit_writer_write(&w, 3, "new", &err), 0);
	assert_int_equal(trit_writer_commit(&w, &err), 0);
	check_file("target", 3, "new");
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

/* Two writers of one target, and a temporary file that a killed process left: both in the way of the usual name. */
static void test_writer_names(void **state)
{
	struct trit_error err;
	struct trit_writer a, b;

	(void)state;
	assert_int_equal(trit_writer_open(&a, "out", &err), 0);
	assert_int_equal(trit_writer_open(&b, "out", &err), 0);
	assert_string_not_equal(a.temporary, b.temporary);
	assert_int_equal(trit_writer_write(&a, 1, "a", &err), 0);
	assert_int_equal(trit_writer_write(&b, 1, "b", &err), 0);
	assert_int_equal(trit_writer_commit(&b, &err), 0);
	check_file("out", 1, "b");
	assert_int_equal(trit_writer_commit(&a, &err), 0);
	check_file("out", 1, "a");
	assert_int_equal(count_files(), 1);
}

static void test_writer_bad_targets(void **state)
{
	struct trit_error err;
	struct trit_writer w;

	(void)state;
	assert_int_equal(trit_writer_open(&w, ".", &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "is a directory; name a file"));
	assert_int_equal(trit_writer_open(&w, "none/", &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "name a file"));
	assert_int_equal(trit_writer_open(&w, "", &err), TRIT_ERR_IO);
	assert_int_equal(trit_writer_open(&w, "none/out", &err), TRIT_ERR_IO);
	assert_string_equal(err.message, "none/out: cannot make the file: No such file or directory");
	assert_int_equal(w.fd, -1);
	/* A writer that could not be opened refuses everything and can be closed. */
	assert_int_equal(trit_writer_write(&w, 1, "x", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_writer_pad(&w, 8, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_writer_patch(&w, 0, 0, "", &err), TRIT_ERR_ARG);
	assert_int_equal(trit_writer_commit(&w, &err), TRIT_ERR_ARG);
	trit_writer_close(&w);
	assert_int_equal(count_files(), 0);
}

static void test_writer_protected(void **state)
{
	struct trit_error err;
	struct trit_writer w;

	(void)state;
	if (geteuid() == 0) /* nothing is protected from root */
		skip();
	put_file("out", "old");
	chmod("out", 0444);
	assert_int_equal(trit_writer_open(&w, "out", &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "Permission denied"));
	check_file("out", 3, "old");
}

static void test_writer_device_full(void **state)
{
	struct trit_error err;
	struct trit_writer w;

	(void)state;
	if (access("/dev/full", W_OK) < 0)
		skip();
	/* Found when the buffer goes out: by a large write, by commit, by a patch of what is out. */
	assert_int_equal(trit_writer_open(&w, "/dev/full", &err), 0);
	assert_null(w.temporary);
	assert_int_equal(trit_writer_write(&w, BIG, big, &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "/dev/full"));
	assert_non_null(strstr(err.message, "free space"));
	assert_non_null(strstr(err.message, "No space left on device"));
	assert_int_equal(trit_writer_commit(&w, &err), TRIT_ERR_ARG); /* a failed writer cannot commit */
	trit_writer_close(&w);
	assert_int_equal(trit_writer_open(&w, "/dev/full", &err), 0);
	assert_int_equal(trit_writer_write(&w, 1, "x", &err), 0);
	assert_int_equal(trit_writer_commit(&w, &err), TRIT_ERR_IO);
	trit_writer_close(&w);
	assert_int_equal(trit_path_kind("/dev/full"), 0);
}

/* A file that may not grow: write() is short first and fails then, as on a disk that fills up. */
static void test_writer_disk_full(void **state)
{
	struct trit_error err;
	struct trit_writer w;
	struct rlimit before, small;

	(void)state;
	put_file("out", "old");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 100001;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(trit_writer_open(&w, "out", &err), 0);
	int status = trit_writer_write(&w, BIG, big, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(status, TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "out: cannot write: File too large"));
	check_file("out", 3, "old");
	assert_int_equal(count_files(), 1);
	trit_writer_close(&w);
}

/* The rename fails: a directory took the target's place meanwhile. */
static void test_writer_commit_fails(void **state)
{
	struct trit_error err;
	struct trit_writer w;

	(void)state;
	assert_int_equal(trit_writer_open(&w, "out", &err), 0);
	assert_int_equal(mkdir("out", 0777), 0);
	assert_int_equal(trit_writer_commit(&w, &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "out: cannot put the finished file in its place"));
	assert_int_equal(count_files(), 1);
}

static void test_writer_memory(void **state)
{
	struct trit_error err;
	struct trit_writer w;
	int failures = 0;

	(void)state;
	for (uint64_t n = 1; n < 20; n++) {
		trit_mem_fail_after(n);
		int status = trit_writer_open(&w, "out", &err);
		trit_mem_fail_after(0);
		trit_writer_close(&w);
		assert_int_equal(count_files(), 0);
		if (status == 0)
			break;
		assert_int_equal(status, TRIT_ERR_MEMORY);
		failures++;
	}
	assert_int_equal(failures, 3);
}

/* What will not fit is refused before it is written. */
static void test_writer_expects(void **state)
{
	struct trit_error err;
	struct trit_writer w;

	(void)state;
	assert_int_equal(trit_writer_open(&w, "out", &err), 0);
	assert_int_equal(trit_writer_expect(&w, 1, &err), 0);
	assert_int_equal(trit_writer_expect(&w, (uint64_t)1 << 60, &err), TRIT_ERR_IO);
	assert_non_null(strstr(err.message, "out: 1152921504607 MB to write, but only "));
	assert_int_equal(trit_writer_write(&w, 3, "abc", &err), 0);
	assert_int_equal(trit_writer_commit(&w, &err), 0);
	assert_int_equal(trit_writer_expect(&w, 1, &err), TRIT_ERR_ARG);
	assert_int_equal(trit_writer_open(&w, "/dev/null", &err), 0); /* has no size */
	assert_int_equal(trit_writer_expect(&w, (uint64_t)1 << 60, &err), 0);
	trit_writer_close(&w);
}

/* Pages given back are read again. */
static void test_map_forget(void **state)
{
	struct trit_error err;
	struct trit_map m;

	(void)state;
	struct trit_writer w;
	assert_int_equal(trit_writer_open(&w, "big", &err), 0);
	assert_int_equal(trit_writer_write(&w, BIG, big, &err), 0);
	assert_int_equal(trit_writer_commit(&w, &err), 0);
	assert_int_equal(trit_map_open(&m, "big", &err), 0);
	for (size_t at = 0; at < BIG; at += BIG / 7) {
		assert_memory_equal(m.data, big, BIG);
		trit_map_forget(m.data + at, BIG - at);
		trit_map_forget(m.data + at, BIG - at < 5 ? BIG - at : 5);
	}
	assert_memory_equal(m.data, big, BIG);
	trit_map_close(&m);
}

static void on_alarm(int signal_number)
{
	(void)signal_number;
}

/* A pipe whose reader is slow and a timer that keeps interrupting: EINTR and short writes lose nothing. */
static void test_writer_interrupted(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm }; /* without SA_RESTART */
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
	struct trit_error err;
	struct trit_writer w;
	int result;
	pid_t reader;

	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	reader = fork();
	assert_true(reader >= 0);
	if (reader == 0) {
		unsigned char part[3000];
		int fd = open("pipe", O_RDONLY);
		size_t at = 0, bad = 0;
		ssize_t n;

		while ((n = read(fd, part, sizeof part)) > 0) {
			bad += at + (size_t)n > BIG || memcmp(part, big + at, (size_t)n) != 0;
			at += (size_t)n;
			usleep(200);
		}
		_exit(bad == 0 && at == BIG ? 0 : 1);
	}
	assert_int_equal(trit_writer_open(&w, "pipe", &err), 0);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	int a = trit_writer_write(&w, 1000, big, &err);
	int b = trit_writer_write(&w, BIG - 1000, big + 1000, &err);
	setitimer(ITIMER_REAL, &never, NULL);
	assert_int_equal(a, 0);
	assert_int_equal(b, 0);
	assert_int_equal(trit_writer_commit(&w, &err), 0);
	while (waitpid(reader, &result, 0) < 0)
		assert_int_equal(errno, EINTR);
	assert_int_equal(result, 0);
}

/* Written to while the leftovers are removed: stays, whatever the number says. */
static void test_leftovers(void **state)
{
	char temporary[64], another[64];
	struct trit_error err;
	struct trit_writer w;

	(void)state;
	snprintf(temporary, sizeof temporary, "open.tmp.%ld", (long)getpid());
	snprintf(another, sizeof another, "left.tmp.%ld.1", (long)getpid());
	put_file("open.tmp.1", "half");
	put_file("opens.tmp.1", "of another target");
	assert_int_equal(trit_writer_open(&w, "open", &err), 0);
	assert_int_equal(trit_path_kind("open.tmp.1"), -1);
	assert_int_equal(trit_path_kind("opens.tmp.1"), 0);
	assert_int_equal(trit_writer_write(&w, 3, "yes", &err), 0);
	put_file("left.tmp.1", "half");
	put_file(another, "half");
	put_file("mine.tmp.notes", "kept");
	put_file("mine.tmp.12a", "kept");
	assert_int_equal(mkdir("mine.tmp.12", 0700), 0);
	trit_remove_leftovers(".");
	assert_int_equal(trit_path_kind("left.tmp.1"), -1);
	assert_int_equal(trit_path_kind(another), -1);
	assert_int_equal(trit_path_kind("mine.tmp.notes"), 0);
	assert_int_equal(trit_path_kind("mine.tmp.12a"), 0);
	assert_int_equal(trit_path_kind("mine.tmp.12"), 1);
	assert_int_equal(trit_path_kind(temporary), 0);
	assert_int_equal(trit_writer_commit(&w, &err), 0);
	check_file("open", 3, "yes");
	rmdir("mine.tmp.12");
}

static int enter_directory(void **state)
{
	(void)state;
	for (size_t i = 0; i < BIG; i++)
		big[i] = (unsigned char)(i * 2654435761u >> 13);
	return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int leave_directory(void **state)
{
	(void)state;
	return chdir("..") == 0 ? rmdir(directory) : -1;
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_map), TEST(test_read), TEST(test_read_input), TEST(test_make_dirs), TEST(test_free_space),
		TEST(test_writer), TEST(test_writer_sizes), TEST(test_writer_replaces), TEST(test_writer_mode),
		TEST(test_writer_link), TEST(test_writer_names), TEST(test_writer_bad_targets),
		TEST(test_writer_protected), TEST(test_writer_device_full), TEST(test_writer_disk_full),
		TEST(test_writer_commit_fails), TEST(test_writer_memory), TEST(test_writer_interrupted),
		TEST(test_writer_expects), TEST(test_map_forget), TEST(test_leftovers),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
