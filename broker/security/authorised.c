#include "authorised.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"

enum { PATH_BYTES = 4096 };

struct authorised {
    char dir[PATH_BYTES];
    pthread_mutex_t mutex; // guards `set` against its exchange while another thread looks into it
    struct access *set;
};

static enum nq_status fail(struct keys_error *error, enum nq_status status, const char *dir, const char *what)
{
    snprintf(error->text, sizeof(error->text), "%.250s: %.100s", dir, what);
    error->status = status;
    return status;
}

// --------------------------------------------------------------------------------------------------------------------- reading

static const char *grant_fields(struct principal *principal, const struct keys_certificate *certificate)
{
    static const char *const complaints[] = {[ACCESS_NO_MEMORY] = "out of memory",
                                             [ACCESS_BAD_PATTERN] = "a pattern holds what no queue's name has",
                                             [ACCESS_TOO_MANY] = "too many patterns",
                                             [ACCESS_KNOWN] = "known"};
    for (size_t i = 0; i < certificate->field_count; i++) {
        enum access_right right = access_right_named(certificate->fields[i].name);
        enum access_added added = right == 0 ? ACCESS_ADDED : access_grant(principal, right, certificate->fields[i].value);
        if (added != ACCESS_ADDED) {
            return complaints[added];
        }
    }
    return NULL;
}

// A file that is not as it must be is left out as a whole, so that half of it grants nothing.
static void add_file(struct access *set, const char *dir, const char *name)
{
    struct keys_certificate certificate;
    struct keys_error error = {0};
    struct principal *principal;
    if (keys_load_certificate(dir, name, &certificate, &error) != NQ_OK) {
        log_warning("this key is not authorised: %s", error.text);
    } else {
        enum access_added added = access_add(set, name, certificate.public_key, &principal);
        const char *complaint = added == ACCESS_ADDED ? grant_fields(principal, &certificate) : NULL;
        if (added == ACCESS_KNOWN) {
            log_warning("%s/%s is left out: its key is that of '%s'", dir, name, principal->name);
        } else if (added != ACCESS_ADDED || complaint != NULL) {
            log_warning("this key is not authorised: %s/%s: %s", dir, name, complaint == NULL ? "out of memory" : complaint);
        }
        if (complaint != NULL) {
            access_drop_last(set);
        }
    }
    keys_certificate_fini(&certificate);
}

static int is_certificate(const struct dirent *entry)
{
    return keys_name_is_valid(entry->d_name) ? 1 : 0;
}

static const char *distrust(const char *dir)
{
    struct stat status;
    if (stat(dir, &status) != 0) {
        return strerror(errno);
    }
    if (!S_ISDIR(status.st_mode)) {
        return "not a folder";
    }
    return (status.st_mode & S_IWOTH) != 0 ? "everybody may change it: chmod 700 it" : NULL;
}

static enum nq_status read_folder(const char *dir, struct access *set, struct keys_error *error)
{
    struct dirent **entries = NULL;
    const char *why = distrust(dir);
    int count = why == NULL ? scandir(dir, &entries, is_certificate, alphasort) : -1;
    if (count < 0) {
        return fail(error, NQ_BAD_CONFIG, dir, why != NULL ? why : strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        add_file(set, dir, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return NQ_OK;
}

// ---------------------------------------------------------------------------------------------------------------- open, reload

enum nq_status authorised_open(const char *keys_dir, struct authorised **out, struct keys_error *error)
{
    struct authorised *self = calloc(1, sizeof(*self));
    enum nq_status status = NQ_OK;
    *out = NULL;
    if (self == NULL) {
        return fail(error, NQ_NO_MEMORY, keys_dir, nq_status_text(NQ_NO_MEMORY));
    }
    pthread_mutex_init(&self->mutex, NULL);
    self->set = access_create();
    if (self->set == NULL) {
        status = fail(error, NQ_NO_MEMORY, keys_dir, nq_status_text(NQ_NO_MEMORY));
    } else if (snprintf(self->dir, sizeof(self->dir), "%s/" KEYS_AUTHORISED, keys_dir) >= (int)sizeof(self->dir)) {
        status = fail(error, NQ_BAD_CONFIG, keys_dir, "the path is too long");
    } else {
        status = read_folder(self->dir, self->set, error);
    }
    if (status != NQ_OK) {
        authorised_close(&self);
    }
    *out = self;
    return status;
}

void authorised_close(struct authorised **self_p)
{
    struct authorised *self = *self_p;
    if (self == NULL) {
        return;
    }
    access_destroy(&self->set);
    pthread_mutex_destroy(&self->mutex);
    free(self);
    *self_p = NULL;
}

struct access *authorised_set(const struct authorised *self)
{
    return self->set;
}

struct access *authorised_reload(struct authorised *self)
{
    struct keys_error error = {0};
    struct access *set = access_create();
    if (set == NULL) {
        return NULL;
    }
    if (read_folder(self->dir, set, &error) != NQ_OK) {
        log_error("nobody is authorised: %s", error.text);
    }
    pthread_mutex_lock(&self->mutex);
    struct access *before = self->set;
    self->set = set;
    pthread_mutex_unlock(&self->mutex);
    return before;
}

bool authorised_knows(struct authorised *self, const char *key, char name[ACCESS_NAME_BYTES])
{
    pthread_mutex_lock(&self->mutex);
    const struct principal *principal = access_find(self->set, key);
    if (principal != NULL) {
        snprintf(name, ACCESS_NAME_BYTES, "%s", principal->name);
    }
    pthread_mutex_unlock(&self->mutex);
    return principal != NULL;
}
