// CURVE keys in files, as czmq's zcert writes them: NAME holds a public key, NAME_secret the pair. The one place that knows the format.
//
// A keys directory is either a client's or a broker's:
//
//     client, client_secret     a client's own pair              broker, broker_secret   the broker's own pair
//     broker                    the broker's public key          authorised/NAME         a client's public key and what it may do
//
// What guards something is refused when others could have read it (a secret) or changed it (all).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define KEYS_BROKER "broker"
#define KEYS_CLIENT "client"
#define KEYS_AUTHORISED "authorised"
#define KEYS_SECRET_SUFFIX "_secret"

enum { KEYS_TEXT_BYTES = 41, KEYS_NAME_BYTES_MAX = 64, KEYS_FIELDS_MAX = 32, KEYS_SESSION_ID_BYTES = 16 };

struct keys_error {
    enum nq_status status;
    char text[400];
};

// As text (Z85) with its NUL: what ZeroMQ takes.
struct keys_pair {
    char public_key[KEYS_TEXT_BYTES];
    char secret_key[KEYS_TEXT_BYTES];
};

struct keys_field {
    char *name, *value;
};

struct keys_certificate {
    char public_key[KEYS_TEXT_BYTES];
    struct keys_field fields[KEYS_FIELDS_MAX]; // its section `metadata`
    size_t field_count;
};

// Errors of all that read: BAD_CONFIG (error->text names the file and what is wrong), NO_MEMORY.

// DIR/NAME_secret: refused when it is not the owner's alone, or when the keys in it are no pair.
enum nq_status keys_load_pair(const char *dir, const char *name, struct keys_pair *out, struct keys_error *error);
// DIR/NAME, a public key. keys_certificate_fini in any case.
enum nq_status keys_load_certificate(const char *dir, const char *name, struct keys_certificate *out, struct keys_error *error);
void keys_certificate_fini(struct keys_certificate *self);
void keys_forget(struct keys_pair *pair); // wipe

// Is this what a certificate's file may be called? Letters, digits, '.', '_' and '-'; not hidden, not a secret's.
bool keys_name_is_valid(const char *name);

// A new pair: NAME and NAME_secret (0600) below DIR. Errors: BAD_CONFIG, also when one of them is there already.
enum nq_status keys_make_pair(const char *dir, const char *name, const struct keys_field *fields, size_t field_count,
                              struct keys_pair *out, struct keys_error *error);
// DIR/NAME with a public key. Errors: as above.
enum nq_status keys_write_public(const char *dir, const char *name, const char *public_key, const struct keys_field *fields,
                                 size_t field_count, struct keys_error *error);

// The id by which a broker knows the session `id` of the holder of `public_key`: with another key it is another session.
// False: out of memory.
bool keys_bind_session(const char *public_key, const uint8_t id[KEYS_SESSION_ID_BYTES], uint8_t out[KEYS_SESSION_ID_BYTES]);
