#include "permit.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "queue.h"

enum { CACHE_PLACES = 4, REFUSAL_LOG_MS = 60 * 1000 };

struct permit_cache {
    struct cached {
        size_t len; // 0: nothing
        uint8_t name[NQ_NAME_BYTES_MAX];
        uint8_t rights;
    } places[CACHE_PLACES];
};

enum target { TARGET_UNKNOWN, TARGET_NONE, TARGET_NAMED, TARGET_BY_TOKEN, TARGET_ALL };

// What each operation needs: any one of `rights`, on the queue that it names. One that is not here is nobody's. `limited` counts towards the key's rate; what gives
// items back does not.
static const struct rule {
    uint8_t rights; // 0: the key alone is enough
    enum target target;
    size_t queue; // TARGET_NAMED: offset of its name in struct wire_request
    bool limited;
    const char *refusal;
} rules[] = {
#define NAMED(member) TARGET_NAMED, offsetof(struct wire_request, as.member.queue)
    [WIRE_PUT] = {ACCESS_PUT, NAMED(put), true, "this key may not put to this queue"},
    [WIRE_GET] = {ACCESS_GET, NAMED(get), true, "this key may not get from this queue"},
    [WIRE_TASK_DONE] = {ACCESS_GET, TARGET_BY_TOKEN, 0, false, "this key may not get from this queue"},
    [WIRE_EXTEND] = {ACCESS_GET, TARGET_BY_TOKEN, 0, false, "this key may not get from this queue"},
    [WIRE_REQUEUE] = {ACCESS_GET, TARGET_BY_TOKEN, 0, false, "this key may not get from this queue"},
    [WIRE_JOIN] = {ACCESS_ANY, NAMED(on_queue), true, "this key has no right on this queue"},
    [WIRE_DECLARE] = {ACCESS_ADMIN, NAMED(declare), true, "this key may not administer this queue"},
    [WIRE_PURGE] = {ACCESS_ADMIN, NAMED(on_queue), true, "this key may not administer this queue"},
    [WIRE_DELETE] = {ACCESS_ADMIN, NAMED(on_queue), true, "this key may not administer this queue"},
    [WIRE_SHUTDOWN] = {ACCESS_ADMIN, NAMED(on_queue), true, "this key may not administer this queue"},
    [WIRE_STAT] = {ACCESS_ANY, NAMED(on_queue), true, "this key has no right on this queue"},
    [WIRE_PEEK] = {ACCESS_GET, NAMED(on_queue), true, "this key may not get from this queue"},
    [WIRE_REDRIVE] = {ACCESS_ADMIN, NAMED(on_queue), true, "this key may not administer this queue"},
    [WIRE_BACKUP] = {ACCESS_ADMIN, TARGET_ALL, 0, true, "this key may not administer all queues"},
    [WIRE_LIST] = {0, TARGET_NONE, 0, true, NULL},
    [WIRE_HELLO] = {0, TARGET_NONE, 0, false, NULL},
    [WIRE_RENEW] = {0, TARGET_NONE, 0, false, NULL},
    [WIRE_CANCEL] = {0, TARGET_NONE, 0, false, NULL},
    [WIRE_PING] = {0, TARGET_NONE, 0, true, NULL},
    [WIRE_GOODBYE] = {0, TARGET_NONE, 0, false, NULL},
#undef NAMED
};

// Items that die, or that are redriven, arrive in another queue: whoever names it must be allowed to put there.
static const char *const refusal_of_other = "this key may not put to the queue that is named as the other end";

static struct nq_bytes queue_of(const struct request *request, const struct rule *rule)
{
    struct nq_bytes name = {0};
    if (rule->target == TARGET_NAMED) {
        memcpy(&name, (const char *)request->wire + rule->queue, sizeof(name));
    } else if (rule->target == TARGET_BY_TOKEN) {
        const struct queue *queue = engine_queue_by_id(request->service->engine, request->wire->as.tokens.queue_id);
        if (queue != NULL) {
            name = (struct nq_bytes){.len = queue->record.name_len, .data = (const uint8_t *)queue->record.name};
        }
    }
    return name;
}

static struct nq_bytes other_queue_of(const struct wire_request *wire)
{
    switch (wire->op) {
    case WIRE_DECLARE:
        return wire->as.declare.options.dead_letter;
    case WIRE_REDRIVE:
        return wire->as.on_queue.to;
    default:
        return (struct nq_bytes){0};
    }
}

// ---------------------------------------------------------------------------------------------------------------------- rights

static struct cached *cache_place(struct peer *peer, struct nq_bytes name)
{
    if (peer->permits == NULL) {
        peer->permits = calloc(1, sizeof(*peer->permits));
    }
    uint32_t mixed = (uint32_t)name.len * 31u + name.data[name.len - 1] * 7u + name.data[name.len / 2];
    return peer->permits == NULL ? NULL : &peer->permits->places[mixed % CACHE_PLACES];
}

