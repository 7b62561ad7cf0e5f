#include <criterion/criterion.h>
#include <string.h>

#include "status.h"

static const struct {
    const char *name;
    int code;
    int exit_code;
} rows[] = {
#define ROW(name, code, exit_code, text) {#name, code, exit_code},
    NQ_STATUS_LIST(ROW)
#undef ROW
};
#define ROWS (sizeof rows / sizeof rows[0])

// The wire contract: codes are dense from 0 and none is used twice.
Test(status, codes_are_unique_and_in_order)
{
    for (size_t i = 0; i < ROWS; i++)
        cr_assert_eq(rows[i].code, (int)i, "%s", rows[i].name);
}

Test(status, each_has_name_text_and_exit_code)
{
    for (size_t i = 0; i < ROWS; i++) {
        enum nq_status status = (enum nq_status)rows[i].code;
        cr_assert_str_eq(nq_status_name(status), rows[i].name);
        cr_assert(strlen(nq_status_text(status)) > 0);
        cr_assert_eq(nq_status_exit_code(status), rows[i].exit_code);
        for (size_t k = 0; k < i; k++)
            cr_assert_str_neq(rows[k].name, rows[i].name);
    }
}

Test(status, exit_codes_are_those_of_the_design)
{
    for (size_t i = 0; i < ROWS; i++) {
        int code = rows[i].exit_code;
        cr_assert(code == 0 || code == 1 || code == 64 || code == 69 || code == 73 || code == 75 || code == 77 || code == 78);
    }
}

Test(status, code_from_a_later_version_is_unknown)
{
    cr_assert_str_eq(nq_status_text((enum nq_status)ROWS), "unknown status");
    cr_assert_str_eq(nq_status_text((enum nq_status)0xFFFFFFFFu), "unknown status");
    cr_assert_str_eq(nq_status_name((enum nq_status)9999), "UNKNOWN");
    cr_assert_eq(nq_status_exit_code((enum nq_status)9999), 69);
}
