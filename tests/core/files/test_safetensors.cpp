#include "core/files/safetensors.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

std::string file_bytes(uint64_t header_length, const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &header_length, 8);
  return bytes + header + data;
}

std::string file_bytes(const std::string& header, size_t data_bytes) {
  return file_bytes(header.size(), header, std::string(data_bytes, '\1'));
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape, offsets);
}

/// A JSON object with these members.
std::string object(std::initializer_list<std::string> members) {
  return fmt::format("{{{}}}", fmt::join(members, ","));
}

SafetensorsFile read(const std::string& bytes) {
  const TemporaryFolder folder;
  write_text(folder / "weights.safetensors", bytes);
  return read_safetensors(folder / "weights.safetensors");
}

/// The message with which the file is refused; it must name the file and be one line.
std::string refusal(const std::string& bytes) {
  const std::string sentence = input_error([&] { read(bytes); });
  CHECK(contains(sentence, "weights.safetensors"));
  CHECK_FALSE(contains(sentence, "\n"));
  CHECK(sentence.back() == '.');
  return sentence;
}

/// The message with which a file is refused that has 24 bytes of data and one entry, with this text after its
/// name.
std::string refusal_of_entry(const std::string& text) {
  const std::string sentence = refusal(file_bytes(object({"\"fc.weight\":" + text}), 24));
  CHECK(contains(sentence, "\"fc.weight\""));
  return sentence;
}

std::string refusal_of(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return refusal(file_bytes(object({entry("fc.weight", dtype, shape, offsets)}), 24));
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("safetensors: every type, shape and name is read back bit for bit") {
  const Tensor f32 = Tensor::of<float>({2, 3}, {0.0F, -0.0F, 1e-40F, INFINITY, 3.5F, -2.0F});
  const Tensor f64 = Tensor::of<double>({1, 1, 2}, {0.1, -1e300});
  const Tensor i32 = Tensor::of<int32_t>({3}, {1, -2, INT32_MIN});
  const Tensor i64 = Tensor::of<int64_t>({}, {INT64_MAX});
  const Tensor u8 = Tensor::of<uint8_t>({5}, {0, 1, 2, 254, 255});
  const Tensor bf16 = Tensor::empty({3}, DType::bf16);
  std::memcpy(bf16.mutable_raw(), "abcdef", 6);
  const Tensor none = Tensor::empty({0, 4}, DType::f32);
  const std::vector<std::pair<std::string, Tensor>> tensors = {
      {"u8", u8}, {"z", f32}, {"f64", f64}, {"i \"32\"\n", i32}, {"größe", i64}, {"b", bf16}, {"none", none}};
  const std::map<std::string, std::string> metadata = {{"classes", "[\"a\\\"b\", \"Ö\"]"}, {"", "x\ny"}};

  const TemporaryFolder folder;
  write_safetensors(folder / "file", tensors, metadata);
  const SafetensorsFile file = read_safetensors(folder / "file");
  CHECK(file.metadata == metadata);
  REQUIRE(file.tensors.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    CAPTURE(name);
    REQUIRE(file.tensors.count(name) == 1);
    const Tensor& found = file.tensors.at(name);
    CHECK(found.dtype() == tensor.dtype());
    CHECK(found.shape() == tensor.shape());
    CHECK(std::memcmp(found.raw(), tensor.raw(), tensor.bytes()) == 0);
  }
}

TEST_CASE("safetensors: the layout of a written file, byte by byte") {
  const TemporaryFolder folder;
  write_safetensors(
      folder / "file",
      {{"b", Tensor::of<uint8_t>({3}, {7, 8, 9})}, {"a", Tensor::of<int32_t>({1}, {0x04030201})}},
      {{"k", "v"}});
  const std::string header =
      R"({"__metadata__":{"k":"v"},"b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},)"
      R"("a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  CHECK(content_of(folder / "file") == file_bytes(padded.size(), padded, "\1\2\3\4\7\10\11"));
}

TEST_CASE("safetensors: a file without tensors, and one without metadata") {
  const TemporaryFolder folder;
  write_safetensors(folder / "file", {}, {});
  CHECK(content_of(folder / "file") == file_bytes("{}      ", 0));
  const SafetensorsFile file = read_safetensors(folder / "file");
  CHECK(file.tensors.empty());
  CHECK(file.metadata.empty());
}

