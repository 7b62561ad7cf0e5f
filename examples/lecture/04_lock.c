// A lock that is held during the sleep makes ten threads wait for each other's sleep; one that is released before does not.
#include <time.h>

#include "lecture.h"

#define THREADS 10

static const long sleep_ms[THREADS] = {60, 50, 40, 60, 50, 40, 50, 30, 60, 30}; // 470 in all, 60 at most

static void hold_while_sleeping(struct nq_client *client, const char *name, long number)
{
    struct nq_lock *lock;
    lecture_check(client, nq_lock_open(client, name, false, &lock));
    lecture_check(client, nq_lock_acquire(lock, NQ_WAIT_FOREVER));
    lecture_say("---> thread %ld running", number);
    lecture_pause_ms(sleep_ms[number]);
    lecture_say("---> thread %ld over", number);
    lecture_check(client, nq_lock_release(lock));
    nq_lock_close(&lock);
}

static void release_before_sleeping(struct nq_client *client, const char *name, long number)
{
    struct nq_lock *lock;
    lecture_check(client, nq_lock_open(client, name, false, &lock));
    lecture_check(client, nq_lock_acquire(lock, NQ_WAIT_FOREVER));
    lecture_say("---> thread %ld running", number);
    lecture_check(client, nq_lock_release(lock));
    lecture_pause_ms(sleep_ms[number]);
    lecture_say("---> thread %ld over", number);
    nq_lock_close(&lock);
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run(const char *what, void (*way)(struct nq_client *, const char *, long))
{
    struct role roles[THREADS];
    double began = seconds();
    for (long number = 0; number < THREADS; number++) {
        roles[number] = (struct role){way, lecture_queue_name(), number};
    }
    lecture_threads(roles, THREADS);
    lecture_say("%s: --- %.2f seconds ---", what, seconds() - began);
}

int main(void)
{
    run("hold_while_sleeping", hold_while_sleeping);
    run("release_before_sleeping", release_before_sleeping);
    struct nq_client *client = lecture_client();
    lecture_check(client, nq_delete(client, lecture_queue_name(), NULL));
    nq_client_destroy(&client);
}
