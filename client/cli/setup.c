#include "setup.h"

#include "report.h"

struct nq_client *cli_client_create(const struct cli_common *common, const char *name, uint32_t workers, enum nq_status *status)
{
    struct nq_client_options options = {
        .servers = common->servers.count == 0 ? NULL : (const char *const *)common->servers.values,
        .servers_count = common->servers.count,
        .timeout_ms = common->timeout_ms,
        .name = name,
        .workers = workers,
        .keys = common->keys,
    };
    struct nq_client *client = NULL;
    const char *why = NULL;
    *status = nq_client_create(&options, &client, &why);
    if (*status != NQ_OK) {
        cli_report("%s", why != NULL ? why : nq_status_text(*status));
        return NULL;
    }
    return client;
}
