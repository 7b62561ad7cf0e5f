# The programs' shared part, and those pure pieces of the programs that have no library of their own.
nq_test(test_cli_units SOURCES test_cli_units.c USES nq_cli LABEL unit)
nq_test(test_cli_options SOURCES test_cli_options.c USES nq_cli LABEL unit)
nq_test(test_cli_json SOURCES test_cli_json.c USES nq_cli LABEL unit)
nq_test(test_cli_splitter SOURCES test_cli_splitter.c "${PROJECT_SOURCE_DIR}/producer/splitter.c" USES nq_cli LABEL unit)
target_include_directories(test_cli_splitter PRIVATE "${PROJECT_SOURCE_DIR}/producer")
nq_test(test_cli_backoff SOURCES test_cli_backoff.c "${PROJECT_SOURCE_DIR}/consumer/backoff.c" USES nq_cli LABEL unit)
target_include_directories(test_cli_backoff PRIVATE "${PROJECT_SOURCE_DIR}/consumer")
nq_test(test_bench SOURCES test_bench.c USES nq_load LABEL unit)
