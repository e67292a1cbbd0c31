#include "core/files/pickle.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "core/files/tensor_file.h"

namespace rcnn {
namespace {

static_assert(std::endian::native == std::endian::little, "the numbers of a pickle are little-endian");

// The opcodes that this reader accepts, under the names of Python's pickletools.
constexpr uint8_t kProto = 0x80, kStop = '.', kMark = '(';
constexpr uint8_t kNone = 'N', kNewTrue = 0x88, kNewFalse = 0x89;
constexpr uint8_t kBinInt = 'J', kBinInt1 = 'K', kBinInt2 = 'M', kLong1 = 0x8A, kBinFloat = 'G';
constexpr uint8_t kBinUnicode = 'X', kBinString = 'T', kShortBinString = 'U';  // the last two: Python 2's
constexpr uint8_t kEmptyTuple = ')', kTuple = 't', kTuple1 = 0x85, kTuple2 = 0x86, kTuple3 = 0x87;
constexpr uint8_t kEmptyList = ']', kAppend = 'a', kAppends = 'e';
constexpr uint8_t kEmptyDict = '}', kSetItem = 's', kSetItems = 'u';
constexpr uint8_t kBinPut = 'q', kLongBinPut = 'r', kBinGet = 'h', kLongBinGet = 'j';
constexpr uint8_t kGlobal = 'c', kReduce = 'R', kNewObj = 0x81, kBuild = 'b', kBinPersId = 'Q';

// The other opcodes, for error messages.
constexpr std::pair<uint8_t, const char*> kRefused[] = {{'0', "POP"},
                                                        {'1', "POP_MARK"},
                                                        {'2', "DUP"},
                                                        {'B', "BINBYTES"},
                                                        {'C', "SHORT_BINBYTES"},
                                                        {'F', "FLOAT"},
                                                        {'I', "INT"},
                                                        {'L', "LONG"},
                                                        {'P', "PERSID"},
                                                        {'S', "STRING"},
                                                        {'V', "UNICODE"},
                                                        {'d', "DICT"},
                                                        {'g', "GET"},
                                                        {'i', "INST"},
                                                        {'l', "LIST"},
                                                        {'o', "OBJ"},
                                                        {'p', "PUT"},
                                                        {0x82, "EXT1"},
                                                        {0x83, "EXT2"},
                                                        {0x84, "EXT4"},
                                                        {0x8B, "LONG4"},
                                                        {0x8D, "BINUNICODE8"},
                                                        {0x8C, "SHORT_BINUNICODE"},
                                                        {0x8E, "BINBYTES8"},
                                                        {0x8F, "EMPTY_SET"},
                                                        {0x90, "ADDITEMS"},
                                                        {0x91, "FROZENSET"},
                                                        {0x92, "NEWOBJ_EX"},
                                                        {0x93, "STACK_GLOBAL"},
                                                        {0x94, "MEMOIZE"},
                                                        {0x95, "FRAME"},
                                                        {0x96, "BYTEARRAY8"},
                                                        {0x97, "NEXT_BUFFER"},
                                                        {0x98, "READONLY_BUFFER"}};

class Machine {
 public:
  Machine(const std::string& file, std::span<const uint8_t> bytes, std::span<const PickleGlobal> globals)
      : file_(file), bytes_(bytes), globals_(globals) {}

  /// Where the pickle ended.
  size_t at() const { return at_; }

  Pickle run() {
    require(number<uint8_t>() == kProto && number<uint8_t>() == 2,
            "does not begin like a pickle of protocol 2");
    while (true) {
      const uint8_t opcode = number<uint8_t>();
      if (opcode == kStop) break;
      step(opcode);
    }
    require(marks_.empty() && stack_.size() == 1, "ends with something other than one value");
    pickle_.root = stack_[0];
    return std::move(pickle_);
  }

 private:
  using Kind = PickleKind;

