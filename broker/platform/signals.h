// Signals as data: all are blocked before the first thread exists, those that mean something are read from a descriptor.
#pragma once
#include <stdbool.h>

bool signals_block(void); // call first of all: threads inherit the mask
int signals_open(void);   // a descriptor that becomes readable with SIGTERM, SIGINT or SIGHUP; -1: errno says why
int signals_read(int fd); // the number of a signal that came; 0: none
