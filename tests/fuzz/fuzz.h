// What the fuzz targets share. Each defines LLVMFuzzerTestOneInput; fuzz.c adds a main() that replays a corpus where libFuzzer is not.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Says what does not hold and aborts, so that libFuzzer keeps the input.
void fuzz_require(bool holds, const char *what);

// An input as it is eaten up. Behind its end there are zeros.
struct fuzz_bytes {
    const uint8_t *at;
    size_t left;
};

uint8_t fuzz_byte(struct fuzz_bytes *bytes);
uint64_t fuzz_number(struct fuzz_bytes *bytes); // of any size; small ones and the ends of the ranges are likely
// The next bytes, at most `len` (fewer at the end).
struct fuzz_bytes fuzz_take(struct fuzz_bytes *bytes, size_t len);
// A copy that ends with a NUL and has none inside, to be freed.
char *fuzz_text(struct fuzz_bytes bytes);

// A file in memory with this content, and a path to it ("/proc/self/fd/7"); fuzz_file_close forgets both.
struct fuzz_file {
    int fd;
    char path[32];
};
struct fuzz_file fuzz_file_open(struct fuzz_bytes content);
void fuzz_file_close(struct fuzz_file *file);
