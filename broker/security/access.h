// Who may do what: keys, and for each the queues, by name pattern, that it may put to, get from or administer. Pure.
//
// A pattern is made of the bytes that a queue's name may have, '*' (any run of them, also none, also across '/' and '.') and '?' (one).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACCESS_NAME_BYTES = 65, ACCESS_KEY_BYTES = 41, ACCESS_PATTERN_BYTES = 129, ACCESS_PATTERNS_MAX = 64 };

enum access_right { ACCESS_PUT = 1, ACCESS_GET = 2, ACCESS_ADMIN = 4, ACCESS_ANY = 7 };

struct access_rule {
    uint8_t rights;
    char pattern[ACCESS_PATTERN_BYTES];
};

// The holder of a key.
struct principal {
    char key[ACCESS_KEY_BYTES]; // as text
    char name[ACCESS_NAME_BYTES];
    struct access_rule *rules;
    size_t rule_count;
    // What the front end notes about it.
    uint64_t sessions;
    uint64_t parked_bytes; // by the waiting puts of these
    uint64_t refusal_logged_ms;
    uint32_t refusals_left_out;
    uint64_t rate_second; // the second that `rate_used` counts in
    uint64_t rate_used;
};

struct access;

struct access *access_create(void); // nobody may do anything; NULL: out of memory
void access_destroy(struct access **self_p);

enum access_added { ACCESS_ADDED, ACCESS_NO_MEMORY, ACCESS_BAD_PATTERN, ACCESS_TOO_MANY, ACCESS_KNOWN };

// One more key, without rights. KNOWN: it is another's already, whose name is in *out.
enum access_added access_add(struct access *self, const char *name, const char *key, struct principal **out);
// Patterns, separated by commas and spaces, for one right. On an error some of them may be in force: drop the principal.
enum access_added access_grant(struct principal *principal, enum access_right right, const char *patterns);
void access_drop_last(struct access *self); // the principal added last

// A field of a certificate: "put", "get", "admin". 0: no right.
enum access_right access_right_named(const char *name);
const char *access_right_name(enum access_right right);

struct principal *access_find(const struct access *self, const char *key); // NULL: not authorised
size_t access_count(const struct access *self);

bool access_matches(const char *pattern, const void *name, size_t len);
uint8_t access_rights(const struct principal *principal, const void *name, size_t len); // a sum of enum access_right
bool access_covers_all(const struct principal *principal, enum access_right right);     // by the pattern "*"
bool access_same_rules(const struct principal *a, const struct principal *b);
