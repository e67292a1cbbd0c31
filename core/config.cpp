#include "core/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace rcnn {
namespace {

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(trim(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return parts;
}

template <class T>
void parse_number(std::string_view key, std::string_view text, T& value, const char* expected) {
  text = trim(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check_input(error == std::errc() && end == text.data() + text.size(), "{}: expected {}, found '{}'", key,
              expected, text);
}

}  // namespace

std::string format_value(int64_t value) { return fmt::format("{}", value); }
std::string format_value(float value) { return fmt::format("{}", value); }
std::string format_value(bool value) { return value ? "true" : "false"; }
std::string format_value(const std::string& value) { return value; }
std::string format_value(const Levels& value) {
  std::string text;
  for (const std::vector<float>& level : value)
    text += (text.empty() ? "" : "; ") + fmt::format("{}", fmt::join(level, ","));
  return text;
}

void parse_value(std::string_view key, std::string_view text, int64_t& value) {
  parse_number(key, text, value, "a whole number");
}

void parse_value(std::string_view key, std::string_view text, float& value) {
  parse_number(key, text, value, "a number");
  check_input(std::isfinite(value), "{}: expected a finite number, found '{}'", key, text);
}

void parse_value(std::string_view key, std::string_view text, bool& value) {
  text = trim(text);
  check_input(text == "true" || text == "false", "{}: expected true or false, found '{}'", key, text);
  value = text == "true";
}

void parse_value(std::string_view, std::string_view text, std::string& value) { value = std::string(text); }

void parse_value(std::string_view key, std::string_view text, Levels& value) {
  value.clear();
  for (std::string_view level : split(text, ';')) {
    std::vector<float>& numbers = value.emplace_back();
    for (std::string_view number : split(level, ',')) {
      float parsed = 0;
      parse_number(key, number, parsed, "numbers, with ',' between those of a level and ';' between levels");
      check_input(std::isfinite(parsed), "{}: expected numbers, found '{}'", key, number);
      numbers.push_back(parsed);
    }
  }
}

void check_range(std::string_view key, double value, double min, double max) {
  check_input(value >= min && value <= max, "{}: expected a number from {} to {}, found {}", key, min, max,
              value);
}

void check_choice(std::string_view key, std::string_view value, std::string_view choices) {
  if (choices.empty()) return;
  const auto words = split(choices, '|');
  check_input(std::find(words.begin(), words.end(), value) != words.end(), "{}: expected {}, found '{}'", key,
              fmt::join(words, " or "), value);
}

}  // namespace rcnn
