// The broker's options and the programs' command lines: read, or refused because memory is out.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "no_memory.h"
#include "settings.h"

static char path[] = "/tmp/netqueue-config-XXXXXX";

static void write_file(const char *text)
{
    snprintf(path, sizeof(path), "/tmp/netqueue-config-XXXXXX");
    int fd = mkstemp(path);
    no_memory_require(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "a file");
    close(fd);
}

static void run_broker(uint64_t nth, uint64_t failures)
{
    char words[][48] = {"netqueue-broker", "--listen", "tcp://127.0.0.1:1", "--listen", "ipc://x", "--data", "d",
                        "--endpoint-file", "e",        "--config",          ""};
    enum { WORDS = sizeof(words) / sizeof(words[0]) };
    char *argv[WORDS + 1] = {NULL};
    struct config config;
    struct config_error error;
    snprintf(words[WORDS - 1], sizeof(words[0]), "%s", path);
    for (int i = 0; i < WORDS; i++) {
        argv[i] = words[i];
    }
    setenv("NETQUEUE_BROKER_BACKUP_DIR", "b", 1);
    no_memory_arm(ALLOC_THIS_THREAD, nth, failures);
    enum nq_status status = config_load(&config, WORDS, argv, &error);
    bool failed = no_memory_disarm();
    no_memory_require(status == NQ_OK || (failed && status == NQ_NO_MEMORY), "it is read, or memory is out");
    no_memory_require(status == NQ_OK || error.text[0] != '\0', "and then it says so");
    no_memory_require(status != NQ_OK || (config.listen_count == 2 && strcmp(config.backup_dir, "b") == 0), "nothing is left out");
    if (status == NQ_OK) {
        config_fini(&config);
    }
}

struct options {
    struct cli_common common;
    struct cli_list list;
    const char *text;
};

static void run_program(uint64_t nth, uint64_t failures)
{
    static const struct cli_option table[] = {{'l', "list", "X", "", CLI_LIST, offsetof(struct options, list), 0, 0},
                                              {0, "text", "X", "", CLI_TEXT, offsetof(struct options, text), 0, 0}};
    static const struct cli_program program = {"netqueue-test", "", "", table, 2};
    char words[][16] = {"netqueue-test", "-l", "a", "--list=b", "word", "--text", "t", "-s", "tcp://x:1", "--", "rest"};
    enum { WORDS = sizeof(words) / sizeof(words[0]) };
    char *argv[WORDS + 1] = {NULL};
    struct options options = {.common = CLI_COMMON_DEFAULTS};
    struct cli_arguments arguments;
    for (int i = 0; i < WORDS; i++) {
        argv[i] = words[i];
    }
    no_memory_arm(ALLOC_THIS_THREAD, nth, failures);
    int code = cli_parse(&program, WORDS, argv, &options, &arguments);
    bool read = code == 0 && cli_settings_load(&program, path, true, &options, &arguments);
    bool failed = no_memory_disarm();
    no_memory_require(read || (failed && strstr(arguments.error, "out of memory") != NULL),
                      "it is read, or it says that memory is out");
    no_memory_require(!read || (options.list.count == 2 && options.common.servers.count == 2 && arguments.words_count == 1),
                      "nothing is left out");
    cli_arguments_fini(&arguments);
}

int main(void)
{
    write_file("max-queues = 5\nlog-level = debug\n");
    no_memory_each("the broker's options", run_broker);
    unlink(path);
    write_file("# of a program\nserver = tcp://a:1, tcp://b:2\ntimeout = 5s\n");
    no_memory_each("a program's command line and settings", run_program);
    unlink(path);
    return 0;
}
