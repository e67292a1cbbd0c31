#include "bench/lab_new.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "bench/checkout.h"
#include "bench/source_items.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "kernels/ops.h"

namespace rcnn {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxRows = std::tuple_size_v<decltype(kernels::conv2d.variants.rows)>;

struct TableEntry {
  std::string text;
  size_t at = 0;  // in the header
};

struct TableRow {
  std::string name, backend;
  std::vector<TableEntry> entries;  // one for each op of the family
  size_t begin = 0, end = 0;        // in the header, with the comma

  bool on_cuda() const { return backend.starts_with("on_cud") || backend.starts_with("on_cublas"); }
  bool has(size_t column) const { return column < entries.size() && entries[column].text != "nullptr"; }
};

/// The table of an op's family, as its header has it.
struct OpTable {
  fs::path header;  // from the root
  std::string text;
  std::string name;  // roi_align_techniques
  size_t column = 0;
  size_t begin = 0;  // where its declaration begins
  std::string args;  // of the op's functions: RoiAlignArgs<float>
  size_t columns = 0;
  std::vector<TableRow> rows;
};

std::string trimmed(std::string text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.erase(0, 1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.pop_back();
  return text;
}

/// The parts of text[begin, end) between commas outside of all brackets.
std::vector<TableEntry> split_at_commas(const std::string& text, size_t begin, size_t end) {
  std::vector<TableEntry> parts;
  int depth = 0;
  size_t from = begin;
  for (size_t i = begin; i <= end; ++i) {
    const char c = i < end ? text[i] : ',';
    if (c == '{' || c == '(' || c == '<') ++depth;
    if (c == '}' || c == ')' || c == '>') --depth;
    if (c != ',' || (depth != 0 && i < end)) continue;
    while (from < i && (text[from] == ' ' || text[from] == '\n')) ++from;
    if (from < i) parts.push_back({trimmed(text.substr(from, i - from)), from});
    from = i + 1;
  }
  return parts;
}

/// The rows of the table whose braces enclose text[begin, end).
std::vector<TableRow> read_rows(const std::string& text, size_t begin, size_t end) {
  std::vector<TableRow> rows;
  int depth = 0;
  size_t open = 0;
  for (size_t i = begin; i < end; ++i) {
    if (text.compare(i, 2, "//") == 0) i = text.find('\n', i);
    if (text[i] == '{' && depth++ == 0) open = i;
    if (text[i] != '}' || --depth != 0) continue;
    std::vector<TableEntry> parts = split_at_commas(text, open + 1, i);
    if (parts.size() < 3 || parts[0].text.size() < 2) return {};
    TableRow row;
    row.name = parts[0].text.substr(1, parts[0].text.size() - 2);
    row.backend = parts[1].text;
    row.entries.assign(parts.begin() + 2, parts.end());
    row.begin = open;
    row.end = i + 1 + (text[i + 1] == ',');
    rows.push_back(row);
  }
  return rows;
}

OpTable read_table(const fs::path& root, const std::string& op) {
  OpTable table;
  for (const auto& entry : fs::recursive_directory_iterator(root / "kernels")) {
    if (entry.path().extension() != ".h") continue;
    std::string text = read_source(entry.path());
    const size_t at = text.find(fmt::format("\ninline constexpr Op {}{{\"{}\"", op, op));
    if (at == std::string::npos) continue;
    table.header = fs::relative(entry.path(), root);
    table.text = std::move(text);
    const size_t column = table.text.find("column<", at), open = table.text.find('(', column),
                 close = table.text.find(')', open);
    if (close == std::string::npos) break;
    table.column = static_cast<size_t>(std::atoi(table.text.c_str() + column + 7));
    table.name = table.text.substr(open + 1, close - open - 1);
  }
  check_input(!table.header.empty(),
              "{}: no header in kernels/ has a line `inline constexpr Op {}{{`; "
              "`rcnn lab list` names the ops",
              op, op);
  const std::string unreadable = fmt::format("{}: the table {} is not of the form that CONTRIBUTING.md shows",
                                             table.header.string(), table.name);
  const size_t declared = table.text.find(" " + table.name + "[] = {");
  check_input(!table.name.empty() && declared != std::string::npos, "{}", unreadable);
  table.begin = table.text.rfind("inline constexpr", declared);
  const size_t open = table.text.find('<', table.begin), first = table.text.find('{', declared),
               last = table.text.find("\n};", first);
  check_input(open < declared && last != std::string::npos, "{}", unreadable);
  const bool real = table.text.compare(open - 13, 13, "RealTechnique") == 0;
  const std::vector<TableEntry> args = split_at_commas(table.text, open + 1, table.text.rfind('>', declared));
  table.rows = read_rows(table.text, first + 1, last + 1);
  check_input(table.column < args.size() && !table.rows.empty() && table.rows.back().name == "reference",
              "{}", unreadable);
  table.columns = args.size();
  table.args = args[table.column].text + (real ? "<float>" : "");
  return table;
}

/// The kernel to copy: an entry of the table and the function that it names.
struct SimplestKernel {
  const TableRow* row = nullptr;
  std::string function;
};

SimplestKernel simplest_kernel(const OpTable& table, bool cuda) {
  SimplestKernel found;
  for (const TableRow& row : table.rows)
    if (row.has(table.column) && (cuda ? row.backend == "on_cuda" : row.name == "reference"))
      found.row = &row;
  if (!found.row) return found;
  const std::string& entry = found.row->entries[table.column].text;
  const size_t begin = entry.find_first_not_of("{ \n"), end = entry.find_first_of("<,} \n", begin);
  found.function = entry.substr(begin, end - begin);
  return found;
}

/// Items of the source that the function needs, the function last, which becomes `name`.
std::string copy_of_kernel(const SourceItems& source, const std::string& function, const std::string& name) {
  const auto& items = source.items;
  std::vector<bool> kept(items.size(), false);
  const auto target = std::ranges::find_if(items, [&](const SourceItem& item) {
    return item.names.contains(function) && item.text.find(") {") != std::string::npos;
  });
  if (target == items.end()) return "";
  std::vector<size_t> open{static_cast<size_t>(target - items.begin())};
  kept[open.front()] = true;
  while (!open.empty()) {
    const std::set<std::string> used = identifiers_in(items[open.back()].text);
    open.pop_back();
    for (size_t i = 0; i < items.size(); ++i) {
      const SourceItem& item = items[i];
      // What is outside of the anonymous namespace and not a template is declared in a header, and stays
      // there.
      const bool elsewhere = !item.anonymous && (item.text.find("template <") == std::string::npos &&
                                                 item.text.find("struct ") == std::string::npos &&
                                                 item.text.find("constexpr ") == std::string::npos &&
                                                 item.text.find("inline ") == std::string::npos);
      const bool named =
          std::ranges::any_of(item.names, [&](const auto& word) { return used.contains(word); });
      if (kept[i] || elsewhere || !named) continue;
      kept[i] = true;
      open.push_back(i);
    }
  }
  std::string text;
  bool anonymous = false;
  for (size_t i = 0; i < items.size(); ++i) {
    const bool directive = items[i].text.starts_with("#");
    if (!kept[i] && !directive) continue;
    if (items[i].anonymous != anonymous) text += anonymous ? "}  // namespace\n\n" : "namespace {\n\n";
    anonymous = items[i].anonymous;
    std::string item = items[i].text;
    constexpr std::string_view kTemplate = "template <class T>\n";
    if (const size_t at = item.find(kTemplate); &items[i] == &*target && at != std::string::npos)
      item = rename_word(item.erase(at, kTemplate.size()), "T", "float");
    text += rename_word(item, function, name) + "\n";
  }
  return text + (anonymous ? "}  // namespace\n\n" : "");
}

/// Whether the program takes a new row for some cases before it is named: unless a row before it takes every
/// case, as one without predicates does.
bool gets_cases(const OpTable& table, bool cuda) {
  return std::ranges::none_of(table.rows, [&](const TableRow& row) {
    return row.on_cuda() == cuda && row.name != "reference" && row.has(table.column) &&
           row.backend.find("with(") == std::string::npos && !row.entries[table.column].text.starts_with("{");
  });
}

/// The header with the declaration and the row.
std::string changed_header(const OpTable& table, const LabNewOptions& options, const std::string& function,
                           const std::string& entry) {
  std::string text = table.text;
  const auto same = std::ranges::find_if(table.rows, [&](const TableRow& row) {
    return row.name == options.variant && row.on_cuda() == options.cuda;
  });
  if (same != table.rows.end()) {
    const TableEntry& old = same->entries.at(table.column);
    text.replace(old.at, old.text.size(), entry);
  } else {
    std::string row = fmt::format("{{\"{}\", {}", options.variant, options.cuda ? "on_cuda" : "on_cpu");
    for (size_t column = 0; column < table.columns; ++column)
      row += ", " + (column == table.column ? entry : std::string("nullptr"));
    row += "},";
    size_t after = 0;  // the end of the last CUDA kernel's row
    for (const TableRow& other : table.rows)
      if (other.backend == "on_cuda") after = other.end;
    if (options.cuda && after > 0)
      text.insert(after, "\n    " + row);
    else
      text.insert(options.cuda ? table.rows.front().begin : table.rows.back().begin, row + "\n    ");
  }
  size_t place = table.begin;
  constexpr std::string_view kFormatOff = "// clang-format off\n";
  if (const size_t off = text.rfind(kFormatOff, place); off != std::string::npos && place - off < 300)
    place = off;
  text.insert(place,
              fmt::format("/// Begun as a copy of {}: say here what it does differently.\nRun<{}> {};\n\n",
                          options.cuda ? "the simplest kernel" : "the reference", table.args, function));
  return text;
}

}  // namespace

namespace {

/// While it lives, no other process changes this checkout by this command: two at once would each write the
/// header without the other's row.
class CheckoutLock {
 public:
  explicit CheckoutLock(const fs::path& root)
      : file_(::open((root / "kernels/ops.h").c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ >= 0) ::flock(file_, LOCK_EX);
  }
  ~CheckoutLock() {
    if (file_ >= 0) ::close(file_);
  }
  CheckoutLock(const CheckoutLock&) = delete;
  CheckoutLock& operator=(const CheckoutLock&) = delete;

