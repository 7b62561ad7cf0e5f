// The operating system as the library sees it.
#pragma once

void library_os_begin(void);
