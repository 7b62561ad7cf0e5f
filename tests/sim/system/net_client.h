// What the simulation asks of the connections beside client/connection.h.
#pragma once
#include <stdint.h>

void net_client_wait(int fd, uint64_t timeout_ms); // as poll() on nq_client_fd()
void net_client_vanish(int fd);                    // as if its process were dead: its link is cut, and it never connects again
void net_client_end(void);                         // no event can name one any more
