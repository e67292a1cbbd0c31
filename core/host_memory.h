// The CPU's memory for tensors and workspaces.
//
// A training step asks for the same sizes again and again, and memory fresh from the system is slow: every
// page is cleared and mapped at its first use. A block that is returned is therefore kept for the next
// request. One rule bounds how much is kept: the bytes in use and those kept together exceed the maximum that
// was ever in use by at most a sixteenth. The process is then hardly larger than its tensors were at their
// peak, however many sizes they have; with malloc, images of varied shapes would make it grow to several
// times that. The sixteenth leaves room for gaps between blocks; without it, every step would return pages
// only to fetch others.
#pragma once

#include <cstddef>
#include <memory>

namespace rcnn {

/// Uninitialised memory, aligned to 64 bytes, returned with the last pointer to it, and counted (see
/// core/memory.h). If there is not enough, throws Error, which says how much was requested.
std::shared_ptr<std::byte> allocate_host(size_t bytes);

/// The bytes that the process holds for blocks of 64 KiB and more, in use or kept.
int64_t held_host_memory();
/// The maximum of held_host_memory() if at most `in_use` bytes are in use at once.
int64_t max_held_host_memory(int64_t in_use);

}  // namespace rcnn
