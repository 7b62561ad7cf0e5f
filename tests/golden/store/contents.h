// What the golden store of format 1 holds: written once by make_golden_store, compared ever after.
#pragma once
#include "store_rig.h"

// Add all of it to the rig's commit.
void golden_add(struct store_rig *rig);
