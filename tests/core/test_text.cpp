#include "core/text.h"

#include <doctest/doctest.h>

#include "core/rng.h"

using namespace rcnn;

TEST_CASE("text: UTF-8 by the table of the standard") {
  for (const char* good :
       {"", "cat", "\xC3\xA4", "\xE4\xB8\xAD", "\xF0\x9F\x90\x88", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"})
    CHECK(is_utf8(good));
  for (const char* bad : {"\xE9", "\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
                          "\xE4\xB8", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3("})
    CHECK_FALSE(is_utf8(bad));
  CHECK(find_not_utf8("b\xC3\xA4r b\xE4r") == 6);
}

TEST_CASE("text: a name is escaped only where it must be, and comes back") {
  const auto round = [](std::string_view name, std::string_view text) {
    CHECK(escaped(name) == text);
    CHECK(unescaped(text) == name);
  };
  round("", "");
  round("photo 1/\xC3\xA4.jpg", "photo 1/\xC3\xA4.jpg");
  round("caf\xE9", "caf\\xE9");
  round("caf\\xE9", "caf\\x5CxE9");           // a file that really has this name
  round("C:\\photos\\x1", "C:\\photos\\x1");  // backslashes without two digits stay
  round("\\\x01\\x4\xE9", "\\\\x01\\x4\\xE9");
  round("a\nb\tc\x7F", "a\\x0Ab\\x09c\\x7F");
  round("\x1B[31mred", "\\x1B[31mred");
  round(
      "\xC2\x9B"
      "31m",
      "\\xC2\\x9B31m");  // the control character U+009B
  round("\xC2\xA0", "\xC2\xA0");
  round(" lead and end ", "\\x20lead and end\\x20");
  round(" ", "\\x20");
  round(
      "\xEF\xBB\xBF"
      "a\xEF\xBB\xBF",
      "\\xEF\\xBB\\xBF"
      "a\xEF\xBB\xBF");  // a byte order mark, which readers of lists skip
  round(std::string_view("\0", 1), "\\x00");
}

TEST_CASE("text: every sequence of bytes has its own escaped form, which is one line of UTF-8") {
  RandomSequence random(1, Purpose::test, 0);
  const std::string_view bytes(
      "\\xE9 \n\x1B\xC3\xA4\x80"
      "5Ca",
      14);
  for (int i = 0; i < 20000; ++i) {
    std::string name;
    for (uint32_t n = random.below(9); n > 0; --n)
      name += bytes[random.below(static_cast<uint32_t>(bytes.size()))];
    const std::string text = escaped(name);
    REQUIRE(is_utf8(text));
    REQUIRE(text.find_first_of("\n\x1B") == std::string::npos);
    REQUIRE(unescaped(text) == name);
  }
}

TEST_CASE("text: a shell reads a word back") {
  CHECK(shell_word("--out=out/run_1") == "--out=out/run_1");
  CHECK(shell_word("") == "''");
  CHECK(shell_word("a b") == "'a b'");
  CHECK(shell_word("it's") == R"('it'\''s')");
  CHECK(shell_word("a`id`$(id){1,2}[x]!~#\\") == "'a`id`$(id){1,2}[x]!~#\\'");
  CHECK(shell_word("\xC3\xA4") == "'\xC3\xA4'");
  CHECK(shell_word("lat\xE9") == R"($'lat\xE9')");
  CHECK(shell_word("it's\n\\") == R"($'it\'s\x0A\\')");
}

TEST_CASE("text: a sentence keeps backslashes and spaces, but no control characters") {
  CHECK(printable("C:\\x41 has a caf\xE9 \x1B[2J\n") == "C:\\x41 has a caf\\xE9 \\x1B[2J\\x0A");
  CHECK(printable_lines("a\x1B\n\n b\n") == "a\\x1B\n\n b\n");
  CHECK(printable_lines("") == "");
}
