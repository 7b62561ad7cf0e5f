#include <criterion/criterion.h>
#include <string.h>

#include "name.h"
#include "wire_limits.h"

Test(name, table)
{
    static const struct {
        const char *name;
        size_t len;
        bool valid;
    } table[] = {
        {"a", 1, true},         {"jobs", 4, true},       {"Jobs.2026-11_x", 14, true},
        {"team/jobs", 9, true}, {"a:b", 3, true},        {"_x", 2, true},
        {"0", 1, true},         {"a-", 2, true},         {"a.", 2, true},
        {"a/b/c", 5, true},     {":", 1, true},          {"", 0, false},
        {".a", 2, false},       {"-a", 2, false},        {"/a", 2, false},
        {"a/", 2, false},       {"a//b", 4, false},      {"a..b", 4, false},
        {"a b", 3, false},      {"a\n", 2, false},       {"a\0b", 3, false},
        {"\x7f", 1, false},     {"a\xc3\xa9", 3, false}, {"a,b", 3, false},
        {"a+b", 3, false},      {"a;b", 3, false},       {"a@b", 3, false},
        {"a[b", 3, false},      {"a`b", 3, false},       {"a{b", 3, false},
        {"*", 1, false},        {"a--b", 4, true},       {"a::b", 4, true},
        {"a/.b", 4, true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        cr_expect_eq(nq_name_is_valid(table[i].name, table[i].len), table[i].valid, "'%s'", table[i].name);
}

Test(name, length_is_bounded)
{
    char name[NQ_NAME_BYTES_MAX + 1];
    memset(name, 'n', sizeof name);
    cr_assert(nq_name_is_valid(name, NQ_NAME_BYTES_MAX));
    cr_assert_not(nq_name_is_valid(name, NQ_NAME_BYTES_MAX + 1));
}

Test(name, every_byte_is_decided)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-";
    for (int byte = 0; byte < 256; byte++) {
        char name[3] = {'a', (char)byte, 'z'};
        bool expected = byte != 0 && strchr(allowed, byte) != NULL;
        cr_expect_eq(nq_name_is_valid(name, 3), expected, "byte %d", byte);
    }
}
