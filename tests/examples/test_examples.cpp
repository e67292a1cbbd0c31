// The examples run and succeed, and the pages that explain them quote their code and their output as they
// are.
#include <algorithm>
#include <sstream>

#include "tests/program.h"

using namespace rcnn::fixtures;

namespace {

using Lines = std::vector<std::string>;

/// The lines of a text without their indentation and without empty ones.
Lines lines_of(const std::string& text) {
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    line.erase(0, line.find_first_not_of(' '));
    line.erase(line.find_last_not_of(' ') + 1);
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

/// The fenced blocks of a page that are marked with `language`, each as its lines.
std::vector<Lines> blocks_of(const std::string& page, const std::string& language) {
  const std::string text = content_of(page);
  REQUIRE_MESSAGE(!text.empty(), page);
  std::vector<Lines> blocks;
  bool inside = false;
  for (const std::string& line : lines_of(text)) {
    if (line.starts_with("```")) {
      inside = !inside && line == "```" + language;
      if (inside) blocks.emplace_back();
    } else if (inside) {
      blocks.back().push_back(line);
    }
  }
  return blocks;
}

/// The output of an example, which is built in a subfolder of that of the tests. If it was not built, prints
/// a message and returns nothing.
std::string output_of(const std::string& example) {
  std::error_code none;
  const std::filesystem::path tests = std::filesystem::read_symlink("/proc/self/exe", none);
  const std::filesystem::path path = tests.parent_path() / "examples" / example;
  if (!std::filesystem::is_regular_file(path)) {
    MESSAGE("skipped: ", path.string(), " is not built");
    return {};
  }
  const Finished finished = run_program(path, {});
  CHECK_MESSAGE(finished.status == 0, example, " ended with ", finished.status, ": ", finished.err);
  CHECK(!finished.out.empty());
  return finished.out;
}

/// The blocks marked `text` of a page, one after the other, are what the example prints.
void expect_page_shows_output(const std::string& page, const std::string& example) {
  const std::string output = output_of(example);
  if (output.empty()) return;
  const Lines printed = lines_of(output);
  Lines shown;
  for (const Lines& block : blocks_of(page, "text")) shown.insert(shown.end(), block.begin(), block.end());
  CHECK(shown.size() == printed.size());
  for (size_t i = 0; i < std::min(shown.size(), printed.size()); ++i) CHECK(shown[i] == printed[i]);
}

/// Each block marked `cpp` of a page is a run of lines of the file; empty lines do not count.
void expect_page_quotes(const std::string& page, const std::string& file, size_t min_lines) {
  const Lines code = lines_of(content_of(file));
  size_t lines = 0;
  for (const Lines& block : blocks_of(page, "cpp")) {
    lines += block.size();
    const bool found = std::search(code.begin(), code.end(), block.begin(), block.end()) != code.end();
    CHECK_MESSAGE(found, page, ": a block that ", file, " does not have, beginning with: ", block.at(0));
  }
  CHECK(lines >= min_lines);
}

}  // namespace

TEST_CASE("examples: the network of examples/autograd.cpp learns its task") { output_of("autograd"); }

TEST_CASE("examples: the layer of examples/own_layer.cpp passes its gradient check") {
  output_of("own_layer");
}

TEST_CASE("examples: docs/own-layer.md quotes the code as it is") {
  expect_page_quotes("docs/own-layer.md", "examples/own_layer.cpp", 50);
}

TEST_CASE("examples: docs/anchors.md shows what examples/anchor_life.cpp prints") {
  expect_page_shows_output("docs/anchors.md", "anchor_life");
}

TEST_CASE("examples: docs/backward-memory.md shows what examples/backward_memory.cpp prints") {
  expect_page_shows_output("docs/backward-memory.md", "backward_memory");
  expect_page_quotes("docs/backward-memory.md", "examples/backward_memory.cpp", 5);
}