TEST_CASE("safetensors: F16 is widened to f32") {
  // 1, -2, 65504 (the largest), 2^-24 (the smallest), 1023 * 2^-24 (the largest subnormal), -0, infinity, NaN
  const std::vector<uint16_t> halves = {0x3C00, 0xC000, 0x7BFF, 0x0001, 0x03FF, 0x8000, 0x7C00, 0x7E01};
  std::string data(16, '\0');
  std::memcpy(data.data(), halves.data(), 16);
  const std::string header = object({entry("h", "F16", "[8]", "[0,16]")});
  const SafetensorsFile file = read(file_bytes(header.size(), header, data));
  const auto values = file.tensors.at("h").values<float>();
  CHECK(values[0] == 1.0F);
  CHECK(values[1] == -2.0F);
  CHECK(values[2] == 65504.0F);
  CHECK(values[3] == 0x1p-24F);
  CHECK(values[4] == 0x3FFp-24F);
  CHECK(values[5] == 0.0F);
  CHECK(std::signbit(values[5]));
  CHECK(values[6] == INFINITY);
  CHECK(std::isnan(values[7]));
}

TEST_CASE("safetensors: bools become bytes, and the types in the file are reported") {
  const std::string header = object({entry("t", "BOOL", "[2]", "[0,2]"), entry("h", "F16", "[1]", "[2,4]"),
                                     entry("f", "F32", "[0]", "[4,4]")});
  const SafetensorsFile file = read(file_bytes(header.size(), header, std::string("\1\0\0\x3C", 4)));
  CHECK(file.tensors.at("t").values<uint8_t>()[0] == 1);
  CHECK(file.types == std::map<std::string, std::string>{{"t", "BOOL"}, {"h", "F16"}, {"f", "F32"}});
}

TEST_CASE("safetensors: a file cut off anywhere, or with more at its end, is refused") {
  const TemporaryFolder folder;
  write_safetensors(folder / "file",
                    {{"a", Tensor::zeros({7}, DType::f32)}, {"b", Tensor::zeros({3}, DType::u8)}},
                    {{"key", "value"}});
  const std::string whole = content_of(folder / "file");
  read(whole);
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    refusal(whole.substr(0, length));
  }
  CHECK(contains(refusal(whole + "x"), "the last 1 of 32 bytes of the data belong to no tensor"));
  CHECK(contains(refusal(whole.substr(0, whole.size() - 1)), "tensor \"b\" ends at byte 31"));
}

TEST_CASE("safetensors: header lengths") {
  CHECK(contains(refusal(file_bytes(kMaxSafetensorsHeader + 1, "{}", "")), "a header of 16777217 bytes"));
  CHECK(contains(refusal(file_bytes(UINT64_MAX, "{}", "")), "a header of 18446744073709551615 bytes"));
  CHECK(contains(refusal(file_bytes(3, "{}", "")), "is truncated"));
  const uint64_t hundred_megabytes = 100'000'000;
  CHECK(contains(refusal(file_bytes(hundred_megabytes, "{}", "")), "a header of 100000000 bytes"));
  CHECK(contains(refusal(file_bytes(hundred_megabytes, std::string(hundred_megabytes, ' '), "")),
                 "a header of 100000000 bytes; expected at most 16777216"));
  CHECK(contains(refusal(file_bytes(1, "{}", "")), "not JSON"));
  CHECK(contains(refusal(file_bytes(0, "", "")), "not JSON"));
}

TEST_CASE("safetensors: a header that is not a JSON object") {
  for (const char* header : {"[]", "7", "null", "\"x\""})
    CHECK(contains(refusal(file_bytes(header, 0)), "not a JSON object"));
  for (const char* header :
       {"", " ", "{", "{} x", "{\"a\"}", "{'a':1}", "\xFF\xFE{}", "{\"\xC3\x28\":{}}", "{\"a\":{},}"})
    CHECK(contains(refusal(file_bytes(header, 0)), "not JSON"));
  CHECK(contains(refusal(file_bytes(std::string("{}\0", 3), 0)), "not JSON"));
}

TEST_CASE("safetensors: metadata of a wrong kind") {
  CHECK(contains(refusal(file_bytes(R"({"__metadata__":[]})", 0)), "not a JSON object"));
  CHECK(contains(refusal(file_bytes(R"({"__metadata__":{"a":1}})", 0)), "not a string"));
  CHECK(contains(refusal(file_bytes(R"({"__metadata__":{"a":"1","a":"1"}})", 0)), "the key \"a\" twice"));
  CHECK(contains(refusal(file_bytes(R"({"__metadata__":{},"__metadata__":{}})", 0)), "twice"));
}

