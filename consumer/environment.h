// What a command learns of its item from its environment.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "netqueue.h"

struct environment {
    char **texts; // for exec; ends with NULL
    size_t count;
    size_t own; // so many from the front are not borrowed from environ
    bool failed;
};

// NETQUEUE_ITEM_QUEUE, _SEQ, _DELIVERIES, _FAILURES, _REDELIVERED (0 or 1) and _HEADER_<NAME> (upper case, '_' for what is neither letter
// nor digit; not for values with a NUL), and this process's environment without NETQUEUE_ITEM_*. False: out of memory.
bool environment_init(struct environment *environment, const struct nq_item *item);
void environment_fini(struct environment *environment);
