// Every outcome netqueue knows: one list for the wire, the library and the programs' exit codes.
#ifndef NQ_STATUS_H // a guard, not a pragma: the installed copy and this file are one header
#define NQ_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NQ_STATUS_EXPORT __attribute__((visibility("default")))
#else
#define NQ_STATUS_EXPORT
#endif

// X(NAME, wire code, exit code, text for a human). Codes are part of the wire contract: never renumber, only append.
#define NQ_STATUS_LIST(X)                                                                                                          \
    X(OK, 0, 0, "ok")                                                                                                              \
    X(FULL, 1, 75, "the queue is full")                                                                                            \
    X(EMPTY, 2, 75, "the queue is empty")                                                                                          \
    X(SHUT_DOWN, 3, 1, "the queue is shut down")                                                                                   \
    X(TIMED_OUT, 4, 75, "timed out")                                                                                               \
    X(NO_SUCH_QUEUE, 5, 1, "no such queue")                                                                                        \
    X(TOO_LARGE, 6, 64, "too large")                                                                                               \
    X(BUSY, 7, 75, "the broker is busy, try again")                                                                                \
    X(NO_SPACE, 8, 73, "the broker's disk is full")                                                                                \
    X(OUT_OF_SEQUENCE, 9, 69, "put out of sequence")                                                                               \
    X(STREAM_UNKNOWN, 10, 69, "the broker no longer knows this stream of puts")                                                    \
    X(OUTCOME_UNKNOWN, 11, 69, "the outcome is unknown")                                                                           \
    X(LEASE_LOST, 12, 1, "the lease on the item is lost")                                                                          \
    X(NOT_LEASED, 13, 1, "the item was never leased")                                                                              \
    X(DIFFERENT_OPTIONS, 14, 1, "the queue exists with other options")                                                             \
    X(BAD_NAME, 15, 64, "not a valid name")                                                                                        \
    X(BAD_REQUEST, 16, 64, "malformed request")                                                                                    \
    X(LIMIT_REACHED, 17, 75, "a limit of the broker is reached")                                                                   \
    X(NO_SESSION, 18, 69, "no such session")                                                                                       \
    X(NOT_AUTHORISED, 19, 77, "not authorised")                                                                                    \
    X(STORAGE_FAILED, 20, 73, "storage failed")                                                                                    \
    X(UNREACHABLE, 21, 69, "the broker cannot be reached")                                                                         \
    X(UNSUPPORTED_VERSION, 22, 69, "unsupported version")                                                                          \
    X(NO_MEMORY, 23, 69, "out of memory")                                                                                          \
    X(CLOSED, 24, 69, "closed")                                                                                                    \
    X(CANCELLED, 25, 75, "cancelled")                                                                                              \
    X(BAD_DEAD_LETTER, 26, 64, "a dead-letter queue may not lead back to itself")                                                  \
    X(DAMAGED, 27, 73, "a stored record is damaged")                                                                               \
    X(BAD_CONFIG, 28, 78, "configuration error")                                                                                   \
    X(INTERRUPTED, 29, 75, "interrupted")

enum nq_status {
#define NQ_STATUS_ENUM(name, code, exit_code, text) NQ_##name = (code),
    NQ_STATUS_LIST(NQ_STATUS_ENUM)
#undef NQ_STATUS_ENUM
};

// One line for a human, static storage; "unknown status" for a code that is not in the list.
NQ_STATUS_EXPORT const char *nq_status_text(enum nq_status status);

// The name as it stands in the list ("FULL"), static storage.
NQ_STATUS_EXPORT const char *nq_status_name(enum nq_status status);

// What a program exits with when this is its outcome (sysexits.h numbering).
NQ_STATUS_EXPORT int nq_status_exit_code(enum nq_status status);

#ifdef __cplusplus
}
#endif
#endif
