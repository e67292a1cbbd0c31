#include "bench/source_items.h"

#include <algorithm>
#include <cctype>
#include <sstream>

namespace rcnn {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// The text with comments, and what is in strings, replaced by spaces.
std::string without_comments(std::string text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "//") == 0) {
      for (; i < text.size() && text[i] != '\n'; ++i) text[i] = ' ';
    } else if (text[i] == '"' || (text[i] == '\'' && (i == 0 || !is_word(text[i - 1])))) {
      const char quote = text[i];
      for (++i; i < text.size() && text[i] != quote && text[i] != '\n'; ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) text[i++] = ' ';
        text[i] = ' ';
      }
    }
  }
  return text;
}

std::string last_word(const std::string& text) {
  size_t end = text.size();
  while (end > 0 && !is_word(text[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && is_word(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

void add_name(std::set<std::string>& names, const std::string& name) {
  if (!name.empty() && !name.starts_with("__") && name != "requires" && name != "alignas") names.insert(name);
}

/// The names that an item without comments defines: of a function the word before its parameters, otherwise
/// the last word before the body, the value or the base class, and after each comma of a list of constants.
std::set<std::string> names_of(const std::string& code) {
  std::set<std::string> names;
  const bool is_type = code.find("struct ") != std::string::npos || code.find("enum ") != std::string::npos ||
                       code.find("class ") != std::string::npos;
  int depth = 0, angles = 0;
  size_t piece = 0;
  bool in_value = false, function = false;
  for (size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    if (!in_value && c == '<') ++angles;
    if (!in_value && c == '>' && angles > 0) --angles;
    if (angles > 0) continue;
    if (depth == 0 && !in_value && c == '(') {
      add_name(names, last_word(code.substr(piece, i - piece)));
      function = true;
    }
    if (depth == 0 && !in_value && !function &&
        (c == '=' || c == '{' || c == '[' || c == ';' || (c == ':' && is_type && code[i + 1] != ':'))) {
      add_name(names, last_word(code.substr(piece, i - piece)));
      if (is_type && (c == '{' || c == ':')) return names;
      in_value = true;
    }
    if (function && depth == 0 && (c == '{' || c == ';')) return names;
    if (c == '(' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']') --depth;
    if (depth == 0 && in_value && c == ',') {
      in_value = false;
      piece = i + 1;
    }
  }
  return names;
}

}  // namespace

SourceItems split_source(const std::string& text) {
  constexpr std::string_view kBegin = "\nnamespace rcnn::kernels {\n", kEnd = "}  // namespace rcnn::kernels";
  SourceItems source;
  const size_t begin = text.find(kBegin), end = text.rfind(kEnd);
  if (begin == std::string::npos || end == std::string::npos) return source;
  source.head = text.substr(0, begin + 1);
  std::istringstream lines(text.substr(begin + kBegin.size(), end - begin - kBegin.size()));
  SourceItem item;
  bool anonymous = false, has_code = false;
  int depth = 0;
  for (std::string line; std::getline(lines, line);) {
    std::string code = without_comments(line);
    while (!code.empty() && code.back() == ' ') code.pop_back();
    if (depth == 0 && !has_code) {
      if (code == "namespace {" || (anonymous && line == "}  // namespace")) {
        anonymous = code == "namespace {";
        item = {};
        continue;
      }
      if (line.empty()) {  // what came before it was a comment by itself
        item = {};
        continue;
      }
    }
    item.text += line + "\n";
    for (const char c : code) depth += (c == '{' || c == '(') - (c == '}' || c == ')');
    has_code |= !code.empty();
    const bool directive = code.starts_with("#");
    const bool ends = directive ? code.back() != '\\'
                                : has_code && !code.empty() && (code.back() == ';' || code.back() == '}');
    if (depth != 0 || !ends) continue;
    item.anonymous = anonymous;
    if (!directive) item.names = names_of(without_comments(item.text));
    source.items.push_back(item);
    item = {};
    has_code = false;
  }
  return source;
}

std::set<std::string> identifiers_in(const std::string& text) {
  const std::string code = without_comments(text);
  std::set<std::string> words;
  for (size_t i = 0; i < code.size();) {
    size_t end = i;
    while (end < code.size() && is_word(code[end])) ++end;
    if (end > i) words.insert(code.substr(i, end - i));
    i = std::max(end, i + 1);
  }
  return words;
}

std::string rename_word(const std::string& text, const std::string& from, const std::string& to) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const bool here = text.compare(i, from.size(), from) == 0 && (i == 0 || !is_word(text[i - 1])) &&
                      (i + from.size() >= text.size() || !is_word(text[i + from.size()]));
    result += here ? to : std::string(1, text[i]);
    i += here ? from.size() : 1;
  }
  return result;
}

}  // namespace rcnn
