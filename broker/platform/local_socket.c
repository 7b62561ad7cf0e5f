#include "local_socket.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool local_socket_is_served(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    int fd = len < sizeof(address.sun_path) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0) {
        return false;
    }
    memcpy(address.sun_path, path, len + 1);
    bool served = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return served;
}
