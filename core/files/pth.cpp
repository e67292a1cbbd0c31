#include "core/files/pth.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/files/pickle.h"
#include "core/files/tensor_file.h"
#include "core/files/zip_archive.h"

namespace rcnn {
namespace {

static_assert(std::endian::native == std::endian::little, "the elements of a storage are little-endian");

using Use = PickleGlobal::Use;
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";

// Everything that a pickle may name. The last three occur in what training programs write in addition to the
// weights: settings, the steps of a schedule, and sizes.
constexpr PickleGlobal kGlobals[] = {
    {"collections.OrderedDict", Use::dict}, {kRebuildTensor, Use::call},
    {kRebuildParameter, Use::call},         {"torch.FloatStorage", Use::name},
    {"torch.DoubleStorage", Use::name},     {"torch.HalfStorage", Use::name},
    {"torch.BFloat16Storage", Use::name},   {"torch.IntStorage", Use::name},
    {"torch.LongStorage", Use::name},       {"torch.ByteStorage", Use::name},
    {"torch.BoolStorage", Use::name},       {"torch.ShortStorage", Use::name},
    {"torch.CharStorage", Use::name},       {"argparse.Namespace", Use::call},
    {"collections.Counter", Use::call},     {"torch.Size", Use::call}};

/// The type of a storage's elements; null for a type that our tensors do not have.
const FileType* storage_type(std::string_view global) {
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {"torch.FloatStorage", "F32"},     {"torch.DoubleStorage", "F64"}, {"torch.HalfStorage", "F16"},
      {"torch.BFloat16Storage", "BF16"}, {"torch.IntStorage", "I32"},    {"torch.LongStorage", "I64"},
      {"torch.ByteStorage", "U8"},       {"torch.BoolStorage", "BOOL"}};
  for (const auto& [name, type] : kTypes)
    if (name == global) return find_file_type(type);
  return nullptr;
}

/// A tensor as the pickle describes it; offset and strides count elements of the storage.
struct Entry {
  std::string name;
  std::string record;
  const FileType* type = nullptr;
  int64_t offset = 0;
  std::vector<int64_t> sizes, strides;
  int64_t elements = 0;
};

/// Finds the tensors in the pickle of an archive.
class StateDict {
 public:
  /// `folder` is the prefix of the names of the archive's records.
  StateDict(const ZipArchive& archive, const std::string& folder, const Pickle& pickle)
      : archive_(archive), folder_(folder), pickle_(pickle) {}

  std::vector<Entry> entries() const {
    const PickleValue& dict = find();
    std::vector<Entry> entries;
    // A pickle repeats a string in two bytes, so entries that all copy one long key could take any amount of
    // memory. Every key may occur only once.
    std::set<std::string_view> keys;
    for (size_t i = 0; i < dict.items.size(); i += 2) {
      const PickleValue& key = pickle_[dict.items[i]];
      check_input(key.kind == PickleKind::text, "{}: its state dict has a key that is not a string.",
                  archive_.name());
      check_input(keys.insert(key.text).second, "{} names the tensor {} twice.", archive_.name(),
                  in_quotes(key.text));
      entries.push_back(read_entry(key.text, dict.items[i + 1]));
    }
    return entries;
  }

 private:
  const PickleValue& find() const {
    const PickleValue& root = pickle_[pickle_.root];
    check_input(root.kind == PickleKind::dict,
                "{} holds no dict of tensors; expected what torch.save(model.state_dict(), ...) writes.",
                archive_.name());
    for (const std::string_view place : {"model", "state_dict", "model_state_dict"})
      for (size_t i = 0; i < root.items.size(); i += 2) {
        const PickleValue &key = pickle_[root.items[i]], &value = pickle_[root.items[i + 1]];
        if (key.kind == PickleKind::text && key.text == place && value.kind == PickleKind::dict) return value;
      }
    return root;
  }

  /// The tuple of arguments of a call of `function`; null if the value is not such a call.
  const PickleValue* arguments_of(const PickleValue& value, std::string_view function) const {
    if (value.kind != PickleKind::call) return nullptr;
    const auto place = static_cast<size_t>(pickle_[value.items[0]].integer);
    return kGlobals[place].name == function ? &pickle_[value.items[1]] : nullptr;
  }

  Entry read_entry(const std::string& name, uint32_t number) const {
    Entry entry;
    entry.name = name;
    const PickleValue* value = &pickle_[number];
    if (const PickleValue* parameter = arguments_of(*value, kRebuildParameter)) {
      require(entry, parameter->items.size() == 3, "is a parameter that is not made of three values");
      value = &pickle_[parameter->items[0]];
    }
    const PickleValue* arguments = arguments_of(*value, kRebuildTensor);
    require(entry, arguments != nullptr,
            "is not a tensor; expected tensors by name, at the top of the file or under \"model\", "
            "\"state_dict\" or \"model_state_dict\"");
    // Storage, offset, sizes, strides, requires_grad, hooks; a seventh value would say that the elements must
    // be negated or conjugated.
    require(entry, arguments->items.size() == 6, "is not made of six values");
    const auto argument = [&](size_t i) -> const PickleValue& { return pickle_[arguments->items[i]]; };
    const int64_t stored = read_storage(entry, argument(0));
    require(entry, argument(1).kind == PickleKind::integer, "has an offset that is not an integer");
    entry.offset = argument(1).integer;
    entry.sizes = whole_numbers(entry, argument(2));
    entry.strides = whole_numbers(entry, argument(3));
    check_extent(entry, stored);
    return entry;
  }

