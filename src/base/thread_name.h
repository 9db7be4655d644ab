// Names for threads, as debuggers and `millrace debug threads` show them.
#pragma once

#include <pthread.h>

namespace millrace::base {

// At most 15 characters are kept by the system.
inline void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace millrace::base
