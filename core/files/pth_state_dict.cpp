#include "core/files/pth_state_dict.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/files/pth.h"
#include "core/files/tensor_file.h"

namespace rcnn {
namespace {

static_assert(std::endian::native == std::endian::little, "the elements of a storage are little-endian");

using Use = PickleGlobal::Use;
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";
// PyTorch's before 0.4.
constexpr std::string_view kOldRebuildTensor = "torch._utils._rebuild_tensor";
constexpr std::string_view kOldParameter = "torch.nn.parameter.Parameter";

constexpr PickleGlobal kGlobals[] = {{"collections.OrderedDict", Use::dict},
                                     {kRebuildTensor, Use::call},
                                     {kRebuildParameter, Use::call},
                                     {kOldRebuildTensor, Use::call},
                                     {kOldParameter, Use::call},
                                     {"torch.FloatStorage", Use::name},
                                     {"torch.DoubleStorage", Use::name},
                                     {"torch.HalfStorage", Use::name},
                                     {"torch.BFloat16Storage", Use::name},
                                     {"torch.IntStorage", Use::name},
                                     {"torch.LongStorage", Use::name},
                                     {"torch.ByteStorage", Use::name},
                                     {"torch.BoolStorage", Use::name},
                                     {"torch.ShortStorage", Use::name},
                                     {"torch.CharStorage", Use::name},
                                     {"torch.Size", Use::call},
                                     // What training programs write beside the weights: settings, scores,
                                     // paths, times, the steps of a schedule, the state of random numbers.
                                     {"argparse.Namespace", Use::call},
                                     {"types.SimpleNamespace", Use::other},
                                     {"collections.Counter", Use::call},
                                     {"collections.defaultdict", Use::other},
                                     {"collections.deque", Use::other},
                                     {"__builtin__.bytearray", Use::other},
                                     {"__builtin__.dict", Use::other},
                                     {"__builtin__.list", Use::other},
                                     {"__builtin__.object", Use::other},
                                     {"__builtin__.set", Use::other},
                                     {"__builtin__.slice", Use::other},
                                     {"_codecs.encode", Use::other},
                                     {"copy_reg._reconstructor", Use::other},
                                     {"datetime.", Use::other},
                                     {"lightning.", Use::other},
                                     {"lightning_fabric.", Use::other},
                                     {"mmcv.", Use::other},
                                     {"mmengine.", Use::other},
                                     {"numpy.core.multiarray.", Use::other},
                                     {"numpy._core.multiarray.", Use::other},
                                     {"numpy.dtype", Use::other},
                                     {"numpy.ndarray", Use::other},
                                     {"omegaconf.", Use::other},
                                     {"pathlib.", Use::other},
                                     {"pytorch_lightning.", Use::other},
                                     {"torch.device", Use::other},
                                     {"torch.serialization._get_layout", Use::other},
                                     {"torch.float16", Use::other},
                                     {"torch.bfloat16", Use::other},
                                     {"torch.float32", Use::other},
                                     {"torch.float64", Use::other},
                                     {"torch.int64", Use::other},
                                     {"torch.torch_version.TorchVersion", Use::other},
                                     {"typing.", Use::other},
                                     {"yacs.config.CfgNode", Use::other}};

struct StorageClass {
  std::string_view name;
  int64_t bytes;     // of an element
  const char* type;  // its name in safetensors; null if our tensors do not have it
};
constexpr StorageClass kStorageClasses[] = {
    {"torch.FloatStorage", 4, "F32"},   {"torch.DoubleStorage", 8, "F64"},
    {"torch.HalfStorage", 2, "F16"},    {"torch.BFloat16Storage", 2, "BF16"},
    {"torch.IntStorage", 4, "I32"},     {"torch.LongStorage", 8, "I64"},
    {"torch.ByteStorage", 1, "U8"},     {"torch.BoolStorage", 1, "BOOL"},
    {"torch.ShortStorage", 2, nullptr}, {"torch.CharStorage", 1, nullptr}};

const StorageClass* find_class(std::string_view name) {
  const auto* found = std::find_if(std::begin(kStorageClasses), std::end(kStorageClasses),
                                   [&](const StorageClass& entry) { return entry.name == name; });
  return found == std::end(kStorageClasses) ? nullptr : found;
}

/// A tensor as the pickle describes it; offset and strides count elements of the storage.
struct Entry {
  std::string name;
  std::string storage;  // its key
  const FileType* type = nullptr;
  int64_t offset = 0;
  std::vector<int64_t> sizes, strides;
  int64_t elements = 0;
};

/// Finds the tensors in the pickle of a file.
class StateDict {
 public:
  StateDict(const std::string& file, const Pickle& pickle, const PthStorages& storages)
      : file_(file), pickle_(pickle), storages_(storages) {}

