// The authorised keys of a broker: the folder, and the set that is in force.
//
// Whatever cannot be read authorises nobody: a bad file its key, a folder that cannot be read all of them.
#pragma once
#include "access.h"
#include "keys.h"

struct authorised;

// Of KEYS/authorised. Errors: BAD_CONFIG the folder cannot be read, or others may change it; NO_MEMORY. Bad files are logged and left out.
enum nq_status authorised_open(const char *keys_dir, struct authorised **out, struct keys_error *error);
void authorised_close(struct authorised **self_p); // accepts NULL

// The set in force; until the next reload. Only for the thread that reloads.
struct access *authorised_set(const struct authorised *self);
// Read the folder again; what it says is in force at once, nothing when it cannot be read. Returns the set before, which is the
// caller's to destroy. NULL: out of memory, nothing has changed.
struct access *authorised_reload(struct authorised *self);

// Is the key in the set in force? Writes its name. For any thread.
bool authorised_knows(struct authorised *self, const char *key, char name[ACCESS_NAME_BYTES]);
