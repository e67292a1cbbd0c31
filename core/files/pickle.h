// What a pickle holds, as plain data: the part of Python's format (protocol 2) that PyTorch writes.
//
// A pickle is a program for a small stack machine, and Python's own reader calls whatever function it names:
// loading a stranger's file may do anything. This reader calls nothing. Opcodes build numbers, texts, tuples,
// lists and dicts; functions and classes are no more than names, accepted from a list that the caller gives;
// and a call stays a value that says what was to be called with what.
//
// Values refer to each other by number, so that neither a cycle nor the deepest nesting costs more than its
// bytes: nothing here recurses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rcnn {

/// The longest pickle that is read, in bytes, and the most values in one; a model of 1,000 tensors takes
/// about 0.2 MiB and 20,000 values.
inline constexpr uint64_t kMaxPickle = uint64_t{16} << 20;
inline constexpr size_t kMaxPickleValues = size_t{1} << 20;
/// The most opened and not yet closed tuples, lists and dicts.
inline constexpr size_t kMaxPickleDepth = 64;

/// A function or class that a pickle may name, as "module.name".
struct PickleGlobal {
  enum class Use {
    name,  // is never called
    dict,  // called without arguments, gives an empty dict
    call,  // a call of it, or an object of it, becomes a PickleKind::call
  };
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
  persistent
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  int64_t integer = 0;  // of a boolean 0 or 1; of a global its place in the list
  std::string text;     // UTF-8
  /// By their numbers: a tuple's or list's elements; a dict's keys and values in turn, equal keys not merged;
  /// a call's function and tuple of arguments; a persistent id.
  std::vector<uint32_t> items;
};

struct Pickle {
  std::vector<PickleValue> values;
  uint32_t root = 0;

  const PickleValue& operator[](uint32_t number) const { return values[number]; }
};

/// Throws InputError, a sentence that names `file`, for an opcode or a global outside the lists (with its
/// name), a call of something else, what is cut off, lacks an operand, nests too deeply or is over the
/// limits.
/// The values of floating-point numbers are not kept, nor is what BUILD sets on a dict or on an object.
Pickle read_pickle(const std::string& file, std::span<const uint8_t> bytes,
                   std::span<const PickleGlobal> globals);

}  // namespace rcnn
