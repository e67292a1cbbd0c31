// What the tests of .pth files in zip form share.
#pragma once

#include "core/files/pth.h"
#include "tests/core/files/pth_fixtures.h"
#include "tests/program.h"

namespace rcnn::fixtures {

inline SafetensorsFile read(const std::string& value, const std::vector<std::string>& storages,
                            const Records& more = {}) {
  const TemporaryFolder folder;
  write_pth(folder / "weights.pth", py_pickle(value), storages, more);
  return read_pth(folder / "weights.pth");
}

/// The message with which a file is refused; it must name the file and be one line.
inline std::string refusal(const std::filesystem::path& path) {
  const std::string sentence = input_error([&] { read_pth(path); });
  CHECK(contains(sentence, path.filename().string()));
  CHECK_FALSE(contains(sentence, "\n"));
  CHECK(sentence.back() == '.');
  return sentence;
}

inline std::string refusal_of_bytes(const std::string& bytes) {
  const TemporaryFolder folder;
  write_text(folder / "weights.pth", bytes);
  return refusal(folder / "weights.pth");
}

inline std::string refusal_of(const std::string& value, const std::vector<std::string>& storages = {},
                              const Records& more = {}) {
  const TemporaryFolder folder;
  write_pth(folder / "weights.pth", py_pickle(value), storages, more);
  return refusal(folder / "weights.pth");
}

/// The message for a dict with this one value and a storage of six floats; it must name the tensor.
inline std::string refusal_of_tensor(const std::string& value) {
  const std::string sentence = refusal_of(py_dict({{"fc.weight", value}}), {std::string(24, '\1')});
  CHECK(contains(sentence, "tensor \"fc.weight\""));
  return sentence;
}

inline const std::string kSix = py_storage("FloatStorage", "0", 6);

inline std::vector<float> floats(const SafetensorsFile& file, const std::string& name) {
  const auto values = file.tensors.at(name).values<float>();
  return {values.begin(), values.end()};
}

}  // namespace rcnn::fixtures
