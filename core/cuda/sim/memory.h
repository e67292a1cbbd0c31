// The simulated device's memory: where it lies, when it may be touched, and what a stray access hits.
//
// Every allocation has its own pages, ends at the end of a page except for less than 64 bytes of filling, and
// is followed by a closed page. Its own pages are open only while device work runs.
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
/// The addresses [begin, end); empty if both are 0.
struct DeviceRange {
  uintptr_t begin = 0, end = 0;
};
/// All addresses that may ever be the device's.
DeviceRange device_arena();
/// The allocation that holds the address, or an empty range.
DeviceRange allocation_at(const void* pointer);
/// "8 bytes past an allocation of 400 bytes", for an address of the device.
std::string describe_device_address(const void* pointer);

/// Opens the device's memory during its lifetime; scopes may be nested.
class OpenDevice {
 public:
  OpenDevice();
  ~OpenDevice();
  OpenDevice(const OpenDevice&) = delete;
  OpenDevice& operator=(const OpenDevice&) = delete;
};

/// Describes where something wrote into the filling around an allocation since the last call; "" if nothing
/// did.
std::string damaged_filling();

/// The byte that fills memory that has not been written yet. It changes with the settings, so that a result
/// that depends on it changes too.
unsigned char poison();

/// Makes a stray access by a kernel end in `fail`, and one by the host in an error message.
void install_access_handler();

// Implemented by the scheduler.
/// Whether a thread of a kernel is running.
bool in_kernel();
/// Ends the running kernel with this message. It does not return, and nothing is unwound: the caller should
/// own nothing but the message.
[[noreturn]] void fail(std::string sentence);

}  // namespace rcnn::cuda_sim
