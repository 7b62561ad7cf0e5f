#include "environment.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "NETQUEUE_ITEM_"

static void add_number(struct environment *environment, const char *name, uint64_t number)
{
    char *text = NULL;
    if (asprintf(&text, PREFIX "%s=%" PRIu64, name, number) < 0) {
        environment->failed = true;
        return;
    }
    environment->texts[environment->count++] = text;
}

static void add_text(struct environment *environment, const char *prefix, const char *name, const char *value)
{
    char *text = NULL;
    if (asprintf(&text, PREFIX "%s%s=%s", prefix, name, value) < 0) {
        environment->failed = true;
        return;
    }
    char *at = text + strlen(PREFIX) + strlen(prefix);
    for (size_t left = strlen(name); left > 0; left--, at++) {
        *at = isalnum((unsigned char)*at) ? (char)toupper((unsigned char)*at) : '_';
    }
    environment->texts[environment->count++] = text;
}

static void add_item(struct environment *environment, const struct nq_item *item)
{
    add_text(environment, "", "QUEUE", nq_item_queue(item));
    add_number(environment, "SEQ", nq_item_seq(item));
    add_number(environment, "DELIVERIES", nq_item_deliveries(item));
    add_number(environment, "FAILURES", nq_item_failures(item));
    add_number(environment, "REDELIVERED", nq_item_redelivered(item));
    for (size_t i = 0; i < nq_item_headers_count(item); i++) {
        struct nq_header_field header = nq_item_header(item, i);
        if (strlen(header.value) == header.value_len) {
            add_text(environment, "HEADER_", header.name, header.value);
        }
    }
}

bool environment_init(struct environment *environment, const struct nq_item *item)
{
    size_t inherited = 0;
    while (environ[inherited] != NULL) {
        inherited++;
    }
    *environment = (struct environment){.texts = calloc(inherited + nq_item_headers_count(item) + 6, sizeof(char *))};
    if (environment->texts == NULL) {
        return false;
    }
    add_item(environment, item);
    environment->own = environment->count;
    for (size_t i = 0; i < inherited; i++) {
        if (strncmp(environ[i], PREFIX, strlen(PREFIX)) != 0) {
            environment->texts[environment->count++] = environ[i];
        }
    }
    return !environment->failed;
}

void environment_fini(struct environment *environment)
{
    for (size_t i = 0; i < environment->own; i++) {
        free(environment->texts[i]);
    }
    free(environment->texts);
    *environment = (struct environment){0};
}
