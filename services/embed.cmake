# aicps_embed_migrations(target name dir): SQL files dir/NNNN_*.sql, in the order of their names, as
#   const char *const <name>[];  const size_t <name>_count;
# in a source made at build time.
set(AICPS_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed_script.cmake)
function(aicps_embed_migrations target name dir)
  get_filename_component(dir ${dir} ABSOLUTE)
  file(GLOB files CONFIGURE_DEPENDS ${dir}/[0-9]*.sql)
  list(SORT files)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DOUT=${out} "-DFILES=${files}" -P ${AICPS_EMBED_SCRIPT}
    DEPENDS ${files} ${AICPS_EMBED_SCRIPT} VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()

# aicps_embed_text(target name file): a text as
#   const char <name>[];  const size_t <name>_len;
set(AICPS_EMBED_TEXT_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed_text.cmake)
function(aicps_embed_text target name file)
  get_filename_component(file ${file} ABSOLUTE)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DOUT=${out} -DFILE=${file} -P ${AICPS_EMBED_TEXT_SCRIPT}
    DEPENDS ${file} ${AICPS_EMBED_TEXT_SCRIPT} VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