  /// Sets the entry's record and type, and returns the number of elements in the storage.
  int64_t read_storage(Entry& entry, const PickleValue& storage) const {
    constexpr const char* kFault = "has a storage that is not described in PyTorch's form";
    require(entry, storage.kind == PickleKind::persistent, kFault);
    const PickleValue& id = pickle_[storage.items[0]];
    require(entry, id.kind == PickleKind::tuple && id.items.size() == 5, kFault);
    const PickleValue &word = pickle_[id.items[0]], &type = pickle_[id.items[1]], &key = pickle_[id.items[2]],
                      &numel = pickle_[id.items[4]];
    require(entry,
            word.kind == PickleKind::text && word.text == "storage" && type.kind == PickleKind::global &&
                key.kind == PickleKind::text && numel.kind == PickleKind::integer,
            kFault);
    const std::string_view global = kGlobals[static_cast<size_t>(type.integer)].name;
    entry.type = storage_type(global);
    require(entry, entry.type != nullptr,
            fmt::format("has the storage {}; expected one of floats (64, 32 or 16 bits, or bfloat16), of "
                        "integers (64, 32 or 8 unsigned bits) or of bools",
                        global));
    constexpr size_t kLongestKey = 64;  // PyTorch numbers the storages
    require(entry, key.text.size() <= kLongestKey, "has a storage whose key is not a short string");
    entry.record = folder_ + "data/" + key.text;
    const auto found = archive_.records().find(entry.record);
    require(entry, found != archive_.records().end(),
            fmt::format("has its elements in the record {}, which is missing", in_quotes(entry.record)));
    const auto bytes = checked_elements({&numel.integer, 1}, entry.type->bytes);
    require(entry,
            numel.integer >= 0 && bytes.has_value() &&
                static_cast<uint64_t>(numel.integer * entry.type->bytes) == found->second,
            fmt::format("has a storage of {} elements of type {}, but the record {} has {} bytes",
                        numel.integer, entry.type->name, in_quotes(entry.record), found->second));
    return numel.integer;
  }

  std::vector<int64_t> whole_numbers(const Entry& entry, const PickleValue& tuple) const {
    const PickleValue* list = &tuple;
    if (const PickleValue* size = arguments_of(tuple, "torch.Size"); size && size->items.size() == 1)
      list = &pickle_[size->items[0]];
    require(entry, list->kind == PickleKind::tuple, "has sizes or strides that are not a tuple");
    std::vector<int64_t> numbers;
    for (const uint32_t item : list->items) {
      const PickleValue& value = pickle_[item];
      require(entry, value.kind == PickleKind::integer && value.integer >= 0,
              "has a size or a stride that is not an integer from 0 to 2^63 - 1");
      numbers.push_back(value.integer);
    }
    require(entry, numbers.size() <= Shape::kMaxRank,
            fmt::format("has {} dimensions; at most {} are supported", numbers.size(), Shape::kMaxRank));
    return numbers;
  }

  /// Every element must lie in the storage, which has `stored` of them.
  void check_extent(Entry& entry, int64_t stored) const {
    require(entry, entry.sizes.size() == entry.strides.size(), "has different numbers of sizes and strides");
    const std::optional<int64_t> elements =
        checked_elements(entry.sizes, static_cast<int64_t>(sizeof(double)));
    require(entry, elements.has_value(),
            fmt::format("has the shape ({}), which is too large for any file", fmt::join(entry.sizes, ", ")));
    entry.elements = *elements;
    int64_t last = entry.offset;  // the position of the last element
    bool overflow = false;
    for (size_t i = 0; i < entry.sizes.size() && entry.elements > 0; ++i) {
      int64_t step = 0;
      overflow |= __builtin_mul_overflow(entry.sizes[i] - 1, entry.strides[i], &step);
      overflow |= __builtin_add_overflow(last, step, &last);
    }
    const bool inside = entry.elements > 0 ? last < stored : entry.offset <= stored;
    require(entry, entry.offset >= 0 && !overflow && inside,
            fmt::format("reaches beyond its storage: {} elements, offset {}, shape ({}), strides ({})",
                        stored, entry.offset, fmt::join(entry.sizes, ", "), fmt::join(entry.strides, ", ")));
  }

