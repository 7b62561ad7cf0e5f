#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_require(bool holds, const char *what)
{
    if (holds) {
        return;
    }
    fprintf(stderr, "fuzz: does not hold: %s\n", what);
    abort();
}

uint8_t fuzz_byte(struct fuzz_bytes *bytes)
{
    if (bytes->left == 0) {
        return 0;
    }
    bytes->left--;
    return *bytes->at++;
}

// One byte for what is small or at an end; the rest of the range by width.
uint64_t fuzz_number(struct fuzz_bytes *bytes)
{
    static const uint64_t ends[] = {UINT64_MAX, UINT64_MAX - 1, 1ull << 63, 1ull << 32, UINT32_MAX, 1ull << 31, 65536, 65535};
    enum { SMALL = 224, WIDTHS = SMALL + sizeof(ends) / sizeof(ends[0]) };
    uint8_t first = fuzz_byte(bytes);
    if (first < SMALL) {
        return first;
    }
    if (first < WIDTHS) {
        return ends[first - SMALL];
    }
    uint64_t number = 0;
    for (size_t i = 0; i < 1u + (first - WIDTHS) % 8u; i++) {
        number = number << 8 | fuzz_byte(bytes);
    }
    return number;
}

struct fuzz_bytes fuzz_take(struct fuzz_bytes *bytes, size_t len)
{
    struct fuzz_bytes taken = {bytes->at, len < bytes->left ? len : bytes->left};
    bytes->at += taken.left;
    bytes->left -= taken.left;
    return taken;
}

char *fuzz_text(struct fuzz_bytes bytes)
{
    char *text = malloc(bytes.left + 1);
    fuzz_require(text != NULL, "memory");
    size_t len = 0;
    for (size_t i = 0; i < bytes.left; i++) {
        if (bytes.at[i] != '\0') {
            text[len++] = (char)bytes.at[i];
        }
    }
    text[len] = '\0';
    return text;
}

struct fuzz_file fuzz_file_open(struct fuzz_bytes content)
{
    struct fuzz_file file = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};
    fuzz_require(file.fd >= 0, "a file in memory");
    fuzz_require(content.left == 0 || write(file.fd, content.at, content.left) == (ssize_t)content.left, "it takes the input");
    fuzz_require(lseek(file.fd, 0, SEEK_SET) == 0, "it can be read from its start");
    snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
    return file;
}

void fuzz_file_close(struct fuzz_file *file)
{
    close(file->fd);
    file->fd = -1;
}
