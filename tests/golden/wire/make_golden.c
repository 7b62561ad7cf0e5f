// Writes the golden files of the wire format into the folder given. Run by hand when a sample is added; a file that exists is
// never written over, because it is what old clients send.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "samples.h"

static int write_new(const char *folder, const char *kind, const char *name, const void *bytes, size_t len)
{
    char path[1024];
    int written = snprintf(path, sizeof path, "%s/v%u-%s-%s.bin", folder, NQ_PROTOCOL_VERSION, kind, name);
    if (written < 0 || (size_t)written >= sizeof path || !bytes)
        return 1;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr, "kept: %s\n", path);
        return 0;
    }
    ssize_t put = write(fd, bytes, len);
    if (close(fd) != 0 || put < 0 || (size_t)put != len)
        return 1;
    printf("%s: %zu bytes\n", path, len);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 64;
    }
    int failed = 0;
    size_t count;
    const struct sample_request *requests = sample_requests(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        void *bytes = sample_request_encode(&requests[i], &len);
        failed |= write_new(argv[1], "request", requests[i].name, bytes, len);
        free(bytes);
    }
    const struct sample_reply *replies = sample_replies(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        void *bytes = sample_reply_encode(&replies[i], &len);
        failed |= write_new(argv[1], "reply", replies[i].name, bytes, len);
        free(bytes);
    }
    return failed;
}
