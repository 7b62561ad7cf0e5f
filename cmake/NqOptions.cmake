# What every target of ours is compiled with. Linked as nq_options, never set globally.
set(NQ_SANITIZER "" CACHE STRING "Sanitizers to build with: address, thread, fuzz or nothing")
option(NQ_COVERAGE "Instrument for line coverage" OFF)
option(NQ_WERROR "Warnings are errors" ON)

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
endif()

add_library(nq_options INTERFACE)
target_compile_features(nq_options INTERFACE c_std_11)
target_compile_definitions(nq_options INTERFACE _GNU_SOURCE NQ_VERSION="${PROJECT_VERSION}")
target_compile_options(nq_options INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wformat=2 -Wundef -Wcast-qual -Wcast-align
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla -Wnull-dereference -Wdouble-promotion
    -Wimplicit-fallthrough -Wpointer-arith -Wwrite-strings
    $<$<BOOL:${NQ_WERROR}>:-Werror>
    -UNDEBUG # a bug ends the process in a release, too: its store is whole, its state may not be
    -fvisibility=hidden -fno-strict-overflow)
target_compile_options(nq_options INTERFACE -fno-common)

if(NQ_SANITIZER STREQUAL "address")
    set(_nq_san -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(NQ_SANITIZER STREQUAL "thread")
    set(_nq_san -fsanitize=thread -fno-omit-frame-pointer)
elseif(NQ_SANITIZER STREQUAL "fuzz")
    set(_nq_san -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(NOT NQ_SANITIZER STREQUAL "")
    message(FATAL_ERROR "NQ_SANITIZER: unknown value '${NQ_SANITIZER}'")
endif()
if(DEFINED _nq_san)
    target_compile_options(nq_options INTERFACE ${_nq_san})
    target_link_options(nq_options INTERFACE ${_nq_san})
else()
    target_compile_options(nq_options INTERFACE
        $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>
        -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
    target_link_options(nq_options INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)
endif()
if(NQ_COVERAGE)
    target_compile_options(nq_options INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(nq_options INTERFACE --coverage)
endif()
