/* The same stores as those of the SQL tests. */
#include "unit/sql/stores.c"
