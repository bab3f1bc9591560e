/* Everything that the control plane serves: a new resource is a file and a line in list.h. */
#include "services/admin-api/list.h"

#define AICPA_ENTRY(name) name,
const aicpa_register_fn aicpa_registry[] = {AICPA_LIST(AICPA_ENTRY)};
const size_t aicpa_registry_count = sizeof aicpa_registry / sizeof *aicpa_registry;
