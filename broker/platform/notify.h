// Telling a service manager how far we are (the sd_notify protocol, one datagram).
#pragma once

// state  "READY=1", "STOPPING=1". Nothing happens when no service manager asked for it (NOTIFY_SOCKET).
void notify_service_manager(const char *state);
