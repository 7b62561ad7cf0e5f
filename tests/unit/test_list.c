#include <criterion/criterion.h>

#include "list.h"

struct thing {
    int value;
    struct link link;
};

static void expect(const struct list *list, const int *values, size_t count)
{
    size_t at = 0;
    for (struct link *link = list_first(list); link != NULL; link = list_next(list, link)) {
        cr_assert_eq(list_object(link, struct thing, link)->value, values[at]);
        at++;
    }
    cr_assert_eq(at, count);
    cr_assert_eq(list->count, count);
}

Test(list, keeps_order)
{
    struct list list;
    struct thing things[] = {{.value = 1}, {.value = 2}, {.value = 3}};
    list_init(&list);
    cr_assert_null(list_first(&list));
    for (size_t i = 0; i < 3; i++) {
        list_push_back(&list, &things[i].link);
    }
    expect(&list, (int[]){1, 2, 3}, 3);
    list_remove(&list, &things[1].link);
    cr_assert(!link_is_linked(&things[1].link));
    expect(&list, (int[]){1, 3}, 2);
    list_insert_before(&list, &things[0].link, &things[1].link);
    expect(&list, (int[]){2, 1, 3}, 3);
    cr_assert_eq(list_prev(&list, &things[0].link), &things[1].link);
    cr_assert_null(list_prev(&list, &things[1].link));
    cr_assert_eq(list_pop_front(&list), &things[1].link);
    expect(&list, (int[]){1, 3}, 2);
}

Test(list, splice_moves_all)
{
    struct list a;
    struct list b;
    struct thing things[] = {{.value = 1}, {.value = 2}, {.value = 3}};
    list_init(&a);
    list_init(&b);
    list_splice(&a, &b);
    expect(&a, NULL, 0);
    list_push_back(&a, &things[0].link);
    list_push_back(&b, &things[1].link);
    list_push_back(&b, &things[2].link);
    list_splice(&a, &b);
    expect(&a, (int[]){1, 2, 3}, 3);
    expect(&b, NULL, 0);
    list_remove(&a, &things[2].link);
    expect(&a, (int[]){1, 2}, 2);
}
