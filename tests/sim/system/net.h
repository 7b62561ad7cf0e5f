// The network of one run: links between connections of clients and the broker. Frames of one link arrive in order or not at all; a
// link is cut at any moment, with any part of what is under way arriving all the same, also after the client's next link is up, and
// each end learns of it in its own time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet {
    struct packet *next;
    struct link *link;
    size_t len;
    uint8_t bytes[];
};

struct packets {
    struct packet *first, *last;
};

// The client's end of its links; net_client.c makes a connection of it.
struct endpoint {
    struct endpoint *next; // of all
    struct link *link;     // NULL: not up
    struct packets inbox;
    void (*changed)(struct endpoint *self);            // a frame has come, or there is room again
    void (*up)(struct endpoint *self, bool connected); // false: refused
    void (*down)(struct endpoint *self);
    uint64_t attempt; // which connecting is going on; stale ones have other numbers
};

struct link {
    uint64_t number; // what the broker calls it; never used again
    uint64_t instance;
    struct endpoint *client; // NULL: the client has closed it
    bool broker_sees;        // the broker does not know yet that it is cut
    bool cut;
    uint64_t to_broker_us, to_client_us;                    // when the last frame sent arrives
    uint64_t to_broker_sent, to_broker_came, to_broker_end; // numbers of frames; from `end` on they are lost
    uint64_t to_client_sent, to_client_came, to_client_end;
    uint64_t full_until_us;         // to the broker
    uint64_t answers_full_until_us; // to the client
    unsigned session;               // as the tap knows it; 0: none yet
};

struct net_config {
    uint64_t delay_us;        // of most frames, at most
    uint64_t late_us;         // of some
    uint64_t notice_us;       // until an end learns that a link is cut, mostly at most
    uint64_t slow_permille;   // answers that find their link full
    uint64_t silent_permille; // links of which the client is not told at all
};

void net_begin(const struct net_config *config);
void net_end(void);
struct packet *packet_create(size_t len);
struct packet *packets_take(struct packets *self); // NULL: none
void packets_add(struct packets *self, struct packet *packet);
void packets_clear(struct packets *self);

void net_connect(struct endpoint *self); // and again and again until net_close
void net_close(struct endpoint *self);
bool net_has_room(const struct endpoint *self);
void net_send(struct endpoint *self, struct packet **packet_p);

// The broker's end. `arrived` is called when there is something in the inbox.
void net_listen(void (*arrived)(void));
void net_hang_up(void); // the broker is gone, and all that was on its way to it
struct packet *net_receive(void);
bool net_inbox_is_empty(void);
struct link *net_link(uint64_t number);
bool net_takes_no_answer(struct link *link); // it is full, and stays so for a while
void net_answer(struct link *link, struct packet **packet_p);

void net_cut_any(void);      // one link
void net_block(uint64_t us); // nobody can connect
void net_heal(void);         // from now on nothing is cut or silent
