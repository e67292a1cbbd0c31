#include "core/files/pickle.h"

#include "tests/core/files/pth_fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

constexpr PickleGlobal kKnown[] = {{"box.Box", PickleGlobal::Use::call},
                                   {"box.Type", PickleGlobal::Use::name},
                                   {"collections.OrderedDict", PickleGlobal::Use::dict},
                                   {"path.Path", PickleGlobal::Use::other},
                                   {"array.", PickleGlobal::Use::other}};

Pickle read(const std::string& bytes) {
  return read_pickle("file.pth", {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, kKnown);
}

/// The message with which the pickle is refused; it must name the file and be one line.
std::string refusal(const std::string& bytes) {
  const std::string sentence = input_error([&] { read(bytes); });
  CHECK(sentence.starts_with("file.pth: its pickle "));
  CHECK_FALSE(contains(sentence, "\n"));
  CHECK(sentence.back() == '.');
  return sentence;
}

std::string refusal_of(const std::string& opcodes) { return refusal(py_pickle(opcodes)); }

int64_t integer_of(const std::string& opcodes) {
  const Pickle pickle = read(py_pickle(opcodes));
  REQUIRE(pickle[pickle.root].kind == PickleKind::integer);
  return pickle[pickle.root].integer;
}

/// A value as Python would print it.
std::string show(const Pickle& pickle, uint32_t number) {
  const PickleValue& value = pickle[number];
  const auto list = [&](const char* before, const char* after) {
    std::string text = before;
    for (size_t i = 0; i < value.items.size(); ++i) text += (i ? ", " : "") + show(pickle, value.items[i]);
    return text + after;
  };
  switch (value.kind) {
    case PickleKind::none:
      return "None";
    case PickleKind::boolean:
      return value.integer ? "True" : "False";
    case PickleKind::integer:
      return std::to_string(value.integer);
    case PickleKind::real:
      return "float";
    case PickleKind::text:
      return "'" + value.text + "'";
    case PickleKind::tuple:
      return list("(", ")");
    case PickleKind::list:
      return list("[", "]");
    case PickleKind::dict:
      return list("{", "}");
    case PickleKind::global:
      return std::string(kKnown[static_cast<size_t>(value.integer)].name);
    case PickleKind::call:
      return list("call(", ")");
    case PickleKind::persistent:
      return list("id(", ")");
    case PickleKind::other:
      return "other";
  }
  return "?";
}

std::string shown(const std::string& opcodes) {
  const Pickle pickle = read(py_pickle(opcodes));
  return show(pickle, pickle.root);
}

}  // namespace

TEST_CASE("pickle: every opcode that is supported") {
  CHECK(shown("N") == "None");
  CHECK(shown("\x88") == "True");
  CHECK(shown("\x89") == "False");
  CHECK(shown("G\x3F\xB9\x99\x99\x99\x99\x99\x9A") == "float");
  CHECK(shown(py_text("größe")) == "'größe'");
  CHECK(shown(py_text("")) == "''");
  CHECK(shown(")") == "()");
  CHECK(shown("K\1\x85") == "(1)");
  CHECK(shown("K\1K\2\x86") == "(1, 2)");
  CHECK(shown("K\1K\2K\3\x87") == "(1, 2, 3)");
  CHECK(shown("(K\1K\2K\3K\4t") == "(1, 2, 3, 4)");
  CHECK(shown("(t") == "()");
  CHECK(shown("]") == "[]");
  CHECK(shown("]K\1a") == "[1]");
  CHECK(shown("](K\1K\2eK\3a") == "[1, 2, 3]");
  CHECK(shown("}") == "{}");
  CHECK(shown("}K\1K\2s") == "{1, 2}");
  CHECK(shown("}(K\1K\2K\3K\4u") == "{1, 2, 3, 4}");
  CHECK(shown("K\7Q") == "id(7)");
  CHECK(shown(py_global("box", "Type")) == "box.Type");
  CHECK(shown("cbox\nBox\nK\1\x85R") == "call(box.Box, (1))");
  CHECK(shown(std::string("cbox\nBox\n)\x81", 11)) == "call(box.Box, ())");
  CHECK(shown(py_ordered_dict() + "K\1K\2s") == "{1, 2}");
  // As Python 2 wrote it: OrderedDict([[1, 2], (3, 4)]).
  CHECK(shown(py_call(py_global("collections", "OrderedDict"), {"](](K\1K\2eK\3K\4\x86"
                                                                "e"}) +
              "K\5K\6s") == "{1, 2, 3, 4, 5, 6}");
  CHECK(shown(py_call(py_global("collections", "OrderedDict"), {"]"})) == "{}");
}

