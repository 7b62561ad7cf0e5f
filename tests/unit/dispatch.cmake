nq_test(test_dispatch SOURCES test_dispatch.c USES nq_engine_rig LABEL unit)
nq_test(test_dispatch_wait SOURCES test_dispatch_wait.c USES nq_engine_rig LABEL unit)
