#include "access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "name.h"

struct access {
    struct principal **principals; // by key
    size_t count, capacity;
    struct principal *last;
};

static const struct {
    const char *name;
    enum access_right right;
} rights[] = {{"put", ACCESS_PUT}, {"get", ACCESS_GET}, {"admin", ACCESS_ADMIN}};

enum access_right access_right_named(const char *name)
{
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        if (strcmp(rights[i].name, name) == 0) {
            return rights[i].right;
        }
    }
    return (enum access_right)0;
}

const char *access_right_name(enum access_right right)
{
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        if (rights[i].right == right) {
            return rights[i].name;
        }
    }
    return "put, get or admin";
}

// --------------------------------------------------------------------------------------------------------------------- the set

struct access *access_create(void)
{
    return calloc(1, sizeof(struct access));
}

static void principal_free(struct principal *principal)
{
    if (principal != NULL) {
        free(principal->rules);
        free(principal);
    }
}

void access_destroy(struct access **self_p)
{
    struct access *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        principal_free(self->principals[i]);
    }
    free(self->principals);
    free(self);
    *self_p = NULL;
}

// Where the key stands, or would stand.
static size_t place_of(const struct access *self, const char *key)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(self->principals[middle]->key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct principal *access_find(const struct access *self, const char *key)
{
    size_t place = place_of(self, key);
    return place < self->count && strcmp(self->principals[place]->key, key) == 0 ? self->principals[place] : NULL;
}

size_t access_count(const struct access *self)
{
    return self->count;
}

static bool reserve(struct access *self)
{
    if (self->count < self->capacity) {
        return true;
    }
    size_t capacity = self->capacity == 0 ? 16 : self->capacity * 2;
    struct principal **more = realloc(self->principals, capacity * sizeof(*more));
    if (more == NULL) {
        return false;
    }
    self->principals = more;
    self->capacity = capacity;
    return true;
}

enum access_added access_add(struct access *self, const char *name, const char *key, struct principal **out)
{
    *out = access_find(self, key);
    if (*out != NULL) {
        return ACCESS_KNOWN;
    }
    struct principal *principal = reserve(self) ? calloc(1, sizeof(*principal)) : NULL;
    if (principal == NULL) {
        return ACCESS_NO_MEMORY;
    }
    snprintf(principal->name, sizeof(principal->name), "%s", name);
    snprintf(principal->key, sizeof(principal->key), "%s", key);
    size_t place = place_of(self, key);
    memmove(&self->principals[place + 1], &self->principals[place], (self->count - place) * sizeof(struct principal *));
    self->principals[place] = principal;
    self->count++;
    self->last = principal;
    *out = principal;
    return ACCESS_ADDED;
}

void access_drop_last(struct access *self)
{
    if (self->last == NULL) {
        return;
    }
    size_t place = place_of(self, self->last->key);
    principal_free(self->last);
    self->last = NULL;
    self->count--;
    memmove(&self->principals[place], &self->principals[place + 1], (self->count - place) * sizeof(struct principal *));
}

// -------------------------------------------------------------------------------------------------------------------- patterns

enum access_added access_grant(struct principal *principal, enum access_right right, const char *patterns)
{
    for (const char *at = patterns + strspn(patterns, ", "); *at != '\0'; at += strspn(at, ", ")) {
        size_t len = strcspn(at, ", ");
        if (!nq_pattern_is_valid(at, len) || len >= ACCESS_PATTERN_BYTES) {
            return ACCESS_BAD_PATTERN;
        }
        if (principal->rule_count == ACCESS_PATTERNS_MAX) {
            return ACCESS_TOO_MANY;
        }
        struct access_rule *rules = realloc(principal->rules, (principal->rule_count + 1) * sizeof(*rules));
        if (rules == NULL) {
            return ACCESS_NO_MEMORY;
        }
        principal->rules = rules;
        struct access_rule *rule = &rules[principal->rule_count++];
        *rule = (struct access_rule){.rights = (uint8_t)right};
        memcpy(rule->pattern, at, len);
        at += len;
    }
    return ACCESS_ADDED;
}

// On a mismatch the last '*' takes one byte more; earlier ones never have to.
bool access_matches(const char *pattern, const void *name, size_t len)
{
    const char *at = name;
    const char *end = at + len;
    const char *star = NULL;
    const char *tried = at;
    while (at < end) {
        if (*pattern == '*') {
            star = pattern++;
            tried = at;
        } else if (*pattern != '\0' && (*pattern == '?' || *pattern == *at)) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star + 1;
            at = ++tried;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

uint8_t access_rights(const struct principal *principal, const void *name, size_t len)
{
    uint8_t found = 0;
    for (size_t i = 0; i < principal->rule_count; i++) {
        const struct access_rule *rule = &principal->rules[i];
        if ((found & rule->rights) == 0 && access_matches(rule->pattern, name, len)) {
            found |= rule->rights;
        }
    }
    return found;
}

bool access_covers_all(const struct principal *principal, enum access_right right)
{
    bool found = false;
    for (size_t i = 0; !found && i < principal->rule_count; i++) {
        found = (principal->rules[i].rights & right) != 0 && strcmp(principal->rules[i].pattern, "*") == 0;
    }
    return found;
}

bool access_same_rules(const struct principal *a, const struct principal *b)
{
    bool same = a->rule_count == b->rule_count;
    for (size_t i = 0; same && i < a->rule_count; i++) {
        same = a->rules[i].rights == b->rules[i].rights && strcmp(a->rules[i].pattern, b->rules[i].pattern) == 0;
    }
    return same;
}
