# The broker between decoder and encoder, for unit tests, fuzz targets and tests of allocation failure.
add_library(nq_service_rig STATIC "${CMAKE_CURRENT_LIST_DIR}/service_rig.c")
target_include_directories(nq_service_rig PUBLIC "${CMAKE_CURRENT_LIST_DIR}")
target_link_libraries(nq_service_rig PUBLIC nq_frontend PRIVATE nq_options)
