#include "data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "data/files.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

/// Takes lines from the text of a file.
class Reader {
 public:
  Reader(const fs::path& file, std::string_view text) : file_(file), text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    const std::string_view header = text_.substr(0, text_.find('\n'));
    for (const char c : {';', '\t'})
      if (std::count(header.begin(), header.end(), c) > std::count(header.begin(), header.end(), separator_))
        separator_ = c;
  }

  /// The values of the next line that is not empty; false at the end. `line` receives its number.
  bool next(std::vector<std::string>& values, size_t& line) {
    while (!text_.empty()) {
      line = line_;
      read(values);
      if (values.size() > 1 || !values.front().empty()) return true;
    }
    return false;
  }

 private:
  void read(std::vector<std::string>& values) {
    values.assign(1, {});
    const size_t first = line_;
    bool quoted = false;
    size_t at = 0;
    for (; at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == '\n') ++line_;
      if (quoted) {
        if (c != '"')
          values.back() += c;
        else if (at + 1 < text_.size() && text_[at + 1] == '"')
          values.back() += text_[++at];
        else
          quoted = false;
      } else if (c == '"' && trim(values.back()).empty()) {
        values.back().clear();
        quoted = true;
      } else if (c == separator_) {
        values.emplace_back();
      } else if (c == '\n') {
        break;
      } else {
        values.back() += c;
      }
    }
    check_input(!quoted, "{}: the quotation mark that opens in line {} is not closed.", file_.string(),
                first);
    text_.remove_prefix(std::min(at + 1, text_.size()));
    for (std::string& value : values) value = std::string(trim(value));
  }

  const fs::path& file_;
  std::string_view text_;
  char separator_ = ',';
  size_t line_ = 1;
};

}  // namespace

CsvColumns::CsvColumns(const std::vector<std::string>& header) : names_(header) {
  for (std::string& name : names_) name = lower_case(name);
}

bool CsvColumns::has_all(std::initializer_list<std::string_view> names) const {
  return std::all_of(names.begin(), names.end(), [&](std::string_view name) { return has(name); });
}

std::optional<size_t> CsvColumns::find(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) return std::nullopt;
  return static_cast<size_t>(found - names_.begin());
}

std::string_view CsvRow::operator[](std::string_view column) const {
  const std::optional<size_t> index = columns.find(column);
  return index && *index < values.size() ? std::string_view(values[*index]) : std::string_view();
}

std::optional<double> CsvRow::number(std::string_view column) const {
  const std::string_view text = (*this)[column];
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = error == std::errc() && end == text.data() + text.size() && std::abs(number) < 1e9;
  return good ? std::optional(number) : std::nullopt;
}

CsvColumns read_csv_header(const fs::path& file) try {
  constexpr size_t kMaxHeader = 4096;
  const std::vector<uint8_t> bytes = read_file(file, kMaxHeader);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string> values;
  size_t line = 0;
  Reader(file, text.substr(0, text.find('\n'))).next(values, line);
  return CsvColumns(values);
} catch (const InputError&) {
  return CsvColumns({});
}

void for_each_csv_row(const fs::path& file, const std::function<void(const CsvRow&)>& row) {
  const std::vector<uint8_t> bytes = read_file(file);
  Reader reader(file, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  std::vector<std::string> values;
  size_t line = 0;
  if (!reader.next(values, line)) return;
  const CsvColumns columns(values);
  while (reader.next(values, line)) row({columns, values, line});
}

}  // namespace rcnn
