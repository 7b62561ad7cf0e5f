// A broker that comes back with lower limits than those that requests were made for.
#include <criterion/criterion.h>

#include "test_client_fixture.h"
#include "wire_limits.h"

static uint8_t body[1000000];

// The broker takes what it is sent next, but the answer is lost; and the broker that is there then takes less.
static void lower_before_the_answer(struct rig *rig, uint64_t body_bytes, uint64_t frame_bytes)
{
    cr_assert_eq(rig_put(rig, "other", "a"), NQ_OK); // the first limits are known
    fake_broker_set_limits(rig->broker, body_bytes, frame_bytes);
    fake_broker_disconnect_after(rig->broker, 1);
}

Test(limits, an_item_over_the_lower_body_limit_has_an_unknown_outcome_when_it_was_sent_before)
{
    struct rig rig = rig_make();
    lower_before_the_answer(&rig, 1000, NQ_FRAME_BYTES_DEFAULT);
    cr_assert_eq(nq_put(rig.client, "q", body, sizeof body, NULL, NULL), NQ_OUTCOME_UNKNOWN);
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 2);
    rig_end(&rig);
}
