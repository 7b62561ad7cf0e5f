// One thread's loop: gets on their way, items taken and not begun, commands that run, items on their way back.
#pragma once
#include "command.h"
#include "output.h"

struct source {
    const char *queue;
    uint64_t request; // the get that is unanswered; 0: none
    bool parked;      // it waits at the broker: the queue was empty
    bool shut_down;   // and drained
};

struct taken {
    struct nq_item *item;
    size_t source;
};

struct runner {
    struct worker *worker;
    struct source *sources;
    size_t sources_count;
    size_t next_source; // where --round-robin begins
    struct taken *ready;
    size_t ready_count, ready_capacity;
    struct command *commands;
    size_t commands_count, running;
    size_t finishing;      // task_dones and requeues without an answer
    struct output *output; // without a command
    bool stopping;         // no more items; finish what runs
    bool killed;           // the grace is over
    uint64_t kill_ms;      // when SIGKILL follows SIGTERM
    uint64_t idle_since_ms, empty_look_ms;
    struct pollfd *polls;
};

// take.c
void take_more(struct runner *runner);                                         // ask for items, as many as there is room for
void take_completion(struct runner *runner, struct nq_completion *completion); // of a get
void take_cancel(struct runner *runner);                                       // all gets
bool take_is_over(const struct runner *runner);                                // all queues are shut down and drained
bool take_is_waiting(const struct runner *runner);                             // some get is unanswered
bool take_next(struct runner *runner, struct taken *taken);                    // an item to begin with; false: none
bool take_finds_empty(struct runner *runner);                                  // asks the broker

// finish.c
void finish_item(struct runner *runner, struct nq_item **item, size_t source,
                 const struct nq_requeue_options *back);                       // back NULL: done
void finish_back(struct runner *runner, struct nq_item **item, size_t source); // uncounted, at once
void finish_command(struct runner *runner, struct command *command, int status);
void finish_completion(struct runner *runner, const struct nq_completion *completion);