TEST_CASE("safetensors: entries of a wrong kind name the tensor") {
  for (const char* entry : {"1", "null", "[]", "\"x\""})
    CHECK(contains(refusal_of_entry(entry), "not a JSON object"));
  for (const char* entry :
       {"{}", R"({"dtype":"F32","shape":[6]})", R"({"dtype":"F32","data_offsets":[0,24]})",
        R"({"shape":[6],"data_offsets":[0,24]})"})
    CHECK(contains(refusal_of_entry(entry), "lacks one of the fields"));
  CHECK(contains(refusal_of_entry(R"({"dtype":"F32","dtype":"F32","shape":[6],"data_offsets":[0,24]})"),
                 "\"dtype\""));
  CHECK(contains(refusal_of_entry(R"({"dtype":"F32","shape":[6],"shape":[6],"data_offsets":[0,24]})"),
                 "\"shape\""));
  CHECK(contains(refusal_of_entry(R"({"dtype":"F32","shape":[6],"data_offsets":[0,24],"stride":1})"),
                 "\"stride\""));
  CHECK(contains(refusal_of_entry(R"({"dtype":7,"shape":[6],"data_offsets":[0,24]})"),
                 "dtype that is not a string"));
}

TEST_CASE("safetensors: invalid types, shapes and offsets") {
  for (const char* dtype : {"F8_E4M3", "bool", "I8", "U64", "f32", ""}) {
    CAPTURE(dtype);
    CHECK(
        contains(refusal_of(dtype, "[6]", "[0,24]"), fmt::format("\"fc.weight\" is of type \"{}\"", dtype)));
  }
  for (const char* shape : {"6", "null", "{}", "\"6\""})
    CHECK(contains(refusal_of("F32", shape, "[0,24]"), "shape that is not a list"));
  for (const char* shape :
       {"[-6]", "[-2,-3]", "[6.0]", "[\"6\"]", "[null]", "[9223372036854775808]", "[[6]]"})
    CHECK(contains(refusal_of("F32", shape, "[0,24]"), "not an integer"));
  for (const char* offsets :
       {"24", "[]", "[0]", "[0,24,48]", "[24,0]", "[-1,23]", "[0.0,24.0]", "[\"0\",\"24\"]", "{\"0\":24}"})
    CHECK(contains(refusal_of("F32", "[6]", offsets), "data_offsets that are not two integers"));
  CHECK(contains(refusal_of("F32", "[6]", "[0,18446744073709551616]"), "not JSON"));  // 2^64 fits no integer
  CHECK(contains(refusal_of("F32", "[1,1,1,1,1,1,6]", "[0,24]"), "7 dimensions"));
}

TEST_CASE("safetensors: a shape must have the size of its offsets, even if the product overflows") {
  CHECK(contains(refusal_of("F32", "[2,2]", "[0,24]"), "is 16 bytes, but data_offsets of 24 bytes"));
  CHECK(contains(refusal_of("U8", "[2305843009213693952,4,0]", "[0,24]"), "too large for any file"));
  CHECK(contains(refusal_of("F64", "[6]", "[0,24]"), "is 48 bytes"));
  CHECK(contains(refusal_of("F32", "[]", "[0,24]"), "is 4 bytes"));
  CHECK(contains(refusal_of("F32", "[0]", "[0,24]"), "is 0 bytes"));
  // 2^62 * 4 * 1 byte = 2^64 and 2^62 * 4 bytes both wrap to 0; (2^62 + 6) * 4 bytes wraps to 24.
  CHECK(contains(refusal_of("U8", "[4611686018427387904,4]", "[0,0]"), "too large"));
  CHECK(contains(refusal_of("F32", "[4611686018427387904]", "[0,0]"), "too large"));
  CHECK(contains(refusal_of("F32", "[4611686018427387910]", "[0,24]"), "too large"));
  // A product over 2^63 is refused even if a later size is 0.
  CHECK(contains(refusal_of("U8", "[4611686018427387904,4,0]", "[0,0]"), "too large"));
  // Consistent, but larger than the file.
  CHECK(contains(refusal_of("U8", "[1099511627776]", "[0,1099511627776]"), "ends at byte 1099511627776"));
  CHECK(contains(refusal_of("F32", "[6]", "[18446744073709551592,18446744073709551615]"), "is 24 bytes"));
}

