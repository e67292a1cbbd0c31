// A limit of the addresses that the process may map (RLIMIT_AS, `ulimit -v`). Most code sees std::bad_alloc
// when it is reached; oneDNN's code generator crashes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rcnn {

/// The limit in bytes when the process began; 0 if there is none.
uint64_t address_limit();

/// Throws Error, which says what is needed and what is left, unless `bytes` can still be mapped. `what` is
/// the subject of the sentence. Without a limit, it costs nothing and throws nothing.
void require_addresses(size_t bytes, const char* what);

/// To be called before threads are started. Under a limit, all threads share one heap, and a crash (SIGSEGV,
/// SIGBUS, SIGABRT) becomes a sentence about the limit and exit status 1, because memory that a library did
/// not get is then the likely cause. Without a limit, it does nothing.
void prepare_for_limit();

}  // namespace rcnn
