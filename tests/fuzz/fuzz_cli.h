// The part of fuzz_cli that is the producer's input: standard input as lines, as lines of JSON, and as it comes in pieces.
#pragma once
#include "fuzz.h"
#include "input.h"
#include "settings.h"

void fuzz_cli_json(struct fuzz_bytes input);
void fuzz_cli_lines(struct fuzz_bytes input);
void fuzz_cli_splitter(struct fuzz_bytes input);
