#include "name.h"

#include <stdint.h>

#include "wire_limits.h"

static bool is_name_byte(uint8_t byte)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'))
        return true;
    if (byte >= '-' && byte <= ':') // - . / 0-9 :
        return true;
    return byte == '_';
}

bool nq_name_is_valid(const void *name, size_t len)
{
    const uint8_t *bytes = name;
    if (len == 0 || len > NQ_NAME_BYTES_MAX)
        return false;
    if (bytes[0] == '.' || bytes[0] == '-' || bytes[0] == '/' || bytes[len - 1] == '/')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_name_byte(bytes[i]))
            return false;
        if (i > 0 && bytes[i] == bytes[i - 1] && (bytes[i] == '/' || bytes[i] == '.'))
            return false;
    }
    return true;
}

bool nq_backup_name_is_valid(const void *name, size_t len)
{
    const uint8_t *bytes = name;
    if (len == 0 || len > NQ_BACKUP_NAME_BYTES_MAX || bytes[0] == '.' || bytes[0] == '-' || bytes[0] == '_')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_name_byte(bytes[i]) || bytes[i] == '/' || bytes[i] == ':')
            return false;
    }
    return true;
}

bool nq_pattern_is_valid(const char *pattern, size_t len)
{
    bool valid = len > 0 && len <= NQ_NAME_BYTES_MAX;
    for (size_t i = 0; valid && i < len; i++) {
        valid = is_name_byte((uint8_t)pattern[i]) || pattern[i] == '*' || pattern[i] == '?';
    }
    return valid;
}