  std::vector<Entry> entries() {
    const PickleValue& root = pickle_[pickle_.root];
    check_input(root.kind == PickleKind::dict,
                "{} holds no dict of tensors; expected what torch.save(model.state_dict(), ...) writes.",
                file_);
    const PickleValue& dict = usual_place(root);
    add_tensors(dict, "");
    if (entries_.empty())
      for (size_t i = 0; i < dict.items.size(); i += 2) {
        const PickleValue &key = pickle_[dict.items[i]], &value = pickle_[dict.items[i + 1]];
        if (key.kind == PickleKind::text && key.text != "optimizer" && value.kind == PickleKind::dict)
          add_tensors(value, key.text + ".");
      }
    check_input(!entries_.empty() || dict.items.empty(),
                "{} holds no tensors by name, neither at its top nor one dict further down; it has {}. "
                "Expected what torch.save(model.state_dict(), ...) writes.",
                file_, keys_of(dict));
    return std::move(entries_);
  }

 private:
  /// The dict in which training programs keep the model, beside the optimiser's state; or else `root`.
  const PickleValue& usual_place(const PickleValue& root) const {
    for (const std::string_view place : {"model", "state_dict", "model_state_dict"})
      for (size_t i = 0; i < root.items.size(); i += 2) {
        const PickleValue &key = pickle_[root.items[i]], &value = pickle_[root.items[i + 1]];
        if (key.kind == PickleKind::text && key.text == place && value.kind == PickleKind::dict) return value;
      }
    return root;
  }

  /// The first keys of a dict, for messages.
  std::string keys_of(const PickleValue& dict) const {
    constexpr size_t kMaxKeys = 4;
    std::vector<std::string> keys;
    for (size_t i = 0; i < dict.items.size() && keys.size() < kMaxKeys; i += 2)
      if (const PickleValue& key = pickle_[dict.items[i]]; key.kind == PickleKind::text)
        keys.push_back(in_quotes(key.text));
    return keys.empty() ? "no keys that are strings"
                        : fmt::format("the key{} {}", keys.size() == 1 ? "" : "s", fmt::join(keys, ", "));
  }

  /// Adds the tensors of a dict; numbers, text and whatever else is beside them is left out.
  void add_tensors(const PickleValue& dict, const std::string& prefix) {
    // A pickle repeats a value in two bytes, so entries that all copy one long key, or one dict, could take
    // any amount of memory. Therefore names are bounded in length and number, and occur only once.
    constexpr size_t kMaxTensors = size_t{1} << 16, kMaxName = 500;
    for (size_t i = 0; i < dict.items.size(); i += 2) {
      const PickleValue* value = &pickle_[dict.items[i + 1]];
      const bool parameter = is_call_of(*value, kRebuildParameter) || is_call_of(*value, kOldParameter);
      if (!parameter && !is_call_of(*value, kRebuildTensor) && !is_call_of(*value, kOldRebuildTensor))
        continue;
      const PickleValue& key = pickle_[dict.items[i]];
      check_input(key.kind == PickleKind::text, "{}: its state dict has a key that is not a string.", file_);
      check_input(prefix.size() + key.text.size() <= kMaxName,
                  "{}: the tensor {} has a name of {} bytes; at most {} are read.", file_,
                  in_quotes(key.text), prefix.size() + key.text.size(), kMaxName);
      const std::string name = prefix + key.text;
      check_input(names_.insert(name).second, "{} names the tensor {} twice.", file_, in_quotes(name));
      check_input(names_.size() <= kMaxTensors, "{} has more than {} tensors.", file_, kMaxTensors);
      entries_.push_back(read_entry(name, parameter ? pickle_[value->items[1]] : *value, parameter));
    }
  }

  bool is_call_of(const PickleValue& value, std::string_view function) const {
    return value.kind == PickleKind::call &&
           kGlobals[static_cast<size_t>(pickle_[value.items[0]].integer)].name == function;
  }

  /// `value` is the call that makes a tensor, or the tuple of arguments of one that makes a parameter.
  Entry read_entry(const std::string& name, const PickleValue& value, bool parameter) const {
    Entry entry;
    entry.name = name;
    const PickleValue* call = &value;
    if (parameter) {
      // The tensor, and perhaps whether it needs a gradient, and hooks.
      require(entry, !value.items.empty() && value.items.size() <= 3, "is a parameter without a value");
      call = &pickle_[value.items[0]];
    }
    const bool old = is_call_of(*call, kOldRebuildTensor);
    require(entry, old || is_call_of(*call, kRebuildTensor), "is a parameter that is not made of a tensor");
    const PickleValue& arguments = pickle_[call->items[1]];
    // Storage, offset, sizes, strides and, since 0.4, requires_grad and hooks; a seventh value would say that
    // the elements must be negated or conjugated.
    require(entry, arguments.items.size() == (old ? 4 : 6),
            old ? "is not made of four values" : "is not made of six values");
    const auto argument = [&](size_t i) -> const PickleValue& { return pickle_[arguments.items[i]]; };
    const int64_t stored = read_storage(entry, argument(0));
    require(entry, argument(1).kind == PickleKind::integer, "has an offset that is not an integer");
    entry.offset = argument(1).integer;
    entry.sizes = whole_numbers(entry, argument(2));
    entry.strides = whole_numbers(entry, argument(3));
    check_extent(entry, stored);
    return entry;
  }

