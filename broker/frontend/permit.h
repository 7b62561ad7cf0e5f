// Asked before each request: may the holder of this key do that to this queue? What a key may do to a queue is kept with its session, so
// that a request costs one comparison of names.
#pragma once
#include "service.h"

struct permit_cache;

// OK; NOT_AUTHORISED, BUSY (over the key's rate): *why says it.
enum nq_status permit_check(struct request *request, const char **why);
// May it do anything at all to this queue? What it may not, it does not see in a list.
bool permit_sees(const struct request *request, const void *name, size_t len);
