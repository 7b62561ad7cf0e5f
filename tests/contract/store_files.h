// Doing things to the file of a closed LMDB store: damage, other versions, looks behind its interface. Failing is a failed test.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Flip a bit of the byte `at` in every copy of the marker; how many there were.
size_t file_flip(const char *dir, const char *marker, size_t len, size_t at);
size_t file_flip_in(const char *dir, const char *file, const void *marker, size_t len, size_t at); // of another file
// A page that holds the marker gets another number; the last key of a page that leads to others is changed. How many there were.
size_t file_renumber_pages(const char *dir, const char *marker, size_t len);
size_t file_change_branches(const char *dir);
void file_truncate(const char *dir, off_t length);
void file_overwrite(const char *dir, const char *text, size_t length); // the text again and again
void file_rename(const char *dir, const char *from, const char *to);
uint64_t file_bytes(const char *dir);

void file_make_foreign_lmdb(const char *dir); // somebody else's database in its place
void file_set_format(const char *dir, uint8_t version);
void file_remove_item(const char *dir, uint64_t queue_id, uint64_t seq); // behind the back of the queue's record
size_t file_count_table(const char *dir, const char *table);
// Overwrite every page that holds the marker, but for the first two, which are LMDB.s own; how many pages.
size_t file_break_pages(const char *dir, const char *marker, size_t len);
