// From the options that all programs share to a client.
#pragma once
#include "netqueue.h"
#include "options.h"

// NULL with the reason on stderr and in *status.
struct nq_client *cli_client_create(const struct cli_common *common, const char *name, uint32_t workers, enum nq_status *status);