  void require(const Entry& entry, bool holds, std::string_view fault) const {
    check_input(holds, "{}: tensor {} {}.", archive_.name(), in_quotes(entry.name), fault);
  }

  const ZipArchive& archive_;
  const std::string& folder_;
  const Pickle& pickle_;
};

/// Copies the elements of a tensor in the order of its indices.
void gather(const Entry& entry, const std::byte* storage, std::byte* to) {
  const auto bytes = static_cast<size_t>(entry.type->bytes);
  const size_t rank = entry.sizes.size();
  std::vector<int64_t> index(rank, 0);
  int64_t place = entry.offset;
  for (int64_t i = 0; i < entry.elements; ++i) {
    std::memcpy(to, storage + static_cast<size_t>(place) * bytes, bytes);
    to += bytes;
    for (size_t d = rank; d-- > 0;) {  // the next index, the last dimension first
      if (++index[d] < entry.sizes[d]) {
        place += entry.strides[d];
        break;
      }
      place -= entry.strides[d] * (entry.sizes[d] - 1);  // a stride that is never taken may be any number
      index[d] = 0;
    }
  }
}

Tensor make_tensor(const Entry& entry, const std::vector<std::byte>& storage) {
  Tensor tensor = Tensor::empty(Shape(std::span<const int64_t>(entry.sizes)), entry.type->dtype);
  if (static_cast<int64_t>(size_of(tensor.dtype())) == entry.type->bytes) {
    gather(entry, storage.data(), static_cast<std::byte*>(tensor.mutable_raw()));
    return tensor;
  }
  std::vector<uint16_t> halves(static_cast<size_t>(entry.elements));
  gather(entry, storage.data(), reinterpret_cast<std::byte*>(halves.data()));
  widen_halves(halves, tensor.mutable_data<float>());
  return tensor;
}

/// The prefix of the name of the archive's record "data.pkl".
std::string find_folder(const ZipArchive& archive) {
  constexpr std::string_view kPickle = "data.pkl";
  for (const auto& [name, size] : archive.records()) {
    const size_t slash = name.find('/');
    if (slash != std::string::npos && std::string_view(name).substr(slash + 1) == kPickle)
      return name.substr(0, slash + 1);
  }
  throw InputError(
      fmt::format("{} is a zip archive without a data.pkl; expected a file that PyTorch's torch.save wrote.",
                  archive.name()));
}

void check_byte_order(const ZipArchive& archive, const std::string& folder) {
  const std::string record = folder + "byteorder";
  const auto found = archive.records().find(record);
  if (found == archive.records().end()) return;
  const std::vector<std::byte> bytes = archive.read(record);
  const std::string_view order(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  check_input(order == "little", "{} has numbers in the byte order {}; expected \"little\".", archive.name(),
              in_quotes(order));
}

/// Bounds the memory that all tensors take, before any of it is allocated.
void check_total(const ZipArchive& archive, const std::vector<Entry>& entries) {
  const auto max_total = static_cast<double>(archive.file_size()) * kMaxPthGrowth;
  double total = 0;
  for (const Entry& entry : entries)
    total += static_cast<double>(entry.elements) * static_cast<double>(size_of(entry.type->dtype));
  check_input(total <= max_total,
              "{}: its tensors would take {:.0f} bytes, more than {} times the file's {}.", archive.name(),
              total, kMaxPthGrowth, archive.file_size());
}

/// Refuses files that torch.save wrote before it used zip archives. They begin with a pickled number.
void refuse_old_format(const std::filesystem::path& path) {
  constexpr std::array<unsigned char, 8> kOld = {0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46};
  std::array<unsigned char, 8> start{};
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  const bool old =
      file && std::fread(start.data(), 1, start.size(), file.get()) == start.size() && start == kOld;
  check_input(
      !old,
      "{} is in PyTorch's format from before version 1.6, which is not supported. PyTorch converts it: "
      "torch.save(torch.load(\"{}\", map_location=\"cpu\", weights_only=True), \"new.pth\").",
      path.string(), path.filename().string());
}

}  // namespace

SafetensorsFile read_pth(const std::filesystem::path& path) {
  refuse_old_format(path);
  const ZipArchive archive(path);
  const std::string folder = find_folder(archive);
  check_byte_order(archive, folder);
  std::vector<Entry> entries;
  {
    const std::vector<std::byte> bytes = archive.read(folder + "data.pkl");
    const Pickle pickle =
        read_pickle(archive.name(), {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, kGlobals);
    entries = StateDict(archive, folder, pickle).entries();
  }
  check_total(archive, entries);

  // Sorted by storage, so that only one storage is in memory at a time.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.record < b.record; });
  SafetensorsFile result;
  std::vector<std::byte> storage;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    if (i == 0 || entry.record != entries[i - 1].record) storage = archive.read(entry.record);
    result.tensors.emplace(entry.name, make_tensor(entry, storage));
    result.types.emplace(entry.name, entry.type->name);
  }
  return result;
}

}  // namespace rcnn
