#include "core/files/pth_old.h"

#include <cstring>

#include "core/files/pth.h"
#include "tests/core/files/pth_fixtures.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

SafetensorsFile read(const std::string& value, const std::vector<OldStorage>& storages) {
  const TemporaryFolder folder;
  write_text(folder / "old.pth", old_pth(py_pickle(value), storages));
  return read_pth(folder / "old.pth");
}

/// The message with which a file is refused; it must name the file and be one line.
std::string refusal_of_bytes(const std::string& bytes) {
  const TemporaryFolder folder;
  write_text(folder / "old.pth", bytes);
  const std::string sentence = input_error([&] { read_old_pth(folder / "old.pth"); });
  CHECK(contains(sentence, "old.pth"));
  CHECK_FALSE(contains(sentence, "\n"));
  CHECK(sentence.back() == '.');
  return sentence;
}

std::string refusal_of(const std::string& value, const std::vector<OldStorage>& storages) {
  return refusal_of_bytes(old_pth(py_pickle(value), storages));
}

std::vector<float> floats(const SafetensorsFile& file, const std::string& name) {
  const auto values = file.tensors.at(name).values<float>();
  return {values.begin(), values.end()};
}

std::string six(const std::string& key = "94", int64_t numel = 6) {
  return py_tensor(py_old_storage("FloatStorage", key, numel), 0, {2, 3}, {3, 1});
}

const OldStorage kSix = {"94", 6, elements<float>({1, 2, 3, 4, 5, 6})};

}  // namespace

TEST_CASE("old pth: every type, in the order of the list of storages") {
  const auto one = [](const char* type, const char* key, int64_t count) {
    return py_tensor(py_old_storage(type, key, count), 0, {count}, {1});
  };
  const std::vector<OldStorage> storages = {{"7", 2, std::string("\1\0", 2)},
                                            {"0", 2, elements<float>({1.5F, -2.0F})},
                                            {"6", 3, std::string("\0\1\xFF", 3)},
                                            {"1", 1, elements<double>({0.1})},
                                            {"5", 1, elements<int64_t>({INT64_MIN})},
                                            {"2", 3, elements<uint16_t>({0x3C00, 0xC000, 0x0001})},
                                            {"4", 2, elements<int32_t>({-1, 7})},
                                            {"3", 1, "ab"},
                                            {"none", 0, ""}};
  const SafetensorsFile file = read(py_dict({{"f32", one("FloatStorage", "0", 2)},
                                             {"f64", one("DoubleStorage", "1", 1)},
                                             {"f16", one("HalfStorage", "2", 3)},
                                             {"bf16", one("BFloat16Storage", "3", 1)},
                                             {"i32", one("IntStorage", "4", 2)},
                                             {"i64", one("LongStorage", "5", 1)},
                                             {"u8", one("ByteStorage", "6", 3)},
                                             {"bool", one("BoolStorage", "7", 2)},
                                             {"none", one("FloatStorage", "none", 0)}}),
                                    storages);
  CHECK(file.tensors.size() == 9);
  CHECK(floats(file, "f32") == std::vector<float>{1.5F, -2.0F});
  CHECK(file.tensors.at("f64").values<double>()[0] == 0.1);
  CHECK(floats(file, "f16") == std::vector<float>{1.0F, -2.0F, 0x1p-24F});
  CHECK(std::memcmp(file.tensors.at("bf16").raw(), "ab", 2) == 0);
  CHECK(file.tensors.at("i32").values<int32_t>()[1] == 7);
  CHECK(file.tensors.at("i64").item<int64_t>() == INT64_MIN);
  CHECK(file.tensors.at("u8").values<uint8_t>()[2] == 255);
  CHECK(file.tensors.at("bool").values<uint8_t>()[0] == 1);
  CHECK(file.types.at("f16") == "F16");
  CHECK(file.types.at("bf16") == "BF16");
  CHECK(file.tensors.at("none").numel() == 0);
}

