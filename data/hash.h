// A hash of text that is the same in every run and on every machine.
#pragma once

#include <cstdint>
#include <string_view>

namespace rcnn {

/// A 64-bit FNV-1a hash.
inline uint64_t hash_of(std::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return hash;
}

}  // namespace rcnn
