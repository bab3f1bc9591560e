# cmake -DFILE=... -DSHA256=... -P check_sha256.cmake: fails when the file has another hash.
file(SHA256 ${FILE} found)
if(NOT found STREQUAL SHA256)
  message(FATAL_ERROR "${FILE} has SHA-256 ${found}, expected ${SHA256}")
endif()
