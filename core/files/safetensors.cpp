#include "core/files/safetensors.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/source_file.h"
#include "core/files/tensor_file.h"
#include "core/text.h"

namespace rcnn {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the bytes of a safetensors file are little-endian");

constexpr const char* kMetadata = "__metadata__";
constexpr uint64_t kLengthBytes = 8;

/// One tensor as the header describes it; `begin` and `end` count bytes of the data.
struct Entry {
  std::string name;
  const FileType* type = nullptr;
  Shape shape;
  uint64_t begin = 0, end = 0;
};

struct Header {
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
};

/// Reads a header's JSON. Every function throws InputError naming the file and the tensor.
class HeaderParser {
 public:
  explicit HeaderParser(const std::string& file) : file_(file) {}

  Header parse(const std::string& json) {
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    const simdjson::error_code error = parser.parse(json).get(root);
    check_input(error == simdjson::SUCCESS, "{} has a header that is not JSON ({}).", file_,
                simdjson::error_message(error));
    simdjson::dom::object fields;
    check_input(root.get(fields) == simdjson::SUCCESS, "{} has a header that is not a JSON object.", file_);

    Header header;
    std::set<std::string> seen;
    for (const auto& [key, value] : fields) {
      check_input(seen.insert(std::string(key)).second, "{} names the tensor {} twice.", file_,
                  in_quotes(key));
      if (key == kMetadata)
        header.metadata = parse_metadata(value);
      else
        header.entries.push_back(parse_entry(std::string(key), value));
    }
    return header;
  }

 private:
  using Element = simdjson::dom::element;

  std::map<std::string, std::string> parse_metadata(const Element& value) const {
    simdjson::dom::object fields;
    check_input(value.get(fields) == simdjson::SUCCESS, "{} has a {} that is not a JSON object.", file_,
                kMetadata);
    std::map<std::string, std::string> metadata;
    for (const auto& [key, element] : fields) {
      std::string_view text;
      check_input(element.get(text) == simdjson::SUCCESS,
                  "{} has a value of {} in its {} that is not a string.", file_, in_quotes(key), kMetadata);
      check_input(metadata.emplace(key, text).second, "{} has the key {} twice in its {}.", file_,
                  in_quotes(key), kMetadata);
    }
    return metadata;
  }

  Entry parse_entry(std::string name, const Element& value) const {
    simdjson::dom::object fields;
    check_input(value.get(fields) == simdjson::SUCCESS, "{}: the entry of tensor {} is not a JSON object.",
                file_, in_quotes(name));
    Entry entry;
    entry.name = std::move(name);
    bool has_shape = false, has_offsets = false;
    for (const auto& [key, element] : fields) {
      if (key == "dtype" && entry.type == nullptr) {
        entry.type = parse_type(entry, element);
      } else if (key == "shape" && !has_shape) {
        entry.shape = parse_shape(entry, element);
        has_shape = true;
      } else if (key == "data_offsets" && !has_offsets) {
        parse_offsets(entry, element);
        has_offsets = true;
      } else {
        fail(entry, fmt::format("has the field {}, which is repeated or unknown", in_quotes(key)));
      }
    }
    if (entry.type == nullptr || !has_shape || !has_offsets)
      fail(entry, "lacks one of the fields dtype, shape and data_offsets");
    check_size(entry);
    return entry;
  }

  const FileType* parse_type(const Entry& entry, const Element& value) const {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) fail(entry, "has a dtype that is not a string");
    const FileType* type = find_file_type(text);
    if (type == nullptr)
      fail(entry,
           fmt::format("is of type {}; expected F32, F64, F16, BF16, I32, I64, U8 or BOOL", in_quotes(text)));
    return type;
  }

  Shape parse_shape(const Entry& entry, const Element& value) const {
    simdjson::dom::array sizes;
    if (value.get(sizes) != simdjson::SUCCESS) fail(entry, "has a shape that is not a list");
    std::vector<int64_t> shape;
    for (const Element& element : sizes) {
      int64_t size = 0;
      if (element.get(size) != simdjson::SUCCESS || size < 0)
        fail(entry, "has a size in its shape that is not an integer from 0 to 2^63 - 1");
      shape.push_back(size);
    }
    if (shape.size() > Shape::kMaxRank)
      fail(entry, fmt::format("has {} dimensions; at most {} are supported", shape.size(), Shape::kMaxRank));
    return Shape(std::span<const int64_t>(shape));
  }

  void parse_offsets(Entry& entry, const Element& value) const {
    constexpr const char* kFault = "has data_offsets that are not two integers in ascending order";
    simdjson::dom::array offsets;
    if (value.get(offsets) != simdjson::SUCCESS || offsets.size() != 2) fail(entry, kFault);
    if (offsets.at(0).get(entry.begin) != simdjson::SUCCESS ||
        offsets.at(1).get(entry.end) != simdjson::SUCCESS || entry.begin > entry.end)
      fail(entry, kFault);
  }

  /// The shape must take as many bytes as the offsets span; a product over 2^63 must not pass as a small one.
  void check_size(const Entry& entry) const {
    const std::optional<int64_t> elements =
        checked_elements({entry.shape.begin(), entry.shape.end()}, entry.type->bytes);
    if (!elements)
      fail(entry, fmt::format("has the shape {}, which is too large for any file", entry.shape.str()));
    const auto bytes = static_cast<uint64_t>(*elements * entry.type->bytes);
    if (bytes != entry.end - entry.begin)
      fail(entry, fmt::format("has the shape {} of type {}, which is {} bytes, but data_offsets of {} bytes",
                              entry.shape.str(), entry.type->name, bytes, entry.end - entry.begin));
  }

