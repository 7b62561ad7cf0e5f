// BACKUP: who may, one at a time, and how its end is told. The copying itself is the store's.
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "service_fixture.h"

static int go_on; // an eventfd: the backup under way waits for it
static enum nq_status outcome;

static enum nq_status slow_backup(struct store *store, const struct store_backup *order, uint64_t *bytes, struct store_error *error)
{
    uint64_t count;
    (void)store;
    cr_assert_eq(read(go_on, &count, sizeof(count)), sizeof(count));
    snprintf(error->text, sizeof(error->text), "%s/%s has no room", order->parent, order->name);
    *bytes = 4096;
    return outcome;
}

static bool fixed(void *out, size_t len)
{
    memset(out, 7, len);
    return true;
}

static struct fixture *start(const char *dir, backup_function *run)
{
    struct fixture *fixture = fixture_create();
    const struct backup_config config = {.store = fixture->rig.store, .dir = dir, .run = run, .random = fixed};
    fixture_hello(fixture, 1, NULL);
    fixture->rig.service.backup = backup_create(&config);
    cr_assert_not_null(fixture->rig.service.backup);
    go_on = eventfd(0, EFD_CLOEXEC);
    outcome = NQ_OK;
    return fixture;
}

static void end(struct fixture *fixture)
{
    backup_destroy(&fixture->rig.service.backup);
    fixture_destroy(fixture);
    close(go_on);
}

static struct wire_request backup_request(uint64_t id)
{
    return (struct wire_request){.id = id, .op = WIRE_BACKUP, .as.backup_name = bytes_of("monday")};
}

static void let_it_end(struct fixture *fixture)
{
    const uint64_t one = 1;
    struct backup_end ended;
    struct pollfd waiting = {.fd = backup_fd(fixture->rig.service.backup), .events = POLLIN};
    cr_assert_eq(write(go_on, &one, sizeof(one)), sizeof(one));
    cr_assert_eq(poll(&waiting, 1, -1), 1);
    cr_assert(backup_take(fixture->rig.service.backup, &ended));
    cr_assert_not(backup_take(fixture->rig.service.backup, &ended), "it is told once");
    service_backup_ended(&fixture->rig.service, &ended);
    fixture_tick(fixture, 1);
}

Test(backup, without_a_folder_or_a_store_on_disk_it_is_refused)
{
    static const struct {
        const char *dir;
        backup_function *run;
        const char *why;
    } cases[] = {{NULL, slow_backup, "--backup-dir"}, {"/backups", NULL, "no store on disk"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *fixture = start(cases[i].dir, cases[i].run);
        const struct wire_request request = backup_request(2);
        const struct wire_reply *reply = fixture_call(fixture, 1, &request);
        cr_assert_eq(reply->status, NQ_NOT_AUTHORISED);
        cr_assert_not_null(memmem(reply->detail.data, reply->detail.len, cases[i].why, strlen(cases[i].why)));
        end(fixture);
    }
}

Test(backup, its_answer_comes_at_its_end_and_a_second_one_is_busy)
{
    struct fixture *fixture = start("/backups", slow_backup);
    const struct wire_request first = backup_request(2);
    const struct wire_request second = backup_request(3);
    fixture_send(fixture, 1, &first, 1);
    fixture_commit(fixture);
    cr_assert_null(fixture_take(fixture, 1, 2), "it is not made yet");
    cr_assert(backup_is_under_way(fixture->rig.service.backup));
    cr_assert_eq(fixture_call(fixture, 1, &second)->status, NQ_BUSY);
    cr_assert_eq(fixture_put(fixture, 1, 4, "q", 1, "meanwhile"), NQ_OK);
    let_it_end(fixture);
    const struct wire_reply *reply = fixture_take(fixture, 1, 2);
    cr_assert(reply != NULL && reply->status == NQ_OK && reply->as.count == 4096);
    cr_assert_not(backup_is_under_way(fixture->rig.service.backup));
    end(fixture);
}

Test(backup, a_failure_is_answered_with_what_failed)
{
    struct fixture *fixture = start("/backups", slow_backup);
    const struct wire_request request = backup_request(2);
    outcome = NQ_NO_SPACE;
    fixture_send(fixture, 1, &request, 1);
    let_it_end(fixture);
    const struct wire_reply *reply = fixture_take(fixture, 1, 2);
    cr_assert(reply != NULL && reply->status == NQ_NO_SPACE);
    cr_assert(bytes_are(reply->detail, "/backups/monday has no room"));
    end(fixture);
}
