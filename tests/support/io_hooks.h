// What this process does to the files below one folder, seen as it happens: open, write, sync, rename and so on are defined here and
// hand on to the C library. A watcher may record them, or make one fail. Also what libraries do is seen (LMDB's writes).
//
// Linked into a test as an object, or built as a library to be preloaded (faulty_io.c).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

enum io_kind { IO_CREATE, IO_WRITE, IO_RESIZE, IO_SYNC, IO_RENAME, IO_UNLINK, IO_MKDIR };

struct io_call {
    enum io_kind kind;
    const char *path; // absolute; of the file the descriptor is of, if there is one
    const char *to;   // of a rename
    int fd;           // -1: none (before a create, too)
    bool durable;     // a write through a descriptor that was opened with O_DSYNC
    bool grows_only;  // a resize that does not shorten
    const struct iovec *parts;
    int part_count;
    off_t offset;
    size_t len; // of a write; of the file after a resize
};

// One call at a time, whatever the thread. `before` (may be NULL) returns 0, or the errno that the call fails with instead of happening.
struct io_watcher {
    const char *folder;
    void *context;
    int (*before)(void *context, const struct io_call *call);
    void (*after)(void *context, const struct io_call *call); // it has succeeded; may be NULL
    void (*pause)(void *context, const struct io_call *call); // before all that, while other calls go on; may be NULL
};

void io_watch(const struct io_watcher *watcher); // NULL: nobody
