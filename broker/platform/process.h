// What the process gives up or raises for itself at its start.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// One that is closed is /dev/null from now on. Else the next file that is opened takes its number, and the log goes into it.
void process_keep_standard_streams(void);
void process_harden(void); // no new privileges, files of the owner only
// For good, and before there are other threads, which would keep theirs. True: there were some.
bool process_drop_capabilities(void);
// Call this, on the thread where it happened, when memory cannot be read: a page that a file is mapped to (SIGBUS), or an address that is
// none (SIGSEGV). When it returns, the signal does what it would have done without.
void process_on_unreadable_memory(void (*handler)(int number));
void process_hide_memory(void);           // no core dump, no debugger of the same user
uint64_t process_raise_descriptors(void); // as many descriptors as allowed; how many that are
