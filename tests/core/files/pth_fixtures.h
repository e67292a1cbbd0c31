// PyTorch's .pth files, assembled by hand: a pickle from its opcodes, and a zip archive of records.
#pragma once

#include <doctest/doctest.h>
#include <zip.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/data/fixtures.h"

namespace rcnn::fixtures {

template <class T>
std::string bytes_of_number(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

/// The elements of a storage.
template <class T>
std::string elements(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) bytes += bytes_of_number(value);
  return bytes;
}

// ---- pickles: each function returns the opcodes that leave one value on the stack

inline std::string py_text(std::string_view text) {
  return "X" + bytes_of_number(static_cast<uint32_t>(text.size())) + std::string(text);
}

inline std::string py_int(int64_t value) {
  if (value >= 0 && value < 256) return "K" + bytes_of_number(static_cast<uint8_t>(value));
  if (value >= INT32_MIN && value <= INT32_MAX) return "J" + bytes_of_number(static_cast<int32_t>(value));
  return "\x8A\x08" + bytes_of_number(value);
}

inline std::string py_tuple(const std::vector<std::string>& items) {
  if (items.empty()) return ")";
  std::string opcodes = "(";
  for (const std::string& item : items) opcodes += item;
  return opcodes + "t";
}

inline std::string py_ints(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) items.push_back(py_int(value));
  return py_tuple(items);
}

inline std::string py_dict(const std::vector<std::pair<std::string, std::string>>& entries,
                           const std::string& empty = "}") {
  std::string opcodes = empty + "(";
  for (const auto& [name, value] : entries) opcodes += py_text(name) + value;
  return opcodes + "u";
}

inline std::string py_global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}

inline std::string py_call(const std::string& function, const std::vector<std::string>& arguments) {
  return function + py_tuple(arguments) + "R";
}

inline std::string py_ordered_dict() { return py_call(py_global("collections", "OrderedDict"), {}); }

inline std::string py_storage(const std::string& type, const std::string& key, int64_t numel) {
  return py_tuple(
             {py_text("storage"), py_global("torch", type), py_text(key), py_text("cpu"), py_int(numel)}) +
         "Q";
}

inline std::string py_tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& sizes,
                             const std::vector<int64_t>& strides) {
  return py_call(py_global("torch._utils", "_rebuild_tensor_v2"),
                 {storage, py_int(offset), py_ints(sizes), py_ints(strides), "\x89", py_ordered_dict()});
}

/// The storage of a file of the old form: its id has one value more.
inline std::string py_old_storage(const std::string& type, const std::string& key, int64_t numel) {
  return py_tuple({py_text("storage"), py_global("torch", type), py_text(key), py_text("cpu"), py_int(numel),
                   "N"}) +
         "Q";
}

inline std::string py_pickle(const std::string& value) { return "\x80\x02" + value + "."; }

// ---- archives

using Records = std::vector<std::pair<std::string, std::string>>;

inline void write_zip(const std::filesystem::path& path, const Records& records, bool compressed = false) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  REQUIRE(archive != nullptr);
  for (const auto& [name, bytes] : records) {
    zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const zip_int64_t index = zip_file_add(archive, name.c_str(), source, 0);
    REQUIRE(index >= 0);
    const auto place = static_cast<zip_uint64_t>(index);
    REQUIRE(zip_set_file_compression(archive, place, compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) == 0);
    REQUIRE(zip_file_set_mtime(archive, place, 1'000'000'000, 0) == 0);
  }
  REQUIRE(zip_close(archive) == 0);
}

/// Writes a file with this pickle and the storages "0", "1", ...
inline void write_pth(const std::filesystem::path& path, const std::string& pickle,
                      const std::vector<std::string>& storages, const Records& more = {}) {
  Records records = {{"archive/data.pkl", pickle}};
  for (size_t i = 0; i < storages.size(); ++i)
    records.emplace_back("archive/data/" + std::to_string(i), storages[i]);
  records.insert(records.end(), more.begin(), more.end());
  write_zip(path, records);
}

/// A storage of a file of the old form.
struct OldStorage {
  std::string key;
  int64_t numel;
  std::string bytes;
};

/// The pickles with which every file of the old form begins.
inline std::string old_pth_start(const std::string& version = py_int(1001),
                                 const std::string& little_endian = "\x88") {
  return "\x80\x02\x8A\nl\xFC\x9C\x46\xF9 j\xA8P\x19." + py_pickle(version) +
         py_pickle(py_dict({{"protocol_version", py_int(1001)}, {"little_endian", little_endian}}));
}

/// The bytes of a file of the old form with this pickle of tensors.
inline std::string old_pth(const std::string& pickle, const std::vector<OldStorage>& storages) {
  std::string keys = "](", bytes;
  for (const OldStorage& storage : storages) {
    keys += py_text(storage.key);
    bytes += bytes_of_number(storage.numel) + storage.bytes;
  }
  return old_pth_start() + pickle + py_pickle(keys + "e") + bytes;
}

/// The bytes with every `from` replaced by `to`, which has the same length.
inline std::string replaced(std::string bytes, const std::string& from, const std::string& to) {
  REQUIRE(from.size() == to.size());
  size_t count = 0;
  for (size_t at = 0; (at = bytes.find(from, at)) != std::string::npos; ++count)
    bytes.replace(at, to.size(), to);
  REQUIRE(count > 0);
  return bytes;
}

}  // namespace rcnn::fixtures
