#include "body.h"

#include <string.h>

enum { PHASES = 509 };

static uint8_t filler[BODY_BYTES_MAX + PHASES];

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

void body_init(void)
{
    for (size_t i = 0; i < sizeof(filler); i++) {
        filler[i] = (uint8_t)mix(i + 1);
    }
}

static size_t length_at(uint64_t place)
{
    uint64_t x = mix(place + 1);
    return x % 1000 == 0 ? BODY_BYTES_MAX - x / 1000 % 6000 : 40 + x / 1000 % 161;
}

static uint32_t check_of(const struct body_head *head)
{
    return (uint32_t)mix(mix(mix(head->place + 1) ^ head->number) ^ head->put_ns ^ (uint64_t)head->run << 40);
}

size_t body_write(uint8_t *out, struct body_head head)
{
    size_t len = length_at(head.place);
    head.check = check_of(&head);
    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), filler + head.place % PHASES, len - sizeof(head));
    return len;
}

bool body_read(const void *body, size_t len, struct body_head *out)
{
    if (len < sizeof(*out)) {
        return false;
    }
    memcpy(out, body, sizeof(*out));
    return out->check == check_of(out) && len == length_at(out->place) &&
           memcmp((const uint8_t *)body + sizeof(*out), filler + out->place % PHASES, len - sizeof(*out)) == 0;
}
