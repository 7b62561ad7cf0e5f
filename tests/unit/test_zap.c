// Our handler of ZAP: what it takes for a request, and that nobody is let in when it is gone.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "router.h"
#include "zap.h"

// In which who is to be let in is; and who is not, would be on most machines.
enum { PATIENCE_MS = 20000, HANDSHAKE_MS = 500 };

// The handler's receive, which the linker leads through here (--wrap).
static atomic_bool handler_breaks;
int __real_zmq_recv(void *socket, void *buffer, size_t len, int flags);
int __wrap_zmq_recv(void *socket, void *buffer, size_t len, int flags);
int __wrap_zmq_recv(void *socket, void *buffer, size_t len, int flags)
{
    if (flags == 0 && atomic_load(&handler_breaks)) {
        errno = EFAULT;
        return -1;
    }
    return __real_zmq_recv(socket, buffer, len, flags);
}

static struct zap_frame frame_of(const void *data, size_t len)
{
    struct zap_frame frame = {.len = len};
    memcpy(frame.data, data, len < ZAP_FRAME_BYTES ? len : ZAP_FRAME_BYTES);
    return frame;
}

#define TEXT(text) frame_of(text, sizeof(text) - 1)
static void good_request(struct zap_frame frames[ZAP_FRAMES])
{
    const uint8_t key[32] = {1, 2, 3};
    const struct zap_frame good[ZAP_FRAMES] = {TEXT("1.0"), TEXT("1"),     TEXT(ZAP_DOMAIN),          TEXT("127.0.0.1"),
                                               TEXT(""),    TEXT("CURVE"), frame_of(key, sizeof(key))};
    memcpy(frames, good, sizeof(good));
}

Test(zap, only_a_curve_request_for_our_domain_has_a_key)
{
    static const struct {
        size_t frame;
        const char *text;
    } changes[] = {{0, "2.0"},  {0, ""},      {2, ""}, {2, "netqueu"}, {2, "netqueues"},
                   {5, "NULL"}, {5, "PLAIN"}, {5, ""}, {6, "short"},   {6, ""}};
    struct zap_frame frames[ZAP_FRAMES];
    char key[KEYS_TEXT_BYTES];
    good_request(frames);
    cr_assert(zap_read_key(frames, ZAP_FRAMES, key));
    cr_assert_not(zap_read_key(frames, ZAP_FRAMES - 1, key));
    cr_assert_not(zap_read_key(frames, ZAP_FRAMES + 1, key));
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        good_request(frames);
        frames[changes[i].frame] = frame_of(changes[i].text, strlen(changes[i].text));
        cr_assert_not(zap_read_key(frames, ZAP_FRAMES, key), "%zu", i);
    }
    good_request(frames);
    frames[6].len = 33;
    cr_assert_not(zap_read_key(frames, ZAP_FRAMES, key));
}

struct rig {
    char dir[64], authorised_dir[80];
    struct keys_pair broker, client;
    struct authorised *authorised;
    struct router *router;
    void *context;
};

static void rig_init(struct rig *self)
{
    static const char *const any[] = {"tcp://127.0.0.1:*"};
    struct keys_error error = {0};
    struct router_error router_error = {0};
    struct keys_field put = {(char[]){"put"}, (char[]){"*"}};
    *self = (struct rig){.dir = "/tmp/nq-zap-XXXXXX"};
    cr_assert_not_null(mkdtemp(self->dir));
    snprintf(self->authorised_dir, sizeof(self->authorised_dir), "%s/authorised", self->dir);
    cr_assert_eq(mkdir(self->authorised_dir, 0700), 0);
    cr_assert_eq(keys_make_pair(self->dir, "broker", NULL, 0, &self->broker, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(keys_make_pair(self->dir, "client", NULL, 0, &self->client, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(keys_write_public(self->authorised_dir, "client", self->client.public_key, &put, 1, &error), NQ_OK, "%s",
                 error.text);
    cr_assert_eq(authorised_open(self->dir, &self->authorised, &error), NQ_OK, "%s", error.text);
    const struct router_config config = {.endpoints = any,
                                         .endpoint_count = 1,
                                         .frame_bytes_max = 100000,
                                         .seed = 1,
                                         .keys = &self->broker,
                                         .authorised = self->authorised};
    cr_assert_eq(router_open(&config, &self->router, &router_error), NQ_OK, "%s", router_error.text);
    self->context = zmq_ctx_new();
}

static void rig_fini(struct rig *self)
{
    static const char *const names[] = {"broker", "broker_secret", "client", "client_secret", "authorised/client"};
    router_close(&self->router);
    authorised_close(&self->authorised);
    zmq_ctx_term(self->context);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[160];
        snprintf(path, sizeof(path), "%s/%s", self->dir, names[i]);
        unlink(path);
    }
    rmdir(self->authorised_dir);
    rmdir(self->dir);
}

// True: a client with these keys got a frame through to the router, which names its key.
static bool gets_through(struct rig *self, const struct keys_pair *keys, int timeout_ms)
{
    void *socket = zmq_socket(self->context, ZMQ_DEALER);
    int linger = 0;
    int immediate = 1;
    uint64_t connection;
    const void *data;
    size_t len;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(socket, ZMQ_IMMEDIATE, &immediate, sizeof(immediate));
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout_ms, sizeof(timeout_ms));
    if (keys != NULL) {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, self->broker.public_key, KEYS_TEXT_BYTES);
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, KEYS_TEXT_BYTES);
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, KEYS_TEXT_BYTES);
    }
    zmq_connect(socket, router_endpoint(self->router, 0));
    if (zmq_send(socket, "hello", 5, 0) == 5) {
        router_wait(self->router, true, NULL, 0, timeout_ms);
    }
    bool through = router_receive(self->router, &connection, &data, &len);
    if (through) {
        const char *sender = router_sender(self->router);
        cr_assert_not_null(sender);
        cr_assert_str_eq(sender, keys->public_key);
    }
    zmq_close(socket);
    return through;
}

Test(zap, an_authorised_key_gets_through_and_no_other)
{
    struct rig rig;
    struct keys_pair stranger = {0};
    rig_init(&rig);
    zmq_curve_keypair(stranger.public_key, stranger.secret_key);
    cr_assert(gets_through(&rig, &rig.client, PATIENCE_MS));
    cr_assert_not(gets_through(&rig, &stranger, HANDSHAKE_MS));
    cr_assert_not(gets_through(&rig, NULL, HANDSHAKE_MS));
    cr_assert(gets_through(&rig, &rig.client, PATIENCE_MS));
    rig_fini(&rig);
}

// libzmq itself lets everybody in when there is no handler, unless it is told to enforce the domain.
Test(zap, nobody_gets_through_when_the_handler_has_ended)
{
    struct rig rig;
    struct keys_pair stranger = {0};
    rig_init(&rig);
    zmq_curve_keypair(stranger.public_key, stranger.secret_key);
    cr_assert(gets_through(&rig, &rig.client, PATIENCE_MS));
    atomic_store(&handler_breaks, true);
    (void)gets_through(&rig, &stranger, HANDSHAKE_MS); // the request on which it breaks
    for (int i = 0; i < 2; i++) {
        cr_assert_not(gets_through(&rig, &stranger, HANDSHAKE_MS));
        cr_assert_not(gets_through(&rig, &rig.client, HANDSHAKE_MS));
    }
    rig_fini(&rig);
}
