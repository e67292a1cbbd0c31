// Text that need not be UTF-8 or harmless: names of files and of classes, and messages that contain them.
//
// A file name on Linux is any sequence of bytes. JSON, lists of images, reports and terminals take UTF-8, and
// a terminal obeys control characters. There is one rule for all of them, which `escaped` applies and
// `unescaped` takes back:
//
//   \xHH   (two hexadecimal digits) stands for one byte: one that is not part of valid UTF-8, one of a
//          control character (U+0000 to U+001F, U+007F to U+009F), a space at the beginning or the end of the
//          name, a byte order mark (U+FEFF) at its beginning, or a backslash that such digits would follow by
//          chance
//
// Any other name is written as it is.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rcnn {

/// The position of the first byte that is not part of valid UTF-8; npos if there is none.
size_t find_not_utf8(std::string_view text);

inline bool is_utf8(std::string_view text) { return find_not_utf8(text) == std::string_view::npos; }

/// The name by the rule above: one line of UTF-8 that is different for every name.
std::string escaped(std::string_view name);

/// The name that `escaped` made this text of.
std::string unescaped(std::string_view text);

/// A sentence with names in it, for a terminal: bytes that are not UTF-8 and control characters, line ends
/// included, are written as \xHH. Backslashes and spaces stay, so that a Windows path stays readable.
std::string printable(std::string_view text);

/// The same for a text of several lines: line ends stay.
std::string printable_lines(std::string_view text);

/// A word as a POSIX shell (with $'...', which bash, zsh and the POSIX of 2024 have) reads it back, whatever
/// its bytes are: one line of UTF-8 without control characters.
std::string shell_word(std::string_view word);

/// The text with the letters A to Z in lower case.
std::string lower_case(std::string text);

}  // namespace rcnn
