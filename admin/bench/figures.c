#include "figures.h"

#include <inttypes.h>
#include <stdio.h>

#include "json.h"

static const char *const latency_names[LATENCIES] = {"put", "put_to_get", "done"};

static const struct {
    const char *name;
    double percent;
} percentiles[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"max", 100}};
enum { PERCENTILES = sizeof(percentiles) / sizeof(percentiles[0]) };

static double per_second(const struct figures *figures)
{
    return figures->seconds > 0 ? (double)figures->items / figures->seconds : 0;
}

static double micros(const struct histogram *histogram, size_t percentile)
{
    return (double)histogram_percentile_ns(histogram, percentiles[percentile].percent) / 1000;
}

// ------------------------------------------------------------------------------------------------------- JSON and CSV
// One list of values for both: a column of CSV is a field of JSON.

struct writer {
    struct cli_json json;
    struct cli_buffer *names, *values; // CSV
    bool is_csv, comma;
};

static void csv_name(struct writer *writer, const char *prefix, const char *name)
{
    const char *comma = writer->comma ? "," : "";
    writer->comma = true;
    cli_buffer_format(writer->names, "%s%s%s%s", comma, prefix, prefix[0] != '\0' ? "_" : "", name);
    cli_buffer_add_text(writer->values, comma);
}

static void write_text(struct writer *writer, const char *name, const char *text)
{
    if (writer->is_csv) {
        csv_name(writer, "", name);
        cli_buffer_add_text(writer->values, text);
    } else {
        cli_json_text(&writer->json, name, text);
    }
}

static void write_number(struct writer *writer, const char *prefix, const char *name, uint64_t number)
{
    if (writer->is_csv) {
        csv_name(writer, prefix, name);
        cli_buffer_format(writer->values, "%" PRIu64, number);
    } else {
        cli_json_number(&writer->json, name, number);
    }
}

static void write_real(struct writer *writer, const char *prefix, const char *name, double number)
{
    if (writer->is_csv) {
        csv_name(writer, prefix, name);
        cli_buffer_format(writer->values, "%.3f", number);
    } else {
        cli_json_real(&writer->json, name, number);
    }
}

static void write_latency(struct writer *writer, const char *name, const struct histogram *histogram)
{
    if (!writer->is_csv) {
        cli_json_begin_object(&writer->json, name);
    }
    for (size_t i = 0; i < PERCENTILES; i++) {
        write_real(writer, name, percentiles[i].name, micros(histogram, i));
    }
    write_number(writer, name, "count", histogram->count);
    if (!writer->is_csv) {
        cli_json_end_object(&writer->json);
    }
}

static void write_all(struct writer *writer, const struct bench_options *options, const struct figures *figures)
{
    write_text(writer, "mode", bench_mode_name(options->mode));
    write_number(writer, "", "size", options->size);
    write_number(writer, "", "window", options->window);
    write_number(writer, "", "producers", options->producers);
    write_number(writer, "", "consumers", options->consumers);
    write_number(writer, "", "queues", options->queues);
    write_real(writer, "", "rate", options->rate);
    write_real(writer, "", "seconds", figures->seconds);
    write_number(writer, "", "items", figures->items);
    write_real(writer, "", "items_per_s", per_second(figures));
    write_real(writer, "", "bytes_per_s", per_second(figures) * (double)options->size);
    write_real(writer, "", "client_cpu_seconds", figures->client_cpu_seconds);
    if (!writer->is_csv) {
        cli_json_begin_object(&writer->json, "latency_us");
    }
    for (size_t i = 0; i < LATENCIES; i++) {
        write_latency(writer, latency_names[i], &figures->latency[i]);
    }
    if (!writer->is_csv) {
        cli_json_end_object(&writer->json);
    }
    write_number(writer, "", "histogram_digits", HISTOGRAM_DIGITS);
    write_number(writer, "", "missed", figures->missed);
    write_number(writer, "", "errors", figures->errors);
}

static void add_json(struct cli_buffer *out, const struct bench_options *options, const struct figures *figures)
{
    struct writer writer = {.json = {.out = out}};
    cli_json_begin_object(&writer.json, NULL);
    write_all(&writer, options, figures);
    cli_json_end_object(&writer.json);
    cli_buffer_add_byte(out, '\n');
}

static void add_csv(struct cli_buffer *out, const struct bench_options *options, const struct figures *figures)
{
    struct cli_buffer values = {0};
    struct writer writer = {.names = out, .values = &values, .is_csv = true};
    write_all(&writer, options, figures);
    cli_buffer_add_byte(out, '\n');
    cli_buffer_add(out, values.data, values.len);
    cli_buffer_add_byte(out, '\n');
    out->failed = out->failed || values.failed;
    cli_buffer_fini(&values);
}

// ------------------------------------------------------------------------------------------------------------- for people

static void add_count(struct cli_buffer *out, uint64_t count, const char *what)
{
    if (count > 0) {
        cli_buffer_format(out, ", %" PRIu64 " %s%s", count, what, count == 1 ? "" : "s");
    }
}

static void add_heading(struct cli_buffer *out, const struct bench_options *options)
{
    cli_buffer_format(out, "%s: items of %" PRIu64 " bytes, window %" PRIu64, bench_mode_name(options->mode), options->size,
                      options->window);
    add_count(out, options->producers, "producer");
    add_count(out, options->consumers, "consumer");
    add_count(out, options->queues, "queue");
    if (options->rate > 0) {
        cli_buffer_format(out, ", %.6g/s\n", options->rate);
    } else {
        cli_buffer_add_text(out, ", as fast as possible\n");
    }
}

static void add_text(struct cli_buffer *out, const struct bench_options *options, const struct figures *figures)
{
    double items = figures->items > 0 ? (double)figures->items : 1;
    add_heading(out, options);
    cli_buffer_format(out, "%" PRIu64 " items in %.3f s: %.0f/s, %.1f MB/s; CPU of this program %.2f s, %.2f us an item\n",
                      figures->items, figures->seconds, per_second(figures), per_second(figures) * (double)options->size / 1e6,
                      figures->client_cpu_seconds, figures->client_cpu_seconds * 1e6 / items);
    if (figures->missed > 0) {
        cli_buffer_format(out, "missed: %" PRIu64 " items of the schedule were not put in time\n", figures->missed);
    }
    if (figures->errors > 0) {
        cli_buffer_format(out, "errors: %" PRIu64 "\n", figures->errors);
    }
    cli_buffer_format(out, "%-12s %10s %10s %10s %10s %10s %10s\n", "us", "p50", "p90", "p99", "p99.9", "max", "count");
    for (size_t i = 0; i < LATENCIES; i++) {
        const struct histogram *histogram = &figures->latency[i];
        if (histogram->count == 0) {
            continue;
        }
        cli_buffer_format(out, "%-12s", latency_names[i]);
        for (size_t k = 0; k < PERCENTILES; k++) {
            cli_buffer_format(out, " %10.1f", micros(histogram, k));
        }
        cli_buffer_format(out, " %10" PRIu64 "\n", histogram->count);
    }
    cli_buffer_format(out, "(percentiles to %d significant figures)\n", HISTOGRAM_DIGITS);
}

void figures_add(struct cli_buffer *out, const struct bench_options *options, const struct figures *figures)
{
    static void (*const forms[])(struct cli_buffer *, const struct bench_options *, const struct figures *) = {
        [CLI_FORMAT_TEXT] = add_text, [CLI_FORMAT_JSON] = add_json, [CLI_FORMAT_CSV] = add_csv};
    forms[options->format](out, options, figures);
}
