#include "core/files/pth.h"

#include <cmath>
#include <cstring>

#include "tests/core/files/pth_files.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

std::string refusal_of_view(int64_t offset, const std::vector<int64_t>& sizes,
                            const std::vector<int64_t>& strides) {
  return refusal_of_tensor(py_tensor(kSix, offset, sizes, strides));
}

/// The bytes of a small file with two tensors.
std::string good_bytes() {
  const TemporaryFolder folder;
  write_pth(folder / "file",
            py_pickle(py_dict({{"a", py_tensor(kSix, 0, {2, 3}, {3, 1})},
                               {"b", py_tensor(py_storage("LongStorage", "1", 1), 0, {}, {})}})),
            {elements<float>({1, 2, 3, 4, 5, 6}), elements<int64_t>({7})}, {{"archive/byteorder", "little"}});
  return content_of(folder / "file");
}

}  // namespace

TEST_CASE("pth: every type") {
  const auto one = [](const char* type, const char* key, int64_t count) {
    return py_tensor(py_storage(type, key, count), 0, {count}, {1});
  };
  const SafetensorsFile file =
      read(py_dict({{"f32", one("FloatStorage", "0", 2)},
                    {"f64", one("DoubleStorage", "1", 1)},
                    {"f16", one("HalfStorage", "2", 3)},
                    {"bf16", one("BFloat16Storage", "3", 1)},
                    {"i32", one("IntStorage", "4", 2)},
                    {"i64", one("LongStorage", "5", 1)},
                    {"u8", one("ByteStorage", "6", 3)},
                    {"bool", one("BoolStorage", "7", 2)}}),
           {elements<float>({1.5F, -0.0F}), elements<double>({0.1}),
            elements<uint16_t>({0x3C00, 0xC000, 0x0001}), "ab", elements<int32_t>({-1, 7}),
            elements<int64_t>({INT64_MIN}), std::string("\0\1\xFF", 3), std::string("\1\0", 2)});
  CHECK(floats(file, "f32")[0] == 1.5F);
  CHECK(std::signbit(floats(file, "f32")[1]));
  CHECK(file.tensors.at("f64").values<double>()[0] == 0.1);
  CHECK(floats(file, "f16") == std::vector<float>{1.0F, -2.0F, 0x1p-24F});
  CHECK(file.tensors.at("bf16").dtype() == DType::bf16);
  CHECK(std::memcmp(file.tensors.at("bf16").raw(), "ab", 2) == 0);
  CHECK(file.tensors.at("i32").values<int32_t>()[0] == -1);
  CHECK(file.tensors.at("i64").item<int64_t>() == INT64_MIN);
  CHECK(file.tensors.at("u8").values<uint8_t>()[2] == 255);
  CHECK(file.tensors.at("bool").dtype() == DType::u8);
  CHECK(file.tensors.at("bool").values<uint8_t>()[0] == 1);
  CHECK(file.types == std::map<std::string, std::string>{{"f32", "F32"},
                                                         {"f64", "F64"},
                                                         {"f16", "F16"},
                                                         {"bf16", "BF16"},
                                                         {"i32", "I32"},
                                                         {"i64", "I64"},
                                                         {"u8", "U8"},
                                                         {"bool", "BOOL"}});
  CHECK(file.metadata.empty());
}

