#include "keys.h"

#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys_internal.h"

enum { FILE_BYTES_MAX = 65536, KEY_BYTES = 32, KEY_TEXT_LEN = KEYS_TEXT_BYTES - 1 };

enum nq_status keys_fail(struct keys_error *error, enum nq_status status, const char *path, const char *what)
{
    snprintf(error->text, sizeof(error->text), "%.250s: %.120s", path, what);
    error->status = status;
    return status;
}

bool keys_path(char out[KEYS_PATH_MAX], const char *dir, const char *name, const char *suffix)
{
    int len = snprintf(out, KEYS_PATH_MAX, "%s/%s%s", dir, name, suffix);
    return len > 0 && len < KEYS_PATH_MAX;
}

bool keys_name_is_valid(const char *name)
{
    size_t len = strlen(name);
    size_t suffix = strlen(KEYS_SECRET_SUFFIX);
    if (len == 0 || len > KEYS_NAME_BYTES_MAX || name[0] == '.' || name[0] == '-' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len) {
        return false;
    }
    return len < suffix || strcmp(name + len - suffix, KEYS_SECRET_SUFFIX) != 0;
}

void keys_forget(struct keys_pair *pair)
{
    explicit_bzero(pair, sizeof(*pair));
}

void keys_certificate_fini(struct keys_certificate *self)
{
    for (size_t i = 0; i < self->field_count; i++) {
        free(self->fields[i].name);
        free(self->fields[i].value);
    }
    *self = (struct keys_certificate){0};
}

// --------------------------------------------------------------------------------------------------------------------- reading

// Who may have read or changed the file counts on the open file, not on its name.
static const char *distrust(int fd, bool secret)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return strerror(errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return "not a file";
    }
    if (status.st_size > FILE_BYTES_MAX) {
        return "too large for a certificate";
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return "belongs to another user";
    }
    if (secret && (status.st_mode & 077) != 0) {
        return "a secret key that others may read: chmod 600 it";
    }
    return (status.st_mode & S_IWOTH) != 0 ? "everybody may change it: chmod 644 it" : NULL;
}

static bool read_all(int fd, char *text)
{
    size_t len = 0;
    while (len < FILE_BYTES_MAX) {
        ssize_t got = read(fd, text + len, FILE_BYTES_MAX - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            text[len] = '\0';
            return got == 0 && strlen(text) == len;
        }
        len += (size_t)got;
    }
    return false;
}

// zconfig complains on stdout about what it cannot parse, and reads on: look first. A line is empty, a comment, or
// `name` or `name = "value"` behind a multiple of four spaces.
static bool line_is_well_formed(const char *line, size_t len)
{
    size_t indent = strspn(line, " ");
    if (indent >= len || line[indent] == '#') {
        return true;
    }
    const char *at = line + indent;
    size_t left = len - indent;
    size_t name = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    if (indent % 4 != 0 || name == 0) {
        return false;
    }
    size_t space = name + strspn(at + name, " ");
    if (space >= left) {
        return true;
    }
    if (at[space] != '=') {
        return false;
    }
    space += 1 + strspn(at + space + 1, " ");
    const char *quote = space < left ? memchr(at + space + 1, '"', left - space - 1) : NULL;
    return at[space] == '"' && quote != NULL && strspn(quote + 1, " ") >= (size_t)(at + left - quote - 1);
}

static bool is_well_formed(const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        if (!line_is_well_formed(text, len)) {
            return false;
        }
        text += len + (text[len] == '\n' ? 1 : 0);
    }
    return true;
}

// zcert_load is not used: it cuts long paths, and takes a key that is none as zeros, which everybody can compute with.
static enum nq_status read_config(const char *path, bool secret, zconfig_t **out, struct keys_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return keys_fail(error, NQ_BAD_CONFIG, path, strerror(errno));
    }
    const char *why = distrust(fd, secret);
    char *text = why == NULL ? malloc(FILE_BYTES_MAX + 1) : NULL;
    bool read = text != NULL && read_all(fd, text);
    close(fd);
    *out = read && is_well_formed(text) ? zconfig_str_load(text) : NULL;
    if (text != NULL) {
        explicit_bzero(text, FILE_BYTES_MAX + 1);
        free(text);
    }
    return *out != NULL ? NQ_OK : keys_fail(error, NQ_BAD_CONFIG, path, why != NULL ? why : "not a certificate");
}

