#include "core/text.h"

#include <algorithm>
#include <cstdint>

namespace rcnn {
namespace {

uint8_t byte_at(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

/// The length of the UTF-8 character at `i`; 0 if the bytes there are none. By Unicode's table 3-7 there are
/// no overlong forms, no surrogates and nothing above U+10FFFF.
size_t utf8_length(std::string_view text, size_t i) {
  const uint8_t first = byte_at(text, i);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() - i < length) return 0;
  const uint8_t min = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const uint8_t max = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte_at(text, i + 1) < min || byte_at(text, i + 1) > max) return 0;
  for (size_t k = 2; k < length; ++k)
    if ((byte_at(text, i + k) & 0xC0) != 0x80) return 0;
  return length;
}

bool is_control(std::string_view character) {
  const uint8_t first = byte_at(character, 0);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  return character.size() == 2 && first == 0xC2 && byte_at(character, 1) < 0xA0;
}

void append_escape(std::string& text, uint8_t byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  text += "\\x";
  text += kDigits[byte >> 4];
  text += kDigits[byte & 15];
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// The byte for which an escape at `i` stands, or -1 if there is none.
int escape_at(std::string_view text, size_t i) {
  if (text.size() - i < 4 || text[i] != '\\' || text[i + 1] != 'x') return -1;
  const int high = digit(text[i + 2]), low = digit(text[i + 3]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/// Escapes what is not UTF-8, control characters, and the other bytes of which `also(i)` is true.
template <class Also>
std::string escape(std::string_view text, const Also& also) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text, i);
    const std::string_view character = text.substr(i, length == 0 ? 1 : length);
    if (length == 0 || is_control(character) || also(i))
      for (size_t k = 0; k < character.size(); ++k) append_escape(result, byte_at(character, k));
    else
      result += character;
    i += character.size();
  }
  return result;
}

}  // namespace

size_t find_not_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text, i);
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

std::string escaped(std::string_view name) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  return escape(name, [&](size_t i) {
    return escape_at(name, i) >= 0 || (name[i] == ' ' && (i == 0 || i + 1 == name.size())) ||
           (i == 0 && name.starts_with(kByteOrderMark));
  });
}

std::string unescaped(std::string_view text) {
  std::string name;
  for (size_t i = 0; i < text.size();) {
    const int byte = escape_at(text, i);
    name += byte < 0 ? text[i] : static_cast<char>(byte);
    i += byte < 0 ? 1 : 4;
  }
  return name;
}

std::string printable(std::string_view text) {
  return escape(text, [](size_t) { return false; });
}

std::string printable_lines(std::string_view text) {
  std::string shown;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (begin > 0) shown += '\n';
    shown += printable(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return shown;
}

std::string shell_word(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=:,@%+-";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  const std::string shown = printable(word);
  const bool is_plain_text = shown == word;
  std::string quoted = is_plain_text ? "'" : "$'";
  for (size_t i = 0; i < word.size();) {
    const size_t length = std::max<size_t>(1, utf8_length(word, i));
    const std::string_view character = word.substr(i, length);
    if (is_plain_text && character == "'")
      quoted += R"('\'')";
    else if (!is_plain_text && (character == "'" || character == "\\"))
      quoted.append("\\").append(character);
    else
      quoted += printable(character);
    i += length;
  }
  return quoted + "'";
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace rcnn
