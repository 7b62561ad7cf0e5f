#include "file.h"

#include <czmq.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "options.h"

enum { FILE_BYTES_MAX = 256 * 1024 };

static enum nq_status refuse(struct config_error *error, const char *path, const char *what, const char *why)
{
    snprintf(error->text, sizeof(error->text), "%s: %s%s%s", path, what, why[0] == '\0' ? "" : ": ", why);
    error->status = NQ_BAD_CONFIG;
    return NQ_BAD_CONFIG;
}

static enum nq_status apply(struct config *config, const char *path, zconfig_t *entry, struct config_error *error)
{
    const char *name = zconfig_name(entry);
    const char *value = zconfig_value(entry);
    const struct option_spec *spec = name == NULL ? NULL : option_find(name);
    char what[160];
    snprintf(what, sizeof(what), "%.100s", name == NULL ? "" : name);
    if (spec == NULL || spec->command_line_only) {
        return refuse(error, path, what, "no such option");
    }
    if (zconfig_child(entry) != NULL) {
        return refuse(error, path, what, "a value is expected, not a section");
    }
    char why[128] = "";
    enum nq_status status = option_set(config, spec, CONFIG_FILE, value == NULL ? "" : value, why, sizeof(why));
    if (status == NQ_BAD_REQUEST) {
        snprintf(what, sizeof(what), "%s = %.100s", spec->name, value == NULL ? "" : value);
        return refuse(error, path, what, why);
    }
    return status;
}

// The whole file as text, to be freed. zconfig would read it itself, but says nothing of why it cannot, and leaks when it cannot parse.
static enum nq_status read_text(const char *path, char **text, struct config_error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return refuse(error, path, "cannot be read", strerror(errno));
    }
    enum nq_status status = NQ_OK;
    *text = calloc(1, FILE_BYTES_MAX + 1);
    size_t len = *text == NULL ? 0 : fread(*text, 1, FILE_BYTES_MAX + 1, file);
    if (*text == NULL) {
        status = NQ_NO_MEMORY;
    } else if (ferror(file) != 0) { // a directory
        status = refuse(error, path, "cannot be read", strerror(errno));
    } else if (len > FILE_BYTES_MAX) {
        status = refuse(error, path, "too large for a configuration", "");
    } else if (memchr(*text, '\0', len) != NULL) {
        status = refuse(error, path, "not a text", "");
    }
    fclose(file);
    if (status != NQ_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

// zconfig tells what it cannot read, and where, on stdout alone. This takes that line for the error.
static zconfig_t *parse(const char *text, char *why, size_t why_size)
{
    static const char mark[] = "(zconfig): ";
    char told[256] = "";
    int out = dup(STDOUT_FILENO);
    int aside = memfd_create("zconfig", MFD_CLOEXEC);
    bool taken = out >= 0 && aside >= 0 && fflush(stdout) == 0 && dup2(aside, STDOUT_FILENO) >= 0;
    zconfig_t *root = zconfig_str_load(text);
    if (taken) {
        fflush(stdout);
        dup2(out, STDOUT_FILENO);
        ssize_t got = pread(aside, told, sizeof(told) - 1, 0);
        told[got > 0 ? got : 0] = '\0';
    }
    if (out >= 0) {
        close(out);
    }
    if (aside >= 0) {
        close(aside);
    }
    const char *at = strstr(told, mark);
    at = at == NULL ? "" : at + strlen(mark);
    snprintf(why, why_size, "%.*s", (int)strcspn(at, "\n"), at);
    return root;
}

enum nq_status config_file_read(struct config *config, const char *path, struct config_error *error)
{
    char *text = NULL;
    enum nq_status status = read_text(path, &text, error);
    if (status != NQ_OK) {
        return status;
    }
    zsys_handler_set(NULL); // signals are ours
    char told[160];
    zconfig_t *root = parse(text, told, sizeof(told));
    free(text);
    if (root == NULL) {
        return refuse(error, path, "not lines of the form `option = value`", told);
    }
    for (zconfig_t *entry = zconfig_child(root); entry != NULL && status == NQ_OK; entry = zconfig_next(entry)) {
        status = apply(config, path, entry, error);
    }
    zconfig_destroy(&root);
    return status;
}
