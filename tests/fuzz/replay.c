// Where libFuzzer is not: replay files, and folders of them, through the target this is linked with.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { INPUT_BYTES_MAX = 1024 * 1024 };

// Of just its size on the heap, so that a sanitizer sees a read behind its end. False: it cannot be read.
static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes = malloc(INPUT_BYTES_MAX);
    if (file == NULL || bytes == NULL) {
        perror(path);
    }
    bool ok = file != NULL && bytes != NULL;
    if (ok) {
        size_t len = fread(bytes, 1, INPUT_BYTES_MAX, file);
        uint8_t *exact = realloc(bytes, len + (len == 0));
        bytes = exact == NULL ? bytes : exact;
        LLVMFuzzerTestOneInput(bytes, len);
    }
    if (file != NULL) {
        fclose(file);
    }
    free(bytes);
    return ok;
}

static bool replay_folder(const char *path, size_t *count)
{
    struct dirent **entries;
    int found = scandir(path, &entries, NULL, alphasort);
    if (found < 0) {
        perror(path);
        return false;
    }
    bool ok = true;
    for (int i = 0; i < found; i++) {
        char name[4096];
        int len = snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            ok = len > 0 && (size_t)len < sizeof(name) && replay_file(name) && ok;
            ++*count;
        }
        free(entries[i]);
    }
    free(entries);
    return ok;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    bool ok = true;
    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            ok = replay_folder(argv[i], &count) && ok;
        } else {
            ok = replay_file(argv[i]) && ok;
            count++;
        }
    }
    fprintf(stderr, "replayed %zu inputs\n", count);
    return ok && count > 0 ? 0 : 1;
}
