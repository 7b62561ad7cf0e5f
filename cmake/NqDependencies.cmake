# Foreign libraries, each as one imported target. Which of our modules may use which is checked by tests/architecture.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(zmq REQUIRED IMPORTED_TARGET libzmq>=4.3)
pkg_check_modules(czmq REQUIRED IMPORTED_TARGET libczmq>=4.2)
pkg_check_modules(protobuf_c REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
find_program(NQ_PROTOC_C NAMES protoc-c REQUIRED)

# LMDB ships no .pc file everywhere.
find_path(NQ_LMDB_INCLUDE_DIR lmdb.h REQUIRED)
find_library(NQ_LMDB_LIBRARY lmdb REQUIRED)
add_library(nq_lmdb INTERFACE IMPORTED)
target_include_directories(nq_lmdb INTERFACE "${NQ_LMDB_INCLUDE_DIR}")
target_link_libraries(nq_lmdb INTERFACE "${NQ_LMDB_LIBRARY}")
