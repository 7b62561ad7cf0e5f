// The pure parts of netqueue bench: what is asked for, the schedule, the histogram, samples, the forms of the report.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "figures.h"
#include "samples.h"
#include "schedule.h"

// ------------------------------------------------------------------------------------------------------------------ histogram

static struct histogram histogram;

static void start(void)
{
    cr_assert(histogram_init(&histogram));
}

static void stop(void)
{
    histogram_fini(&histogram);
}

TestSuite(histogram, .init = start, .fini = stop);

Test(histogram, empty_says_nothing)
{
    cr_assert_eq(histogram_percentile_ns(&histogram, 50), 0);
    cr_assert_eq(histogram_percentile_ns(&histogram, 100), 0);
}

Test(histogram, small_values_are_exact)
{
    for (uint64_t ns = 1; ns <= 1000; ns++) {
        histogram_record(&histogram, ns);
    }
    cr_expect_eq(histogram_percentile_ns(&histogram, 50), 500);
    cr_expect_eq(histogram_percentile_ns(&histogram, 99), 990);
    cr_expect_eq(histogram_percentile_ns(&histogram, 99.9), 999);
    cr_expect_eq(histogram_percentile_ns(&histogram, 100), 1000);
    cr_expect_eq(histogram_percentile_ns(&histogram, 0), 1);
}

// One value below and one far above: the median is the lower one's counter, told at most 0.1 % too high and never too low.
Test(histogram, is_right_to_a_thousandth_at_every_size)
{
    for (uint64_t ns = 1; ns < HISTOGRAM_NS_MAX / 2; ns += ns / 7 + 1) {
        struct histogram one;
        cr_assert(histogram_init(&one));
        histogram_record(&one, ns);
        histogram_record(&one, HISTOGRAM_NS_MAX);
        uint64_t told = histogram_percentile_ns(&one, 50);
        cr_assert(told >= ns && told - ns <= ns / 1000, "%llu is told as %llu", (unsigned long long)ns, (unsigned long long)told);
        histogram_fini(&one);
    }
}

Test(histogram, largest_is_exact_and_bounded)
{
    histogram_record(&histogram, 123456789);
    cr_expect_eq(histogram_percentile_ns(&histogram, 100), 123456789);
    histogram_record(&histogram, UINT64_MAX);
    cr_expect_eq(histogram_percentile_ns(&histogram, 100), HISTOGRAM_NS_MAX);
}

Test(histogram, adds_up)
{
    struct histogram other;
    cr_assert(histogram_init(&other));
    histogram_record(&histogram, 10);
    histogram_record(&other, 20);
    histogram_record(&other, 30);
    histogram_add(&histogram, &other);
    cr_expect_eq(histogram.count, 3);
    cr_expect_eq(histogram_percentile_ns(&histogram, 50), 20);
    cr_expect_eq(histogram_percentile_ns(&histogram, 100), 30);
    histogram_fini(&other);
}

// ------------------------------------------------------------------------------------------------------------------- schedule

Test(schedule, items_of_all_producers_are_evenly_spread)
{
    const struct schedule schedule = {.start_ns = 1000, .rate = 1000, .producers = 3};
    for (uint64_t i = 0; i < 300; i++) {
        cr_assert_eq(schedule_due_ns(&schedule, i % 3, i / 3), 1000 + i * 1000000);
    }
}

// The due time comes from the schedule alone: it does not move when the item before was late.
Test(schedule, counts_what_is_due)
{
    const struct schedule schedule = {.start_ns = 0, .rate = 10, .producers = 1};
    cr_expect_eq(schedule_due_count(&schedule, 0), 0);
    cr_expect_eq(schedule_due_count(&schedule, 1), 1);
    cr_expect_eq(schedule_due_count(&schedule, 100000000), 1);
    cr_expect_eq(schedule_due_count(&schedule, 100000001), 2);
    cr_expect_eq(schedule_due_count(&schedule, 1000000000), 10);
}

Test(schedule, a_day_at_a_high_rate_keeps_its_microseconds)
{
    const struct schedule schedule = {.start_ns = 0, .rate = 1e6, .producers = 1};
    cr_expect_eq(schedule_due_ns(&schedule, 0, 86400ull * 1000000), 86400ull * 1000000000);
}

Test(schedule, shares_add_up)
{
    for (uint64_t parts = 1; parts <= 7; parts++) {
        uint64_t sum = 0;
        for (uint64_t i = 0; i < parts; i++) {
            sum += share_of(100, parts, i);
        }
        cr_expect_eq(sum, 100);
    }
}

