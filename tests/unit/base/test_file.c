#include "lib/base/file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static char path[96];

static void make_folder(void) {
    snprintf(folder, sizeof folder, "/tmp/aicp-file-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x", folder);
}

static void remove_folder(void) {
    unlink(path);
    rmdir(folder);
}

TestSuite(file, .init = make_folder, .fini = remove_folder);

static mode_t mode_of(const char *name) {
    struct stat st;
    cr_assert_eq(stat(name, &st), 0);
    return st.st_mode & 07777;
}

Test(file, written_bytes_are_read_back) {
    aicp_error err;
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicpi_file_write(path, "a\0b", 3, &err), AICP_OK);
    cr_assert_eq(aicpi_file_read(NULL, path, 3, &out, &err), AICP_OK);
    cr_assert_eq(out.len, 3);
    cr_assert_arr_eq(out.data, "a\0b", 4);
    aicp_buf_free(&out);
}

Test(file, new_file_can_be_read_by_others) {
    cr_assert_eq(aicpi_file_write(path, "1", 1, NULL), AICP_OK);
    cr_assert_eq(mode_of(path), 0644);
}

Test(file, replaced_file_keeps_its_permissions) {
    cr_assert_eq(aicpi_file_write(path, "1", 1, NULL), AICP_OK);
    cr_assert_eq(chmod(path, 0640), 0);
    cr_assert_eq(aicpi_file_write(path, "22", 2, NULL), AICP_OK);
    cr_assert_eq(mode_of(path), 0640);
}

Test(file, one_byte_more_than_allowed_is_a_limit_error) {
    aicp_error err;
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicpi_file_write(path, "1234", 4, &err), AICP_OK);
    cr_assert_eq(aicpi_file_read(NULL, path, 3, &out, &err), AICP_ERR_LIMIT);
    cr_assert_null(out.data);
}

Test(file, pipe_is_refused_without_waiting) {
    aicp_error err;
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(aicpi_file_read(NULL, path, 10, &out, &err), AICP_ERR_IO);
}

Test(file, missing_file_is_not_found) {
    aicp_error err;
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicpi_file_read(NULL, path, 10, &out, &err), AICP_ERR_NOT_FOUND);
    cr_assert(strstr(err.message, path) != NULL);
}

Test(file, buffer_past_its_maximum_is_a_limit_error_even_with_room_left) {
    aicpi_strbuf b;
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err;
    aicpi_strbuf_init(&b, NULL, 5);
    aicpi_strbuf_puts(&b, "abc");
    aicpi_strbuf_puts(&b, "def");
    cr_assert_eq(aicpi_strbuf_take(&b, &out, &err), AICP_ERR_LIMIT);
    aicpi_strbuf_puts(&b, "again");
    cr_assert_eq(aicpi_strbuf_take(&b, &out, &err), AICP_OK);
    cr_assert_str_eq(out.data, "again");
    aicp_buf_free(&out);
}
