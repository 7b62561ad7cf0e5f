#include <stdio.h>

#include "load_worker.h"

static void print_latency(const char *name, const struct histogram *histogram, const char *behind)
{
    printf("\"%s\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99_9\": %.1f, \"max\": %.1f, \"count\": %llu}%s", name,
           (double)histogram_percentile_ns(histogram, 50) / 1e3, (double)histogram_percentile_ns(histogram, 90) / 1e3,
           (double)histogram_percentile_ns(histogram, 99) / 1e3, (double)histogram_percentile_ns(histogram, 99.9) / 1e3,
           (double)histogram->max_ns / 1e3, (unsigned long long)histogram->count, behind);
}

void load_print(const struct load *load, const struct result *result)
{
    const char *mode = load->consumers == 0 ? "put" : load->producers == 0 ? "get" : "cycle";
    double rate = result->seconds > 0 ? (double)result->items / result->seconds : 0;
    printf(
        "{\"mode\": \"%s\", \"size\": %zu, \"window\": %zu, \"producers\": %u, \"consumers\": %u, \"queues\": 1, \"rate\": %.0f, ",
        mode, load->size, load->window, load->producers, load->consumers, load->rate);
    printf("\"seconds\": %.6f, \"items\": %llu, \"items_per_s\": %.1f, \"bytes_per_s\": %.1f, \"client_cpu_seconds\": %.3f, ",
           result->seconds, (unsigned long long)result->items, rate, rate * (double)load->size, result->client_cpu_seconds);
    printf("\"latency_us\": {");
    print_latency("put", &result->latency[LATENCY_PUT], ", ");
    print_latency("put_to_get", &result->latency[LATENCY_PUT_TO_GET], ", ");
    print_latency("done", &result->latency[LATENCY_DONE], "");
    printf("}, \"histogram_digits\": %d, \"errors\": 0}\n", HISTOGRAM_DIGITS);
}
