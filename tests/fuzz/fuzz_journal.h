// The journal part of fuzz_records: two files made of an input are opened, read, appended to, and read again.
#pragma once
#include "fuzz.h"

void fuzz_journal(struct fuzz_bytes input);