TEST_CASE("pickle: of the values that are left out nothing is kept") {
  for (const std::string& global :
       {py_global("path", "Path"), py_global("array", "x"), py_global("array.y", "z")}) {
    CHECK(shown(global) == "other");
    CHECK(shown(global + ")R") == "other");
    CHECK(shown(global + ")\x81") == "other");
    CHECK(shown(global + ")RK\1b") == "other");                 // any state
    CHECK(shown(global + ")RK\1K\2s(K\1K\2eK\3a") == "other");  // and elements, as of a dict or a list
    CHECK(shown(global + ")R)R") == "other");                   // what it returns may be called
  }
  CHECK(contains(refusal_of(py_global("path", "Paths")), "names \"path.Paths\""));
  CHECK(contains(refusal_of(py_global("path", "Path.x")), "names \"path.Path.x\""));
  CHECK(contains(refusal_of(py_global("arrays", "x")), "names \"arrays.x\""));
  CHECK(shown(std::string("U\3abc", 5)) == "'abc'");
  CHECK(shown(std::string("T\3\0\0\0abc", 8)) == "'abc'");
  CHECK(shown(std::string("U\2\xFF\xFE", 4)) == "other");  // not text
}

TEST_CASE("pickle: the first of several") {
  const std::string bytes = py_pickle(py_int(7)) + py_pickle("N") + "rest";
  const std::span<const uint8_t> all(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  size_t at = 0;
  const Pickle first = read_pickle("file", all, kKnown, at);
  CHECK(first[first.root].integer == 7);
  CHECK(at == py_pickle(py_int(7)).size());
  CHECK(read_pickle("file", all, kKnown, at).values.size() == 1);
  CHECK(bytes.substr(at) == "rest");
  CHECK(contains(input_error([&] { read_pickle("file", all, kKnown, at); }), "protocol 2"));
}

TEST_CASE("pickle: integers of every width and sign") {
  CHECK(integer_of(std::string("K\xFF", 2)) == 255);
  CHECK(integer_of(std::string("M\x34\x12", 3)) == 0x1234);
  CHECK(integer_of(std::string("M\xFF\xFF", 3)) == 65535);
  CHECK(integer_of(std::string("J\xFB\xFF\xFF\xFF", 5)) == -5);
  CHECK(integer_of(std::string("J\xFF\xFF\xFF\x7F", 5)) == INT32_MAX);
  CHECK(integer_of(std::string("\x8A\x00", 2)) == 0);
  CHECK(integer_of(std::string("\x8A\x01\xFF", 3)) == -1);
  CHECK(integer_of(std::string("\x8A\x02\xFF\x00", 4)) == 255);
  CHECK(integer_of(std::string("\x8A\x06\0\0\0\0\0\1", 8)) == int64_t{1} << 40);
  CHECK(integer_of("\x8A\x08" + bytes_of_number(INT64_MIN)) == INT64_MIN);
  CHECK(contains(refusal_of(std::string("\x8A\x09", 2) + std::string(9, '\1')), "more than 64 bits"));
}

TEST_CASE("pickle: values are stored and fetched, even into themselves") {
  CHECK(shown(std::string("(K\7q\0K\10q\1h\0h\1t", 14)) == "(7, 8, 7, 8)");
  CHECK(shown(std::string("(K\7r\0\0\0\0j\0\0\0\0t", 14)) == "(7, 7)");
  CHECK(shown(std::string("(K\7q\0K\10q\0h\0t", 12)) == "(7, 8, 8)");  // stored again
  const Pickle cycle = read(py_pickle(std::string("]q\0h\0a", 6)));    // a list that is its own element
  CHECK(cycle[cycle.root].items == std::vector<uint32_t>{cycle.root});
}

TEST_CASE("pickle: attributes are read and dropped") {
  CHECK(shown(py_ordered_dict() + "K\1K\2s" + py_dict({{"_metadata", "}"}}) + "b") == "{1, 2}");
  CHECK(shown(std::string("cbox\nBox\n)\x81", 11) + py_dict({{"a", "K\1"}}) + "b") == "call(box.Box, ())");
  CHECK(contains(refusal_of("K\1}b"), "sets attributes on a value that has none"));
  CHECK(shown(std::string("cbox\nBox\n)\x81", 11) + ")b") == "call(box.Box, ())");
  CHECK(contains(refusal_of("}K\1b"), "sets attributes on a value that has none"));
  CHECK(contains(refusal_of("]}b"), "sets attributes on a value that has none"));
}

TEST_CASE("pickle: functions outside the list are refused by name, and nothing is called") {
  const std::string system = py_call(py_global("os", "system"), {py_text("touch /tmp/never")});
  CHECK(contains(refusal_of(system), "names \"os.system\""));
  for (const char* module : {"posix", "nt", "builtins", "__builtin__", "box.Box", ""})
    CHECK(contains(refusal_of(py_global(module, "eval")), "names \"" + std::string(module) + ".eval\""));
  CHECK(contains(refusal_of(py_global("box", "Boxes")), "names \"box.Boxes\""));
  CHECK(contains(refusal_of(py_global("box", "Bo")), "names \"box.Bo\""));
  CHECK(
      contains(refusal_of(py_global("a\x01\xFF", "b\x1B[2J")), "names \"a\\u0001\xEF\xBF\xBD.b\\u001b[2J\""));
  CHECK(contains(refusal_of(py_call(py_global("box", "Type"), {})),
                 "calls \"box.Type\", which is only a name"));
  for (const char* other : {"K\1", "}", ")", "]K\1a", "](]K\1ae", "](K\1K\2K\3ta"})
    CHECK(contains(refusal_of(py_call(py_global("collections", "OrderedDict"), {other})),
                   "calls \"collections.OrderedDict\" with arguments other than a list of pairs"));
  CHECK(contains(refusal_of(py_call(py_global("collections", "OrderedDict"), {"]", "]"})), "list of pairs"));
  CHECK(contains(refusal_of("K\1)R"), "calls a value that is not a function"));
  CHECK(contains(refusal_of(py_text("os.system") + ")R"), "calls a value that is not a function"));
  CHECK(contains(refusal_of("cbox\nBox\n)R)R"), "calls a value that is not a function"));  // a call's result
  CHECK(contains(refusal_of("cbox\nBox\n]R"), "arguments that are not a tuple"));
}

TEST_CASE("pickle: every other opcode is refused by name") {
  const std::string read_ones =
      "\x80.(N\x88\x89JKM\x8AGX)t\x85\x86\x87]ae}suqrhjcR\x81"
      "bQTU";
  for (int opcode = 0; opcode < 256; ++opcode) {
    if (opcode != 0x80 && contains(read_ones, std::string(1, static_cast<char>(opcode)))) continue;
    CAPTURE(opcode);
    CHECK(contains(refusal_of(std::string(1, static_cast<char>(opcode))),
                   fmt::format("(0x{:02X}) at byte 2", opcode)));
  }
  CHECK(contains(refusal_of("(ios\nsystem\n"), "the opcode INST (0x69) at byte 3"));
  CHECK(contains(refusal_of("\x93"), "the opcode STACK_GLOBAL (0x93)"));
  CHECK(contains(refusal_of("S'x'\n"), "the opcode STRING (0x53)"));
  CHECK(contains(refusal_of("\xFE"), "the opcode without a name (0xFE)"));
}

TEST_CASE("pickle: other protocols, cut off anywhere, and more at the end") {
  CHECK(contains(refusal("\x80\x04N."), "protocol 2"));
  CHECK(contains(refusal("N."), "protocol 2"));
  const std::string whole =
      py_pickle(py_dict({{"a", py_call(py_global("box", "Box"), {py_int(1), py_int(1000), py_int(1 << 20)})},
                         {"b", "](\x88NG12345678e"},
                         {"c", std::string("\x8A\x03\1\2\3q\0h\0\x86", 10)}}));
  read(whole);
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    refusal(whole.substr(0, length));
  }
  CHECK(contains(refusal(whole + "N"), "continues after its end"));
  CHECK(contains(refusal_of(""), "other than one value"));
  CHECK(contains(refusal_of("NN"), "other than one value"));
  CHECK(contains(refusal_of("N("), "other than one value"));
  CHECK(contains(refusal_of(std::string("X\xFF\xFF\xFF\xFF", 5) + "abc"), "is cut off"));
  CHECK(contains(refusal_of("c" + std::string(300, 'a')), "a name that does not end"));
  CHECK(contains(refusal_of(py_text("\xC3\x28")), "not UTF-8"));
}

