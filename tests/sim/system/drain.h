// The end of a run: everything that is left is got, in order, and done; nothing may be missing, and nothing may be there twice.
#pragma once

void drain_start(void);
bool drain_has_ended(void);
