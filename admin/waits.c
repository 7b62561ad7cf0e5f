// Towards the end of a queue: join, shutdown.
#include "admin.h"

enum nq_status admin_join(struct admin *admin)
{
    bool bounded = cli_given(&admin->command->program, &admin->arguments, "wait");
    return nq_join(admin->client, admin->queue, bounded ? admin->options.wait_ms : NQ_WAIT_FOREVER);
}

enum nq_status admin_shutdown(struct admin *admin)
{
    uint64_t count = 0;
    enum nq_status status = nq_shutdown(admin->client, admin->queue, admin->options.immediate, &count);
    if (status == NQ_OK) {
        show_count(admin, "dropped", count, "dropped");
    }
    return status;
}
