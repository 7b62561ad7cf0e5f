# The test double of the broker, for tests of the client.
add_library(nq_fake_broker STATIC "${CMAKE_CURRENT_LIST_DIR}/fake_broker.c" "${CMAKE_CURRENT_LIST_DIR}/fake_model.c")
target_include_directories(nq_fake_broker PUBLIC "${CMAKE_CURRENT_LIST_DIR}")
target_link_libraries(nq_fake_broker PUBLIC nq_proto PRIVATE nq_options PkgConfig::zmq Threads::Threads)
