# nq_layer(NAME SOURCES ... USES ...): one folder = one target = one layer. USES lists the layers and libraries it may include.
function(nq_layer name)
    cmake_parse_arguments(ARG "" "" "SOURCES;USES;PRIVATE" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_include_directories(${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
    target_link_libraries(${name} PUBLIC ${ARG_USES} PRIVATE nq_options ${ARG_PRIVATE})
endfunction()

# nq_program(NAME SOURCES ... USES ...)
function(nq_program name)
    cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE nq_options ${ARG_USES})
    install(TARGETS ${name} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endfunction()

# nq_test(NAME SOURCES ... USES ... LABEL unit|contract|sim): one Criterion binary = one ctest entry.
function(nq_test name)
    cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;USES" ${ARGN})
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE nq_options ${ARG_USES} PkgConfig::criterion)
    add_test(NAME ${name} COMMAND ${name} --jobs 2)
    # Criterion passes when a leak is reported and when a filter matches nothing; ctest must not.
    set_tests_properties(${name} PROPERTIES
        LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT}
        FAIL_REGULAR_EXPRESSION "ERROR: (Address|Leak)Sanitizer;runtime error:;Tested: 0 ")
endfunction()
