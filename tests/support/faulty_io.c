// To be preloaded into a broker: its n-th write or sync below a folder fails.
//
//   NQ_FAULT_FOLDER  absolute
//   NQ_FAULT_KIND    write, sync, or any
//   NQ_FAULT_AT      which one, from 1; others: 0
//   NQ_FAULT_ERROR   EIO or ENOSPC
//   NQ_FAULT_STICKY  set: all later ones, too
//   NQ_FAULT_FILE    gets a line when one has failed: what and where. It is outside of the folder
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io_hooks.h"

static struct {
    char folder[1024], file[1024];
    bool writes, syncs, sticky;
    unsigned long at, seen;
    int error;
} fault;

static void note(const struct io_call *call)
{
    static const char *const kinds[] = {"create", "write", "resize", "sync", "rename", "unlink", "mkdir"};
    char line[1200];
    int len = snprintf(line, sizeof(line), "%s %s\n", kinds[call->kind], call->path);
    FILE *file = fopen(fault.file, "ae");
    if (file != NULL) {
        fwrite(line, 1, (size_t)len, file);
        fclose(file);
    }
}

static int before(void *context, const struct io_call *call)
{
    (void)context;
    bool is_sync = call->kind == IO_SYNC || (call->kind == IO_WRITE && call->durable);
    bool counts = is_sync ? fault.syncs : fault.writes;
    if (!counts || call->kind == IO_UNLINK || strstr(call->path, "lock") != NULL) {
        return 0;
    }
    fault.seen++;
    if (fault.at == 0 || (fault.seen != fault.at && !(fault.sticky && fault.seen > fault.at))) {
        return 0;
    }
    note(call);
    return fault.error;
}

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

__attribute__((constructor)) static void start(void)
{
    static const struct io_watcher watcher = {.folder = fault.folder, .before = before};
    const char *kind = setting("NQ_FAULT_KIND");
    snprintf(fault.folder, sizeof(fault.folder), "%s", setting("NQ_FAULT_FOLDER"));
    snprintf(fault.file, sizeof(fault.file), "%s", setting("NQ_FAULT_FILE"));
    fault.writes = strcmp(kind, "write") == 0 || strcmp(kind, "any") == 0;
    fault.syncs = strcmp(kind, "sync") == 0 || strcmp(kind, "any") == 0;
    fault.at = strtoul(setting("NQ_FAULT_AT"), NULL, 10);
    fault.error = strcmp(setting("NQ_FAULT_ERROR"), "ENOSPC") == 0 ? ENOSPC : EIO;
    fault.sticky = getenv("NQ_FAULT_STICKY") != NULL;
    if (fault.folder[0] != '\0') {
        io_watch(&watcher);
    }
}
