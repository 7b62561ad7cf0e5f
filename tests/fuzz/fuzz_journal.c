#include "fuzz_journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"

enum { SALT = 7, FILE_BYTES = 4 * JOURNAL_BLOCK_BYTES, GROUP_BYTES_MAX = 200 };

struct seen {
    uint64_t first, last, bytes;
};

static enum nq_status on_group(void *context, uint64_t number, const void *data, size_t len, struct store_error *error)
{
    struct seen *seen = context;
    const uint8_t *bytes = data;
    (void)error;
    fuzz_require(seen->first == 0 || number == seen->last + 1, "groups come one after the other");
    seen->first = seen->first == 0 ? number : seen->first;
    seen->last = number;
    for (size_t i = 0; i < len; i++) {
        seen->bytes += bytes[i];
    }
    return NQ_OK;
}

// Removed at the end of the process; in memory where there is such a place, for these are many flushes.
static char folder[64];

static void remove_folder(void)
{
    char name[96];
    for (int i = 0; i < JOURNAL_FILES; i++) {
        snprintf(name, sizeof(name), "%s/journal-%d", folder, i);
        unlink(name);
    }
    rmdir(folder);
}

static int open_folder(void)
{
    static int dir_fd = -1;
    if (dir_fd < 0) {
        snprintf(folder, sizeof(folder), "%s/netqueue-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        fuzz_require(mkdtemp(folder) != NULL && atexit(remove_folder) == 0, "a folder");
        dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    fuzz_require(dir_fd >= 0, "a folder");
    return dir_fd;
}

// Each block: whether a group's head is made for it, its number, its length, then some of its content.
static void write_file(int dir_fd, const char *name, struct fuzz_bytes *input)
{
    static const char magic[4] = {'N', 'Q', 'J', '1'};
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_require(fd >= 0, "a file");
    uint8_t cut = fuzz_byte(input);
    for (int i = 0; i < FILE_BYTES / JOURNAL_BLOCK_BYTES; i++) {
        uint8_t block[JOURNAL_BLOCK_BYTES] = {0};
        const uint64_t numbers[3] = {SALT, fuzz_byte(input), fuzz_number(input)};
        const struct fuzz_bytes content = fuzz_take(input, fuzz_byte(input));
        memcpy(block, magic, sizeof(magic));
        memcpy(block + 8, numbers, sizeof(numbers));
        if (content.left > 0) {
            memcpy(block + JOURNAL_HEADER_BYTES, content.at, content.left);
        }
        if (numbers[1] >= 128) { // no group begins here
            memset(block, (int)numbers[1], JOURNAL_HEADER_BYTES);
        }
        fuzz_require(pwrite(fd, block, sizeof(block), (off_t)i * JOURNAL_BLOCK_BYTES) == sizeof(block), "it is written");
    }
    fuzz_require(cut < 128 || ftruncate(fd, (off_t)cut * 100) == 0, "it is cut");
    close(fd);
}

static struct journal *open_journal(int dir_fd, bool sync, uint64_t above, struct seen *seen)
{
    struct journal *journal = NULL;
    struct store_error error = {0};
    *seen = (struct seen){0};
    enum nq_status status = journal_open(dir_fd, FILE_BYTES, sync, SALT, above, on_group, seen, &journal, &error);
    fuzz_require((status == NQ_OK) == (journal != NULL), "a journal is open or closed");
    fuzz_require(status == NQ_OK || error.text[0] != '\0', "a refusal says why");
    return journal;
}

void fuzz_journal(struct fuzz_bytes input)
{
    struct seen first;
    struct seen second;
    int dir_fd = open_folder();
    uint8_t flags = fuzz_byte(&input);
    uint64_t above = fuzz_byte(&input);
    write_file(dir_fd, "journal-0", &input);
    write_file(dir_fd, "journal-1", &input);
    struct journal *journal = open_journal(dir_fd, (flags & 1) != 0, above, &first);
    if (journal == NULL) {
        return;
    }
    uint64_t last = journal_last(journal);
    fuzz_require(first.first == 0 ? last == above : last == first.last && first.first == above + 1, "groups follow `above`");
    journal_close(&journal);
    journal = open_journal(dir_fd, (flags & 1) != 0, above, &second);
    fuzz_require(journal != NULL && journal_last(journal) == last && second.bytes == first.bytes, "reading changes nothing");
    journal_close(&journal);
    // As at a start: all that was read is applied elsewhere, and what is new begins a file.
    journal = open_journal(dir_fd, (flags & 1) != 0, last, &second);
    fuzz_require(journal != NULL && second.first == 0, "what is applied is not read again");
    size_t len = 1 + flags % GROUP_BYTES_MAX;
    if (len <= journal_len_max(journal) && journal_fits(journal, len)) {
        uint8_t *group = calloc(1, journal_group_bytes(len));
        struct store_error error;
        fuzz_require(group != NULL, "memory");
        memset(group + JOURNAL_HEADER_BYTES, 1, len);
        fuzz_require(journal_append(journal, group, len, &error) == NQ_OK, "a group is appended");
        free(group);
        journal_close(&journal);
        journal = open_journal(dir_fd, false, last, &second);
        fuzz_require(journal != NULL && second.first == last + 1 && second.bytes >= len, "what was appended is read");
    }
    journal_close(&journal);
}
