// Intrusive doubly linked lists: the link lives in the object, so that linking never fails.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *next, *prev; // NULL: in no list
};

struct list {
    struct link head;
    size_t count;
};

// The object of type `type` whose member `member` is `link`.
#define list_object(link_p, type, member) ((type *)(void *)((char *)(link_p)-offsetof(type, member)))

static inline void list_init(struct list *self)
{
    self->head.next = &self->head;
    self->head.prev = &self->head;
    self->count = 0;
}

static inline bool link_is_linked(const struct link *link)
{
    return link->next != NULL;
}

static inline void list_push_back(struct list *self, struct link *link)
{
    link->prev = self->head.prev;
    link->next = &self->head;
    self->head.prev->next = link;
    self->head.prev = link;
    self->count++;
}

static inline void list_remove(struct list *self, struct link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = NULL;
    link->prev = NULL;
    self->count--;
}

static inline struct link *list_first(const struct list *self) // NULL: empty
{
    return self->head.next == &self->head ? NULL : self->head.next;
}

static inline struct link *list_next(const struct list *self, const struct link *link) // NULL: it was the last
{
    return link->next == &self->head ? NULL : link->next;
}

static inline struct link *list_prev(const struct list *self, const struct link *link) // NULL: it was the first
{
    return link->prev == &self->head ? NULL : link->prev;
}

static inline void list_insert_before(struct list *self, struct link *at, struct link *link)
{
    link->prev = at->prev;
    link->next = at;
    at->prev->next = link;
    at->prev = link;
    self->count++;
}

static inline struct link *list_pop_front(struct list *self) // NULL: empty
{
    struct link *first = list_first(self);
    if (first != NULL) {
        list_remove(self, first);
    }
    return first;
}

// All of `from` goes to the end of `self`. O(1).
static inline void list_splice(struct list *self, struct list *from)
{
    if (from->count == 0) {
        return;
    }
    from->head.next->prev = self->head.prev;
    self->head.prev->next = from->head.next;
    from->head.prev->next = &self->head;
    self->head.prev = from->head.prev;
    self->count += from->count;
    list_init(from);
}