  [[noreturn]] void fail(const Entry& entry, const std::string& fault) const {
    throw InputError(fmt::format("{}: tensor {} {}.", file_, in_quotes(entry.name), fault));
  }

  const std::string& file_;
};

/// Every byte of the data must belong to exactly one tensor.
void check_cover(const std::string& file, const std::vector<Entry>& entries, uint64_t data_bytes) {
  std::vector<const Entry*> order;
  for (const Entry& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  uint64_t covered = 0;
  for (const Entry* entry : order) {
    const std::string name = in_quotes(entry->name);
    check_input(entry->end <= data_bytes, "{}: tensor {} ends at byte {} of the data, which has {}.", file,
                name, entry->end, data_bytes);
    check_input(entry->begin >= covered,
                "{}: tensor {} starts at byte {} of the data, inside another tensor that ends at {}.", file,
                name, entry->begin, covered);
    check_input(entry->begin == covered,
                "{}: bytes {} to {} of the data, before tensor {}, belong to no tensor.", file, covered,
                entry->begin, name);
    covered = entry->end;
  }
  check_input(covered == data_bytes, "{}: the last {} of {} bytes of the data belong to no tensor.", file,
              data_bytes - covered, data_bytes);
}

Tensor read_tensor(const SourceFile& source, const Entry& entry, uint64_t data_begin) {
  const size_t bytes = static_cast<size_t>(entry.end - entry.begin);
  Tensor tensor = Tensor::empty(entry.shape, entry.type->dtype);
  if (static_cast<int64_t>(size_of(entry.type->dtype)) == entry.type->bytes) {
    source.read(data_begin + entry.begin, tensor.mutable_raw(), bytes);
    return tensor;
  }
  std::vector<uint16_t> halves(bytes / 2);
  source.read(data_begin + entry.begin, halves.data(), bytes);
  widen_halves(halves, tensor.mutable_data<float>());
  return tensor;
}

// ---- writing

/// The tensors in the order of their data: larger elements first.
std::vector<size_t> data_order(const std::vector<std::pair<std::string, Tensor>>& tensors) {
  std::vector<size_t> order(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return size_of(tensors[a].second.dtype()) > size_of(tensors[b].second.dtype());
  });
  return order;
}

const char* file_type(DType dtype) {
  for (const FileType& type : kFileTypes)
    if (type.dtype == dtype) return type.name;
  return "";
}

void check_writable(const std::string& file, const std::vector<std::pair<std::string, Tensor>>& tensors) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    check(is_utf8(name), "{} cannot be written: the tensor name {} is not UTF-8.", file, in_quotes(name));
    check(name != kMetadata, "{} cannot be written: no tensor may be named {}.", file, kMetadata);
    check(names.insert(name).second, "{} cannot be written: two tensors are named {}.", file,
          in_quotes(name));
    check(tensor.defined() && tensor.device().type == DeviceType::cpu,
          "{} cannot be written: tensor {} is not on the cpu.", file, in_quotes(name));
  }
}

std::string make_header(const std::vector<std::pair<std::string, Tensor>>& tensors,
                        const std::vector<size_t>& order,
                        const std::map<std::string, std::string>& metadata) {
  std::vector<std::array<uint64_t, 2>> offsets(tensors.size());
  uint64_t end = 0;
  for (size_t i : order) {
    offsets[i] = {end, end + tensors[i].second.bytes()};
    end = offsets[i][1];
  }
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Shape& shape = tensors[i].second.shape();
    header[tensors[i].first] = {{"dtype", file_type(tensors[i].second.dtype())},
                                {"shape", std::vector<int64_t>(shape.begin(), shape.end())},
                                {"data_offsets", offsets[i]}};
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const SourceFile source(path);
  const std::string& file = source.name();
  check_input(source.size() >= kLengthBytes,
              "{} is not a safetensors file: it has {} bytes, at least {} are needed.", file, source.size(),
              kLengthBytes);
  uint64_t header_bytes = 0;
  source.read(0, &header_bytes, kLengthBytes);
  check_input(
      header_bytes <= kMaxSafetensorsHeader,
      "{} is not a safetensors file: its first 8 bytes give a header of {} bytes; expected at most {}.", file,
      header_bytes, kMaxSafetensorsHeader);
  check_input(header_bytes <= source.size() - kLengthBytes,
              "{} is truncated: it should have a header of {} bytes, and {} bytes follow.", file,
              header_bytes, source.size() - kLengthBytes);
  std::string json(static_cast<size_t>(header_bytes), '\0');
  source.read(kLengthBytes, json.data(), json.size());

  const uint64_t data_begin = kLengthBytes + header_bytes;
  Header header = HeaderParser(file).parse(json);
  check_cover(file, header.entries, source.size() - data_begin);

  SafetensorsFile result;
  result.metadata = std::move(header.metadata);
  for (const Entry& entry : header.entries) {
    result.tensors.emplace(entry.name, read_tensor(source, entry, data_begin));
    result.types.emplace(entry.name, entry.type->name);
  }
  return result;
}

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  check_writable(path.string(), tensors);
  const std::vector<size_t> order = data_order(tensors);
  const std::string header = make_header(tensors, order, metadata);
  check(header.size() <= kMaxSafetensorsHeader,
        "{} cannot be written: its header would take {} bytes of at most {}.", path.string(), header.size(),
        kMaxSafetensorsHeader);
  write_atomically(path, [&](FileWriter& writer) {
    const uint64_t length = header.size();
    writer.write(std::as_bytes(std::span(&length, 1)));
    writer.write(header);
    for (size_t i : order)
      writer.write({static_cast<const std::byte*>(tensors[i].second.raw()), tensors[i].second.bytes()});
  });
}

}  // namespace rcnn