TEST_CASE("pth: views of a storage become contiguous copies") {
  const SafetensorsFile file = read(py_dict({{"whole", py_tensor(kSix, 0, {2, 3}, {3, 1})},
                                             {"transposed", py_tensor(kSix, 0, {3, 2}, {1, 3})},
                                             {"row", py_tensor(kSix, 3, {3}, {1})},
                                             {"column", py_tensor(kSix, 1, {2, 1}, {3, 1})},
                                             {"expanded", py_tensor(kSix, 4, {2, 3}, {0, 0})},
                                             {"every_other", py_tensor(kSix, 1, {3}, {2})},
                                             {"scalar", py_tensor(kSix, 5, {}, {})},
                                             {"never", py_tensor(kSix, 5, {1}, {INT64_MAX})},
                                             {"none", py_tensor(kSix, 6, {0, 4}, {4, 1})}}),
                                    {elements<float>({1, 2, 3, 4, 5, 6})});
  CHECK(file.tensors.at("whole").shape() == Shape{2, 3});
  CHECK(floats(file, "whole") == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(file.tensors.at("transposed").shape() == Shape{3, 2});
  CHECK(floats(file, "transposed") == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(floats(file, "row") == std::vector<float>{4, 5, 6});
  CHECK(file.tensors.at("column").shape() == Shape{2, 1});
  CHECK(floats(file, "column") == std::vector<float>{2, 5});
  CHECK(floats(file, "expanded") == std::vector<float>(6, 5));
  CHECK(floats(file, "every_other") == std::vector<float>{2, 4, 6});
  CHECK(file.tensors.at("scalar").shape() == Shape{});
  CHECK(file.tensors.at("scalar").item<float>() == 6);
  CHECK(floats(file, "never") == std::vector<float>{6});  // a dimension of size one may have any stride
  CHECK(file.tensors.at("none").shape() == Shape{0, 4});
  // They are separate copies: what is written to one is not seen in the other.
  file.tensors.at("whole").mutable_values<float>()[3] = -1;
  CHECK(floats(file, "row")[0] == 4);
}

TEST_CASE("pth: halves that are not contiguous are widened in the order of the tensor") {
  const SafetensorsFile file =
      read(py_dict({{"h", py_tensor(py_storage("HalfStorage", "0", 4), 0, {2, 2}, {1, 2})}}),
           {elements<uint16_t>({0x3C00, 0x4000, 0x4200, 0x4400})});
  CHECK(floats(file, "h") == std::vector<float>{1, 3, 2, 4});
}

TEST_CASE("pth: a pickle that names os.system is refused, and nothing is run") {
  const TemporaryFolder folder;
  const std::string command = "touch " + (folder / "ran").string();
  const std::string call = py_call(py_global("os", "system"), {py_text(command)});
  for (const std::string& value : {call, py_dict({{"w", call}}), py_dict({{"w", kSix}}) + call + "b"}) {
    const std::string sentence = refusal_of(value, {std::string(24, '\1')});
    CHECK(contains(sentence, "names \"os.system\""));
    CHECK(contains(sentence, "state_dict()"));
  }
  CHECK_FALSE(fs::exists(folder / "ran"));
}

TEST_CASE("pth: offsets and strides that point outside") {
  const char* kFault = "reaches beyond its storage";
  const int64_t big = int64_t{1} << 62;
  CHECK(contains(refusal_of_view(0, {7}, {1}), kFault));
  CHECK(contains(refusal_of_view(1, {6}, {1}), kFault));
  CHECK(contains(refusal_of_view(0, {2, 3}, {4, 1}), kFault));
  CHECK(contains(refusal_of_view(0, {2}, {6}), kFault));
  CHECK(contains(refusal_of_view(6, {}, {}), kFault));
  CHECK(contains(refusal_of_view(7, {0}, {1}), kFault));
  CHECK(contains(refusal_of_view(-1, {3}, {1}), kFault));
  CHECK(contains(refusal_of_view(-1, {0}, {1}), kFault));
  CHECK(contains(refusal_of_view(INT64_MAX, {2}, {1}), kFault));
  CHECK(contains(refusal_of_view(INT64_MIN, {1}, {1}), kFault));
  CHECK(contains(refusal_of_view(0, {3}, {big}), kFault));  // 2 * 2^62 overflows
  CHECK(contains(refusal_of_view(0, {2, 2}, {INT64_MAX, 1}), kFault));
  CHECK(contains(refusal_of_view(0, {5, 2}, {big, big}), kFault));
  for (const auto& [sizes, strides] : std::vector<std::pair<std::vector<int64_t>, std::vector<int64_t>>>{
           {{-1}, {1}}, {{6}, {-1}}, {{-2, -3}, {3, 1}}, {{INT64_MIN}, {1}}})
    CHECK(contains(refusal_of_view(0, sizes, strides), "not an integer from 0"));
  CHECK(contains(refusal_of_view(0, {2, 3}, {1}), "different numbers of sizes and strides"));
  CHECK(contains(refusal_of_view(0, {1, 1, 1, 1, 1, 1, 6}, {6, 6, 6, 6, 6, 6, 1}), "7 dimensions"));
  CHECK(contains(refusal_of_view(0, {big, 4}, {0, 0}), "too large for any file"));
  CHECK(contains(refusal_of_view(0, {big, 4, 0}, {0, 0, 0}), "too large for any file"));
  CHECK(contains(refusal_of_view(0, {INT64_MAX}, {0}), "too large for any file"));
}

TEST_CASE("pth: tensors that would take far more memory than the file are refused before any is taken") {
  const auto expanded = [](int64_t count) { return py_tensor(kSix, 0, {count}, {0}); };
  const std::vector<std::string> storage = {std::string(24, '\1')};
  CHECK(contains(refusal_of(py_dict({{"w", expanded(int64_t{1} << 40)}}), storage),
                 "would take 4398046511104 bytes, more than 16 times"));
  CHECK(contains(
      refusal_of(py_dict({{"w", expanded(int64_t{1} << 59)}, {"v", expanded(int64_t{1} << 59)}}), storage),
      "more than 16 times"));
  // Many tensors that share one storage.
  const std::string large(100'000, '\0');
  std::string tensor =
      py_tensor(py_storage("ByteStorage", "0", 100'000), 0, {100'000}, {1}) + std::string("q\0", 2);
  std::vector<std::pair<std::string, std::string>> many = {{"0", tensor}};
  for (int i = 1; i < 20; ++i) many.emplace_back(std::to_string(i), std::string("h\0", 2));
  CHECK(contains(refusal_of(py_dict(many), {large}), "would take 2000000 bytes"));
  many.resize(10);
  CHECK(read(py_dict(many), {large}).tensors.size() == 10);
}

TEST_CASE("pth: byte order, a missing pickle, and an archive of something else") {
  const std::string good = py_dict({{"w", py_tensor(kSix, 0, {6}, {1})}});
  const std::vector<std::string> storage = {std::string(24, '\1')};
  CHECK(read(good, storage,
             {{"archive/byteorder", "little"},
              {"archive/version", "3\n"},
              {"archive/.data/serialization_id", "1"}})
            .tensors.size() == 1);
  CHECK(contains(refusal_of(good, storage, {{"archive/byteorder", "big"}}), "byte order \"big\""));
  CHECK(contains(refusal_of(good, storage, {{"archive/byteorder", ""}}), "byte order \"\""));
  const TemporaryFolder folder;
  write_zip(folder / "a.zip", {{"readme.txt", "hello"}, {"a/b/data.pkl", "x"}, {"data.pkl", "x"}});
  CHECK(contains(refusal(folder / "a.zip"), "a zip archive without a data.pkl"));
  write_zip(folder / "b.zip", {{"net/data.pkl", py_pickle(good)}, {"net/data/0", storage[0]}});
  CHECK(read_pth(folder / "b.zip").tensors.size() == 1);  // newer versions name the folder after the file
}

TEST_CASE("pth: compressed records are refused, also those of a few bytes that expand to gigabytes") {
  const TemporaryFolder folder;
  const std::string pickle =
      py_pickle(py_dict({{"w", py_tensor(py_storage("ByteStorage", "0", 1 << 24), 0, {1}, {1})}}));
  write_zip(folder / "bomb.pth",
            {{"archive/data.pkl", pickle}, {"archive/data/0", std::string(1 << 24, '\0')}}, true);
  CHECK(fs::file_size(folder / "bomb.pth") < 20'000);
  CHECK(contains(refusal(folder / "bomb.pth"), "is compressed"));
}

TEST_CASE("pth: sizes in the archive's directory that are not true") {
  const std::string good = good_bytes();
  const size_t directory = good.find("PK\1\2");  // the entry of data.pkl
  REQUIRE(directory != std::string::npos);
  const auto with_sizes = [&](uint32_t size) {
    std::string bytes = good;
    for (const size_t at : {20, 24}) bytes.replace(directory + at, 4, bytes_of_number(size));
    return refusal_of_bytes(bytes);
  };
  CHECK(contains(with_sizes(0xFFFFFFF0), "more bytes than the file"));
  CHECK(contains(with_sizes(static_cast<uint32_t>(good.size())), "more bytes than the file"));
  with_sizes(0);
  with_sizes(1);
  // All records in the place of the first: together they would be longer than the file.
  std::string overlapping;
  {
    const TemporaryFolder folder;
    const std::string much(2000, 'x');
    write_zip(folder / "file", {{"a/1", much}, {"a/2", ""}, {"a/3", ""}, {"a/4", ""}});
    overlapping = content_of(folder / "file");
  }
  size_t at = overlapping.find("PK\1\2");
  const std::string first = overlapping.substr(at, 46);
  for (at = overlapping.find("PK\1\2", at + 1); at != std::string::npos;
       at = overlapping.find("PK\1\2", at + 1)) {
    overlapping.replace(at + 16, 12, first.substr(16, 12));  // checksum and sizes
    overlapping.replace(at + 42, 4, first.substr(42, 4));    // the place
  }
  CHECK(contains(refusal_of_bytes(overlapping), "more bytes than the file"));
}

TEST_CASE("pth: two records with the same name are refused") {
  const std::string bytes = replaced(good_bytes(), "archive/data/1", "archive/data/0");
  CHECK(contains(refusal_of_bytes(bytes), "two records are named \"archive/data/0\""));
}

TEST_CASE("pth: a file cut off anywhere, or changed in a record, is refused") {
  const std::string whole = good_bytes();
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    refusal_of_bytes(whole.substr(0, length));
  }
  const std::string stored = elements<float>({1, 2, 3, 4, 5, 6}), other = elements<float>({1, 2, 3, 4, 5, 7});
  CHECK(contains(refusal_of_bytes(replaced(whole, stored, other)),
                 "record \"archive/data/0\" cannot be read: CRC"));
}

TEST_CASE("pth: a file of another kind") {
  CHECK(contains(refusal_of_bytes(""), "truncated or damaged"));
  CHECK(contains(refusal_of_bytes("hello"), "truncated or damaged"));
  const TemporaryFolder folder;
  write_zip(folder / "arrays", {{"arr_0.npy", "x"}});
  CHECK(contains(refusal(folder / "arrays"), "holds NumPy arrays (.npz)"));
  write_zip(folder / "script", {{"net/data.pkl", py_pickle("}")}, {"net/constants.pkl", py_pickle(")")}});
  CHECK(contains(refusal(folder / "script"), "is a TorchScript program"));
  // Their records may be compressed.
  write_zip(folder / "arrays", {{"arr_0.npy", std::string(1000, 'x')}}, true);
  CHECK(contains(refusal(folder / "arrays"), "holds NumPy arrays (.npz)"));
}

// The expected sums were computed with PyTorch.
TEST_CASE("pth: a real file") {
  const fs::path path = real_data("weights") / "shufflenetv2.pth";
  if (!fs::exists(path)) {
    MESSAGE("skipped: no real .pth");
    return;
  }
  const SafetensorsFile file = read_pth(path);
  CHECK(file.tensors.size() == 330);
  int64_t total = 0;
  for (const auto& [name, tensor] : file.tensors) total += tensor.numel();
  CHECK(total == 149'095);
  const Tensor& first = file.tensors.at("first_conv.0.weight");
  CHECK(first.shape() == Shape{24, 3, 3, 3});
  double sum = 0;
  for (const float value : first.values<float>()) sum += static_cast<double>(value);
  CHECK(sum == doctest::Approx(-2.21780769282008).epsilon(1e-12));
  CHECK(first.values<float>()[1] == -0.09929527342319489F);
  CHECK(file.tensors.at("stage4.3.branch_main.6.num_batches_tracked").item<int64_t>() == 1'562'413);
}
