nq_test(test_dispatch SOURCES test_dispatch.c dispatch_fixture.c USES nq_engine_rig LABEL unit)
nq_test(test_dispatch_wait SOURCES test_dispatch_wait.c dispatch_fixture.c USES nq_engine_rig LABEL unit)
