#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *program_name = "netqueue";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool progress_shown;
static int stdout_errno; // of the first write that failed; stdout's own lock guards it

void cli_report_name(const char *name)
{
    program_name = name;
}

static void wipe_progress(void)
{
    if (progress_shown) {
        fputs("\r\033[K", stderr);
        progress_shown = false;
    }
}

void cli_one_line(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        *at = (unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at;
    }
}

void cli_report(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    cli_one_line(text);
    pthread_mutex_lock(&lock);
    wipe_progress();
    fprintf(stderr, "%s: %s\n", program_name, text);
    pthread_mutex_unlock(&lock);
}

void cli_keep_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); // the lowest number that is free: this one
        }
    }
}

void cli_flush_stdout(void)
{
    flockfile(stdout);
    if ((fflush(stdout) != 0 || ferror(stdout)) && stdout_errno == 0) {
        stdout_errno = errno != 0 ? errno : EIO;
    }
    funlockfile(stdout);
}

int cli_close_stdout(void)
{
    cli_flush_stdout();
    if (stdout_errno == 0) {
        return 0;
    }
    cli_report("stdout: %s", strerror(stdout_errno));
    return 1;
}

bool cli_progress_wanted(bool quiet)
{
    return !quiet && isatty(STDERR_FILENO);
}

void cli_progress(const char *format, ...)
{
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    if (text[0] == '\0') {
        wipe_progress();
    } else {
        fprintf(stderr, "\r\033[K%s", text);
        progress_shown = true;
    }
    pthread_mutex_unlock(&lock);
}

uint64_t cli_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t cli_now_ms(void)
{
    return cli_now_ns() / 1000000;
}

void cli_format_seconds(double seconds, char *out, unsigned long size)
{
    if (seconds < 1) {
        snprintf(out, size, "%.0f ms", seconds * 1000);
    } else if (seconds < 120) {
        snprintf(out, size, "%.1f s", seconds);
    } else {
        unsigned long whole = (unsigned long)seconds;
        snprintf(out, size, "%lu min %02lu s", whole / 60, whole % 60);
    }
}
