#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "access.h"

static bool matches(const char *pattern, const char *name)
{
    return access_matches(pattern, name, strlen(name));
}

Test(access, a_pattern_covers_what_it_says_and_nothing_else)
{
    static const struct {
        const char *pattern, *name;
        bool match;
    } cases[] = {
        {"*", "anything", true},
        {"*", "", true},
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "A", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"a*", "a", true},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"*c", "abcd", false},
        {"a*c", "ac", true},
        {"a*c", "abcbc", true},
        {"a*c", "abcb", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"?", "", false},
        {"??", "ab", true},
        {"a.*", "a.b/c.d", true},
        {"a.*", "axb", false},
        {"*a*b*", "xxayybzz", true},
        {"*a*b*", "b-a", false},
        {"**", "x", true},
        {"a**?b", "ab", false},
        {"a**?b", "axb", true},
        {"orders.*", "orders", false},
        {"*.dead", "x.dead.y", false},
        {"[a]", "a", false},
        {"\\*", "*", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(matches(cases[i].pattern, cases[i].name), cases[i].match, "'%s' and '%s'", cases[i].pattern, cases[i].name);
    }
    cr_assert_not(access_matches("a", "a\0private", 9));
    cr_assert_not(access_matches("a?private", "a\0privatX", 9));
}

Test(access, many_stars_take_no_long_time)
{
    char name[129];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cr_assert_not(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}

static void key_of(unsigned number, char key[ACCESS_KEY_BYTES])
{
    snprintf(key, ACCESS_KEY_BYTES, "%040u", number * 7919 % 1000);
}

Test(access, keys_are_found_among_many)
{
    struct access *access = access_create();
    struct principal *principal;
    char key[ACCESS_KEY_BYTES];
    for (unsigned i = 0; i < 500; i++) {
        char name[16];
        key_of(i, key);
        snprintf(name, sizeof(name), "n%u", i);
        cr_assert_eq(access_add(access, name, key, &principal), ACCESS_ADDED);
    }
    cr_assert_eq(access_add(access, "again", key, &principal), ACCESS_KNOWN);
    cr_assert_str_eq(principal->name, "n499");
    for (unsigned i = 0; i < 500; i++) {
        char name[16];
        key_of(i, key);
        snprintf(name, sizeof(name), "n%u", i);
        cr_assert_str_eq(access_find(access, key)->name, name);
    }
    cr_assert_null(access_find(access, "nobody"));
    cr_assert_eq(access_add(access, "last", "zzz", &principal), ACCESS_ADDED);
    access_drop_last(access);
    cr_assert_null(access_find(access, "zzz"));
    cr_assert_eq(access_count(access), 500);
    access_destroy(&access);
}

Test(access, rights_add_up_over_patterns)
{
    struct access *access = access_create();
    struct principal *one;
    struct principal *two;
    access_add(access, "one", "k1", &one);
    cr_assert_eq(access_rights(one, "a.x", 3), 0, "without a pattern, nothing");
    cr_assert_eq(access_grant(one, ACCESS_PUT, " a.*,  b ,"), ACCESS_ADDED);
    cr_assert_eq(access_grant(one, access_right_named("get"), "a.?"), ACCESS_ADDED);
    cr_assert_eq(access_rights(one, "a.x", 3), ACCESS_PUT | ACCESS_GET);
    cr_assert_eq(access_rights(one, "a.xy", 4), ACCESS_PUT);
    cr_assert_eq(access_rights(one, "b", 1), ACCESS_PUT);
    cr_assert_eq(access_rights(one, "c", 1), 0);
    access_add(access, "two", "k2", &two);
    cr_assert_not(access_same_rules(one, two));
    access_grant(two, ACCESS_PUT, "a.*,b");
    cr_assert_not(access_same_rules(one, two));
    access_grant(two, ACCESS_GET, "a.?");
    cr_assert(access_same_rules(one, two));
    struct principal *three;
    struct principal *four;
    access_add(access, "three", "k3", &three);
    access_grant(three, ACCESS_PUT, "a.*,b");
    access_grant(three, ACCESS_GET, "a.x");
    cr_assert_not(access_same_rules(one, three), "another pattern");
    access_add(access, "four", "k4", &four);
    access_grant(four, ACCESS_PUT, "a.*,b");
    access_grant(four, ACCESS_PUT, "a.?");
    cr_assert_not(access_same_rules(one, four), "another right");
    access_destroy(&access);
}

Test(access, what_is_no_pattern_is_refused)
{
    struct access *access = access_create();
    struct principal *principal;
    access_add(access, "one", "k", &principal);
    static const char *const bad[] = {"[a]", "a b\"c", "\\*", "a\n", "\xc3\xa4", "a;b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(access_grant(principal, ACCESS_PUT, bad[i]), ACCESS_BAD_PATTERN, "'%s'", bad[i]);
    }
    char long_one[200];
    memset(long_one, 'a', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    cr_assert_eq(access_grant(principal, ACCESS_PUT, long_one), ACCESS_BAD_PATTERN);
    enum access_added added = ACCESS_ADDED;
    for (int i = 0; i < ACCESS_PATTERNS_MAX + 1 && added == ACCESS_ADDED; i++) {
        added = access_grant(principal, ACCESS_PUT, "x");
    }
    cr_assert_eq(added, ACCESS_TOO_MANY);
    cr_assert_eq(access_right_named("puts"), 0);
    access_destroy(&access);
}
