# The library: every lib/<module>/*.c. Objects are compiled once and linked into the shared library,
# the static one, and (through the static one) the unit tests, which may see hidden symbols.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(AICP_DEPS REQUIRED IMPORTED_TARGET libcurl libpq sqlite3 libpcre2-8 libsodium hiredis)

set(AICP_MODULES base net policy ratelimit guardrail cost sql litellm budget gate)
set(AICP_SOURCES)
foreach(module IN LISTS AICP_MODULES)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lib/${module}/*.c)
  list(APPEND AICP_SOURCES ${sources})
endforeach()

add_library(aicp_objects OBJECT ${AICP_SOURCES})
target_include_directories(aicp_objects PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_include_directories(aicp_objects PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(aicp_objects PUBLIC PkgConfig::AICP_DEPS Threads::Threads)
target_compile_definitions(aicp_objects PRIVATE AICP_BUILDING)

# Modules that make sources or objects at build time (tokenizer vocabularies) add them here.
foreach(module IN LISTS AICP_MODULES)
  include(${PROJECT_SOURCE_DIR}/lib/${module}/module.cmake OPTIONAL)
endforeach()

add_library(aicp SHARED $<TARGET_OBJECTS:aicp_objects>)
add_library(aicp::aicp ALIAS aicp) # the name that the installed package has too
add_library(aicp_static STATIC $<TARGET_OBJECTS:aicp_objects>)
set_target_properties(aicp PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/lib/libaicp.map)
set_target_properties(aicp_static PROPERTIES OUTPUT_NAME aicp)
target_link_options(aicp PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/lib/libaicp.map)
if(NOT AICP_SANITIZE)
  target_link_options(aicp PRIVATE -Wl,-z,defs)
endif()
foreach(target aicp aicp_static)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
target_link_libraries(aicp PRIVATE PkgConfig::AICP_DEPS Threads::Threads m)
target_link_libraries(aicp_static PUBLIC PkgConfig::AICP_DEPS Threads::Threads m)
