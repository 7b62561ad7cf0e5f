// What a program tells the person who started it, on stderr.
#pragma once
#include <stdbool.h>
#include <stdint.h>

void cli_report_name(const char *name);                                         // static storage; before threads start
void cli_report(const char *format, ...) __attribute__((format(printf, 1, 2))); // "netqueue-producer: ..."
void cli_one_line(char *text); // what a person may have quoted to him: control characters become "?"
// Before anything is opened: stdin, stdout or stderr that is closed stays of no use, and is not the next file's or connection's number.
void cli_keep_standard_streams(void);
void cli_flush_stdout(void); // right behind a write: remembers why it failed, for cli_close_stdout
int cli_close_stdout(void);  // flush; 0, or 1 with a line when that, or one before, has failed

// A line that is written over again, only when stderr is a terminal; cli_report wipes it first.
void cli_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool cli_progress_wanted(bool quiet);
uint64_t cli_now_ms(void); // monotonic
uint64_t cli_now_ns(void);

// For people: "80 ms", "12.3 s", "4 min 05 s".
void cli_format_seconds(double seconds, char *out, unsigned long size);