  void step(uint8_t opcode) {
    switch (opcode) {
      case kMark:
        require(marks_.size() < kMaxPickleDepth, "nests too deeply");
        marks_.push_back(stack_.size());
        return;
      case kNone:
        return push(Kind::none);
      case kNewTrue:
        return push(Kind::boolean, 1);
      case kNewFalse:
        return push(Kind::boolean, 0);
      case kBinInt:
        return push(Kind::integer, number<int32_t>());
      case kBinInt1:
        return push(Kind::integer, number<uint8_t>());
      case kBinInt2:
        return push(Kind::integer, number<uint16_t>());
      case kLong1:
        return push(Kind::integer, long_integer());
      case kBinFloat:
        take(8);
        return push(Kind::real);
      case kBinUnicode: {
        const std::string text = take_text(number<uint32_t>());
        require(simdjson::validate_utf8(text), "has a string that is not UTF-8");
        return push(Kind::text, 0, {}, text);
      }
      case kBinString:
        return push_bytes(number<uint32_t>());
      case kShortBinString:
        return push_bytes(number<uint8_t>());
      case kEmptyTuple:
        return push(Kind::tuple);
      case kTuple1:
        return push_tuple(1);
      case kTuple2:
        return push_tuple(2);
      case kTuple3:
        return push_tuple(3);
      case kTuple:
        return push(Kind::tuple, 0, pop_to_mark());
      case kEmptyList:
        return push(Kind::list);
      case kAppend:
        return append(Kind::list, pop(1));
      case kAppends:
        return append(Kind::list, pop_to_mark());
      case kEmptyDict:
        return push(Kind::dict);
      case kSetItem:
        return append(Kind::dict, pop(2));
      case kSetItems:
        return append(Kind::dict, pop_to_mark());
      case kBinPut:
        return put(number<uint8_t>());
      case kLongBinPut:
        return put(number<uint32_t>());
      case kBinGet:
        return get(number<uint8_t>());
      case kLongBinGet:
        return get(number<uint32_t>());
      case kGlobal:
        return push_global();
      case kReduce:
      case kNewObj:
        return call(pop(2));
      case kBuild:
        return build(pop(1)[0]);
      case kBinPersId:
        return push(Kind::persistent, 0, pop(1));
      default:
        refuse(opcode);
    }
  }

  // ---- bytes

