// The CPU's memory for tensors and workspaces.
//
// A training step asks for the same sizes again and again, and memory fresh from the system is slow: every
// page is cleared and mapped at its first use. So a block that was given back is kept for the next request.
// How much is kept follows one rule: what is in use and what is kept are together at most a sixteenth more
// than the most that was in use at once. The process is then hardly larger than its tensors were at their
// peak, however many sizes they come in; with malloc, images of varied shapes would have it grow to several
// times that. The sixteenth is for gaps between blocks: without it every step gives pages back only to fetch
// others.
#pragma once

#include <cstddef>
#include <memory>

namespace rcnn {

/// Uninitialised memory, aligned to 64 bytes, given back with the last pointer to it, and counted (see
/// core/memory.h). Throws Error, which says how much was asked for, when there is none.
std::shared_ptr<std::byte> allocate_host(size_t bytes);

/// What the process has from the system for blocks of 64 KiB and more, in use or kept, in bytes: now, and how
/// much that may become where `in_use` are the most that are in use at once.
int64_t held_host_memory();
int64_t most_held_host_memory(int64_t in_use);

}  // namespace rcnn
