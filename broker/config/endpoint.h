// What an endpoint to listen on means for safety.
#pragma once
#include <stdbool.h>

bool endpoint_is_valid(const char *endpoint);    // tcp://HOST:PORT (PORT may be *) or ipc://PATH
bool endpoint_is_loopback(const char *endpoint); // reached from this machine only