TEST_CASE("pickle: operands that are not there") {
  for (const char* opcodes : {"\x85", "K\1\x86", "K\1K\2\x87", "R", ")R", "\x81", "b", "}b", "Q", "a", "]a",
                              "s", "}K\1s", "K\1K\1(s", "K\1(Q", "]K\1(a", "(e", "(u"})
    CHECK(contains(refusal_of(opcodes), "uses a value that is not on the stack"));
  CHECK(contains(refusal_of(std::string("q\0", 2)), "uses a value that is not on the stack"));
  CHECK(contains(refusal_of(std::string("K\1(q\0", 5)), "uses a value that is not on the stack"));
  for (const char* opcodes : {"t", "e", "]e", "}u"})
    CHECK(contains(refusal_of(opcodes), "closes a list, tuple or dict that it has not opened"));
  CHECK(contains(refusal_of("}K\1a"), "neither a list nor a dict"));
  CHECK(contains(refusal_of("](K\1K\2u"), "neither a list nor a dict"));
  CHECK(contains(refusal_of("K\1K\1a"), "neither a list nor a dict"));
  CHECK(contains(refusal_of("}(K\1u"), "a key without a value"));
}

TEST_CASE("pickle: stored values out of order or range") {
  CHECK(contains(refusal_of(std::string("h\0", 2)), "never stored"));
  CHECK(contains(refusal_of(std::string("Nq\0h\1", 5)), "never stored"));
  CHECK(contains(refusal_of(std::string("Nq\0j\xFF\xFF\xFF\xFF", 8)), "never stored"));
  CHECK(contains(refusal_of("Nq\1"), "out of order"));
  CHECK(contains(refusal_of("Nr\xFF\xFF\xFF\xFF"), "out of order"));
}

