#include "setup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

void cli_worker_name(char *out, size_t size, const char *role, const char *name, uint64_t threads, unsigned number)
{
    if (threads > 1) {
        snprintf(out, size, "%.70s-%u", name == NULL ? role : name, number);
    } else if (name == NULL) {
        snprintf(out, size, "%s-%ld", role, (long)getpid());
    } else {
        snprintf(out, size, "%.80s", name);
    }
}

// "-s $BROKER" without a BROKER: the library would go to the default endpoint, and to another broker than was meant.
static bool names_a_server(const struct cli_common *common)
{
    for (size_t i = 0; i < common->servers.count; i++) {
        const char *server = common->servers.values[i];
        if (server[strspn(server, ", ")] == '\0') {
            cli_report("server '%s': expected tcp://HOST:PORT or ipc://PATH", server);
            return false;
        }
    }
    return true;
}

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
    if (!names_a_server(common)) {
        *status = NQ_BAD_REQUEST;
        return NULL;
    }
    *status = nq_client_create(&options, &client, &why);
    if (*status != NQ_OK) {
        cli_report("%s", why != NULL ? why : nq_status_text(*status));
        return NULL;
    }
    return client;
}
