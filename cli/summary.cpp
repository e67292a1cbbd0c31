#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "core/tensor_file.h"
#include "core/weights_file.h"

namespace rcnn {
namespace {

/// 1234567 as "1,234,567".
std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

/// A stranger's name as it may go to a terminal.
std::string printable(const std::string& name) {
  const std::string quoted = in_quotes(name);
  return quoted.substr(1, quoted.size() - 2);
}

/// "1 tensor", "2 tensors".
std::string count_of(int64_t count, const char* what) {
  return fmt::format("{} {}{}", grouped(count), what, count == 1 ? "" : "s");
}

void list_weights(const std::string& path) {
  struct Row {
    std::string name, type, shape, elements;
  };
  struct Sum {
    int64_t tensors = 0, elements = 0, bytes = 0;
    void add(int64_t more, int64_t size) {
      ++tensors;
      elements += more;
      bytes += more * size;
    }
    std::string text() const {
      return fmt::format("{}, {}, {}", count_of(tensors, "tensor"), count_of(elements, "element"),
                         count_of(bytes, "byte"));
    }
  };
  const SafetensorsFile file = read_weights_file(path);
  std::vector<Row> rows = {{"tensor", "type", "shape", "elements"}};
  Sum total;
  std::map<std::string, Sum> by_type;
  for (const auto& [name, tensor] : file.tensors) {
    const std::string& type = file.types.at(name);  // in the file: F16 is f32 by now
    const int64_t size = find_file_type(type)->bytes;
    rows.push_back({printable(name), type, tensor.shape().str(), grouped(tensor.numel())});
    total.add(tensor.numel(), size);
    by_type[type].add(tensor.numel(), size);
  }
  size_t widths[4] = {};
  for (const Row& row : rows) {
    size_t column = 0;
    for (const std::string* cell : {&row.name, &row.type, &row.shape, &row.elements}) {
      widths[column] = std::max(widths[column], cell->size());
      ++column;
    }
  }
  if (!file.tensors.empty())
    for (const Row& row : rows)
      fmt::print("{:{}}  {:{}}  {:{}}  {:>{}}\n", row.name, widths[0], row.type, widths[1], row.shape,
                 widths[2], row.elements, widths[3]);
  fmt::print("{}{}: {}\n", file.tensors.empty() ? "" : "\n", path, total.text());
  if (by_type.size() > 1)
    for (const auto& [type, sum] : by_type) fmt::print("  {}: {}\n", type, sum.text());
}

}  // namespace

void add_summary(CLI::App& program) {
  auto weights = std::make_shared<std::string>();
  CLI::App* app = program.add_subcommand("summary", "List what a file of weights holds");
  app->footer(
      "Types are those in the file, under safetensors' names; a .pth is read without running anything in "
      "it.");
  app->add_option("--weights", *weights, "a safetensors file, or PyTorch's .pth or .pt")
      ->required()
      ->type_name("FILE");
  app->callback([weights] { list_weights(*weights); });
}

}  // namespace rcnn
