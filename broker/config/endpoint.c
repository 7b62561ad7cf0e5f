#include "endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_MAX = 256, PORT_DIGITS_MAX = 5, PORT_MAX = 65535 };

static bool port_is_valid(const char *port)
{
    if (strcmp(port, "*") == 0) {
        return true;
    }
    size_t len = strlen(port);
    return len > 0 && len <= PORT_DIGITS_MAX && strspn(port, "0123456789") == len && strtol(port, NULL, 10) <= PORT_MAX;
}

// The host of tcp://HOST:PORT, without the brackets of an IPv6 address.
static bool tcp_host(const char *endpoint, char host[HOST_MAX])
{
    if (strncmp(endpoint, "tcp://", 6) != 0) {
        return false;
    }
    const char *start = endpoint + 6;
    const char *colon = strrchr(start, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - start);
    if (len == 0 || !port_is_valid(colon + 1)) {
        return false;
    }
    if (len >= 2 && start[0] == '[' && start[len - 1] == ']') {
        start++;
        len -= 2;
    }
    if (len == 0 || len >= HOST_MAX) {
        return false;
    }
    memcpy(host, start, len);
    host[len] = '\0';
    return true;
}

bool endpoint_is_valid(const char *endpoint)
{
    char host[HOST_MAX];
    return (strncmp(endpoint, "ipc://", 6) == 0 && endpoint[6] != '\0') || tcp_host(endpoint, host);
}

bool endpoint_is_loopback(const char *endpoint)
{
    if (strncmp(endpoint, "ipc://", 6) == 0) {
        return true;
    }
    char host[HOST_MAX];
    if (!tcp_host(endpoint, host)) {
        return false;
    }
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    struct in6_addr v6;
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return strcmp(host, "localhost") == 0 || strcmp(host, "lo") == 0;
}
