// An item as one line of JSON, the same in every program; netqueue-producer --json-lines takes it back.
#pragma once
#include "buffer.h"
#include "netqueue.h"

// {"queue":..,"seq":..,"deliveries":..,"failures":..,"redelivered":..,"headers":{..},"body":..} and a newline. A body that is not
// UTF-8 is "body_base64"; headers that are not are in "headers_base64". Headers whose name is not UTF-8, or has been there before, are in
// "more_headers_base64": [[name,value],..].
void cli_item_json(struct cli_buffer *out, const struct nq_item *item);
