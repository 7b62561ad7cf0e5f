#include <criterion/criterion.h>
#include <string.h>

#include "json.h"
#include "text.h"

static void expect_text(struct cli_buffer *out, const char *expected)
{
    cli_buffer_add_byte(out, '\0');
    cr_expect(!out->failed);
    cr_expect_str_eq(out->data, expected);
    cli_buffer_fini(out);
}

Test(json, what_must_be_escaped_is)
{
    struct cli_buffer out = {0};
    static const char text[] = "a\"b\\c\n\r\t\x01\x1f\x7f\0z";
    cli_json_add_string(&out, text, sizeof(text) - 1);
    expect_text(&out, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f\\u007f\\u0000z\"");
}

Test(json, other_text_stays_as_it_is)
{
    struct cli_buffer out = {0};
    cli_json_add_string(&out, "grün €/", strlen("grün €/"));
    expect_text(&out, "\"grün €/\"");
}

Test(json, values_are_separated_by_commas)
{
    struct cli_buffer out = {0};
    struct cli_json json = {.out = &out};
    cli_json_begin_array(&json, NULL);
    cli_json_begin_object(&json, NULL);
    cli_json_number(&json, "n", UINT64_MAX);
    cli_json_bool(&json, "b", true);
    cli_json_begin_object(&json, "o");
    cli_json_end_object(&json);
    cli_json_base64(&json, "x", "\xff\xfe", 2);
    cli_json_end_object(&json);
    cli_json_begin_object(&json, NULL);
    cli_json_end_object(&json);
    cli_json_end_array(&json);
    expect_text(&out, "[{\"n\":18446744073709551615,\"b\":true,\"o\":{},\"x\":\"//4=\"},{}]");
}

Test(text, utf8_is_told_from_other_bytes)
{
    static const char *const good[] = {
        "", "abc", "\x7f", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xe1\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "a\xc2z"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_expect(cli_is_utf8(good[i], strlen(good[i])), "good %zu", i);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect(!cli_is_utf8(bad[i], strlen(bad[i])), "bad %zu", i);
    }
    cr_expect(cli_is_utf8("a\0b", 3));
}

Test(text, base64_and_back)
{
    static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct cli_buffer out = {0};
        cli_base64_encode(&out, pairs[i][0], strlen(pairs[i][0]));
        expect_text(&out, pairs[i][1]);
        cr_expect(cli_base64_decode(&out, pairs[i][1], strlen(pairs[i][1])));
        expect_text(&out, pairs[i][0]);
    }
}

Test(text, malformed_base64_is_refused)
{
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9v ", "Zm 9", "Z=9v", "Zm9-"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cli_buffer out = {0};
        cr_expect(!cli_base64_decode(&out, bad[i], strlen(bad[i])), "'%s'", bad[i]);
        cli_buffer_fini(&out);
    }
}
