// keygen: the keys of a broker and of its clients, each where it is looked for.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "admin.h"
#include "keys.h"
#include "name.h"

enum { PATH_BYTES = 4096 };

static const struct {
    const char *name;
    size_t offset;
} roles[] = {{"put", offsetof(struct admin_options, put)},
             {"get", offsetof(struct admin_options, get)},
             {"admin", offsetof(struct admin_options, admin)}};
enum { ROLES = sizeof(roles) / sizeof(roles[0]) };

static bool make_dir(const char *dir, bool fresh)
{
    if (mkdir(dir, 0700) == 0 || (errno == EEXIST && !fresh)) {
        return true;
    }
    cli_report("%s: %s", dir, errno == EEXIST ? "is there already" : strerror(errno));
    return false;
}

static bool patterns_are_good(const char *patterns)
{
    for (const char *at = patterns + strspn(patterns, ", "); *at != '\0'; at += strspn(at, ", ")) {
        size_t len = strcspn(at, ", ");
        if (!nq_pattern_is_valid(at, len)) {
            cli_report("'%.*s' is no pattern of queue names", (int)(len < 100 ? len : 100), at);
            return false;
        }
        at += len;
    }
    return true;
}

struct client_roles {
    struct keys_field fields[ROLES];
    size_t count;
};

// As they stand in the certificate that the broker reads. Nothing said: to put and to get, everywhere.
static enum nq_status take_roles(const struct admin *admin, struct client_roles *out)
{
    static char all[] = "*";
    *out = (struct client_roles){0};
    for (size_t i = 0; i < ROLES; i++) {
        char *patterns = *(char *const *)(const void *)((const char *)&admin->options + roles[i].offset);
        if (patterns != NULL && !patterns_are_good(patterns)) {
            return NQ_BAD_REQUEST;
        }
        if (patterns != NULL) {
            out->fields[out->count++] = (struct keys_field){(char *)(uintptr_t)roles[i].name, patterns};
        }
    }
    for (size_t i = 0; out->count == 0 && i < 2; i++) {
        out->fields[i] = (struct keys_field){(char *)(uintptr_t)roles[i].name, all};
    }
    out->count = out->count == 0 ? 2 : out->count;
    return NQ_OK;
}

static void show(struct admin *admin, const char *what, const char *dir, const char *public_key)
{
    if (admin->options.common.format == CLI_FORMAT_JSON) {
        struct cli_json json = {.out = &admin->out};
        cli_json_begin_object(&json, NULL);
        cli_json_text(&json, "keys", dir);
        cli_json_text(&json, "of", what);
        cli_json_text(&json, "public_key", public_key);
        cli_json_end_object(&json);
        cli_buffer_add_byte(&admin->out, '\n');
    } else if (!admin->options.common.quiet) {
        cli_buffer_format(&admin->out, "%s: keys of %s, public key %s\n", dir, what, public_key);
    }
}

static enum nq_status broker_keys(struct admin *admin, const char *dir, struct keys_pair *pair, struct keys_error *error)
{
    char path[PATH_BYTES];
    struct stat there;
    snprintf(path, sizeof(path), "%s/" KEYS_BROKER KEYS_SECRET_SUFFIX, dir);
    if (stat(path, &there) == 0 || errno != ENOENT) {
        return keys_load_pair(dir, KEYS_BROKER, pair, error);
    }
    enum nq_status status = keys_make_pair(dir, KEYS_BROKER, NULL, 0, pair, error);
    if (status == NQ_OK) {
        show(admin, "the broker", dir, pair->public_key);
    }
    return status;
}

// A client whose folder has been handed out gets no second one, with keys that nobody would let in.
static bool name_is_free(const char *authorised, const char *name)
{
    char path[PATH_BYTES + KEYS_NAME_BYTES_MAX + 2];
    struct stat there;
    snprintf(path, sizeof(path), "%s/%s", authorised, name);
    if (lstat(path, &there) != 0) {
        return true;
    }
    cli_report("%s: is there already", path);
    return false;
}

// The client's folder is complete before the broker lets it in.
static enum nq_status client_keys(struct admin *admin, const char *keys, const char *name, const char *broker_key,
                                  const struct client_roles *granted, struct keys_error *error)
{
    char dir[PATH_BYTES];
    char authorised[PATH_BYTES];
    struct keys_pair pair = {0};
    snprintf(dir, sizeof(dir), "%s/clients/%s", keys, name);
    snprintf(authorised, sizeof(authorised), "%s/" KEYS_AUTHORISED, keys);
    if (!name_is_free(authorised, name) || !make_dir(dir, true)) {
        return NQ_BAD_CONFIG;
    }
    enum nq_status status = keys_make_pair(dir, KEYS_CLIENT, NULL, 0, &pair, error);
    if (status == NQ_OK) {
        status = keys_write_public(dir, KEYS_BROKER, broker_key, NULL, 0, error);
    }
    if (status == NQ_OK) {
        status = keys_write_public(authorised, name, pair.public_key, granted->fields, granted->count, error);
    }
    if (status == NQ_OK) {
        show(admin, name, dir, pair.public_key);
    }
    keys_forget(&pair);
    return status;
}

static const char *word_at(const struct admin *admin, size_t i)
{
    const struct cli_arguments *arguments = &admin->arguments;
    return i < arguments->words_count ? arguments->words[i] : arguments->rest[i - arguments->words_count];
}

static enum nq_status check_names(const struct admin *admin, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (!keys_name_is_valid(word_at(admin, i))) {
            cli_report("'%.64s' cannot be a client's name: letters, digits, '.', '_' and '-'", word_at(admin, i));
            return NQ_BAD_REQUEST;
        }
    }
    return NQ_OK;
}

static enum nq_status make_all(struct admin *admin, const char *keys, size_t count, const struct client_roles *granted,
                               struct keys_error *error)
{
    static const char *const folders[] = {"", ("/" KEYS_AUTHORISED), "/clients"};
    struct keys_pair broker = {0};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char dir[PATH_BYTES];
        if (snprintf(dir, sizeof(dir), "%s%s", keys, folders[i]) >= PATH_BYTES - 2 * KEYS_NAME_BYTES_MAX || !make_dir(dir, false)) {
            return NQ_BAD_CONFIG;
        }
    }
    enum nq_status status = broker_keys(admin, keys, &broker, error);
    for (size_t i = 1; i < count && status == NQ_OK; i++) {
        status = client_keys(admin, keys, word_at(admin, i), broker.public_key, granted, error);
    }
    keys_forget(&broker);
    return status;
}

enum nq_status admin_keygen(struct admin *admin)
{
    struct keys_error error = {0};
    size_t count = admin->arguments.words_count + admin->arguments.rest_count;
    struct client_roles granted;
    enum nq_status status = check_names(admin, count);
    if (status == NQ_OK) {
        status = take_roles(admin, &granted);
    }
    if (status == NQ_OK) { // nothing is written for a command that is refused
        status = make_all(admin, word_at(admin, 0), count, &granted, &error);
    }
    if (error.text[0] != '\0') {
        cli_report("%s", error.text);
    }
    return status;
}