TEST_CASE("safetensors: the tensors must cover the data exactly") {
  const auto two = [](const std::string& a, const std::string& b) {
    return file_bytes(object({entry("a", "U8", "[4]", a), entry("b", "U8", "[4]", b)}), 8);
  };
  CHECK(read(two("[0,4]", "[4,8]")).tensors.size() == 2);
  CHECK(read(two("[4,8]", "[0,4]")).tensors.size() == 2);
  CHECK(
      contains(refusal(two("[0,4]", "[3,7]")), "tensor \"b\" starts at byte 3 of the data, inside another"));
  CHECK(contains(refusal(two("[0,4]", "[0,4]")), "inside another"));
  CHECK(contains(refusal(two("[1,5]", "[5,9]")), "bytes 0 to 1 of the data, before tensor \"a\""));
  CHECK(contains(refusal(two("[0,4]", "[5,9]")), "tensor \"b\" ends at byte 9"));

  const auto one = [](const std::string& a) { return file_bytes(object({entry("a", "U8", "[4]", a)}), 8); };
  CHECK(contains(refusal(one("[4,8]")), "bytes 0 to 4"));
  CHECK(contains(refusal(one("[0,4]")), "the last 4 of 8 bytes"));
  CHECK(contains(refusal(file_bytes("{}", 8)), "the last 8 of 8 bytes"));

  // An empty tensor may lie on a border, but not inside another tensor.
  const auto with_empty = [](const std::string& at) {
    return file_bytes(object({entry("a", "U8", "[4]", "[0,4]"), entry("e", "U8", "[0]", at)}), 4);
  };
  CHECK(read(with_empty("[0,0]")).tensors.at("e").numel() == 0);
  CHECK(read(with_empty("[4,4]")).tensors.at("e").numel() == 0);
  CHECK(contains(refusal(with_empty("[2,2]")), "inside another"));
}

TEST_CASE("safetensors: a name that occurs twice is refused, even if it is spelled in two ways") {
  const std::string a = entry("a", "U8", "[4]", "[0,4]"), b = entry("a", "U8", "[4]", "[4,8]");
  const std::string c = entry("\\u0061", "U8", "[4]", "[4,8]");
  CHECK(contains(refusal(file_bytes(object({a, b}), 8)), "the tensor \"a\" twice"));
  CHECK(contains(refusal(file_bytes(object({a, a}), 4)), "the tensor \"a\" twice"));
  CHECK(contains(refusal(file_bytes(object({a, c}), 8)), "the tensor \"a\" twice"));
}

TEST_CASE("safetensors: a file that is missing, and a folder") {
  const TemporaryFolder folder;
  CHECK(contains(input_error([&] { read_safetensors(folder / "none"); }), "No such file"));
  CHECK(contains(input_error([&] { read_safetensors(folder.path()); }), "not a regular file"));
}

TEST_CASE("safetensors: tensors that cannot be written are refused before the old file is touched") {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  const Tensor t = Tensor::zeros({2}, DType::f32);
  write_safetensors(path, {{"a", t}}, {});
  const std::string before = content_of(path);
  CHECK_THROWS_AS(write_safetensors(path, {{"a", t}, {"a", t}}, {}), Error);
  CHECK_THROWS_AS(write_safetensors(path, {{"__metadata__", t}}, {}), Error);
  CHECK_THROWS_AS(write_safetensors(path, {{"a\xFF", t}}, {}), Error);
  CHECK_THROWS_AS(write_safetensors(path, {{"a", Tensor()}}, {}), Error);
  CHECK(content_of(path) == before);
}

TEST_CASE("safetensors: metadata that is not UTF-8 is written with replacement characters") {
  const TemporaryFolder folder;
  write_safetensors(folder / "file", {}, {{"path", "caf\xE9/data"}});
  CHECK(read_safetensors(folder / "file").metadata.at("path") == "caf\xEF\xBF\xBD/data");
}

TEST_CASE("safetensors: a view of a larger tensor is written with only its own elements") {
  const TemporaryFolder folder;
  const Tensor whole = Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  write_safetensors(folder / "file", {{"rows", whole.slice(1, 3)}}, {});
  const SafetensorsFile file = read_safetensors(folder / "file");
  const auto values = file.tensors.at("rows").values<float>();
  CHECK(std::vector<float>(values.begin(), values.end()) == std::vector<float>{3, 4, 5, 6});
}

TEST_CASE("safetensors: a real weights file") {
  const fs::path folder = real_data("weights");
  const fs::path path = folder / "resnet18_imagenet_folded_stem_to_layer3.safetensors";
  if (folder.empty() || !fs::exists(path)) {
    MESSAGE("skipped: no real weights");
    return;
  }
  const SafetensorsFile file = read_safetensors(path);
  CHECK(file.metadata.at("format") == "pt");
  CHECK(file.tensors.at("conv1.weight").shape() == Shape{64, 3, 7, 7});
  CHECK(file.tensors.at("fc.weight").shape() == Shape{1000, 512});
  for (const auto& [name, tensor] : file.tensors) {
    CAPTURE(name);
    double sum = 0;
    for (float value : tensor.values<float>()) sum += static_cast<double>(value * value);
    CHECK(std::isfinite(sum));
    CHECK(sum > 0);
  }
}
