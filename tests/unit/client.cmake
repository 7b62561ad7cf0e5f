nq_test(test_client_tracker SOURCES test_client_tracker.c tracker_fixture.c USES nq_client LABEL unit)
nq_test(test_client_stats SOURCES test_client_stats.c USES nq_client LABEL unit)
foreach(_test calls faults limits handles async lock)
    nq_test(test_client_${_test} SOURCES test_client_${_test}.c test_client_fixture.c
        USES nq_client nq_fake_broker Threads::Threads LABEL unit)
endforeach()
nq_test(test_client_clock SOURCES test_client_clock.c test_client_fixture.c
    USES nq_client nq_fake_broker Threads::Threads LABEL unit)
target_link_options(test_client_clock PRIVATE -Wl,--wrap=clock_gettime)
nq_test(test_client_idle SOURCES test_client_idle.c test_client_fixture.c
    USES nq_client nq_fake_broker PkgConfig::zmq Threads::Threads LABEL unit)
target_link_options(test_client_idle PRIVATE -Wl,--wrap=zmq_setsockopt)
# Criterion cannot run under the thread sanitizer; this is a plain program.
add_executable(test_client_threads test_client_threads.c)
target_link_libraries(test_client_threads PRIVATE nq_options nq_client nq_fake_broker Threads::Threads)
add_test(NAME test_client_threads COMMAND test_client_threads)
set_tests_properties(test_client_threads PROPERTIES LABELS unit TIMEOUT 60
    ENVIRONMENT "TSAN_OPTIONS=ignore_noninstrumented_modules=1")