 private:
  int file_;
};

}  // namespace

void lab_new(const LabNewOptions& options) {
  const fs::path root = find_checkout(options.root);
  check_input(!root.empty(), "{}: neither this folder nor one above it is a checkout of this project",
              options.root.empty() ? fs::current_path().string() : options.root.string());
  const CheckoutLock lock(root);
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  check_input(
      !options.variant.empty() && is_lower(options.variant[0]) &&
          std::ranges::all_of(options.variant,
                              [&](char c) { return is_lower(c) || (c >= '0' && c <= '9') || c == '_'; }),
      "{}: expected a name of small letters, digits and _, as in merged_taps", options.variant);
  const OpTable table = read_table(root, options.op);
  const char* device = options.cuda ? "a GPU" : "the CPU";
  size_t rows = 0;
  for (const TableRow& row : table.rows) {
    check_input(row.name != options.variant || row.on_cuda() != options.cuda || !row.has(table.column),
                "{} has a variant {} on {} already: {}", options.op, options.variant, device,
                table.header.string());
    rows += row.has(table.column);
  }
  check_input(rows < kMaxRows, "{} has {} variants, and a table has room for {} (Variants in kernels/op.h)",
              options.op, rows, kMaxRows);
  const std::string function = options.op + "_" + options.variant;
  check_input(!identifiers_in(table.text).contains(function), "{} declares {} already: choose another name",
              table.header.string(), function);
  const fs::path file = table.header.parent_path() / (function + (options.cuda ? ".cu" : ".cpp"));
  check_input(!fs::exists(root / file), "{} exists already", file.string());

  const SimplestKernel simplest = simplest_kernel(table, options.cuda);
  check_input(simplest.row != nullptr, "{} has no kernel on {} to begin with", options.op, device);
  const VariantSources sources(root);
  const SourcePlace place = sources.find(options.op, simplest.row->name, options.cuda);
  check_input(place.line > 0, "{}: no source in kernels/ defines it", simplest.function);
  const SourceItems source = split_source(read_source(root / place.file));
  const std::string body = copy_of_kernel(source, simplest.function, function);
  check_input(!body.empty(), "{}: {} is not of a form that can be copied", place.file.string(),
              simplest.function);
  const std::string entry =
      options.cuda ? rename_word(simplest.row->entries[table.column].text, simplest.function, function)
                   : function;
  const std::string header = changed_header(table, options, function, entry);

  const size_t includes = source.head.find("#include");
  write_atomically(
      root / file,
      fmt::format("// {}, begun as a copy of {} ({}).\n{}namespace rcnn::kernels {{\n{}{}}}  // namespace "
                  "rcnn::kernels\n",
                  function, simplest.function, place.file.string(),
                  source.head.substr(includes == std::string::npos ? 0 : includes),
                  body.starts_with("namespace {") ? "" : "\n", body));
  try {
    write_atomically(root / table.header, header);
  } catch (...) {
    fs::remove(root / file);  // which nothing declares
    throw;
  }
  fmt::print("{}: written, a copy of {} ({}:{})\n", file.string(), simplest.function, place.file.string(),
             place.line);
  fmt::print("{}: the function is declared, and has a row in {}\n", table.header.string(), table.name);
  if (gets_cases(table, options.cuda))
    fmt::print(
        "The program uses it from now on for the cases that no variant before it takes, unnamed too.\n");
  fmt::print("Next:\n  make {}build/rcnn && build/rcnn lab verify {}={} && build/rcnn lab time {}={}\n",
             options.cuda && (!kernels::kHasCuda || cuda::is_simulated()) ? "CUDA=sim " : "", options.op,
             options.variant, options.op, options.variant);
}

}  // namespace rcnn
