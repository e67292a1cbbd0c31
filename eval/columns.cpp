#include "eval/columns.h"

#include <algorithm>

namespace rcnn {

size_t columns_of(std::string_view text) {
  size_t columns = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80) columns += byte >= 0xE3 ? 2 : 1;
  }
  return columns;
}

std::string fit(std::string_view text, size_t columns) {
  std::string fitted(text);
  if (columns_of(fitted) > columns) {
    while (columns_of(fitted) > columns - 2) {
      while ((static_cast<unsigned char>(fitted.back()) & 0xC0) == 0x80) fitted.pop_back();
      fitted.pop_back();
    }
    fitted += "..";
  }
  return fitted + std::string(columns - columns_of(fitted), ' ');
}

std::string wrapped(std::string_view sentence, std::string_view mark) {
  std::string text, line(mark);
  bool begins = true;  // the current line has no word yet
  for (size_t at = 0; at < sentence.size();) {
    const size_t end = std::min(sentence.find(' ', at), sentence.size());
    const std::string_view word = sentence.substr(at, end - at);
    if (!begins && columns_of(line) + 1 + columns_of(word) > kColumns) {
      text += line + "\n";
      line.assign(mark.size(), ' ');
      begins = true;
    }
    if (!begins) line += ' ';
    line += word;
    begins = false;
    at = end + 1;
  }
  return text + line + "\n";
}

}  // namespace rcnn
