// A pipe of three processes; each queue that is shut down and drained is the end of what flows through it.
#include <stdio.h>
#include <stdlib.h>

#include "lecture.h"

static void squares_of(const char *numbers, char squares[LECTURE_TEXT_BYTES])
{
    (void)snprintf(squares, LECTURE_TEXT_BYTES, "%s.squares", numbers);
}

static void create_items(struct nq_client *client, const char *numbers, long count)
{
    for (long item = 0; item < count; item++) {
        lecture_put(client, numbers, "%ld", item);
    }
    lecture_check(client, nq_shutdown(client, numbers, false, NULL));
}

static void multiply_items(struct nq_client *client, const char *numbers, long count)
{
    (void)count;
    char squares[LECTURE_TEXT_BYTES];
    char text[LECTURE_TEXT_BYTES];
    squares_of(numbers, squares);
    while (lecture_get(client, numbers, NQ_WAIT_FOREVER, text)) {
        long item = strtol(text, NULL, 10);
        lecture_put(client, squares, "%ld", item * item);
    }
    lecture_check(client, nq_shutdown(client, squares, false, NULL));
}

static void print_items(struct nq_client *client, const char *numbers, long count)
{
    (void)count;
    char squares[LECTURE_TEXT_BYTES];
    char text[LECTURE_TEXT_BYTES];
    squares_of(numbers, squares);
    while (lecture_get(client, squares, NQ_WAIT_FOREVER, text)) {
        lecture_say("%s", text);
    }
    lecture_say("End");
}

int main(void)
{
    const char *numbers = lecture_queue_name();
    char squares[LECTURE_TEXT_BYTES];
    squares_of(numbers, squares);
    struct role roles[] = {{create_items, numbers, 10}, {multiply_items, numbers, 0}, {print_items, numbers, 0}};
    lecture_processes(roles, 3);
    struct nq_client *client = lecture_client();
    lecture_check(client, nq_delete(client, numbers, NULL));
    lecture_check(client, nq_delete(client, squares, NULL));
    nq_client_destroy(&client);
}
