// Runs store_commit: on a thread of its own when the store waits for a disk, else at once in the caller's; there, too, when the
// caller has nothing else to do and the disk has been quick, because handing a commit over and back can take longer than the flush.
// The thread shares nothing but the changes of one sealed group, handed over and back under a mutex.
#pragma once
#include "store.h"

struct committer;

// NULL: no thread or descriptor could be had.
struct committer *committer_start(struct store *store);
void committer_stop(struct committer **self_p); // waits for a commit under way; accepts NULL

int committer_fd(const struct committer *self); // becomes readable when a commit has ended
// Start a commit. There must be none under way. The changes, and what they point at, stay as they are until it has ended.
// idle: the caller has nothing else to do. True: the commit has ended already.
bool committer_submit(struct committer *self, const struct changes *changes, bool idle);
// True: the commit has ended, with this status (once). False: none has.
bool committer_take(struct committer *self, enum nq_status *status, struct store_error *error);
uint64_t committer_typical_us(struct committer *self); // how long commits have taken lately
void committer_wait(struct committer *self);           // until a commit under way has ended; committer_take tells how
