# Compiles the tokenizer vocabularies into read-only tables; encodings.c takes them in. The sources
# are checked against the hashes that the encodings are published with.
set(AICP_VOCABULARIES
  o200k_base:446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d
  cl100k_base:223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7)

add_executable(aicp_vocab_compile ${CMAKE_CURRENT_LIST_DIR}/tools/vocab_compile.c)
target_include_directories(aicp_vocab_compile PRIVATE ${PROJECT_SOURCE_DIR})
target_compile_options(aicp_vocab_compile PRIVATE -O2)

set(encodings ${CMAKE_CURRENT_LIST_DIR}/encodings.c)
foreach(entry IN LISTS AICP_VOCABULARIES)
  string(REPLACE ":" ";" entry ${entry})
  list(GET entry 0 name)
  list(GET entry 1 sha256)
  set(source ${PROJECT_SOURCE_DIR}/data/tokenizer/${name}.tiktoken)
  set(block ${PROJECT_BINARY_DIR}/vocab/${name}.bin)
  add_custom_command(
    OUTPUT ${block}
    COMMAND ${CMAKE_COMMAND} -DFILE=${source} -DSHA256=${sha256}
            -P ${CMAKE_CURRENT_LIST_DIR}/tools/check_sha256.cmake
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/vocab
    COMMAND aicp_vocab_compile ${source} ${block}
    DEPENDS ${source} aicp_vocab_compile ${CMAKE_CURRENT_LIST_DIR}/tools/check_sha256.cmake
    COMMENT "Compiling vocabulary ${name}" VERBATIM)
  string(TOUPPER ${name} upper)
  set_property(SOURCE ${encodings} APPEND PROPERTY OBJECT_DEPENDS ${block})
  set_property(SOURCE ${encodings} APPEND PROPERTY COMPILE_DEFINITIONS AICPI_VOCAB_${upper}="${block}")
endforeach()
