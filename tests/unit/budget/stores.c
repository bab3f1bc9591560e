/* The stores of the SQL suite serve the ledger's too. */
#include "unit/sql/stores.c"
