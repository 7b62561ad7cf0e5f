// Doing things to the file of a closed LMDB store: damage, other versions, looks behind its interface. Failing is a failed test.
#pragma once
#include <stdbool.h>
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
void file_remove(const char *dir, const char *file);
void file_copy(const char *dir, const char *from, const char *to);
void file_zero(const char *dir, const char *file); // all of it
bool file_exists(const char *dir, const char *file);
uint64_t file_bytes(const char *dir);

void file_make_foreign_lmdb(const char *dir); // somebody else's database in its place
void file_set_format(const char *dir, uint8_t version);
void file_remove_item(const char *dir, uint64_t queue_id, uint64_t seq); // behind the back of the queue's record
size_t file_count_table(const char *dir, const char *table);
// Overwrite every page that holds the marker, but for the first two, which are LMDB.s own; how many pages.
size_t file_break_pages(const char *dir, const char *marker, size_t len);

// LMDB's own list of free pages, as of the last commit: entry `index` of its first part (0: the count) becomes `value`. What it was.
uint64_t file_set_free_page(const char *dir, size_t index, uint64_t value);
uint64_t file_root_page(const char *dir);           // a page that is in use
void file_grow_last_page(const char *dir);          // LMDB's two heads speak of a page more than there is anything on
void file_raise_older_head(const char *dir);        // its commit's number passes that of the newer one by three
void file_flip_meta(const char *dir, uint64_t key); // a bit of the record (key, 0) of the table meta
