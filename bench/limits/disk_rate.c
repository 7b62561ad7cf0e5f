// The limit that the disk sets: write and fdatasync in turn, in pieces of one size.
//
// disk_rate DIRECTORY BYTES SECONDS [append|recycle]   prints JSON: flushes and bytes per second.
//   append   a file that grows (as a log without preallocation does)
//   recycle  a file written over, as a preallocated and recycled journal is
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

enum { FILE_BYTES_MAX = 256 << 20, PIECE_BYTES_MAX = 64 << 20 };

static bool write_piece(int file, const char *piece, size_t bytes, off_t at)
{
    for (size_t written = 0; written < bytes;) {
        ssize_t wrote = pwrite(file, piece + written, bytes - written, at + (off_t)written);
        if (wrote <= 0) {
            return false;
        }
        written += (size_t)wrote;
    }
    return true;
}

// Flushes done, or -1.
static long measure(int file, const char *piece, size_t bytes, double seconds, bool recycle, double *took)
{
    off_t end = FILE_BYTES_MAX / (off_t)bytes * (off_t)bytes;
    if (recycle) {
        for (off_t at = 0; at < end; at += (off_t)bytes) {
            if (!write_piece(file, piece, bytes, at)) {
                return -1;
            }
        }
        fsync(file);
    }
    long flushes = 0;
    double start = now_seconds();
    for (off_t at = 0; (*took = now_seconds() - start) < seconds; flushes++) {
        if (!write_piece(file, piece, bytes, at) || fdatasync(file) != 0) {
            return -1;
        }
        at += (off_t)bytes;
        if (recycle && at == end) {
            at = 0;
        }
    }
    return flushes;
}

int main(int argc, char **argv)
{
    long bytes = argc >= 4 ? atol(argv[2]) : 0;
    double seconds = argc >= 4 ? atof(argv[3]) : 0;
    bool recycle = argc == 5 && strcmp(argv[4], "recycle") == 0;
    if (bytes <= 0 || bytes > PIECE_BYTES_MAX || seconds <= 0 || argc > 5 ||
        (argc == 5 && !recycle && strcmp(argv[4], "append") != 0)) {
        fprintf(stderr, "usage: disk_rate DIRECTORY BYTES SECONDS [append|recycle]\n");
        return 64;
    }
    char path[4096];
    snprintf(path, sizeof(path), "%s/disk_rate.XXXXXX", argv[1]);
    int file = mkstemp(path);
    if (file < 0) {
        perror("disk_rate");
        return 1;
    }
    unlink(path);
    char *piece = malloc((size_t)bytes);
    memset(piece, 'x', (size_t)bytes);
    double took = 0;
    long flushes = measure(file, piece, (size_t)bytes, seconds, recycle, &took);
    free(piece);
    close(file);
    if (flushes < 0) {
        perror("disk_rate");
        return 1;
    }
    printf("{\"size\": %ld, \"seconds\": %.6f, \"items_per_s\": %.1f, \"bytes_per_s\": %.1f}\n", bytes, took,
           (double)flushes / took, (double)flushes * (double)bytes / took);
    return 0;
}
