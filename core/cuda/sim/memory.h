// The simulated device's memory: where it lies, who may touch it, and what a stray access hits.
//
// Every allocation has pages of its own, ends at the end of a page but for less than 64 bytes of filling, and
// is followed by a page that nobody may touch. Its pages are open only while device work runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace rcnn::cuda_sim {

/// Null when the arena is full.
void* allocate_device(size_t bytes);
/// False when this is not the address of an allocation.
bool free_device(void* pointer);
size_t device_bytes_in_use();
size_t device_bytes();

/// Whether [pointer, pointer + bytes) lies inside one allocation.
bool is_device_range(const void* pointer, size_t bytes);
/// Whether the address belongs to the device at all, allocated or not.
bool is_device_address(const void* pointer);
/// The addresses from `begin` to before `end`; empty if both are 0.
struct DeviceRange {
  uintptr_t begin = 0, end = 0;
};
/// All addresses that may ever be the device's.
DeviceRange device_arena();
/// The allocation that holds the address, or an empty range.
DeviceRange allocation_at(const void* pointer);
/// "8 bytes behind an allocation of 400 bytes", for an address of the device.
std::string describe_device_address(const void* pointer);

/// Lets the device's memory be touched as long as it lives; they nest.
class OpenDevice {
 public:
  OpenDevice();
  ~OpenDevice();
  OpenDevice(const OpenDevice&) = delete;
  OpenDevice& operator=(const OpenDevice&) = delete;
};

/// "" unless something wrote into the filling around an allocation since the last call; then what and where.
std::string damaged_filling();

/// The byte that fills memory nobody has written yet; it changes with the settings, so that a result that
/// depends on it changes too.
unsigned char poison();

/// Sees to it that a stray access by a kernel ends in `fail`, and one by the host in a sentence.
void install_access_handler();

/// Implemented by the scheduler: whether a thread of a kernel is running, and the end of that kernel.
bool in_kernel();
/// It never returns and nothing is unwound: whoever calls it should own nothing else.
[[noreturn]] void fail(std::string sentence);

}  // namespace rcnn::cuda_sim
