// New certificates. A file is written aside under a name of its own and then given its name, unless that is taken.
#include <czmq.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keys.h"
#include "keys_internal.h"

typedef int save_function(zcert_t *self, const char *filename);

static enum nq_status save(zcert_t *certificate, save_function *as, const char *path, struct keys_error *error)
{
    char aside[KEYS_PATH_MAX + 8];
    snprintf(aside, sizeof(aside), "%s.new", path);
    unlink(aside); // left over from a call that was cut off
    errno = 0;
    if (as(certificate, aside) != 0) {
        return keys_fail(error, NQ_BAD_CONFIG, path, errno != 0 ? strerror(errno) : "cannot be written");
    }
    int failed = link(aside, path) == 0 ? 0 : errno; // unlike rename, never in place of another
    unlink(aside);
    return failed == 0 ? NQ_OK : keys_fail(error, NQ_BAD_CONFIG, path, failed == EEXIST ? "is there already" : strerror(failed));
}

static enum nq_status write_part(zcert_t *certificate, save_function *as, const char *dir, const char *name, const char *suffix,
                                 struct keys_error *error)
{
    char path[KEYS_PATH_MAX];
    return keys_path(path, dir, name, suffix) ? save(certificate, as, path, error)
                                              : keys_fail(error, NQ_BAD_CONFIG, dir, "the path is too long");
}

// Values are written between quotes as they are, so none may hold one.
static bool describe(zcert_t *certificate, const struct keys_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strpbrk(fields[i].value, "\"\\\n\r#") != NULL) {
            return false;
        }
        zcert_set_meta(certificate, fields[i].name, "%s", fields[i].value);
    }
    return true;
}

enum nq_status keys_make_pair(const char *dir, const char *name, const struct keys_field *fields, size_t field_count,
                              struct keys_pair *out, struct keys_error *error)
{
    zcert_t *certificate = zcert_new();
    if (certificate == NULL || !describe(certificate, fields, field_count)) {
        zcert_destroy(&certificate);
        return keys_fail(error, NQ_BAD_CONFIG, name, "cannot make a key");
    }
    enum nq_status status = write_part(certificate, zcert_save_secret, dir, name, KEYS_SECRET_SUFFIX, error);
    if (status == NQ_OK) {
        status = write_part(certificate, zcert_save_public, dir, name, "", error);
    }
    snprintf(out->public_key, sizeof(out->public_key), "%s", zcert_public_txt(certificate));
    snprintf(out->secret_key, sizeof(out->secret_key), "%s", zcert_secret_txt(certificate));
    zcert_destroy(&certificate);
    return status;
}

enum nq_status keys_write_public(const char *dir, const char *name, const char *public_key, const struct keys_field *fields,
                                 size_t field_count, struct keys_error *error)
{
    uint8_t key[32];
    static const uint8_t no_secret[32];
    if (zmq_z85_decode(key, public_key) == NULL) {
        return keys_fail(error, NQ_BAD_CONFIG, name, "not a public key");
    }
    zcert_t *certificate = zcert_new_from(key, no_secret);
    enum nq_status status = NQ_NO_MEMORY;
    if (certificate == NULL || !describe(certificate, fields, field_count)) {
        status = keys_fail(error, NQ_BAD_CONFIG, name, "cannot be written as a certificate");
    } else {
        status = write_part(certificate, zcert_save_public, dir, name, "", error);
    }
    zcert_destroy(&certificate);
    return status;
}
