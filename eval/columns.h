// Texts in columns, for the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rcnn {

inline constexpr size_t kColumns = 100;  // the width of a line

/// The number of columns that a text takes in a terminal. Characters from U+3000 on (Chinese, Japanese,
/// Korean, emoji) are counted as two columns wide.
size_t columns_of(std::string_view text);

/// The text, cut or padded with spaces to this number of columns.
std::string fit(std::string_view text, size_t columns);

/// A sentence wrapped into lines. The first line begins with `mark`, the others are indented by its width.
std::string wrapped(std::string_view sentence, std::string_view mark);

}  // namespace rcnn
