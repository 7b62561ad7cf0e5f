#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "endpoint.h"
#include "options.h"
#include "units.h"

enum { ARGUMENTS_MAX = 16 };
static const char *const no_words[] = {NULL};

static enum nq_status load(struct config *config, struct config_error *error, const char *const *words)
{
    char *argv[ARGUMENTS_MAX];
    int argc = 0;
    argv[argc++] = strdup("netqueue-broker");
    for (; words[argc - 1] != NULL; argc++) {
        argv[argc] = strdup(words[argc - 1]);
    }
    argv[argc] = NULL;
    char *own[ARGUMENTS_MAX]; // getopt permutes argv
    memcpy(own, argv, sizeof(own));
    enum nq_status status = config_load(config, argc, argv, error);
    for (int i = 0; i < argc; i++) {
        if (config->action_dir != own[i]) {
            free(own[i]);
        }
    }
    return status;
}

#define LOAD(config, error, ...) load(config, error, (const char *const[]){__VA_ARGS__, NULL})

static void make_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

// --------------------------------------------------------------------------------------------------------------------- units

static uint64_t duration(const char *text)
{
    uint64_t ms = UINT64_MAX;
    return units_parse_duration_ms(text, &ms) ? ms : UINT64_MAX;
}

Test(units, durations)
{
    cr_assert_eq(duration("500ms"), 500);
    cr_assert_eq(duration("2"), 2000);
    cr_assert_eq(duration("2s"), 2000);
    cr_assert_eq(duration("0.5s"), 500);
    cr_assert_eq(duration("1.5m"), 90000);
    cr_assert_eq(duration("24h"), 86400000);
    cr_assert_eq(duration("0"), 0);
    const char *const wrong[] = {"", "s", "-1", "1x", "1 s", "1d", ".5", "1.", "1e3", "99999999999999999999h", "0x10"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(duration(wrong[i]), UINT64_MAX, "'%s' was taken for a duration", wrong[i]);
    }
}

Test(units, sizes_and_counts)
{
    uint64_t value;
    cr_assert(units_parse_size("4096", &value) && value == 4096);
    cr_assert(units_parse_size("64K", &value) && value == 65536);
    cr_assert(units_parse_size("1.5G", &value) && value == 1610612736);
    cr_assert_not(units_parse_size("20000000000G", &value));
    cr_assert_not(units_parse_size("1T", &value));
    cr_assert(units_parse_count("18446744073709551615", &value) && value == UINT64_MAX);
    cr_assert_not(units_parse_count("18446744073709551616", &value));
    cr_assert_not(units_parse_count("1K", &value));
}

Test(units, are_written_as_they_are_read)
{
    char text[32];
    units_format_duration_ms(60000, text, sizeof(text));
    cr_assert_str_eq(text, "1m");
    units_format_duration_ms(1500, text, sizeof(text));
    cr_assert_str_eq(text, "1500ms");
    units_format_size(268435456, text, sizeof(text));
    cr_assert_str_eq(text, "256M");
    units_format_size(0, text, sizeof(text));
    cr_assert_str_eq(text, "0");
}

// ------------------------------------------------------------------------------------------------------------------ defaults

Test(config, defaults_are_those_of_the_protocol)
{
    struct config config;
    struct config_error error;
    cr_assert_eq(load(&config, &error, no_words), NQ_OK);
    cr_assert_eq(config.action, CONFIG_RUN);
    cr_assert_eq(config.listen_count, 1);
    cr_assert_str_eq(config.listen[0], NQ_DEFAULT_ENDPOINT);
    cr_assert_str_eq(config.data_dir, "./netqueue-data");
    cr_assert(config.data_is_default);
    cr_assert_eq(config.sync, CONFIG_SYNC_ALWAYS);
    cr_assert_eq(config.body_limit, NQ_BODY_BYTES_DEFAULT);
    cr_assert_eq(config.headers_limit, NQ_HEADERS_BYTES_DEFAULT);
    cr_assert_eq(config.lease_ms, NQ_LEASE_MS_DEFAULT);
    cr_assert_eq(config.hold_max_ms, NQ_HOLD_MAX_MS_DEFAULT);
    cr_assert_eq(config.session_grace_ms, NQ_SESSION_GRACE_MS_DEFAULT);
    cr_assert_eq(config.session_timeout_ms, NQ_SESSION_TIMEOUT_MS_DEFAULT);
    cr_assert_eq(config.dedup_keep_ms, NQ_DEDUP_KEEP_MS_DEFAULT);
    cr_assert_eq(config.max_queues, NQ_QUEUES_DEFAULT);
    cr_assert_eq(config.max_sessions, NQ_SESSIONS_DEFAULT);
    cr_assert_eq(config.max_streams, NQ_STREAMS_DEFAULT);
    cr_assert_eq(config.max_delayed, NQ_DELAYED_DEFAULT);
    cr_assert_eq(config.max_leases, NQ_LEASES_PER_SESSION_DEFAULT);
    cr_assert_eq(config.max_waiters, NQ_WAITERS_PER_SESSION_DEFAULT);
    cr_assert_eq(config.parked_limit, NQ_PARKED_BYTES_DEFAULT);
    cr_assert_eq(config.parked_limit_per_key, NQ_PARKED_BYTES_PER_KEY_DEFAULT);
    cr_assert_eq(config.disk_reserve, 256u << 20);
    cr_assert_eq(config.max_disk, 0);
    config_fini(&config);
}

