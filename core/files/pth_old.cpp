#include "core/files/pth_old.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/files/pth_state_dict.h"
#include "core/files/source_file.h"
#include "core/files/tensor_file.h"

namespace rcnn {
namespace {

/// The pickle of PyTorch's number 0x1950A86A20F9469CFC6C.
constexpr std::string_view kMagic{"\x80\x02\x8A\nl\xFC\x9C\x46\xF9 j\xA8P\x19.", 15};
constexpr int64_t kVersion = 1001;

class OldStorages : public PthStorages {
 public:
  /// `keys` is the pickle of the list, `at` the byte after it, and `pickle` refers to the storages.
  OldStorages(const SourceFile& source, const Pickle& pickle, const Pickle& keys, uint64_t at)
      : source_(source) {
    const std::map<std::string, int64_t> element_bytes = read_types(pickle);
    const PickleValue& list = keys[keys.root];
    check_input(list.kind == PickleKind::list, "{}: the list of its storages is not a list.", source.name());
    for (const uint32_t item : list.items) {
      const PickleValue& key = keys[item];
      check_input(key.kind == PickleKind::text,
                  "{}: the list of its storages has a key that is not a string.", source.name());
      const auto type = element_bytes.find(key.text);
      check_input(type != element_bytes.end(), "{}: nothing says of what type its storage {} is.",
                  source.name(), in_quotes(key.text));
      check_input(!places_.contains(key.text), "{} has the storage {} twice.", source.name(),
                  in_quotes(key.text));
      at = add(key.text, type->second, at);
    }
    check_input(at == source.size(),
                "{} continues after its last storage: it has {} bytes, {} of them are used.", source.name(),
                source.size(), at);
  }

  std::optional<uint64_t> bytes_of(const std::string& key) const override {
    const auto found = places_.find(key);
    return found == places_.end() ? std::nullopt : std::optional(found->second.bytes);
  }
  std::vector<std::byte> read(const std::string& key) const override {
    const Place& place = places_.at(key);
    std::vector<std::byte> bytes(static_cast<size_t>(place.bytes));
    source_.read(place.position, bytes.data(), bytes.size());
    return bytes;
  }
  std::string place_of(const std::string& key) const override { return "storage " + in_quotes(key); }

 private:
  struct Place {
    uint64_t position, bytes;
  };

  /// The bytes of an element of each storage, by its key: those of the optimiser's state too, because only
  /// they say where the next storage begins.
  std::map<std::string, int64_t> read_types(const Pickle& pickle) const {
    std::map<std::string, int64_t> types;
    for (const PickleValue& value : pickle.values) {
      const std::optional<PthStorageId> id = pth_storage_id(pickle, value);
      if (!id) continue;
      const int64_t bytes = pth_element_bytes(id->storage_class);
      check_input(bytes > 0, "{}: its storage {} is of the unknown type {}.", source_.name(),
                  in_quotes(id->key), id->storage_class);
      const auto [found, is_new] = types.emplace(id->key, bytes);
      check_input(is_new || found->second == bytes, "{}: its storage {} has two types.", source_.name(),
                  in_quotes(id->key));
    }
    return types;
  }

  /// Adds the storage at byte `at`, and returns the byte after it.
  uint64_t add(const std::string& key, int64_t element_bytes, uint64_t at) {
    const uint64_t left = source_.size() - at;
    int64_t elements = 0;
    check_input(left >= sizeof(elements), "{} is cut off, before its storage {}.", source_.name(),
                in_quotes(key));
    source_.read(at, &elements, sizeof(elements));
    at += sizeof(elements);
    const uint64_t room = left - sizeof(elements);
    check_input(
        elements >= 0 && static_cast<uint64_t>(elements) <= room / static_cast<uint64_t>(element_bytes),
        "{} is cut off, in its storage {}: {} elements of {} bytes should follow, and {} bytes do.",
        source_.name(), in_quotes(key), elements, element_bytes, room);
    const auto bytes = static_cast<uint64_t>(elements * element_bytes);
    places_[key] = {at, bytes};
    return at + bytes;
  }

  const SourceFile& source_;
  std::map<std::string, Place> places_;
};

/// Checks the version and the byte order.
void check_form(const std::string& file, const Pickle& version, const Pickle& system) {
  const PickleValue& number = version[version.root];
  check_input(number.kind == PickleKind::integer && number.integer == kVersion,
              "{} is in PyTorch's form from before version 1.6, but not in its version {}.", file, kVersion);
  const PickleValue& about = system[system.root];
  bool little = false;
  for (size_t i = 0; about.kind == PickleKind::dict && i < about.items.size(); i += 2)
    if (const PickleValue& key = system[about.items[i]], &value = system[about.items[i + 1]];
        key.kind == PickleKind::text && key.text == "little_endian")
      little = value.kind == PickleKind::boolean && value.integer == 1;
  check_input(little, "{} does not say that its numbers are little-endian.", file);
}

}  // namespace

bool is_old_pth(const std::filesystem::path& path) {
  std::array<char, kMagic.size()> start{};
  return SourceFile(path).read_up_to(0, start.data(), start.size()) == start.size() &&
         std::string_view(start.data(), start.size()) == kMagic;
}

SafetensorsFile read_old_pth(const std::filesystem::path& path) {
  const SourceFile source(path);
  // The pickles come first. One that is longer than the maximum is refused as cut off.
  std::vector<uint8_t> start(static_cast<size_t>(std::min<uint64_t>(source.size(), 2 * kMaxPickle)));
  source.read(0, start.data(), start.size());
  size_t at = kMagic.size();
  const auto next = [&] { return read_pickle(source.name(), start, pth_globals(), at); };
  const Pickle version = next();
  const Pickle system = next();
  check_form(source.name(), version, system);
  const Pickle pickle = next();
  const Pickle keys = next();
  return read_state_dict(source.name(), source.size(), pickle, OldStorages(source, pickle, keys, at));
}

}  // namespace rcnn