static uint8_t rights_on(const struct request *request, struct nq_bytes name)
{
    if (name.len == 0 || name.len > NQ_NAME_BYTES_MAX) {
        return 0;
    }
    struct cached *cached = request->peer == NULL ? NULL : cache_place(request->peer, name);
    if (cached != NULL && cached->len == name.len && memcmp(cached->name, name.data, name.len) == 0) {
        return cached->rights;
    }
    uint8_t rights = access_rights(request->principal, name.data, name.len);
    if (cached != NULL) {
        cached->len = name.len;
        memcpy(cached->name, name.data, name.len);
        cached->rights = rights;
    }
    return rights;
}

bool permit_sees(const struct request *request, const void *name, size_t len)
{
    return request->service->access == NULL || (request->principal != NULL && access_rights(request->principal, name, len) != 0);
}

static bool within_rate(const struct request *request)
{
    struct principal *principal = request->principal;
    uint64_t rate_max = request->service->config.requests_per_key_max;
    uint64_t second = request->now_ms / 1000;
    if (principal->rate_second != second) {
        principal->rate_second = second;
        principal->rate_used = 0;
    }
    return rate_max == 0 || principal->rate_used++ < rate_max;
}

// One line for each key and minute.
static void log_refusal(const struct request *request, struct nq_bytes queue, const char *why)
{
    struct principal *principal = request->principal;
    if (principal->refusal_logged_ms != 0 && request->now_ms - principal->refusal_logged_ms < REFUSAL_LOG_MS) {
        principal->refusals_left_out++;
        return;
    }
    char note[LOG_NOTE_BYTES];
    log_warning("refused '%s' on queue '%.*s': %s%s", principal->name, (int)queue.len,
                queue.len == 0 ? "" : (const char *)queue.data, why, log_limit_note(principal->refusals_left_out, note));
    principal->refusal_logged_ms = request->now_ms;
    principal->refusals_left_out = 0;
}

enum nq_status permit_check(struct request *request, const char **why)
{
    const size_t count = sizeof(rules) / sizeof(rules[0]);
    const struct rule *rule = (size_t)request->wire->op < count ? &rules[request->wire->op] : &rules[WIRE_NONE];
    if (request->service->access == NULL) {
        return NQ_OK;
    }
    if (request->principal == NULL || rule->target == TARGET_UNKNOWN) {
        *why = "this key is not authorised";
        return NQ_NOT_AUTHORISED;
    }
    if (rule->limited && !within_rate(request)) {
        *why = "this key sends more requests a second than it may";
        return NQ_BUSY;
    }
    struct nq_bytes queue = queue_of(request, rule);
    struct nq_bytes other = other_queue_of(request->wire);
    *why = NULL;
    // A token of a queue that is gone frees nothing and tells nothing that was not known.
    bool gone = rule->target == TARGET_BY_TOKEN && queue.len == 0;
    if (rule->target == TARGET_ALL) {
        *why = access_covers_all(request->principal, (enum access_right)rule->rights) ? NULL : rule->refusal;
    } else if (rule->rights != 0 && !gone && (rights_on(request, queue) & rule->rights) == 0) {
        *why = rule->refusal;
    } else if (other.len > 0 && (rights_on(request, other) & (ACCESS_PUT | ACCESS_ADMIN)) == 0) {
        queue = other;
        *why = refusal_of_other;
    }
    if (*why == NULL) {
        return NQ_OK;
    }
    log_refusal(request, queue, *why);
    return NQ_NOT_AUTHORISED;
}

// --------------------------------------------------------------------------------------------------------------- other keys

struct reauthorising {
    struct service *service;
    uint64_t now_ms;
    struct access *access;
    size_t ended;
};

static void reauthorise_one(void *context, struct peer *peer)
{
    struct reauthorising *self = context;
    struct service *service = self->service;
    struct principal *before = peer->principal;
    if (before == NULL) {
        return; // it has no connection yet; whoever takes it up is asked for a key
    }
    struct principal *now = access_find(self->access, before->key);
    if (now == NULL || !access_same_rules(before, now)) {
        dispatch_session_cut(service->dispatch, peer->session_no);
        service_take_answers(service, self->now_ms);
    }
    sessions_belong(peer, now);
    if (now == NULL) {
        sessions_end(&service->sessions, self->now_ms, peer, false);
        self->ended++;
    }
}

void service_reauthorise(struct service *self, uint64_t now_ms, struct access *access)
{
    struct reauthorising run = {.service = self, .now_ms = now_ms, .access = access};
    if (self->access == NULL) {
        return;
    }
    if (!sessions_each(&self->sessions, &run, reauthorise_one)) {
        self->out_of_memory = true;
    }
    self->access = access;
    log_info("%zu keys are authorised; %zu sessions of others have ended", access_count(access), run.ended);
}
