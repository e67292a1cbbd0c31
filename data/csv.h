// Tables of comma-separated values (RFC 4180), as annotation programs and spreadsheets write them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rcnn {

/// The columns of a table by the names in its first line, in lower case.
class CsvColumns {
 public:
  explicit CsvColumns(const std::vector<std::string>& header);

  bool has(std::string_view name) const { return find(name).has_value(); }
  bool has_all(std::initializer_list<std::string_view> names) const;
  std::optional<size_t> find(std::string_view name) const;

 private:
  std::vector<std::string> names_;
};

/// One line below the header. Values are trimmed.
struct CsvRow {
  const CsvColumns& columns;
  const std::vector<std::string>& values;
  size_t line;  // of the file, from 1

  /// The value in a column; empty if the table lacks the column or the row ends before it.
  std::string_view operator[](std::string_view column) const;
  /// A finite number below 1e9; nothing if the value is none.
  std::optional<double> number(std::string_view column) const;
};

/// The columns of a file; none if it cannot be read as a table.
CsvColumns read_csv_header(const std::filesystem::path& file);

/// Calls `row` with each line below the header that is not empty. Values are separated by commas, or by
/// semicolons or tabs if the header has more of these. Throws InputError naming the file and the line if a
/// quotation mark is not closed.
void for_each_csv_row(const std::filesystem::path& file, const std::function<void(const CsvRow&)>& row);

}  // namespace rcnn
