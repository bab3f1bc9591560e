# Compiler flags shared by everything that is built here.
add_compile_definitions(_GNU_SOURCE)
if(AICP_DEV_WARNINGS)
  add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
                      -Wmissing-prototypes -Wvla -Wformat=2 -Werror)
endif()
if(AICP_SANITIZE)
  add_compile_options(-fsanitize=${AICP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${AICP_SANITIZE})
else()
  add_compile_options(-fstack-protector-strong)
  add_compile_options($<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
