// A C++ source of this project cut into its top-level items, for `rcnn lab new`.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace rcnn {

/// A function, a type, a constant or an alias, with the comment above it.
struct SourceItem {
  std::string text;             // without the blank lines around it
  std::set<std::string> names;  // what it defines
  bool anonymous = false;       // in the anonymous namespace
};

/// What is in namespace rcnn::kernels of a source that clang-format has formatted, and what is before it.
/// Comments that belong to no item are left out.
struct SourceItems {
  std::string head;
  std::vector<SourceItem> items;
};
SourceItems split_source(const std::string& text);

/// All identifiers in a text, outside of comments and strings.
std::set<std::string> identifiers_in(const std::string& text);
/// The text with every word `from` replaced by `to`.
std::string rename_word(const std::string& text, const std::string& from, const std::string& to);

}  // namespace rcnn