TEST_CASE("pickle: nesting, values and bytes have limits") {
  const std::string deepest(kMaxPickleDepth, '('), close(kMaxPickleDepth, 't');
  CHECK(shown(deepest + close).size() == 2 * kMaxPickleDepth);
  CHECK(contains(refusal_of(deepest + "(" + close + "t"), "nests too deeply"));
  read(py_pickle("N" + std::string(500'000, '\x85')));  // one value inside the other: nothing recurses
  CHECK(contains(refusal_of("(" + std::string(kMaxPickleValues + 1, 'N') + "t"), "too many values"));
  CHECK(contains(refusal(std::string(kMaxPickle + 1, 'N')), "has 16777217 bytes; at most 16777216"));
}

TEST_CASE("pickle: one long list of pairs cannot become many dicts") {
  // 1,000 dicts of 10,000 entries in 26 kB.
  std::string opcodes = std::string("(K\1K\2\x86q\0", 8) + "](";
  for (int i = 0; i < 10'000; ++i) opcodes += std::string("h\0", 2);
  opcodes += std::string("eq\1\x85q\2", 6) + "ccollections\nOrderedDict\n" + std::string("q\3", 2);
  for (int i = 0; i < 1000; ++i) opcodes += std::string("h\3h\2R", 5);
  CHECK(contains(refusal_of(opcodes + "t"), "has too many values"));
}
