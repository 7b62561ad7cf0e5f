nq_test(test_config SOURCES test_config.c USES nq_config LABEL unit)
