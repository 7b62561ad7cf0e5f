// Time and bytes inside write and flush calls, of this program and of the libraries it uses, by thread and in all: link io_meter.c
// into a load program and its definitions of pwrite, fdatasync and so on stand before the C library's.
#pragma once
#include <stdint.h>

struct io_totals {
    uint64_t ns;    // inside write, fdatasync, fsync, msync, fallocate
    uint64_t bytes; // written
    uint64_t flushes;
};

uint64_t io_now_ns(void);
struct io_totals io_of_this_thread(void);
struct io_totals io_of_all(void);
// Time during which any thread was inside such a call: what two threads do at once counts once.
uint64_t io_busy_ns(void);
