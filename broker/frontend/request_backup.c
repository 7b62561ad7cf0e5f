// BACKUP.
#include <inttypes.h>
#include <string.h>

#include "backup.h"
#include "log.h"
#include "service.h"

void request_backup(struct request *request)
{
    struct service *self = request->service;
    const char *why = "this broker makes no backups";
    enum nq_status status = NQ_NOT_AUTHORISED;
    if (self->backup != NULL) {
        status = backup_start(self->backup, request->connection, request->wire->id, request->wire->as.backup_name, &why);
    }
    if (status != NQ_OK) {
        request_refuse(request, status, why);
    }
}

// The text, in the memory of the group that the answer waits for.
static const char *copy_text(struct service *self, const char *text)
{
    size_t len = strlen(text);
    char *copy = service_alloc(self, groups_youngest(&self->groups), len + 1, 1);
    if (copy != NULL) {
        memcpy(copy, text, len + 1);
    }
    return copy;
}

void service_backup_ended(struct service *self, const struct backup_end *end)
{
    enum nq_status status = end->error.status;
    if (status == NQ_OK) {
        log_info("backup %s is complete, %" PRIu64 " bytes", end->name, end->bytes);
    } else if (status != NQ_BAD_NAME) {
        log_error("backup %s failed: %s", end->name, end->error.text);
    }
    struct answer *answer = service_answer(self, end->connection, end->request_id, status);
    if (answer == NULL) {
        return;
    }
    if (status == NQ_OK) {
        answer->kind = ANSWER_COUNT;
        answer->as.count = end->bytes;
    } else {
        answer->detail = copy_text(self, end->error.text);
    }
}
