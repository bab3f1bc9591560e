# Install: headers, libraries, pkg-config file, CMake package, command-line tool.
include(CMakePackageConfigHelpers)
install(TARGETS aicp EXPORT aicp-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS aicp_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/aicp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT aicp-targets NAMESPACE aicp:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/aicp)
configure_package_config_file(cmake/aicp-config.cmake.in ${PROJECT_BINARY_DIR}/aicp-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/aicp)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/aicp-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/aicp-config.cmake ${PROJECT_BINARY_DIR}/aicp-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/aicp)
# The prefix is found from where the file lies, so that `cmake --install --prefix` and moved trees work.
file(RELATIVE_PATH AICP_PC_PREFIX
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(pkgconfig/aicp.pc.in ${PROJECT_BINARY_DIR}/aicp.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/aicp.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
# Price map and model list, read at run time.
install(FILES data/models/litellm_prices.json data/models/models.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/aicp)
if(TARGET aicp-cli)
  install(TARGETS aicp-cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
