#include "status.h"

#include <stddef.h>

struct status_row {
    const char *name;
    const char *text;
    int exit_code;
};

#define STATUS_ROW(name, code, exit_code, text) [code] = {#name, text, exit_code},
static const struct status_row rows[] = {NQ_STATUS_LIST(STATUS_ROW)};
#undef STATUS_ROW

// A code can come from the wire, so it may be anything.
static const struct status_row *row_of(enum nq_status status)
{
    static const struct status_row unknown = {"UNKNOWN", "unknown status", 69};
    size_t code = (size_t)(unsigned)status;
    if (code >= sizeof rows / sizeof rows[0] || !rows[code].name)
        return &unknown;
    return &rows[code];
}

const char *nq_status_text(enum nq_status status)
{
    return row_of(status)->text;
}

const char *nq_status_name(enum nq_status status)
{
    return row_of(status)->name;
}

int nq_status_exit_code(enum nq_status status)
{
    return row_of(status)->exit_code;
}
