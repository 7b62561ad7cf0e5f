#include "output.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "item_json.h"

enum { PIECE = 4096 }; // what a pipe that poll calls writable takes without waiting (PIPE_BUF)

// Whole batches of one thread stay together.
static pthread_mutex_t stdout_lock = PTHREAD_MUTEX_INITIALIZER;

void output_add_item_text(struct cli_buffer *bytes, const struct worker *worker, const struct nq_item *item)
{
    const struct consumer_options *options = worker->options;
    if (options->json) {
        cli_item_json(bytes, item);
    } else if (options->notify) {
        cli_buffer_add_text(bytes, "Consumer notify : ");
        cli_buffer_add(bytes, nq_item_body(item), nq_item_len(item));
        cli_buffer_format(bytes, " popped from queue by %s\n", worker->name);
    } else {
        cli_buffer_add(bytes, nq_item_body(item), nq_item_len(item));
        cli_buffer_add_byte(bytes, options->null_ended ? '\0' : '\n');
    }
}

void output_add(struct output *output, struct nq_item *item)
{
    output->items[output->count++] = item;
    output_add_item_text(&output->bytes, output->worker, item);
}

bool output_is_full(const struct output *output)
{
    return output->count == OUTPUT_ITEMS || output->bytes.len >= OUTPUT_BYTES;
}

static const char *what_becomes_of_items(const struct consumer_options *options)
{
    if (options->peek || options->command != NULL) {
        return "";
    }
    return options->at_most_once ? "; what was not written is lost" : "; what was not written goes back to the queue";
}

static bool write_piece(struct worker *worker, const char **data, size_t *len)
{
    uint64_t grace_ms = worker_is_stopping(worker) ? worker_grace_left_ms(worker) : NQ_WAIT_FOREVER;
    int wait_ms = grace_ms == NQ_WAIT_FOREVER ? -1 : grace_ms > 60000 ? 60000 : (int)grace_ms;
    struct pollfd waits[2] = {{.fd = STDOUT_FILENO, .events = POLLOUT}, {.fd = worker->listener.fd, .events = POLLIN}};
    poll(waits, 2, wait_ms);
    cli_listener_clear(&worker->listener);
    if (waits[0].revents == 0) {
        return !worker_must_end(worker);
    }
    ssize_t written = write(STDOUT_FILENO, *data, *len < PIECE ? *len : PIECE);
    if (written > 0) {
        *data += written;
        *len -= (size_t)written;
        return true;
    }
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) {
        return true;
    }
    char text[96];
    snprintf(text, sizeof(text), "stdout: %s%s", strerror(written < 0 ? errno : EPIPE), what_becomes_of_items(worker->options));
    worker->exit_code = worker->exit_code == 0 ? 1 : worker->exit_code;
    worker_fail(worker, NQ_CLOSED, text);
    return false;
}

bool output_write_bytes(struct worker *worker, const char *data, size_t len)
{
    pthread_mutex_lock(&stdout_lock);
    bool ok = true;
    while (ok && len > 0) {
        ok = write_piece(worker, &data, &len);
    }
    pthread_mutex_unlock(&stdout_lock);
    return ok;
}

bool output_write(struct output *output)
{
    if (output->bytes.failed) {
        worker_fail(output->worker, NQ_NO_MEMORY, "out of memory");
        return false;
    }
    bool ok = output_write_bytes(output->worker, output->bytes.data, output->bytes.len);
    output->bytes.len = 0;
    return ok;
}

void output_fini(struct output *output)
{
    cli_buffer_fini(&output->bytes);
}
