// One run of the command: a child in a process group of its own, the item's body on its way into its stdin.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "netqueue.h"

struct command {
    struct nq_item *item; // NULL: not running, or given back already
    pid_t pid;            // 0: not running
    int exit_fd;          // pidfd, readable when it has ended
    int body_fd;          // -1: all is written, or nobody reads it
    size_t written;
    size_t source; // index of the item's queue
};

// 0, or an errno. The item stays the caller's when it fails.
int command_start(struct command *command, char *const *arguments, struct nq_item *item);
void command_feed(struct command *command); // body_fd is writable
int command_reap(struct command *command);  // exit_fd is readable: the status as of waitpid
void command_kill(const struct command *command, int signal);
