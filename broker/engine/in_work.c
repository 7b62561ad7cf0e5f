// Which items of a session its application has in its hands when their leases end: those that it has reported, and of the rest the
// oldest, as many as it works on at once.
#include <stdlib.h>

#include "internal.h"

// What is not reported of one get, whose runs stand side by side.
struct rest {
    uint64_t items;
    size_t runs;
    struct link *behind; // the first run of the next get; NULL: none
};

static struct run *run_at(struct link *link)
{
    return list_object(link, struct run, in_session);
}

static uint64_t mark_reported(struct session *session)
{
    uint64_t count = 0;
    for (struct link *r = list_first(&session->runs); r != NULL; r = list_next(&session->runs, r)) {
        const struct run *run = run_at(r);
        for (struct link *i = list_first(&run->items); i != NULL; i = list_next(&run->items, i)) {
            struct item *item = list_object(i, struct item, in_run);
            item->in_work = item->index < run->taken;
            count += item->in_work ? 1 : 0;
        }
    }
    return count;
}

static struct rest rest_of_get(const struct session *session, struct link *first)
{
    struct rest rest = {.behind = first};
    uint64_t get_id = run_at(first)->get_id;
    for (; rest.behind != NULL && run_at(rest.behind)->get_id == get_id; rest.behind = list_next(&session->runs, rest.behind)) {
        const struct run *run = run_at(rest.behind);
        rest.runs++;
        for (struct link *i = list_first(&run->items); i != NULL; i = list_next(&run->items, i)) {
            rest.items += list_object(i, struct item, in_run)->in_work ? 0 : 1;
        }
    }
    return rest;
}

// In a run the oldest comes first.
static void mark_first(const struct run *run, uint64_t count)
{
    for (struct link *i = list_first(&run->items); count > 0 && i != NULL; i = list_next(&run->items, i)) {
        struct item *item = list_object(i, struct item, in_run);
        count -= item->in_work ? 0 : 1;
        item->in_work = true;
    }
}

static int compare_seqs(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a;
    const struct item *y = *(struct item *const *)b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

// Extended items have runs of their own: the oldest of some of them may be in any.
static void mark_oldest(struct engine *self, const struct session *session, struct link *first, const struct rest *rest,
                        uint64_t count)
{
    size_t found = 0;
    struct item **items = malloc(rest->items * sizeof(*items));
    if (items == NULL) {
        engine_no_memory(self);
        return;
    }
    for (struct link *r = first; r != rest->behind; r = list_next(&session->runs, r)) {
        const struct run *run = run_at(r);
        for (struct link *i = list_first(&run->items); i != NULL; i = list_next(&run->items, i)) {
            struct item *item = list_object(i, struct item, in_run);
            if (!item->in_work) {
                items[found++] = item;
            }
        }
    }
    qsort(items, found, sizeof(*items), compare_seqs);
    for (size_t i = 0; i < count; i++) {
        items[i]->in_work = true;
    }
    free(items);
}

void session_mark_in_work(struct engine *self, struct session *session)
{
    uint64_t working = mark_reported(session);
    struct link *link = list_first(&session->runs);
    while (link != NULL && working < session->workers) {
        struct rest rest = rest_of_get(session, link);
        uint64_t wanted = session->workers - working;
        if (wanted < rest.items && rest.runs > 1) {
            mark_oldest(self, session, link, &rest, wanted);
            return;
        }
        for (struct link *r = link; r != rest.behind; r = list_next(&session->runs, r)) {
            mark_first(run_at(r), wanted);
        }
        working += rest.items;
        link = rest.behind;
    }
}
