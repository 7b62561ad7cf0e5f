// The journal: each commit's bytes in one write and one flush, into one of two preallocated files that are used in turn.
//
// A group starts on a block of its own, so that no byte once acknowledged is written again. It carries its number (one more
// than the group before), its length and a checksum: at start, groups are read as long as these fit. What lies behind the last
// one is from an earlier use of the file and has lower numbers; a later group found there means that the journal is damaged, unless it
// was written without sync, which it says: then a power cut may have taken what was in front of it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store.h"

enum { JOURNAL_BLOCK_BYTES = 4096, JOURNAL_HEADER_BYTES = 32, JOURNAL_FILES = 2 };

struct journal;

// Called for each group above `above`, in the order of their numbers. `data` lives until it returns. Not OK: ends the reading.
typedef enum nq_status journal_visit(void *context, uint64_t number, const void *data, size_t len, struct store_error *error);

// Open or create the files in dir_fd and read what is in them.
//
// file_bytes  of each file, where it is created; `salt` keeps the journals of different stores apart
// above       number of the last group that is applied elsewhere
// Errors: DAMAGED with sync: a group is missing or wrong in front of one that was written with sync; STORAGE_FAILED; NO_MEMORY; those of `visit`.
enum nq_status journal_open(int dir_fd, uint64_t file_bytes, bool sync, uint64_t salt, uint64_t above, journal_visit *visit,
                            void *context, struct journal **out, struct store_error *error);
void journal_close(struct journal **self_p);

// Read the files as they are, changing nothing, and visit each group above `above`. Files that are not there hold none.
// Errors: as journal_open.
enum nq_status journal_inspect(int dir_fd, uint64_t salt, uint64_t above, journal_visit *visit, void *context,
                               struct store_error *error);

// Whether any group was ever written to the files in the directory: made, but not used, they are full of zeros.
bool journal_is_used(int dir_fd);

// Without sync a power cut may leave groups whose predecessors are lost. They must not be found behind new ones of the same numbers.
bool journal_has_strays(const struct journal *self);
uint64_t journal_last(const struct journal *self);         // number of the last group
bool journal_fits(const struct journal *self, size_t len); // into the file in use
size_t journal_len_max(const struct journal *self);        // of a group
uint64_t journal_bytes(const struct journal *self);        // of both files
void journal_turn(struct journal *self);                   // go on at the start of the other file, whose groups are applied

// Append a group: JOURNAL_HEADER_BYTES at the front of `group` are free for the header, and it is padded with zeros to whole blocks
// (journal_group_bytes). It begins at a multiple of JOURNAL_BLOCK_BYTES in memory, too, so that it can go past the page cache. Durable when it returns OK, with sync. Any failure is STORAGE_FAILED for good.
size_t journal_group_bytes(size_t len);
enum nq_status journal_append(struct journal *self, uint8_t *group, size_t len, struct store_error *error);
// The number of a group that was made durable by other means.
void journal_skip(struct journal *self);
