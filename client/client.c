#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "finish.h"
#include "name.h"

#define TIMEOUT_MS_DEFAULT 30000u
#define GOODBYE_MS 1000u

// ------------------------------------------------------------------------------------------------------------ errors

enum nq_status client_fail(struct nq_client *client, enum nq_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(client->error, sizeof client->error, format, arguments);
    va_end(arguments);
    client->error_status = status;
    return status;
}

void client_detail(const struct nq_client *client, enum nq_status status, const struct wire_reply *reply, char *out, size_t size)
{
    out[0] = '\0';
    if (reply != NULL && reply->detail.len > 0) {
        (void)snprintf(out, size, "%.*s", (int)(reply->detail.len < 120 ? reply->detail.len : 120),
                       (const char *)reply->detail.data);
    } else if (status == NQ_UNREACHABLE) {
        const char *trouble = client->session.state == SESSION_UP ? NULL : connection_trouble(client->connection);
        (void)snprintf(out, size, "%.80s%s%s", client->servers[client->session.server], trouble != NULL ? ": " : "",
                       trouble != NULL ? trouble : "");
    } else if ((status == NQ_TOO_LARGE || status == NQ_OUTCOME_UNKNOWN) && client->limit_met_ms == client->now_ms) {
        (void)snprintf(out, size, "the broker takes up to %llu bytes in one request now",
                       (unsigned long long)client->session.limits.frame_bytes);
    } else if (status == NQ_NOT_AUTHORISED) {
        (void)snprintf(out, size, "%s", client->refusal);
    }
}

enum nq_status client_fail_on(struct nq_client *client, enum nq_status status, const char *what, const char *queue,
                              const struct wire_reply *reply)
{
    char detail[200];
    client_detail(client, status, reply, detail, sizeof detail);
    return client_fail(client, status, "%s%s%.128s%s: %s%s%s", what, queue != NULL ? " '" : "", queue != NULL ? queue : "",
                       queue != NULL ? "'" : "", nq_status_text(status), detail[0] != '\0' ? ": " : "", detail);
}

enum nq_status client_check_queue(struct nq_client *client, const char *queue)
{
    if (queue == NULL || !nq_name_is_valid(queue, strlen(queue))) {
        return client_fail(client, NQ_BAD_NAME, "'%.128s' is not a queue name", queue != NULL ? queue : "");
    }
    return NQ_OK;
}

struct nq_bytes bytes_of(const char *text)
{
    return (struct nq_bytes){text != NULL ? strlen(text) : 0, (const uint8_t *)text};
}

const char *nq_error_text(const struct nq_client *client)
{
    return client->error;
}

enum nq_status nq_error_status(const struct nq_client *client)
{
    return client->error_status;
}

const char *nq_version(void)
{
    return NQ_VERSION;
}

// ------------------------------------------------------------------------------------------------------------ create

static bool fill_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        at += got;
        len -= (size_t)got;
    }
    return true;
}

static uint64_t random_number(void)
{
    uint64_t number = 0;
    if (!fill_random(&number, sizeof number) || number == 0) {
        // getrandom fails only on kernels without it; where the stack lies is random, too
        number = (uint64_t)(uintptr_t)&number ^ (uint64_t)getpid() << 48 ^ 1;
    }
    return number;
}

static bool add_server(struct nq_client *client, const char *text, size_t len)
{
    char **more = realloc(client->servers, (client->servers_count + 1) * sizeof *more);
    if (more == NULL) {
        return false;
    }
    client->servers = more;
    client->servers[client->servers_count] = strndup(text, len);
    return client->servers[client->servers_count++] != NULL;
}

static bool add_list(struct nq_client *client, const char *list)
{
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        if (len > 0 && !add_server(client, list, len)) {
            return false;
        }
        list += len;
        list += *list == ',' ? 1 : 0;
    }
    return true;
}

static enum nq_status take_servers(struct nq_client *client, const struct nq_client_options *options)
{
    bool ok = true;
    const char *environment = getenv("NETQUEUE_SERVER");
    if (options->servers != NULL && options->servers_count > 0) {
        for (size_t i = 0; ok && i < options->servers_count; i++) {
            ok = add_list(client, options->servers[i]);
        }
    } else if (environment != NULL) {
        ok = add_list(client, environment);
    }
    if (ok && client->servers_count == 0) {
        ok = add_server(client, NQ_DEFAULT_ENDPOINT, strlen(NQ_DEFAULT_ENDPOINT));
    }
    return ok ? NQ_OK : NQ_NO_MEMORY;
}

static void take_name(struct nq_client *client, const char *name)
{
    if (name != NULL) {
        (void)snprintf(client->name, sizeof client->name, "%s", name);
        return;
    }
    char host[65] = "";
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(client->name, sizeof client->name, "%s:%.32s:%ld", host, program_invocation_short_name, (long)getpid());
}