TEST_CASE("old pth: views, and a checkpoint whose optimiser's storages lie between the model's") {
  const std::string momentum = py_tensor(py_old_storage("DoubleStorage", "1", 2), 0, {2}, {1});
  const std::string steps = py_tensor(py_old_storage("ShortStorage", "2", 3), 0, {3}, {1});
  const std::string storage = py_old_storage("FloatStorage", "94", 6);
  const SafetensorsFile file =
      read(py_dict({{"optimizer", py_dict({{"momentum", momentum}, {"steps", steps}})},
                    {"epoch", py_int(3)},
                    {"state_dict", py_dict({{"whole", six()},
                                            {"turned", py_tensor(storage, 0, {3, 2}, {1, 3})},
                                            {"row", py_tensor(storage, 3, {3}, {1})}})}}),
           {{"1", 2, std::string(16, 'x')}, {"2", 3, "abcdef"}, kSix});
  CHECK(file.tensors.size() == 3);
  CHECK(floats(file, "whole") == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(floats(file, "turned") == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(floats(file, "row") == std::vector<float>{4, 5, 6});
}

TEST_CASE("old pth: a file cut off anywhere, or that continues, is refused") {
  const std::string whole = old_pth(py_pickle(py_dict({{"w", six()}})), {kSix});
  const TemporaryFolder folder;
  for (size_t length = old_pth_start().size(); length < whole.size(); ++length) {
    CAPTURE(length);
    refusal_of_bytes(whole.substr(0, length));
  }
  CHECK(contains(refusal_of_bytes(whole + "x"), "continues after its last storage"));
}

TEST_CASE("old pth: sizes that are not true") {
  const std::string value = py_dict({{"w", six()}});
  for (const int64_t numel :
       {int64_t{7}, int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{1} << 62, (int64_t{1} << 62) + 6})
    CHECK(contains(
        refusal_of(value, {{"94", numel, kSix.bytes}}),
        fmt::format("in its storage \"94\": {} elements of 4 bytes should follow, and 24 bytes do", numel)));
  CHECK(contains(refusal_of(value, {{"94", 5, kSix.bytes}}), "continues after its last storage"));
  CHECK(
      contains(refusal_of(value, {{"94", 5, kSix.bytes.substr(4)}}),
               "tensor \"w\" has a storage of 6 elements of type F32, but the storage \"94\" has 20 bytes"));
  CHECK(contains(
      refusal_of(py_dict({{"w", py_tensor(py_old_storage("FloatStorage", "94", 6), 1, {6}, {1})}}), {kSix}),
      "reaches beyond its storage"));
  const std::string expanded = py_tensor(py_old_storage("FloatStorage", "94", 6), 0, {int64_t{1} << 40}, {0});
  CHECK(contains(refusal_of(py_dict({{"w", expanded}}), {kSix}), "more than 16 times"));
}

TEST_CASE("old pth: the list of storages does not belong to the tensors") {
  const std::string value = py_dict({{"w", six()}});
  CHECK(contains(refusal_of(value, {}), "in the storage \"94\", which is missing"));
  CHECK(contains(refusal_of(value, {kSix, {"95", 1, "abcd"}}), "of what type its storage \"95\" is"));
  CHECK(contains(refusal_of(value, {kSix, kSix}), "has the storage \"94\" twice"));
  const std::string as_double = py_tensor(py_old_storage("DoubleStorage", "94", 3), 0, {3}, {1});
  CHECK(contains(refusal_of(py_dict({{"w", six()}, {"v", as_double}}), {kSix}), "\"94\" has two types"));
  const std::string start = old_pth_start() + py_pickle(value);
  CHECK(contains(refusal_of_bytes(start + py_pickle("}")), "the list of its storages is not a list"));
  CHECK(contains(refusal_of_bytes(start + py_pickle("]K\1a")), "a key that is not a string"));
  // A part of another storage, which PyTorch wrote before 1.0.
  const std::string part = py_tuple({py_text("storage"), py_global("torch", "FloatStorage"), py_text("94"),
                                     py_text("cpu"), py_int(6), py_ints({1, 0, 6})}) +
                           "Q";
  CHECK(contains(refusal_of(py_dict({{"w", py_tensor(part, 0, {6}, {1})}}), {}),
                 "a storage that is not described"));
}

TEST_CASE("old pth: another version or byte order, and a pickle that names os.system") {
  const std::string rest = py_pickle(py_dict({{"w", six()}})) + py_pickle("](" + py_text("94") + "e") +
                           bytes_of_number(int64_t{6}) + kSix.bytes;
  CHECK(contains(refusal_of_bytes(old_pth_start(py_int(1000)) + rest), "not in its version 1001"));
  CHECK(contains(refusal_of_bytes(old_pth_start(py_text("1001")) + rest), "not in its version 1001"));
  for (const char* big : {"\x89", "K\1", "N"})
    CHECK(contains(refusal_of_bytes(old_pth_start(py_int(1001), big) + rest), "little-endian"));
  const TemporaryFolder folder;
  const std::string call =
      py_call(py_global("os", "system"), {py_text("touch " + (folder / "ran").string())});
  for (const std::string& value : {call, py_dict({{"w", six()}, {"x", call}})})
    CHECK(contains(refusal_of(value, {kSix}), "names \"os.system\""));
  CHECK(contains(refusal_of_bytes(old_pth_start(call) + rest), "names \"os.system\""));
  CHECK_FALSE(std::filesystem::exists(folder / "ran"));
}
