// A pool of four processes that square: tasks in one queue, results in another, put together in the order of the tasks.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lecture.h"

#define TASKS 100
#define WORKERS 4

static void results_of(const char *tasks, char results[LECTURE_TEXT_BYTES])
{
    (void)snprintf(results, LECTURE_TEXT_BYTES, "%s.results", tasks);
}

static void worker(struct nq_client *client, const char *tasks, long number)
{
    (void)number;
    char text[LECTURE_TEXT_BYTES];
    char results[LECTURE_TEXT_BYTES];
    results_of(tasks, results);
    struct nq_item *item;
    while ((item = lecture_get_item(client, tasks, text)) != NULL) {
        long n = strtol(text, NULL, 10);
        lecture_put(client, results, "%ld %ld", n, n * n);
        lecture_check(client, nq_task_done(client, &item)); // after its result: else a crash here would lose it
    }
}

static void print_results(struct nq_client *client, const char *results)
{
    long squares[TASKS] = {0};
    char text[LECTURE_TEXT_BYTES];
    char line[TASKS * 8] = "Pool: [";
    while (lecture_get(client, results, 0, text)) {
        char *end;
        long n = strtol(text, &end, 10);
        squares[n >= 0 && n < TASKS ? n : 0] = strtol(end, NULL, 10);
    }
    for (size_t n = 0; n < TASKS; n++) {
        size_t len = strlen(line);
        (void)snprintf(line + len, sizeof line - len, "%s%ld", n > 0 ? ", " : "", squares[n]);
    }
    (void)printf("%s]\n", line);
}

int main(void)
{
    const char *tasks = lecture_queue_name();
    char results[LECTURE_TEXT_BYTES];
    results_of(tasks, results);
    struct nq_client *client = lecture_client();
    for (int n = 0; n < TASKS; n++) {
        lecture_put(client, tasks, "%d", n);
    }
    lecture_check(client, nq_shutdown(client, tasks, false, NULL));
    struct role roles[WORKERS] = {{worker, tasks, 0}, {worker, tasks, 1}, {worker, tasks, 2}, {worker, tasks, 3}};
    lecture_processes(roles, WORKERS);
    print_results(client, results);
    lecture_check(client, nq_delete(client, tasks, NULL));
    lecture_check(client, nq_delete(client, results, NULL));
    nq_client_destroy(&client);
}
