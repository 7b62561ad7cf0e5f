// Queue options: the same in a declare and in a queue's statistics.
#include "wire_internal.h"

void wire_options_from_message(const Nq__Wire__QueueOptions *in, struct wire_options *out)
{
    *out = (struct wire_options){
        .given = in->given,
        .maxsize = in->maxsize,
        .max_bytes = in->max_bytes,
        .lease_ms = in->lease_ms,
        .hold_max_ms = in->hold_max_ms,
        .max_deliveries = in->max_deliveries,
        .dead_letter = wire_bytes(in->dead_letter),
        .ttl_ms = in->ttl_ms,
        .temporary = in->temporary != 0,
    };
}

void wire_options_to_message(const struct wire_options *in, Nq__Wire__QueueOptions *out)
{
    out->given = in->given;
    out->maxsize = in->maxsize;
    out->max_bytes = in->max_bytes;
    out->lease_ms = in->lease_ms;
    out->hold_max_ms = in->hold_max_ms;
    out->max_deliveries = in->max_deliveries;
    out->dead_letter = wire_binary(in->dead_letter);
    out->ttl_ms = in->ttl_ms;
    out->temporary = in->temporary;
}
