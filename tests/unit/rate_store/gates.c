/* The same bundles as those of the gate's tests. */
#include "unit/gate/gate_support.c"