// A key is 32 bytes that are not all zero, and there is one way to write it.
static bool take_key(zconfig_t *root, const char *name, char out[KEYS_TEXT_BYTES])
{
    static const uint8_t zeros[KEY_BYTES];
    uint8_t key[KEY_BYTES];
    char again[KEYS_TEXT_BYTES];
    const char *text = zconfig_get(root, name, "");
    bool good = strlen(text) == KEY_TEXT_LEN && zmq_z85_decode(key, text) != NULL && memcmp(key, zeros, KEY_BYTES) != 0 &&
                zmq_z85_encode(again, key, KEY_BYTES) != NULL && strcmp(again, text) == 0;
    if (good) {
        memcpy(out, text, KEYS_TEXT_BYTES);
    }
    explicit_bzero(key, sizeof(key));
    explicit_bzero(again, sizeof(again));
    return good;
}

static enum nq_status take_pair(zconfig_t *root, const char *path, struct keys_pair *out, struct keys_error *error)
{
    char derived[KEYS_TEXT_BYTES];
    if (!take_key(root, "/curve/public-key", out->public_key)) {
        return keys_fail(error, NQ_BAD_CONFIG, path, "no good public key in it");
    }
    if (!take_key(root, "/curve/secret-key", out->secret_key)) {
        return keys_fail(error, NQ_BAD_CONFIG, path, "no good secret key in it");
    }
    if (zmq_curve_public(derived, out->secret_key) != 0 || strcmp(derived, out->public_key) != 0) {
        return keys_fail(error, NQ_BAD_CONFIG, path, "its public key does not belong to its secret key");
    }
    return NQ_OK;
}

enum nq_status keys_load_pair(const char *dir, const char *name, struct keys_pair *out, struct keys_error *error)
{
    char path[KEYS_PATH_MAX];
    zconfig_t *root = NULL;
    *out = (struct keys_pair){0};
    if (!keys_path(path, dir, name, KEYS_SECRET_SUFFIX)) {
        return keys_fail(error, NQ_BAD_CONFIG, dir, "the path is too long");
    }
    enum nq_status status = read_config(path, true, &root, error);
    if (status == NQ_OK) {
        status = take_pair(root, path, out, error);
    }
    zconfig_destroy(&root);
    if (status != NQ_OK) {
        keys_forget(out);
    }
    return status;
}

static enum nq_status take_fields(zconfig_t *root, const char *path, struct keys_certificate *out, struct keys_error *error)
{
    zconfig_t *section = zconfig_locate(root, "/metadata");
    for (zconfig_t *at = section == NULL ? NULL : zconfig_child(section); at != NULL; at = zconfig_next(at)) {
        if (out->field_count == KEYS_FIELDS_MAX) {
            return keys_fail(error, NQ_BAD_CONFIG, path, "too many fields");
        }
        const char *value = zconfig_value(at);
        struct keys_field *field = &out->fields[out->field_count++];
        field->name = strdup(zconfig_name(at));
        field->value = strdup(value == NULL ? "" : value);
        if (field->name == NULL || field->value == NULL) {
            return keys_fail(error, NQ_NO_MEMORY, path, nq_status_text(NQ_NO_MEMORY));
        }
    }
    return NQ_OK;
}

enum nq_status keys_load_certificate(const char *dir, const char *name, struct keys_certificate *out, struct keys_error *error)
{
    char path[KEYS_PATH_MAX];
    zconfig_t *root = NULL;
    *out = (struct keys_certificate){0};
    if (!keys_path(path, dir, name, "")) {
        return keys_fail(error, NQ_BAD_CONFIG, dir, "the path is too long");
    }
    enum nq_status status = read_config(path, false, &root, error);
    if (status == NQ_OK && !take_key(root, "/curve/public-key", out->public_key)) {
        status = keys_fail(error, NQ_BAD_CONFIG, path, "no good public key in it");
    }
    if (status == NQ_OK) {
        status = take_fields(root, path, out, error);
    }
    zconfig_destroy(&root);
    return status;
}

// -------------------------------------------------------------------------------------------------------------------- sessions

// SHA-1, which czmq brings: to take another's session one would need a second preimage, not a collision.
bool keys_bind_session(const char *public_key, const uint8_t id[KEYS_SESSION_ID_BYTES], uint8_t out[KEYS_SESSION_ID_BYTES])
{
    uint8_t text[KEY_TEXT_LEN + KEYS_SESSION_ID_BYTES];
    memcpy(text, public_key, KEY_TEXT_LEN);
    memcpy(text + KEY_TEXT_LEN, id, KEYS_SESSION_ID_BYTES);
    zdigest_t *digest = zdigest_new();
    if (digest == NULL) {
        return false;
    }
    zdigest_update(digest, text, sizeof(text));
    memcpy(out, zdigest_data(digest), KEYS_SESSION_ID_BYTES);
    zdigest_destroy(&digest);
    return true;
}
