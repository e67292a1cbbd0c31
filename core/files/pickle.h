// What a pickle holds, as plain data: the part of Python's format (protocol 2) that PyTorch writes.
//
// A pickle is a program for a small stack machine, and Python's own reader calls whatever function it names:
// loading an untrusted file may do anything. This reader calls nothing. Opcodes build numbers, strings,
// tuples, lists and dicts; functions and classes are only names, accepted from a list that the caller gives;
// and a call becomes a value that holds the function's name and its arguments.
//
// Values refer to each other by index and nothing here recurses, so neither a cycle nor deep nesting costs
// more than its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rcnn {

/// The maximum size of a pickle in bytes, and the maximum number of its values. A model of 1,000 tensors
/// takes about 0.2 MiB and 20,000 values.
inline constexpr uint64_t kMaxPickle = uint64_t{16} << 20;
inline constexpr size_t kMaxPickleValues = size_t{1} << 20;
/// The maximum number of tuples, lists and dicts that are open at the same time.
inline constexpr size_t kMaxPickleDepth = 64;

/// A function or class that a pickle may name, as "module.name".
struct PickleGlobal {
  enum class Use {
    name,   // it is never called
    dict,   // a call of it becomes a dict: an empty one, or with a list of pairs as the argument, of these
    call,   // a call of it, or an object of it, becomes a PickleKind::call
    other,  // it, and whatever is made of it, becomes a PickleKind::other
  };
  /// A name that ends with a dot stands for everything in that module.
  std::string_view name;
  Use use;
};

enum class PickleKind : uint8_t {
  none,
  boolean,
  integer,
  real,
  text,
  tuple,
  list,
  dict,
  global,
  call,
  persistent,
  other  // a value of which nothing is kept: of a PickleGlobal::Use::other, or bytes that are not text
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  int64_t integer = 0;  // of a boolean 0 or 1; of a global its position in the list
  std::string text;     // UTF-8
  /// The indices of a tuple's or list's elements; of a dict's keys and values in turn (equal keys are not
  /// merged); of a call's function and tuple of arguments; or of a persistent id.
  std::vector<uint32_t> items;
};

struct Pickle {
  std::vector<PickleValue> values;
  uint32_t root = 0;

  const PickleValue& operator[](uint32_t number) const { return values[number]; }
};

/// Throws InputError naming `file` for an opcode or a global outside the lists (with its name), for a call of
/// anything else, and for a pickle that is cut off, lacks an operand, nests too deeply or exceeds the limits.
///
/// The values of floating-point numbers are not kept, nor are the attributes that BUILD sets on a dict or on
/// an object.
Pickle read_pickle(const std::string& file, std::span<const uint8_t> bytes,
                   std::span<const PickleGlobal> globals);

/// The same for the pickle that begins at byte `at`, and may be followed by anything. Moves `at` to its end.
Pickle read_pickle(const std::string& file, std::span<const uint8_t> bytes,
                   std::span<const PickleGlobal> globals, size_t& at);

}  // namespace rcnn