  /// Sets the entry's storage and type, and returns the number of elements in the storage.
  int64_t read_storage(Entry& entry, const PickleValue& value) const {
    const std::optional<PthStorageId> id = pth_storage_id(pickle_, value);
    require(entry, id.has_value(), "has a storage that is not described in PyTorch's form");
    const StorageClass* storage = find_class(id->storage_class);
    entry.type = storage && storage->type ? find_file_type(storage->type) : nullptr;
    require(entry, entry.type != nullptr,
            fmt::format("has the storage {}; expected one of floats (64, 32 or 16 bits, or bfloat16), of "
                        "integers (64, 32 or 8 unsigned bits) or of bools",
                        id->storage_class));
    constexpr size_t kLongestKey = 64;  // PyTorch numbers the storages
    require(entry, id->key.size() <= kLongestKey, "has a storage whose key is not a short string");
    entry.storage = id->key;
    const std::optional<uint64_t> found = storages_.bytes_of(id->key);
    require(entry, found.has_value(),
            fmt::format("has its elements in the {}, which is missing", storages_.place_of(id->key)));
    const auto bytes = checked_elements({&id->elements, 1}, entry.type->bytes);
    require(entry,
            id->elements >= 0 && bytes.has_value() &&
                static_cast<uint64_t>(id->elements * entry.type->bytes) == *found,
            fmt::format("has a storage of {} elements of type {}, but the {} has {} bytes", id->elements,
                        entry.type->name, storages_.place_of(id->key), *found));
    return id->elements;
  }

  std::vector<int64_t> whole_numbers(const Entry& entry, const PickleValue& tuple) const {
    const PickleValue* list = &tuple;
    if (is_call_of(tuple, "torch.Size") && pickle_[tuple.items[1]].items.size() == 1)
      list = &pickle_[pickle_[tuple.items[1]].items[0]];
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
    check_input(holds, "{}: tensor {} {}.", file_, in_quotes(entry.name), fault);
  }

  const std::string& file_;
  const Pickle& pickle_;
  const PthStorages& storages_;
  std::vector<Entry> entries_;
  std::set<std::string> names_;
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

/// Bounds the memory that all tensors take, before any of it is allocated.
void check_total(const std::string& file, uint64_t file_size, const std::vector<Entry>& entries) {
  const auto max_total = static_cast<double>(file_size) * kMaxPthGrowth;
  double total = 0;
  for (const Entry& entry : entries)
    total += static_cast<double>(entry.elements) * static_cast<double>(size_of(entry.type->dtype));
  check_input(total <= max_total,
              "{}: its tensors would take {:.0f} bytes, more than {} times the file's {}.", file, total,
              kMaxPthGrowth, file_size);
}

}  // namespace

std::span<const PickleGlobal> pth_globals() { return kGlobals; }

int64_t pth_element_bytes(std::string_view storage_class) {
  const StorageClass* found = find_class(storage_class);
  return found ? found->bytes : 0;
}

std::optional<PthStorageId> pth_storage_id(const Pickle& pickle, const PickleValue& value) {
  if (value.kind != PickleKind::persistent) return std::nullopt;
  const PickleValue& id = pickle[value.items[0]];
  // "storage", class, key, device, number of elements and, in the old form, which part of another storage it
  // is: None for the whole one.
  if (id.kind != PickleKind::tuple || id.items.size() < 5 || id.items.size() > 6) return std::nullopt;
  const auto item = [&](size_t i) -> const PickleValue& { return pickle[id.items[i]]; };
  const bool fits = item(0).kind == PickleKind::text && item(0).text == "storage" &&
                    item(1).kind == PickleKind::global && item(2).kind == PickleKind::text &&
                    item(4).kind == PickleKind::integer &&
                    (id.items.size() == 5 || item(5).kind == PickleKind::none);
  if (!fits) return std::nullopt;
  return PthStorageId{kGlobals[static_cast<size_t>(item(1).integer)].name, item(2).text, item(4).integer};
}

SafetensorsFile read_state_dict(const std::string& file, uint64_t file_size, const Pickle& pickle,
                                const PthStorages& storages) {
  std::vector<Entry> entries = StateDict(file, pickle, storages).entries();
  check_total(file, file_size, entries);
  // Sorted by storage, so that only one storage is in memory at a time.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.storage < b.storage; });
  SafetensorsFile result;
  std::vector<std::byte> storage;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    if (i == 0 || entry.storage != entries[i - 1].storage) storage = storages.read(entry.storage);
    result.tensors.emplace(entry.name, make_tensor(entry, storage));
    result.types.emplace(entry.name, entry.type->name);
  }
  return result;
}

}  // namespace rcnn
