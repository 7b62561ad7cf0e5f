# What `cmake --install` installs besides the programs (nq_program does those): the library with its headers, netqueue.pc and CMake
# package, man pages, the unit for systemd. Folders that are not there are not installed.
include(CMakePackageConfigHelpers)

if(TARGET netqueue)
    install(TARGETS netqueue LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
if(TARGET netqueue_static)
    # Installed, it stands alone: the contract's objects go into the archive, too.
    target_sources(netqueue_static PRIVATE $<TARGET_OBJECTS:nq_proto> $<TARGET_OBJECTS:nq_keys> $<TARGET_OBJECTS:nq_generated>)
    install(TARGETS netqueue_static ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()

install(FILES "${PROJECT_SOURCE_DIR}/client/include/netqueue.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
# One header with two names: the statuses belong to the contract, and netqueue.h includes them.
install(FILES "${PROJECT_SOURCE_DIR}/proto/status.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" RENAME netqueue_status.h)

# netqueue.pc finds its prefix from where it lies, so that `cmake --install --prefix` elsewhere works, too; absolute
# directories (as some distributions set them) are taken as they are.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(NQ_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
    set(NQ_PC_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
else()
    file(RELATIVE_PATH _up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" _up "${_up}")
    set(NQ_PC_PREFIX "\${pcfiledir}/${_up}")
    set(NQ_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(NQ_PC_INCLUDEDIR "${CMAKE_INSTALL_INCLUDEDIR}")
else()
    set(NQ_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/netqueue.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/netqueue.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/netqueue.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

set(_package "${CMAKE_INSTALL_LIBDIR}/cmake/netqueue")
configure_package_config_file(
    "${CMAKE_CURRENT_LIST_DIR}/netqueueConfig.cmake.in" "${CMAKE_CURRENT_BINARY_DIR}/netqueueConfig.cmake"
    INSTALL_DESTINATION "${_package}"
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/netqueueConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/netqueueConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/netqueueConfigVersion.cmake"
    DESTINATION "${_package}")

if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/docs/man")
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs/man/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" FILES_MATCHING PATTERN "*.1")
endif()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md" "${PROJECT_SOURCE_DIR}/SECURITY.md" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

configure_file("${PROJECT_SOURCE_DIR}/packaging/netqueue.service.in" "${CMAKE_CURRENT_BINARY_DIR}/netqueue.service" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/netqueue.service" DESTINATION lib/systemd/system)
install(FILES "${PROJECT_SOURCE_DIR}/packaging/netqueue.bash-completion"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME netqueue)