  std::span<const uint8_t> take(size_t count) {
    require(count <= bytes_.size() - at_, "is cut off");
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  /// A number in two's complement, preceded by its length in bytes.
  int64_t long_integer() {
    const size_t count = number<uint8_t>();
    require(count <= 8, "has an integer of more than 64 bits");
    const std::span<const uint8_t> digits = take(count);
    uint64_t value = count > 0 && digits[count - 1] >= 0x80 ? ~uint64_t{0} : 0;
    for (size_t i = count; i-- > 0;) value = value << 8 | digits[i];
    return static_cast<int64_t>(value);
  }

  /// A line of a GLOBAL, which is a name.
  std::string line() {
    constexpr size_t kMaxLength = 200;
    const auto rest = bytes_.subspan(at_, std::min(kMaxLength, bytes_.size() - at_));
    const auto end = std::find(rest.begin(), rest.end(), uint8_t{'\n'});
    require(end != rest.end(), "has a name that does not end");
    std::string name(rest.begin(), end);
    at_ += name.size() + 1;
    return name;
  }

  // ---- the stack; values below the last mark are out of reach

  void push(Kind kind, int64_t integer = 0, std::vector<uint32_t> items = {}, std::string text = {}) {
    require(pickle_.values.size() < kMaxPickleValues, "has too many values");
    stack_.push_back(static_cast<uint32_t>(pickle_.values.size()));
    pickle_.values.push_back({kind, integer, std::move(text), std::move(items)});
  }

  std::vector<uint32_t> pop(size_t count) {
    require(stack_.size() >= (marks_.empty() ? 0 : marks_.back()) + count,
            "uses a value that is not on the stack");
    std::vector<uint32_t> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return values;
  }

  std::vector<uint32_t> pop_to_mark() {
    require(!marks_.empty(), "closes a list, tuple or dict that it has not opened");
    std::vector<uint32_t> values = pop(stack_.size() - marks_.back());
    marks_.pop_back();
    return values;
  }

  uint32_t top() const {
    require(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "uses a value that is not on the stack");
    return stack_.back();
  }

  std::string take_text(size_t count) {
    const std::span<const uint8_t> bytes = take(count);
    return {bytes.begin(), bytes.end()};
  }

  /// A string of Python 2, which is text or bytes.
  void push_bytes(size_t count) {
    std::string text = take_text(count);
    if (!simdjson::validate_utf8(text)) return push(Kind::other);
    push(Kind::text, 0, {}, std::move(text));
  }

  void push_tuple(size_t count) { push(Kind::tuple, 0, pop(count)); }

  void append(Kind to, const std::vector<uint32_t>& items) {
    PickleValue& container = pickle_.values[top()];
    if (container.kind == Kind::other) return;
    require(container.kind == to, "adds elements to a value that is neither a list nor a dict");
    require(to == Kind::list || items.size() % 2 == 0, "has a key without a value");
    container.items.insert(container.items.end(), items.begin(), items.end());
  }

  void push_global() {
    const std::string module = line(), name = module + "." + line();
    const auto found = std::find_if(globals_.begin(), globals_.end(), [&](const PickleGlobal& global) {
      return global.name.ends_with('.') ? name.starts_with(global.name) : global.name == name;
    });
    check_input(found != globals_.end(),
                "{}: its pickle names {}, which is not one of the few functions and classes that a weights "
                "file needs. A file that holds only a state_dict() names no others.",
                file_, in_quotes(name));
    push(found->use == PickleGlobal::Use::other ? Kind::other : Kind::global, found - globals_.begin());
  }

  /// Pushes a value that stands for a call of `both[0]` with `both[1]`. Nothing is called.
  void call(std::vector<uint32_t> both) {
    const PickleValue &function = pickle_.values[both[0]], &arguments = pickle_.values[both[1]];
    if (function.kind == Kind::other) return push(Kind::other);
    require(function.kind == Kind::global, "calls a value that is not a function");
    require(arguments.kind == Kind::tuple, "calls a function with arguments that are not a tuple");
    const PickleGlobal& global = globals_[static_cast<size_t>(function.integer)];
    check_input(global.use != PickleGlobal::Use::name, "{}: its pickle calls {}, which is only a name.",
                file_, in_quotes(global.name));
    if (global.use == PickleGlobal::Use::call) return push(Kind::call, 0, std::move(both));
    std::vector<uint32_t> entries;
    check_input(
        arguments.items.empty() || (arguments.items.size() == 1 && read_pairs(arguments.items[0], entries)),
        "{}: its pickle calls {} with arguments other than a list of pairs.", file_, in_quotes(global.name));
    push(Kind::dict, 0, std::move(entries));
  }

  /// Appends the keys and values of a list of pairs, as which Python 2 wrote an OrderedDict. False for
  /// another value. A pickle can repeat a long list in a few bytes, so there is a limit for all of them
  /// together.
  bool read_pairs(uint32_t list, std::vector<uint32_t>& entries) {
    if (pickle_.values[list].kind != Kind::list) return false;
    pairs_ += pickle_.values[list].items.size();
    require(pairs_ <= kMaxPickleValues, "has too many values");
    for (const uint32_t item : pickle_.values[list].items) {
      const PickleValue& pair = pickle_.values[item];
      if ((pair.kind != Kind::list && pair.kind != Kind::tuple) || pair.items.size() != 2) return false;
      entries.insert(entries.end(), pair.items.begin(), pair.items.end());
    }
    return true;
  }

  /// Sets attributes of the value below on the stack: a state dict keeps the versions of its modules there.
  void build(uint32_t state) const {
    const Kind target = pickle_.values[top()].kind, attributes = pickle_.values[state].kind;
    require(target == Kind::other || (target == Kind::dict && attributes == Kind::dict) ||
                (target == Kind::call && (attributes == Kind::dict || attributes == Kind::tuple)),
            "sets attributes on a value that has none");
  }

  // ---- the memo, which Python fills in order

  void put(size_t place) {
    require(place <= memo_.size(), "stores a value out of order");
    if (place == memo_.size()) memo_.push_back(0);
    memo_[place] = top();
  }

  void get(size_t place) {
    require(place < memo_.size(), "asks for a value that was never stored");
    stack_.push_back(memo_[place]);
  }

  // ---- faults

  void require(bool holds, const char* fault) const {
    check_input(holds, "{}: its pickle {}, before byte {} of {}.", file_, fault, at_, bytes_.size());
  }

  [[noreturn]] void refuse(uint8_t opcode) const {
    const auto* found = std::find_if(std::begin(kRefused), std::end(kRefused),
                                     [&](const auto& refused) { return refused.first == opcode; });
    throw InputError(
        fmt::format("{}: its pickle has the opcode {} (0x{:02X}) at byte {}, which no weights file needs.",
                    file_, found == std::end(kRefused) ? "without a name" : found->second, opcode, at_ - 1));
  }

  const std::string& file_;
  std::span<const uint8_t> bytes_;
  std::span<const PickleGlobal> globals_;
  size_t at_ = 0, pairs_ = 0;
  Pickle pickle_;
  std::vector<uint32_t> stack_, memo_;
  std::vector<size_t> marks_;
};

}  // namespace

Pickle read_pickle(const std::string& file, std::span<const uint8_t> bytes,
                   std::span<const PickleGlobal> globals) {
  check_input(bytes.size() <= kMaxPickle, "{}: its pickle has {} bytes; at most {} are read.", file,
              bytes.size(), kMaxPickle);
  size_t end = 0;
  Pickle pickle = read_pickle(file, bytes, globals, end);
  check_input(end == bytes.size(), "{}: its pickle continues after its end, before byte {} of {}.", file, end,
              bytes.size());
  return pickle;
}

Pickle read_pickle(const std::string& file, std::span<const uint8_t> bytes,
                   std::span<const PickleGlobal> globals, size_t& at) {
  const std::span<const uint8_t> rest = bytes.subspan(at);
  Machine machine(file, rest.first(std::min<size_t>(rest.size(), kMaxPickle)), globals);
  Pickle pickle = machine.run();
  at += machine.at();
  return pickle;
}

}  // namespace rcnn
