// One item in, the same item out: the smallest useful program. The broker is found by NETQUEUE_SERVER.
#include <netqueue.h>
#include <stdio.h>
#include <string.h>

static int fail(const struct nq_client *client, enum nq_status status)
{
    (void)fprintf(stderr, "%s\n", nq_error_text(client));
    return nq_status_exit_code(status);
}

int main(void)
{
    struct nq_client *client = NULL;
    const char *why = NULL;
    enum nq_status status = nq_client_create(NULL, &client, &why);
    if (status != NQ_OK) {
        (void)fprintf(stderr, "%s\n", why);
        return nq_status_exit_code(status);
    }
    const char *text = "hello";
    uint64_t seq = 0;
    status = nq_put(client, "example.put_get", text, strlen(text), NULL, &seq); // NQ_OK: stored
    int code = status == NQ_OK ? 0 : fail(client, status);

    struct nq_item *item = NULL;
    if (code == 0) {
        struct nq_get_options options = {.wait_ms = 5000};
        status = nq_get(client, "example.put_get", &options, &item); // ours for a while: leased
        code = status == NQ_OK ? 0 : fail(client, status);
    }
    if (code == 0) {
        (void)printf("item %llu: %.*s\n", (unsigned long long)nq_item_seq(item), (int)nq_item_len(item),
                     (const char *)nq_item_body(item));
        status = nq_task_done(client, &item); // now the broker may forget it
        code = status == NQ_OK ? 0 : fail(client, status);
    }
    nq_client_destroy(&client);
    return code;
}