// Opens each endpoint once, so that a malformed one is found here and not in the middle of a reconnect.
static enum nq_status check_servers(struct nq_client *client, struct keys_error *error)
{
    enum nq_status status = NQ_OK;
    for (size_t i = 0; status == NQ_OK && i < client->servers_count; i++) {
        status = connection_open(client->connection, client->servers[i]);
        if (status == NQ_BAD_REQUEST) {
            (void)snprintf(error->text, sizeof error->text, "server '%.200s': expected tcp://HOST:PORT or ipc://PATH",
                           client->servers[i]);
        }
    }
    return status;
}

// The directory's own pair and the broker's public key, which must be of another pair.
static enum nq_status take_keys(struct nq_client *client, const struct nq_client_options *options, struct keys_error *error)
{
    const char *dir = options->keys != NULL ? options->keys : getenv("NETQUEUE_KEYS");
    struct keys_certificate broker = {0};
    if (dir == NULL || dir[0] == '\0') {
        return NQ_OK;
    }
    client->keys = calloc(1, sizeof *client->keys);
    if (client->keys == NULL) {
        return NQ_NO_MEMORY;
    }
    enum nq_status status = keys_load_pair(dir, KEYS_CLIENT, &client->keys->own, error);
    if (status == NQ_OK) {
        status = keys_load_certificate(dir, KEYS_BROKER, &broker, error);
    }
    if (status == NQ_OK) {
        memcpy(client->keys->broker, broker.public_key, sizeof client->keys->broker);
    }
    keys_certificate_fini(&broker);
    return status;
}

static enum nq_status set_up(struct nq_client *client, const struct nq_client_options *options, struct keys_error *error)
{
    client->lease_ms_min = UINT64_MAX;
    client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
    client->workers = options->workers > 0 ? options->workers : 1;
    take_name(client, options->name);
    enum nq_status status = take_keys(client, options, error);
    if (status != NQ_OK) {
        return status;
    }
    client->connection = connection_create(client->keys);
    client->scratch = nq_arena_create((size_t)64 * 1024, 0);
    if (client->connection == NULL || client->scratch == NULL || !tracker_init(&client->tracker, random_number) ||
        !fill_random(client->session.id, sizeof client->session.id)) {
        return NQ_NO_MEMORY;
    }
    client->tracker.patience_ms = client->timeout_ms;
    status = take_servers(client, options);
    return status == NQ_OK ? check_servers(client, error) : status;
}

enum nq_status nq_client_create(const struct nq_client_options *options, struct nq_client **out, const char **why)
{
    static const struct nq_client_options defaults = {0};
    static _Thread_local struct keys_error error;
    error.text[0] = '\0';
    *out = NULL;
    struct nq_client *client = calloc(1, sizeof *client);
    enum nq_status status = client != NULL ? set_up(client, options != NULL ? options : &defaults, &error) : NQ_NO_MEMORY;
    if (status != NQ_OK) {
        if (why != NULL) {
            *why = error.text[0] != '\0'     ? error.text
                   : status == NQ_BAD_CONFIG ? "keys cannot be used: libzmq has no CURVE"
                                             : nq_status_text(status);
        }
        nq_client_destroy(&client);
        return status;
    }
    session_start(client);
    *out = client;
    return NQ_OK;
}

// ----------------------------------------------------------------------------------------------------------- destroy

static void forget_items(struct nq_client *client)
{
    while (client->answers != NULL) { // items may outlive the client
        struct answer *answer = client->answers;
        client->answers = answer->next;
        answer_lose(answer, false);
        answer->client = NULL;
    }
    while (client->returns != NULL) {
        struct token_batch *batch = client->returns;
        client->returns = batch->next;
        token_batch_free(batch);
    }
}

// Tokens without an answer hold on to their items.
static void forget_requests(struct nq_client *client)
{
    struct request_list *lists[] = {&client->tracker.unsent, &client->tracker.sent, &client->tracker.held};
    for (size_t i = 0; i < 3; i++) {
        while (lists[i]->first != NULL) {
            struct request *request = lists[i]->first;
            async_drop(request);
            bool tokens = request->ended == token_ended;
            struct token_batch *batch = tokens ? request->user : NULL;
            tracker_drop(&client->tracker, request, client->now_ms);
            token_batch_free(batch);
        }
    }
}

void nq_client_destroy(struct nq_client **client_p)
{
    struct nq_client *client = *client_p;
    if (client == NULL) {
        return;
    }
    *client_p = NULL;
    if (client->connection != NULL && client->tracker.buckets != NULL) {
        session_goodbye(client, GOODBYE_MS);
    }
    keeper_destroy(&client->keeper);
    if (client->tracker.buckets != NULL) {
        forget_requests(client);
    }
    forget_items(client);
    completions_free(client);
    client_forget_streams(client);
    tracker_fini(&client->tracker);
    connection_destroy(&client->connection);
    if (client->keys != NULL) {
        keys_forget(&client->keys->own);
        free(client->keys);
    }
    nq_arena_destroy(&client->scratch);
    frame_pool_fini(&client->frames);
    for (size_t i = 0; i < client->servers_count; i++) {
        free(client->servers[i]);
    }
    free(client->servers);
    free(client);
}

void nq_interrupt(struct nq_client *client)
{
    atomic_store(&client->interrupted, true);
    connection_wake(client->connection);
}