// Whatever the numbers: each queue has a thread that serves it and each thread a queue.
Test(schedule, no_queue_and_no_thread_is_left_out)
{
    for (uint64_t queues = 1; queues <= 8; queues++) {
        for (uint64_t threads = 1; threads <= 8; threads++) {
            uint64_t served = 0;
            for (uint64_t t = 0; t < threads; t++) {
                uint64_t count = thread_queue_count(queues, threads, t);
                cr_expect(count >= 1);
                for (uint64_t k = 0; k < count; k++) {
                    cr_assert(thread_queue(queues, threads, t, k) < queues);
                    served |= 1ull << thread_queue(queues, threads, t, k);
                }
            }
            cr_expect_eq(served, (1ull << queues) - 1, "%d queues, %d threads", (int)queues, (int)threads);
        }
    }
}

Test(schedule, the_lead_is_bounded_in_items_and_bytes)
{
    cr_expect_eq(lead_max(1, 1, 100), 1010);
    cr_expect_eq(lead_max(1000, 1, 100), 11000);
    cr_expect_eq(lead_max(1000, 1, 1 << 20), 256);
    cr_expect_eq(lead_max(1, 50, 64 << 20), 100);
    cr_expect_eq(lead_max(1, 1, 0), 1010);
}

// -------------------------------------------------------------------------------------------------------------------- samples

Test(samples, times_what_is_confirmed_in_order)
{
    struct samples samples;
    struct histogram out;
    cr_assert(samples_init(&samples, 2) && histogram_init(&out));
    samples_add(&samples, 5, 100);
    samples_add(&samples, 7, 200);
    samples_add(&samples, 8, 300); // no room: left out
    cr_expect(!samples_is_due(&samples, 4));
    samples_settle(&samples, 5, 150, 0, &out);
    cr_expect_eq(out.count, 1);
    cr_expect_eq(out.max_ns, 50);
    samples_add(&samples, 9, 400); // round the end of the ring
    samples_settle(&samples, 9, 500, 0, &out);
    cr_expect_eq(out.count, 3);
    cr_expect_eq(out.max_ns, 300);
    cr_expect(!samples_is_due(&samples, UINT64_MAX));
    samples_fini(&samples);
    histogram_fini(&out);
}

Test(samples, warm_up_is_not_recorded)
{
    struct samples samples;
    struct histogram out;
    cr_assert(samples_init(&samples, 4) && histogram_init(&out));
    samples_add(&samples, 1, 999);
    samples_add(&samples, 2, 1000);
    samples_settle(&samples, 2, 1010, 1000, &out);
    cr_expect_eq(out.count, 1);
    cr_expect_eq(out.max_ns, 10);
    samples_fini(&samples);
    histogram_fini(&out);
}

// -------------------------------------------------------------------------------------------------------------------- options

static struct bench_options options;
static char why[160];

static bool take(const char *first, const char *second)
{
    const char *words[] = {first, second};
    options = (struct bench_options)BENCH_DEFAULTS;
    return bench_take_words(&options, words, first == NULL ? 0 : second == NULL ? 1 : 2, why, sizeof(why));
}

Test(bench_options, words_are_mode_and_queue)
{
    cr_expect(take(NULL, NULL) && options.mode == BENCH_CYCLE && strcmp(options.queue, "bench") == 0);
    cr_expect(take("put", NULL) && options.mode == BENCH_PUT && strcmp(options.queue, "bench") == 0);
    cr_expect(take("mine", NULL) && options.mode == BENCH_CYCLE && strcmp(options.queue, "mine") == 0);
    cr_expect(take("get", "put") && options.mode == BENCH_GET && strcmp(options.queue, "put") == 0);
    cr_expect(!take("gte", "mine"));
    cr_expect(strstr(why, "gte") != NULL);
}

Test(bench_options, a_name_has_room_for_its_number)
{
    char name[130];
    memset(name, 'q', sizeof(name));
    name[128] = '\0';
    cr_expect(take(name, NULL));
    options.queues = 2;
    const char *words[] = {name};
    cr_expect(!bench_take_words(&options, words, 1, why, sizeof(why)));
    name[121] = '\0';
    cr_expect(bench_take_words(&options, words, 1, why, sizeof(why)));
    char full[192];
    bench_queue_name(&options, BENCH_QUEUES_MAX - 1, full, sizeof(full));
    cr_expect(strlen(full) <= 128 && strcmp(full + 121, ".99999") == 0);
}

