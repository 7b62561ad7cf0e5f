nq_test(test_log SOURCES test_log.c USES nq_observe LABEL unit)
