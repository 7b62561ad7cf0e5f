nq_test(test_arena SOURCES test_arena.c USES nq_proto LABEL unit)
nq_test(test_name SOURCES test_name.c USES nq_proto LABEL unit)
nq_test(test_status SOURCES test_status.c USES nq_proto LABEL unit)
nq_test(test_headers SOURCES test_headers.c USES nq_proto LABEL unit)
# nq_wire_samples is in tests/golden.
nq_test(test_wire SOURCES test_wire_requests.c test_wire_replies.c test_wire_limits.c test_wire_hostile.c
    USES nq_wire_samples LABEL unit)

# The fuzz target of the wire decoder: with NQ_SANITIZER=fuzz a libFuzzer binary, else a program that replays its corpus.
set(_fuzz "${CMAKE_CURRENT_LIST_DIR}/../fuzz")
add_executable(fuzz_wire "${_fuzz}/fuzz_wire.c")
target_link_libraries(fuzz_wire PRIVATE nq_options nq_proto)
if(NQ_SANITIZER STREQUAL "fuzz")
    target_compile_definitions(fuzz_wire PRIVATE NQ_LIBFUZZER=1)
    target_link_options(fuzz_wire PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz_wire_corpus COMMAND fuzz_wire -runs=0 "${_fuzz}/corpus/wire")
else()
    add_test(NAME fuzz_wire_corpus COMMAND fuzz_wire "${_fuzz}/corpus/wire")
endif()
set_tests_properties(fuzz_wire_corpus PROPERTIES LABELS fuzz TIMEOUT 60)
nq_test(test_patience SOURCES test_patience.c USES nq_proto LABEL unit)
