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

// It becomes the name of a folder: nothing that leads elsewhere or hides.
Test(name, of_a_backup_is_one_plain_folder_name)
{
    static const char *const good[] = {"a", "0", "monday", "2026-11-26_03.00", "A.b-c_d", "a..b"};
    static const char *const bad[] = {"",   ".",    "..",  ".hidden", "-option", "_",    "a/b",
                                      "/a", "../a", "a:b", "a b",     "a\n",     "a\\b", "\xc3\xa4"};
    char name[NQ_BACKUP_NAME_BYTES_MAX + 1];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(nq_backup_name_is_valid(good[i], strlen(good[i])), "'%s'", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(nq_backup_name_is_valid(bad[i], strlen(bad[i])), "'%s'", bad[i]);
    cr_expect_not(nq_backup_name_is_valid("a\0b", 3));
    memset(name, 'n', sizeof name);
    cr_expect(nq_backup_name_is_valid(name, NQ_BACKUP_NAME_BYTES_MAX));
    cr_expect_not(nq_backup_name_is_valid(name, NQ_BACKUP_NAME_BYTES_MAX + 1));
}