Test(bench_options, what_does_not_go_together)
{
    const struct {
        struct bench_options options;
        const char *says;
    } cases[] = {
        {{.mode = BENCH_PUT, .producers = 1, .consumers_given = true}, "consumers"},
        {{.mode = BENCH_GET, .consumers = 1, .producers_given = true}, "producers"},
        {{.mode = BENCH_GET, .consumers = 1, .rate_given = true}, "--rate"},
        {{.mode = BENCH_CYCLE, .producers = 3, .consumers = 1, .count = 2}, "fewer"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        options = cases[i].options;
        cr_expect(!bench_options_settle(&options, why, sizeof(why)), "case %zu", i);
        cr_expect(strstr(why, cases[i].says) != NULL, "says '%s'", why);
    }
}

Test(bench_options, a_number_of_items_has_no_warm_up_and_no_time)
{
    cr_assert(take("cycle", NULL) && bench_options_settle(&options, why, sizeof(why)));
    cr_expect(options.warmup_ms == 1000 && options.duration_ms == 10000);
    cr_assert(take("cycle", NULL));
    options.count = 5;
    cr_assert(bench_options_settle(&options, why, sizeof(why)));
    cr_expect(options.warmup_ms == 0 && options.duration_ms == UINT64_MAX);
    cr_assert(take("get", NULL));
    options.size = 1 << 20;
    options.warmup_ms = 70;
    options.warmup_given = true;
    cr_assert(bench_options_settle(&options, why, sizeof(why)));
    cr_expect(options.warmup_ms == 70 && options.fill == 256 && options.producers == 0);
}

// --------------------------------------------------------------------------------------------------------------------- figures

static struct cli_buffer out;
static struct figures figures;

static const char *show(enum cli_format format)
{
    cr_assert(take("cycle", NULL));
    options.format = format;
    figures = (struct figures){.seconds = 2, .client_cpu_seconds = 0.5, .items = 3000, .missed = 7, .errors = 1};
    for (size_t i = 0; i < LATENCIES; i++) {
        cr_assert(histogram_init(&figures.latency[i]));
    }
    histogram_record(&figures.latency[LATENCY_PUT], 1500);
    figures_add(&out, &options, &figures);
    cli_buffer_add_byte(&out, '\0');
    return out.data;
}

Test(bench_figures, json)
{
    cr_assert_str_eq(show(CLI_FORMAT_JSON),
                     "{\"mode\":\"cycle\",\"size\":100,\"window\":1000,\"producers\":1,\"consumers\":1,\"queues\":1,\"rate\":0.000,"
                     "\"seconds\":2.000,\"items\":3000,\"items_per_s\":1500.000,\"bytes_per_s\":150000.000,"
                     "\"client_cpu_seconds\":0.500,\"latency_us\":{"
                     "\"put\":{\"p50\":1.500,\"p90\":1.500,\"p99\":1.500,\"p99_9\":1.500,\"max\":1.500,\"count\":1},"
                     "\"put_to_get\":{\"p50\":0.000,\"p90\":0.000,\"p99\":0.000,\"p99_9\":0.000,\"max\":0.000,\"count\":0},"
                     "\"done\":{\"p50\":0.000,\"p90\":0.000,\"p99\":0.000,\"p99_9\":0.000,\"max\":0.000,\"count\":0}},"
                     "\"histogram_digits\":3,\"missed\":7,\"errors\":1}\n");
}

static size_t count_of(const char *text, char wanted)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == wanted ? 1 : 0;
    }
    return count;
}

Test(bench_figures, csv_has_a_name_for_each_value)
{
    char *text = (char *)(uintptr_t)show(CLI_FORMAT_CSV);
    char *names = strsep(&text, "\n");
    char *values = strsep(&text, "\n");
    cr_assert_str_eq(text, "");
    cr_expect_eq(count_of(names, ','), count_of(values, ','));
    cr_expect(strncmp(names, "mode,size,window,", 17) == 0 && strstr(names, ",put_to_get_p99_9,") != NULL);
    cr_expect(strncmp(values, "cycle,100,1000,1,1,1,0.000,2.000,3000,1500.000,", 47) == 0);
    cr_expect(strcmp(values + strlen(values) - 6, ",3,7,1") == 0);
}

Test(bench_figures, text_leaves_out_what_was_not_timed)
{
    const char *text = show(CLI_FORMAT_TEXT);
    cr_expect(strstr(text, "3000 items in 2.000 s: 1500/s") != NULL);
    cr_expect(strstr(text, "missed: 7 ") != NULL && strstr(text, "errors: 1\n") != NULL);
    cr_expect(strstr(text, "\nput ") != NULL && strstr(text, "put_to_get") == NULL && strstr(text, "3 significant") != NULL);
}
