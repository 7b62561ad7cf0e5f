// All limits of the protocol and the defaults of what can be set, in one place. PROTOCOL.md prints this table.
#pragma once

#define NQ_PROTOCOL_VERSION 1u
#define NQ_DEFAULT_ENDPOINT "tcp://127.0.0.1:5510"

// Fixed by the protocol.
#define NQ_NAME_BYTES_MAX 128u
#define NQ_BACKUP_NAME_BYTES_MAX 64u
#define NQ_SESSION_ID_BYTES 16u
#define NQ_RESUME_TOKEN_BYTES 32u
#define NQ_STORE_ID_BYTES 16u
#define NQ_CLIENT_NAME_BYTES_MAX 128u
#define NQ_REASON_BYTES_MAX 256u
#define NQ_ITEMS_PER_REQUEST_MAX 10000u
#define NQ_REQUESTS_PER_FRAME_MAX 1024u
#define NQ_INITIAL_ITEMS_MAX 100000u
#define NQ_QUEUES_PER_LIST_MAX 1000u
#define NQ_DURATION_MS_MAX (1000ull * 60 * 60 * 24 * 366) // a year; longer delays, leases and ttls are refused
#define NQ_WAIT_FOREVER UINT64_MAX

// What one decoded frame may allocate: this many times its size, and a floor. Bounds protobuf amplification. The factor covers any
// number of items of 0 or 1 bytes (8 to 9 times what they take in the frame); the floor covers what does not grow with the
// frame: protobuf-c's scratch memory for the longest request, and the structs of NQ_REQUESTS_PER_FRAME_MAX requests.
#define NQ_DECODE_AMPLIFICATION 10u
#define NQ_DECODE_BYTES_MIN (2u * 1024 * 1024)

// Defaults; a broker tells its own values in HelloReply.limits.
#define NQ_BODY_BYTES_DEFAULT (1024u * 1024)
#define NQ_BODY_BYTES_MAX (64u * 1024 * 1024)
#define NQ_HEADERS_BYTES_DEFAULT (4u * 1024)
#define NQ_FRAME_BYTES_DEFAULT (8u * 1024 * 1024) // at least body + headers + NQ_FRAME_SLACK_BYTES
#define NQ_FRAME_SLACK_BYTES (64u * 1024)
#define NQ_LEASE_MS_DEFAULT (60ull * 1000)
#define NQ_HOLD_MAX_MS_DEFAULT (60ull * 60 * 1000)
#define NQ_SESSION_GRACE_MS_DEFAULT 2000u
#define NQ_SESSION_TIMEOUT_MS_DEFAULT 15000u
#define NQ_SESSION_TIMEOUT_MS_MIN 100u // a third of it is what a sign of life may need to arrive
#define NQ_DEDUP_KEEP_MS_DEFAULT (24ull * 60 * 60 * 1000)
#define NQ_QUEUES_DEFAULT 100000u
#define NQ_SESSIONS_DEFAULT 65536u
#define NQ_STREAMS_DEFAULT 1000000u
#define NQ_DELAYED_DEFAULT 1000000u // delayed items, all queues
#define NQ_LEASES_PER_SESSION_DEFAULT 100000u
#define NQ_WAITERS_PER_SESSION_DEFAULT 10000u
#define NQ_WAITERS_DEFAULT 1000000u // of all sessions
#define NQ_PARKED_BYTES_PER_SESSION_DEFAULT (32ull * 1024 * 1024)
#define NQ_PARKED_BYTES_PER_KEY_DEFAULT (128ull * 1024 * 1024)
#define NQ_PARKED_BYTES_DEFAULT (256ull * 1024 * 1024)