// ---------------------------------------------------------------------------------------------------------------- precedence

Test(config, flag_beats_environment_beats_file_beats_default)
{
    char path[] = "/tmp/nq-config-XXXXXX";
    make_file(path, "lease = 10s\nhold-max = 10m\nmax-queues = 10\nlisten = tcp://127.0.0.1:7001\nlisten = tcp://127.0.0.1:7002\n");
    setenv("NETQUEUE_BROKER_LEASE", "20s", 1);
    setenv("NETQUEUE_BROKER_HOLD_MAX", "20m", 1);
    struct config config;
    struct config_error error;
    enum nq_status status = LOAD(&config, &error, "--config", path, "--lease", "30s");
    unlink(path);
    cr_assert_eq(status, NQ_OK, "%s", error.text);
    cr_assert_eq(config.lease_ms, 30000);
    cr_assert_eq(config.hold_max_ms, 1200000);
    cr_assert_eq(config.max_queues, 10);
    cr_assert_eq(config.max_sessions, NQ_SESSIONS_DEFAULT);
    cr_assert_eq(config.listen_count, 2);
    cr_assert_str_eq(config.listen[1], "tcp://127.0.0.1:7002");
    config_fini(&config);
}

Test(config, a_list_from_a_higher_source_replaces_the_lower_one)
{
    setenv("NETQUEUE_BROKER_LISTEN", "tcp://127.0.0.1:7001,ipc:///tmp/x", 1);
    struct config config;
    struct config_error error;
    cr_assert_eq(load(&config, &error, no_words), NQ_OK);
    cr_assert_eq(config.listen_count, 2);
    cr_assert_str_eq(config.listen[1], "ipc:///tmp/x");
    config_fini(&config);
    cr_assert_eq(LOAD(&config, &error, "--listen", "tcp://127.0.0.1:*", "--listen=tcp://[::1]:9"), NQ_OK);
    cr_assert_eq(config.listen_count, 2);
    cr_assert_str_eq(config.listen[0], "tcp://127.0.0.1:*");
    config_fini(&config);
}

Test(config, memory_on_the_command_line_beats_data_elsewhere)
{
    setenv("NETQUEUE_BROKER_DATA", "/var/x", 1);
    struct config config;
    struct config_error error;
    cr_assert_eq(LOAD(&config, &error, "--memory"), NQ_OK);
    cr_assert(config.memory);
    cr_assert_null(config.data_dir);
    cr_assert_null(config.data, "printed, it would contradict the memory");
    config_fini(&config);
    setenv("NETQUEUE_BROKER_MEMORY", "yes", 1);
    unsetenv("NETQUEUE_BROKER_DATA");
    cr_assert_eq(LOAD(&config, &error, "--data", "/var/y"), NQ_OK);
    cr_assert_not(config.memory);
    cr_assert_str_eq(config.data_dir, "/var/y");
    config_fini(&config);
}

// -------------------------------------------------------------------------------------------------------------------- errors

