# The store of every format version, written once by make_golden_store.
add_library(nq_golden_store STATIC store/contents.c)
target_include_directories(nq_golden_store PUBLIC store)
target_link_libraries(nq_golden_store PUBLIC nq_store_rig PRIVATE nq_options)

nq_test(test_golden_store SOURCES store/test_golden_store.c USES nq_golden_store LABEL golden)
target_compile_definitions(test_golden_store PRIVATE NQ_GOLDEN_STORE="${CMAKE_CURRENT_SOURCE_DIR}/store")

add_executable(make_golden_store store/make_golden_store.c) # run by hand: make_golden_store tests/golden/store/vN
target_link_libraries(make_golden_store PRIVATE nq_options nq_golden_store)
