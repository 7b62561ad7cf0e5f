nq_test(test_platform SOURCES test_platform.c USES nq_platform LABEL unit)
