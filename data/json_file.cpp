#include "data/json_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "data/files.h"

namespace rcnn {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// "at byte 12, line 3" for the byte with this index.
std::string place(std::string_view text, size_t index) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(index, text.size()));
  return fmt::format("at byte {}, line {}", index + 1, 1 + std::count(text.begin(), end, '\n'));
}

/// The index at which a text stops being valid JSON; its size if it ends too early, and nothing if it cannot
/// be determined. nlohmann's parser is much slower than simdjson, but reports the position.
std::optional<size_t> find_fault(std::string_view text) {
  const auto keep_nothing = [](int, nlohmann::json::parse_event_t, nlohmann::json&) { return false; };
  try {
    std::ignore = nlohmann::json::parse(text.begin(), text.end(), keep_nothing);
  } catch (const nlohmann::json::parse_error& fault) {
    return std::min(fault.byte == 0 ? 0 : fault.byte - 1, text.size());
  } catch (const nlohmann::json::exception&) {  // a number that no double holds
  }
  return std::nullopt;
}

bool is_in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '-' ||
         c == '.';
}

/// The letters, digits and signs around a place, and where they begin.
std::string_view word_around(std::string_view text, size_t index, size_t& begin) {
  begin = index;
  while (begin > 0 && is_in_word(text[begin - 1])) --begin;
  size_t end = index;
  while (end < text.size() && is_in_word(text[end])) ++end;
  return text.substr(begin, end - begin);
}

bool is_not_finite(std::string_view word) {
  const std::string lower =
      lower_case(std::string(word.substr(std::min(word.find_first_not_of("+-"), word.size()))));
  return lower == "nan" || lower == "inf" || lower == "infinity";
}

bool is_utf16(std::string_view text) {
  return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
         (text.size() >= 2 && (text[0] == 0 || text[1] == 0));
}

}  // namespace

std::string json_fault(std::string_view text, std::string_view parser_message) {
  if (is_utf16(text)) return "is not JSON: it is UTF-16 text, and JSON is UTF-8; save the file as UTF-8";
  if (trim(text).empty()) return "is not JSON: it is empty";
  if (const size_t bad = find_not_utf8(text); bad != std::string_view::npos)
    return fmt::format(
        "is not JSON {}: the byte 0x{:02X} is not UTF-8, so the text is probably Latin-1 or Windows-1252; "
        "save the file "
        "as UTF-8",
        place(text, bad), static_cast<unsigned char>(text[bad]));
  const std::optional<size_t> fault = find_fault(text);
  if (!fault) return fmt::format("is not JSON ({})", parser_message);
  const size_t at = *fault;
  if (at >= text.size()) return fmt::format("is not JSON: it is cut off {}", place(text, text.size()));
  size_t begin = 0;
  if (const std::string_view word = word_around(text, at, begin); is_not_finite(word))
    return fmt::format("is not JSON {}: {} is no number there; write null, or leave the entry out",
                       place(text, begin), word);
  const std::string_view before = trim(text.substr(0, at));
  if ((text[at] == ']' || text[at] == '}') && before.ends_with(','))
    return fmt::format("is not JSON {}: there is a comma after the last entry, before the {}",
                       place(text, before.size() - 1 + static_cast<size_t>(before.data() - text.data())),
                       text[at]);
  return fmt::format("is not JSON {} ({})", place(text, at), parser_message);
}

JsonFile::JsonFile(const std::filesystem::path& path) : file_(path.string()) {
  std::vector<uint8_t> bytes = read_file(path);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t mark = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  const size_t size = text.size() - mark;
  bytes.resize(bytes.size() + simdjson::SIMDJSON_PADDING);  // the parser reads ahead
  const simdjson::error_code error = parser_.parse(bytes.data() + mark, size, false).get(root_);
  if (error == simdjson::SUCCESS) return;
  text = {reinterpret_cast<const char*>(bytes.data()) + mark, size};
  throw InputError(fmt::format("{} {}.", file_, json_fault(text, simdjson::error_message(error))));
}

std::string as_text(const simdjson::dom::element& value) {
  constexpr size_t kMaxLength = 60;
  std::string text = simdjson::minify(value);
  if (text.size() > kMaxLength) {
    size_t end = kMaxLength;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // inside a character
    text = text.substr(0, end) + "...";
  }
  return text;
}

std::optional<double> number_in(const simdjson::dom::element& value) {
  double number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return std::nullopt;
  text = trim(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::optional<int64_t> whole_number_in(const simdjson::dom::element& value) {
  int64_t whole = 0;
  if (value.get(whole) == simdjson::SUCCESS) return whole;
  if (std::string_view text; value.get(text) == simdjson::SUCCESS) {
    text = trim(text);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (error == std::errc() && end == text.data() + text.size()) return whole;
  }
  const std::optional<double> number = number_in(value);
  if (number && *number == std::trunc(*number) && *number >= -0x1p63 && *number < 0x1p63)
    return static_cast<int64_t>(*number);
  return std::nullopt;
}

}  // namespace rcnn
