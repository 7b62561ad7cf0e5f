// From the options that all programs share to a client.
#pragma once
#include "netqueue.h"
#include "options.h"

// Who a thread is in what it tells: `name`, else `role`-PID when there is one thread; with several, these with the thread's number.
void cli_worker_name(char *out, size_t size, const char *role, const char *name, uint64_t threads, unsigned number);

// NULL with the reason on stderr and in *status.
struct nq_client *cli_client_create(const struct cli_common *common, const char *name, uint32_t workers, enum nq_status *status);
