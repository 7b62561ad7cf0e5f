// check: the groups in the journal that are not in LMDB yet, each whole and to be understood, none missing.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "changes_codec.h"
#include "check_internal.h"
#include "journal.h"

static enum nq_status check_group(void *context, uint64_t number, const void *data, size_t len, struct store_error *error)
{
    struct checking *checking = context;
    struct nq_arena *arena = nq_arena_create(64 * 1024, 0);
    struct changes *changes = changes_create();
    (void)error;
    if (arena == NULL || changes == NULL || !changes_decode(data, len, arena, changes)) {
        checking->report->damaged++;
        fprintf(checking->findings, "the journal: group %llu makes no sense\n", (unsigned long long)number);
    }
    checking->report->groups++;
    checking->report->bytes += len;
    changes_destroy(&changes);
    nq_arena_destroy(&arena);
    return NQ_OK;
}

void check_journal(struct checking *checking, const char *dir)
{
    struct store_error error = {0};
    uint64_t salt;
    bool own;
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum nq_status status = lmdb_salt(checking->env, checking->db[DB_META], checking->id, &salt, &own, &error);
    if (status == NQ_OK) {
        status = journal_inspect(dir_fd, salt, checking->journaled, check_group, checking, &error);
    }
    if (status != NQ_OK) {
        checking->report->damaged++;
        fprintf(checking->findings, "%s\n", error.text);
    }
    close(dir_fd);
}
