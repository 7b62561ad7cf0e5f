// Whether a commit should wait a moment for more. Who was answered by the last commit mostly comes back at once with the next request;
// if the commit begins just before that, the request waits for two flushes instead of one. So the time in which all of them came back
// is measured, and a commit waits for them as long as that is less than what a flush takes. Pure: times are given.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GATHER_PEERS_MAX = 16 }; // more than that come in groups by themselves

struct gather {
    uint64_t expected[GATHER_PEERS_MAX]; // connections answered that have not been heard since
    size_t expected_count;
    bool many;
    uint64_t answered_us;
    uint64_t return_us; // how long it has taken lately until all were heard
};

// The answers of a commit are about to leave: forget those of the one before, then name who gets one.
void gather_begin(struct gather *self, uint64_t now_us);
void gather_answered(struct gather *self, uint64_t connection);
// A frame has come.
void gather_heard(struct gather *self, uint64_t connection, uint64_t now_us);
// True: more is likely to come sooner than a flush, which takes flush_us, would be over. False: commit.
bool gather_waits(const struct gather *self, uint64_t now_us, uint64_t flush_us);
