#include "lecture.h"

#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROLES_MAX 16

struct nq_client *lecture_client(void)
{
    struct nq_client *client;
    const char *why = NULL;
    if (nq_client_create(NULL, &client, &why) != NQ_OK) {
        (void)fprintf(stderr, "%s\n", why);
        exit(EXIT_FAILURE);
    }
    return client;
}

void lecture_check(struct nq_client *client, enum nq_status status)
{
    if (status != NQ_OK) {
        (void)fprintf(stderr, "%s\n", nq_error_text(client));
        exit(nq_status_exit_code(status));
    }
}

void lecture_say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    len = len < (int)sizeof line - 1 ? len : (int)sizeof line - 2;
    line[len] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)len + 1) < 0) { // one call: lines of several processes do not mix
        exit(EXIT_FAILURE);
    }
}

void lecture_pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

// --------------------------------------------------------------------------------------------- threads and processes

static void *play(void *argument)
{
    const struct role *role = argument;
    struct nq_client *client = lecture_client();
    role->run(client, role->name, role->number);
    nq_client_destroy(&client);
    return NULL;
}

void lecture_threads(struct role *roles, size_t count)
{
    pthread_t threads[ROLES_MAX];
    for (size_t i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, play, &roles[i]) != 0) {
            exit(EXIT_FAILURE);
        }
    }
    for (size_t i = 0; i < count; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

pid_t lecture_start_process(struct role *role)
{
    pid_t pid = fork();
    if (pid == 0) { // a client of the parent's must not be touched here; play makes one
        (void)play(role);
        exit(EXIT_SUCCESS);
    }
    if (pid < 0) {
        exit(EXIT_FAILURE);
    }
    return pid;
}

void lecture_join_process(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        exit(EXIT_FAILURE);
    }
}

void lecture_processes(struct role *roles, size_t count)
{
    pid_t pids[ROLES_MAX];
    for (size_t i = 0; i < count; i++) {
        pids[i] = lecture_start_process(&roles[i]);
    }
    for (size_t i = 0; i < count; i++) {
        lecture_join_process(pids[i]);
    }
}

// ------------------------------------------------------------------------------------------------------------ queues

const char *lecture_queue_name(void)
{
    static char name[64];
    if (name[0] == '\0') {
        (void)snprintf(name, sizeof name, "lecture.%ld.%ld", (long)getpid(), (long)time(NULL));
    }
    return name;
}

void lecture_put(struct nq_client *client, const char *queue, const char *format, ...)
{
    char text[LECTURE_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    lecture_check(client, nq_put(client, queue, text, strlen(text), NULL, NULL));
}

static struct nq_item *get(struct nq_client *client, const char *queue, uint64_t wait_ms, char text[LECTURE_TEXT_BYTES])
{
    struct nq_get_options options = {.wait_ms = wait_ms};
    struct nq_item *item = NULL;
    enum nq_status status = nq_get(client, queue, &options, &item);
    if (status == NQ_SHUT_DOWN || status == NQ_EMPTY) {
        return NULL;
    }
    lecture_check(client, status);
    size_t len = nq_item_len(item) < LECTURE_TEXT_BYTES - 1 ? nq_item_len(item) : LECTURE_TEXT_BYTES - 1;
    memcpy(text, nq_item_body(item), len);
    text[len] = '\0';
    return item;
}

bool lecture_get(struct nq_client *client, const char *queue, uint64_t wait_ms, char text[LECTURE_TEXT_BYTES])
{
    struct nq_item *item = get(client, queue, wait_ms, text);
    if (item != NULL) {
        lecture_check(client, nq_task_done(client, &item));
        return true;
    }
    return false;
}

struct nq_item *lecture_get_item(struct nq_client *client, const char *queue, char text[LECTURE_TEXT_BYTES])
{
    return get(client, queue, NQ_WAIT_FOREVER, text);
}

// -------------------------------------------------------------------------------------------------------------- http

static int connect_to(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int fd = -1;
    if (getaddrinfo(host, port, &hints, &found) == 0) {
        fd = socket(found->ai_family, found->ai_socktype, 0);
        if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
        freeaddrinfo(found);
    }
    return fd;
}

long lecture_fetch(const char *url)
{
    char host[64];
    char port[8];
    char path[64] = "";
    char request[256];
    char answer[8192];
    if (sscanf(url, "http://%63[^:]:%7[0-9]/%63s", host, port, path) < 2) {
        (void)fprintf(stderr, "%s: not http://HOST:PORT/PATH\n", url);
        exit(EXIT_FAILURE);
    }
    int fd = connect_to(host, port);
    int len = snprintf(request, sizeof request, "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n", path, host);
    if (fd < 0 || write(fd, request, (size_t)len) != len) {
        (void)fprintf(stderr, "%s: no answer\n", url);
        exit(EXIT_FAILURE);
    }
    size_t have = 0;
    ssize_t got;
    while (have < sizeof answer - 1 && (got = read(fd, answer + have, sizeof answer - 1 - have)) > 0) {
        have += (size_t)got;
    }
    (void)close(fd);
    answer[have] = '\0';
    const char *body = strstr(answer, "\r\n\r\n");
    return body != NULL ? (long)(answer + have - body) - 4 : 0;
}
