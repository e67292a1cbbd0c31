// Configuration tables: text to values and back, and the messages for invalid values.
#include "core/config.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

struct Example {
  int64_t count = 3;
  float rate = 0.5f;
  bool flip = false;
  std::string kind = "cosine", name;
  Levels sizes = {{1}};
};

std::span<const Field<Example>> example_fields() {
  static const Field<Example> fields[] = {
      number("count", &Example::count, 1, 10, "how many"),
      number("rate", &Example::rate, 0, 1, "how fast"),
      flag("flip", &Example::flip, "whether"),
      choice("kind", &Example::kind, "cosine|step", "which"),
      text("name", &Example::name, "anything"),
      numbers("sizes", &Example::sizes, 0.5, 100, "lists"),
  };
  return fields;
}

template <class T>
T parsed(std::string_view text) {
  T value{};
  parse_value("key", text, value);
  return value;
}

template <class T>
std::string refusal(std::string_view text) {
  return input_error([&] { parsed<T>(text); });
}

std::string refusal_of(std::string_view key, std::string_view text) {
  Example example;
  const std::string sentence = input_error([&] { set_field(example, example_fields(), key, text); });
  // The old value stays in any case.
  CHECK(list_fields(example, example_fields()) == list_fields(Example{}, example_fields()));
  return sentence;
}

}  // namespace

TEST_CASE("config: numbers") {
  CHECK(parsed<int64_t>("42") == 42);
  CHECK(parsed<int64_t>(" -7\t") == -7);
  CHECK(parsed<int64_t>("9223372036854775807") == INT64_MAX);
  CHECK(parsed<float>("0.25") == 0.25f);
  CHECK(parsed<float>("1e-3") == 1e-3f);
  CHECK(parsed<float>("7") == 7.0f);
}

TEST_CASE("config: text that is not a number") {
  for (const char* text : {"", " ", "abc", "4x", "4 5", "1.5", "1e3", "0x10", "+", "9223372036854775808"}) {
    CAPTURE(text);
    CHECK(refusal<int64_t>(text).starts_with("key: expected a whole number, found '"));
  }
  for (const char* text : {"", "abc", "0.5x", "1,5", "--1", "1e99", ".", "0.5 0.6"}) {
    CAPTURE(text);
    CHECK(refusal<float>(text).starts_with("key: expected a number, found '"));
  }
  for (const char* text : {"inf", "-inf", "nan"}) {
    CAPTURE(text);
    CHECK(contains(refusal<float>(text), "key: expected a finite number"));
  }
}

TEST_CASE("config: bools and strings") {
  CHECK(parsed<bool>("true"));
  CHECK_FALSE(parsed<bool>(" false "));
  for (const char* text : {"", "1", "True", "yes", "truefalse"})
    CHECK(contains(refusal<bool>(text), "key: expected true or false, found '" + std::string(text) + "'"));
  CHECK(parsed<std::string>(" a b ") == " a b ");  // a path may begin with a space
  CHECK(parsed<std::string>("").empty());
}

TEST_CASE("config: lists of numbers by level") {
  CHECK(parsed<Levels>("16,23; 32,45;64") == Levels{{16, 23}, {32, 45}, {64}});
  CHECK(parsed<Levels>("0.5, 1 ,2") == Levels{{0.5f, 1, 2}});
  for (const char* text : {"", ";", "1,", ",1", "1;;2", "1;", "a", "1,b", "1 2"}) {
    CAPTURE(text);
    CHECK(contains(refusal<Levels>(text), "key: expected numbers, with ',' between those of a level"));
  }
  for (const char* text : {"1,-inf", "1;inf", "nan"}) {
    CAPTURE(text);
    CHECK(contains(refusal<Levels>(text), "key: expected numbers, found '"));
  }
}

TEST_CASE("config: a formatted value is parsed back to the same value") {
  for (const int64_t value : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX})
    CHECK(parsed<int64_t>(format_value(value)) == value);
  for (const float value : {0.0f, 0.1f, 1.0f / 9, 1e-38f, 1e-45f, 3.4e38f, -0.02f, 16777217.0f}) {
    CAPTURE(value);
    CHECK(parsed<float>(format_value(value)) == value);
  }
  for (const bool value : {false, true}) CHECK(parsed<bool>(format_value(value)) == value);
  CHECK(parsed<std::string>(format_value(std::string("a;b = c"))) == "a;b = c");
  for (const Levels& value : {Levels{{16, 23}, {32, 45}}, Levels{{0.1f, 1.0f / 3}}, Levels{{1}, {2}, {3}}})
    CHECK(parsed<Levels>(format_value(value)) == value);
  CHECK(format_value(Levels{{16, 23}, {32}}) == "16,23; 32");
  CHECK(format_value(0.1f) == "0.1");
}

TEST_CASE("config: a field is set by its key") {
  Example example;
  CHECK(set_field(example, example_fields(), "count", "10"));
  CHECK(set_field(example, example_fields(), "rate", "1"));
  CHECK(set_field(example, example_fields(), "flip", "true"));
  CHECK(set_field(example, example_fields(), "kind", "step"));
  CHECK(set_field(example, example_fields(), "name", "x|y"));
  CHECK(set_field(example, example_fields(), "sizes", "2;3"));
  CHECK(example.count == 10);
  CHECK(example.rate == 1.0f);
  CHECK(example.flip);
  CHECK(example.kind == "step");
  CHECK(example.name == "x|y");
  CHECK(example.sizes == Levels{{2}, {3}});
  CHECK_FALSE(set_field(example, example_fields(), "coun", "1"));
  CHECK_FALSE(set_field(example, example_fields(), "", "1"));
  CHECK(example.count == 10);
}

TEST_CASE("config: a value that is out of range or not a choice is refused, and changes nothing") {
  CHECK(refusal_of("count", "0") == "count: expected a number from 1 to 10, found 0");
  CHECK(contains(refusal_of("count", "11"), "from 1 to 10, found 11"));
  CHECK(contains(refusal_of("count", "x"), "a whole number"));
  CHECK(contains(refusal_of("rate", "1.5"), "rate: expected a number from 0 to 1, found 1.5"));
  CHECK(contains(refusal_of("rate", "-0.1"), "from 0 to 1"));
  CHECK(refusal_of("kind", "linear") == "kind: expected cosine or step, found 'linear'");
  CHECK(contains(refusal_of("kind", ""), "found ''"));
  CHECK(contains(refusal_of("kind", "cosine|step"), "expected cosine or step"));
  CHECK(contains(refusal_of("sizes", "1;-2"), "sizes: expected a number from 0.5 to 100, found -2"));
}

TEST_CASE("config: the list has every field in the table's order, and makes another configuration equal") {
  Example example;
  example.rate = 1.0f / 3;
  example.name = std::string(2, 'n');
  example.sizes = {{1, 2}, {3}};
  const auto list = list_fields(example, example_fields());
  REQUIRE(list.size() == 6);
  CHECK(list[0] == std::pair<std::string, std::string>("count", "3"));
  CHECK(list[5] == std::pair<std::string, std::string>("sizes", "1,2; 3"));
  Example other;
  for (const auto& [key, text] : list) CHECK(set_field(other, example_fields(), key, text));
  CHECK(list_fields(other, example_fields()) == list);
  CHECK(other.rate == example.rate);
}

TEST_CASE("config: NaN is in no range") {
  CHECK(contains(input_error([] { check_range("key", std::nan(""), 0, 1); }), "key"));
  check_range("key", 0, 0, 1);
  check_range("key", 1, 0, 1);
  check_range("key", 1e300, 0, kNoLimit);
}
