// Locks and semaphores.
#include <criterion/criterion.h>

#include "test_client_fixture.h"

Test(lock, excludes_and_is_handed_on)
{
    struct rig rig = rig_make();
    struct nq_lock *one = NULL;
    struct nq_lock *two = NULL;
    cr_assert_eq(nq_lock_open(rig.client, "lock", false, &one), NQ_OK);
    cr_assert_eq(nq_lock_open(rig.client, "lock", false, &two), NQ_OK); // found, not made again
    cr_assert_eq(nq_lock_fence(one), 0);
    cr_assert_eq(nq_lock_release(one), NQ_NOT_LEASED);
    cr_assert_eq(nq_lock_acquire(one, 0), NQ_OK);
    uint64_t fence = nq_lock_fence(one);
    cr_assert_gt(fence, 0);
    cr_assert_eq(nq_lock_acquire(one, 0), NQ_BAD_REQUEST);
    cr_assert_eq(nq_lock_acquire(two, 0), NQ_TIMED_OUT);
    cr_assert_eq(nq_lock_release(one), NQ_OK);
    cr_assert_eq(nq_lock_acquire(two, NQ_WAIT_FOREVER), NQ_OK);
    cr_assert_gt(nq_lock_fence(two), fence);
    nq_lock_close(&two); // lets go
    cr_assert_null(two);
    cr_assert_eq(nq_lock_acquire(one, 0), NQ_OK);
    nq_lock_close(&one);
    nq_lock_close(&one);
    cr_assert_eq(nq_lock_open(rig.client, "no lock", false, &one), NQ_BAD_NAME);
    cr_assert_null(one);
    rig_end(&rig);
}

Test(lock, a_reentrant_one_is_released_as_often_as_acquired)
{
    struct rig rig = rig_make();
    struct nq_lock *one = NULL;
    struct nq_lock *other = NULL;
    cr_assert_eq(nq_lock_open(rig.client, "lock", true, &one), NQ_OK);
    cr_assert_eq(nq_lock_open(rig.client, "lock", true, &other), NQ_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(nq_lock_acquire(one, 0), NQ_OK);
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(nq_lock_acquire(other, 0), NQ_TIMED_OUT);
        cr_assert_eq(nq_lock_release(one), NQ_OK);
    }
    cr_assert_eq(nq_lock_release(one), NQ_NOT_LEASED);
    cr_assert_eq(nq_lock_acquire(other, 0), NQ_OK);
    nq_lock_close(&one);
    nq_lock_close(&other);
    rig_end(&rig);
}

Test(semaphore, lends_its_permits)
{
    struct rig rig = rig_make();
    struct nq_semaphore *one = NULL;
    struct nq_semaphore *other = NULL;
    cr_assert_eq(nq_semaphore_open(rig.client, "s", 2, &one), NQ_OK);
    cr_assert_eq(nq_semaphore_open(rig.client, "s", 2, &other), NQ_OK);
    cr_assert_eq(nq_semaphore_acquire(one, 0), NQ_OK);
    cr_assert_eq(nq_semaphore_acquire(one, 0), NQ_OK);
    cr_assert_eq(nq_semaphore_acquire(other, 0), NQ_TIMED_OUT);
    cr_assert_eq(nq_semaphore_release(one), NQ_OK);
    cr_assert_eq(nq_semaphore_acquire(other, 0), NQ_OK);
    cr_assert_eq(nq_semaphore_acquire(other, 0), NQ_TIMED_OUT);
    nq_semaphore_close(&one); // gives back the other one
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(nq_semaphore_release(other), NQ_OK); // one that it holds, and four more
    }
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(nq_semaphore_acquire(other, 0), NQ_OK);
    }
    cr_assert_eq(nq_semaphore_acquire(other, 0), NQ_TIMED_OUT);
    nq_semaphore_close(&other);
    rig_end(&rig);
}

Test(semaphore, from_zero_is_a_signal_that_is_used_up)
{
    struct rig rig = rig_make();
    struct nq_semaphore *semaphore = NULL;
    cr_assert_eq(nq_semaphore_open(rig.client, "s", 0, &semaphore), NQ_OK);
    cr_assert_eq(nq_semaphore_acquire(semaphore, 0), NQ_TIMED_OUT);
    cr_assert_eq(nq_semaphore_release(semaphore), NQ_OK);
    cr_assert_eq(nq_semaphore_acquire(semaphore, 0), NQ_OK);
    nq_semaphore_close(&semaphore);
    cr_assert_eq(fake_broker_counts(rig.broker, "s").ready, 0);
    rig_end(&rig);
}