static void expect_error(enum nq_status status, int exit_code, const char *part, const char *const *words)
{
    struct config config;
    struct config_error error;
    cr_assert_eq(load(&config, &error, words), status, "%s", words[0]);
    cr_assert_eq(config_exit_code(status), exit_code);
    cr_assert_not_null(strstr(error.text, part), "'%s' does not say '%s'", error.text, part);
    cr_assert_null(strchr(error.text, '\n'));
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(config, wrong_usage_is_64_and_says_what)
{
    expect_error(NQ_BAD_REQUEST, 64, "--nonsense", WORDS("--nonsense"));
    expect_error(NQ_BAD_REQUEST, 64, "unknown option '-x'", WORDS("-xh"));
    expect_error(NQ_BAD_REQUEST, 64, "--memory: takes no value", WORDS("--memory=yes"));
    expect_error(NQ_BAD_REQUEST, 64, "--lease", WORDS("--lease", "soon"));
    expect_error(NQ_BAD_REQUEST, 64, "needs a value", WORDS("--lease"));
    expect_error(NQ_BAD_REQUEST, 64, "expected 1ms to", WORDS("--lease", "0"));
    expect_error(NQ_BAD_REQUEST, 64, "expected 100ms to", WORDS("--session-timeout", "99ms"));
    expect_error(NQ_BAD_REQUEST, 64, "always|none", WORDS("--sync", "sometimes"));
    expect_error(NQ_BAD_REQUEST, 64, "tcp://HOST:PORT", WORDS("--listen", "localhost:1"));
    expect_error(NQ_BAD_REQUEST, 64, "only one", WORDS("--memory", "--data", "x"));
    expect_error(NQ_BAD_REQUEST, 64, "serve", WORDS("serve"));
    expect_error(NQ_BAD_REQUEST, 64, "directory", WORDS("check"));
    expect_error(NQ_BAD_REQUEST, 64, "directory", WORDS("compact", ""));
    expect_error(NQ_BAD_REQUEST, 64, "empty", WORDS("--data", ""));
}

Test(config, environment_and_file_errors_are_78_and_say_where)
{
    setenv("NETQUEUE_BROKER_MAX_DISK", "lots", 1);
    expect_error(NQ_BAD_CONFIG, 78, "NETQUEUE_BROKER_MAX_DISK 'lots'", WORDS("--memory"));
    unsetenv("NETQUEUE_BROKER_MAX_DISK");
    expect_error(NQ_BAD_CONFIG, 78, "No such file", WORDS("--config", "/nonexistent/file"));
    expect_error(NQ_BAD_CONFIG, 78, "/tmp: cannot be read", WORDS("--config", "/tmp"));
    const char *const texts[] = {"leese = 1s\n", "lease = soon\n", "sync\n    lease = 1\n", "config = /tmp/y\n",
                                 "lease = 1s\nlisten tcp://x\n"};
    const char *const parts[] = {"leese: no such option", "lease = soon: expected a duration", "sync", "config: no such option",
                                 "(2) invalid syntax 'tcp://x'"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char path[] = "/tmp/nq-config-XXXXXX";
        make_file(path, texts[i]);
        expect_error(NQ_BAD_CONFIG, 78, parts[i], WORDS("--config", path));
        unlink(path);
    }
}

Test(config, beyond_this_machine_only_with_insecure)
{
    expect_error(NQ_BAD_CONFIG, 78, "--insecure", WORDS("--listen", "tcp://0.0.0.0:5510"));
    expect_error(NQ_BAD_CONFIG, 78, "--insecure", WORDS("--listen", "tcp://*:5510"));
    expect_error(NQ_BAD_CONFIG, 78, "--insecure", WORDS("--listen", "tcp://eth0:5510"));
    struct config config;
    struct config_error error;
    cr_assert_eq(LOAD(&config, &error, "--insecure", "--listen", "tcp://*:5510"), NQ_OK);
    config_fini(&config);
}

Test(endpoint, what_is_loopback)
{
    const char *const near[] = {"tcp://127.0.0.1:1", "tcp://127.9.9.9:*", "tcp://localhost:1", "tcp://[::1]:1", "ipc:///tmp/x"};
    const char *const far[] = {"tcp://10.0.0.1:1", "tcp://[::]:1", "tcp://example.org:1", "tcp://127.0.0.1.example.org:1",
                               "tcp://localhost.example.org:1"};
    for (size_t i = 0; i < 5; i++) {
        cr_assert(endpoint_is_valid(near[i]) && endpoint_is_loopback(near[i]), "%s", near[i]);
        cr_assert(endpoint_is_valid(far[i]) && !endpoint_is_loopback(far[i]), "%s", far[i]);
    }
    const char *const wrong[] = {"",           "tcp://",    "tcp://:1", "tcp://h",   "tcp://h:", "tcp://h:99999",
                                 "tcp://h:1x", "udp://h:1", "ipc://",   "inproc://x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_not(endpoint_is_valid(wrong[i]), "%s", wrong[i]);
    }
}

// ------------------------------------------------------------------------------------------------------------------- actions

Test(config, check_and_compact_take_a_directory)
{
    struct config config;
    struct config_error error;
    cr_assert_eq(LOAD(&config, &error, "check", "/var/q"), NQ_OK);
    cr_assert_eq(config.action, CONFIG_CHECK);
    cr_assert_str_eq(config.action_dir, "/var/q");
    free((void *)(uintptr_t)config.action_dir); // of argv
    config_fini(&config);
    cr_assert_eq(LOAD(&config, &error, "compact", "/var/q"), NQ_OK);
    cr_assert_eq(config.action, CONFIG_COMPACT);
    free((void *)(uintptr_t)config.action_dir);
    config_fini(&config);
}

static char *text_of(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    print(out);
    fclose(out);
    return text;
}

Test(config, help_fits_a_terminal_and_names_every_option)
{
    char *help = text_of(config_print_help);
    size_t lines = 0;
    for (const char *line = help; *line != '\0'; lines++) {
        size_t len = strcspn(line, "\n");
        cr_assert_leq(len, 79, "%.*s", (int)len, line);
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    cr_assert_leq(lines, 24, "%zu lines:\n%s", lines, help);
    for (size_t i = 0; i < option_count; i++) {
        char flag[64];
        snprintf(flag, sizeof(flag), "--%s", option_specs[i].name);
        cr_assert_not_null(strstr(help, flag), "%s", flag);
    }
    free(help);
}

static const struct config *printed;
static void print_it(FILE *out)
{
    config_print(printed, out);
}

Test(config, what_is_printed_can_be_read_again)
{
    struct config config;
    struct config again;
    struct config_error error;
    cr_assert_eq(
        LOAD(&config, &error, "--print-config", "--lease", "90s", "--listen", "ipc:///tmp/a b", "--data", "/d#x", "--sync", "none"),
        NQ_OK);
    cr_assert_eq(config.action, CONFIG_PRINT);
    printed = &config;
    char *text = text_of(print_it);
    char path[] = "/tmp/nq-config-XXXXXX";
    make_file(path, text);
    enum nq_status status = LOAD(&again, &error, "--print-config", "--config", path);
    unlink(path);
    cr_assert_eq(status, NQ_OK, "%s\n%s", error.text, text);
    printed = &again;
    char *text_again = text_of(print_it);
    cr_assert_str_eq(text, text_again);
    free(text);
    free(text_again);
    config_fini(&config);
    config_fini(&again);
}

// czmq's own reading of a file leaks when it cannot parse it, and a file may be anything: a directory, a device, a picture.
Test(config, a_file_that_is_no_text_is_refused_in_one_line)
{
    static const struct {
        const char *text, *said;
    } files[] = {{"l = <\n  < not zpl", "not lines of the form"}, {"listen\n\t= 5 = 6\n", "not lines of the form"}};
    struct config config;
    struct config_error error;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[] = "/tmp/nq-config-XXXXXX";
        make_file(path, files[i].text);
        enum nq_status status = LOAD(&config, &error, "--config", path);
        unlink(path);
        cr_expect_eq(status, NQ_BAD_CONFIG, "%s", files[i].text);
        cr_expect_not_null(strstr(error.text, files[i].said), "%s", error.text);
    }
    char path[] = "/tmp/nq-config-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "sync = \0always\n", 16), 16);
    cr_expect_eq(LOAD(&config, &error, "--config", path), NQ_BAD_CONFIG);
    cr_expect_not_null(strstr(error.text, "not a text"), "%s", error.text);
    cr_assert_eq(ftruncate(fd, 1024 * 1024), 0);
    cr_expect_eq(LOAD(&config, &error, "--config", path), NQ_BAD_CONFIG);
    cr_expect_not_null(strstr(error.text, "too large"), "%s", error.text);
    close(fd);
    unlink(path);
    cr_expect_eq(LOAD(&config, &error, "--config", "/tmp"), NQ_BAD_CONFIG);
    cr_expect_not_null(strstr(error.text, "cannot be read"), "%s", error.text);
}
