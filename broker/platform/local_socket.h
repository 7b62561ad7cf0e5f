// Sockets in the file system.
#pragma once
#include <stdbool.h>

bool local_socket_is_served(const char *path); // somebody accepts connections on it
