#include "zap.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "clock.h"
#include "log.h"

enum { KEY_BYTES = 32, REFUSALS_REMEMBERED = 64, REFUSAL_LOG_MS = 60 * 1000 };
enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS };

// One line a minute for each peer, and no more peers than these; the rest is counted.
struct refusal {
    uint64_t logged_ms;
    char key[KEYS_TEXT_BYTES];
    char address[64];
};

struct zap {
    void *context, *socket;
    struct authorised *authorised;
    pthread_t thread;
    struct refusal refusals[REFUSALS_REMEMBERED];
    struct log_limit log;
};

// -------------------------------------------------------------------------------------------------------------------- requests

static bool frame_is(const struct zap_frame *frame, const char *text)
{
    return frame->len == strlen(text) && memcmp(frame->data, text, frame->len) == 0;
}

bool zap_read_key(const struct zap_frame frames[ZAP_FRAMES], size_t count, char key[KEYS_TEXT_BYTES])
{
    return count == ZAP_FRAMES && frame_is(&frames[VERSION], "1.0") && frame_is(&frames[DOMAIN], ZAP_DOMAIN) &&
           frame_is(&frames[MECHANISM], "CURVE") && frames[CREDENTIALS].len == KEY_BYTES &&
           zmq_z85_encode(key, frames[CREDENTIALS].data, KEY_BYTES) != NULL;
}

// All frames of one request; those that are too many or too long are counted or cut, so that it does not read as a good one.
// False: the context ends.
static bool receive(void *socket, struct zap_frame frames[ZAP_FRAMES], size_t *count)
{
    int more = 1;
    *count = 0;
    for (size_t i = 0; more != 0; i++) {
        struct zap_frame spare = {0};
        struct zap_frame *frame = i < ZAP_FRAMES ? &frames[i] : &spare;
        int len = zmq_recv(socket, frame->data, sizeof(frame->data), 0);
        size_t size = sizeof(more);
        if (len < 0 && errno == EINTR) {
            i--;
            continue;
        }
        if (len < 0 || zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0) {
            return false;
        }
        frame->len = (size_t)len; // the whole length, also of one that was cut
        *count = i + 1;
    }
    return true;
}

static bool send_frame(void *socket, const void *data, size_t len, int flags)
{
    int rc;
    do {
        rc = zmq_send(socket, data, len, flags);
    } while (rc < 0 && errno == EINTR);
    return rc >= 0;
}

static bool answer(void *socket, const struct zap_frame *request_id, const char *code, const char *user)
{
    const char *text = code[0] == '2' ? "OK" : "not authorised";
    return send_frame(socket, "1.0", 3, ZMQ_SNDMORE) && send_frame(socket, request_id->data, request_id->len, ZMQ_SNDMORE) &&
           send_frame(socket, code, strlen(code), ZMQ_SNDMORE) && send_frame(socket, text, strlen(text), ZMQ_SNDMORE) &&
           send_frame(socket, user, strlen(user), ZMQ_SNDMORE) && send_frame(socket, "", 0, 0);
}

// ------------------------------------------------------------------------------------------------------------------- refusals

static bool refusal_is_news(struct zap *self, const char *key, const char *address, uint64_t now_ms)
{
    struct refusal *oldest = &self->refusals[0];
    for (size_t i = 0; i < REFUSALS_REMEMBERED; i++) {
        struct refusal *each = &self->refusals[i];
        if (strcmp(each->key, key) == 0 && strcmp(each->address, address) == 0) {
            oldest = each;
            break;
        }
        oldest = each->logged_ms < oldest->logged_ms ? each : oldest;
    }
    bool same = strcmp(oldest->key, key) == 0 && strcmp(oldest->address, address) == 0;
    if (oldest->logged_ms != 0 && same && now_ms - oldest->logged_ms < REFUSAL_LOG_MS) {
        return false;
    }
    oldest->logged_ms = now_ms;
    snprintf(oldest->key, sizeof(oldest->key), "%s", key);
    snprintf(oldest->address, sizeof(oldest->address), "%s", address);
    return true;
}

static void log_refusal(struct zap *self, const char *key, const struct zap_frame *address)
{
    char from[64];
    char note[LOG_NOTE_BYTES];
    uint32_t left_out;
    uint64_t now_ms = clock_wall_ms();
    snprintf(from, sizeof(from), "%.*s", (int)(address->len < sizeof(address->data) ? address->len : 0),
             (const char *)address->data);
    if (refusal_is_news(self, key, from, now_ms) && log_limit_pass(&self->log, now_ms, &left_out)) {
        log_warning("refused a connection from %s: the key %s is not authorised%s", from, key, log_limit_note(left_out, note));
    }
}

// ---------------------------------------------------------------------------------------------------------------------- thread

static bool serve_one(struct zap *self)
{
    struct zap_frame frames[ZAP_FRAMES];
    size_t count;
    memset(frames, 0, sizeof(frames));
    if (!receive(self->socket, frames, &count)) {
        return false;
    }
    char key[KEYS_TEXT_BYTES] = "";
    char name[ACCESS_NAME_BYTES];
    bool known = zap_read_key(frames, count, key) && authorised_knows(self->authorised, key, name);
    if (!known) {
        log_refusal(self, key, &frames[ADDRESS]);
    }
    if (frames[REQUEST_ID].len > ZAP_FRAME_BYTES) {
        frames[REQUEST_ID].len = 0;
    }
    return answer(self->socket, &frames[REQUEST_ID], known ? "200" : "400", known ? key : "");
}

static void *zap_main(void *argument)
{
    struct zap *self = argument;
    while (serve_one(self)) {
    }
    if (errno != ETERM) {
        log_error("authentication has ended (%s): nobody can connect any more", zmq_strerror(errno));
    }
    zmq_close(self->socket);
    return NULL;
}

struct zap *zap_start(void *context, struct authorised *authorised)
{
    struct zap *self = calloc(1, sizeof(*self));
    int linger = 0;
    if (self == NULL) {
        return NULL;
    }
    self->context = context;
    self->authorised = authorised;
    self->socket = zmq_socket(context, ZMQ_REP);
    bool ready = self->socket != NULL && zmq_setsockopt(self->socket, ZMQ_LINGER, &linger, sizeof(linger)) == 0 &&
                 zmq_bind(self->socket, "inproc://zeromq.zap.01") == 0;
    if (!ready || pthread_create(&self->thread, NULL, zap_main, self) != 0) {
        if (self->socket != NULL) {
            zmq_close(self->socket);
        }
        free(self);
        return NULL;
    }
    return self;
}

void zap_stop(struct zap **self_p)
{
    struct zap *self = *self_p;
    if (self == NULL) {
        return;
    }
    zmq_ctx_shutdown(self->context);
    pthread_join(self->thread, NULL);
    free(self);
    *self_p = NULL;
}
