nq_test(test_arena SOURCES test_arena.c USES nq_proto LABEL unit)
nq_test(test_name SOURCES test_name.c USES nq_proto LABEL unit)
nq_test(test_status SOURCES test_status.c USES nq_proto LABEL unit)
nq_test(test_headers SOURCES test_headers.c USES nq_proto LABEL unit)
# nq_wire_samples is in tests/golden.
nq_test(test_wire SOURCES test_wire_requests.c test_wire_replies.c test_wire_limits.c test_wire_hostile.c
    USES nq_wire_samples LABEL unit)
nq_test(test_patience SOURCES test_patience.c USES nq_proto LABEL unit)
