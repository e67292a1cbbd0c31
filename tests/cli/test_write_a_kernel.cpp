// Follows docs/write-a-kernel.md: what `lab new` begins, with the code of the page put in, compiles; and the
// counts on the page name its lines.
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

constexpr const char* kPage = "docs/write-a-kernel.md";

/// The C++ blocks below a heading of the page, in their order.
std::vector<std::string> code_below(const std::string& heading) {
  const std::string page = content_of(kPage);
  const size_t begin = page.find("\n## " + heading + "\n");
  REQUIRE(begin != std::string::npos);
  const std::string section = page.substr(begin, page.find("\n## ", begin + 1) - begin);
  std::vector<std::string> blocks;
  for (size_t at = 0; (at = section.find("```cpp\n", at)) != std::string::npos;) {
    at += 7;
    const size_t end = section.find("```\n", at);
    blocks.push_back(section.substr(at, end - at));
    at = end;
  }
  return blocks;
}

/// A copy of the checkout in which `lab new` has begun a variant.
struct Exercise {
  TemporaryFolder folder;
  fs::path source;

  Exercise(const fs::path& program, std::vector<std::string> words, const char* file)
      : source(folder / file) {
    for (const char* name : {"kernels", "core"}) fs::copy(name, folder / name, fs::copy_options::recursive);
    fs::copy("Makefile", folder / "Makefile");
    words.insert(words.begin(), {"lab", "new"});
    words.insert(words.end(), {"--root", folder.path().string()});
    const Finished made = run_program(program, words);
    REQUIRE_MESSAGE(made.status == 0, made.err);
  }
  /// Puts `code` in the place of what is between two texts, the first of which goes, too.
  void replace(const std::string& from, const std::string& to, const std::string& code) const {
    std::string text = content_of(source);
    const size_t begin = text.find(from), end = text.find(to, begin);
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    write_text(source, text.replace(begin, end - begin, code));
  }
  /// Why g++ refuses the source; "" if it does not, or if there is no g++.
  std::string refused(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {
        "g++",   "-std=c++20", "-fsyntax-only", "-march=native",         "-fopenmp",
        "-Wall", "-Wextra",    "-Werror",       "-Wno-unused-parameter", "-I" + folder.path().string()};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back(source.string());
    const Finished found = run_program("/usr/bin/env", words);
    return found.status == 127 ? "" : found.err;
  }
};

}  // namespace

TEST_CASE("docs/write-a-kernel.md: the faster kernel goes into what lab new begins, and compiles") {
  const fs::path program = find_program();
  if (program.empty() || !fs::exists(kPage)) return;
  const std::vector<std::string> code = code_below("A faster kernel, by its counts");
  REQUIRE(code.size() == 2);
  const Exercise exercise(program, {"roi_align", "mine", "--cuda"}, "kernels/roi/roi_align_mine.cu");
  const std::vector<std::string> as_simulated = {"-x", "c++", "-DRCNN_CUDA", "-DRCNN_CUDA_SIM"};
  CHECK(exercise.refused(as_simulated) == "");
  // As the page says: the kernel behind the copied one, and the function in the place of the copied one.
  exercise.replace("}  // namespace\n\nvoid roi_align_mine(", "}  // namespace rcnn::kernels",
                   code[0] + "\n}  // namespace\n\n" + code[1] + "\n");
  CHECK(exercise.refused(as_simulated) == "");
  const std::string source = content_of(exercise.source);
  CHECK(contains(source, "launch<four_channels_kernel>"));
  CHECK(contains(source, "launch<thread_per_output_kernel>"));
  // The lines that the counts name.
  std::istringstream lines(source);
  std::vector<std::string> numbered{""};
  for (std::string line; std::getline(lines, line);) numbered.push_back(line);
  const std::string page = content_of(kPage);
  for (const char* call : {"return load_lanes<4>(map", "store_lanes(a.y + at, pool_four("}) {
    const auto at =
        std::ranges::find_if(numbered, [&](const std::string& line) { return contains(line, call); });
    REQUIRE(at != numbered.end());
    CHECK(contains(page, fmt::format("from kernels/roi/roi_align_mine.cu:{}\n", at - numbered.begin())));
  }
  // The kernel that the page shows is the one that is tested.
  const std::string tested = content_of("tests/core/cuda/test_write_a_kernel.cu");
  CHECK(contains(tested, "// page: kernel\n" + code[0] + "// page: end\n"));
}

TEST_CASE("docs/write-a-kernel.md: the idea goes into what lab new begins, and compiles") {
  const fs::path program = find_program();
  if (program.empty() || !fs::exists(kPage)) return;
  const std::vector<std::string> code = code_below("An idea");
  REQUIRE(code.size() == 1);
  const Exercise exercise(program, {"roi_align", "mine"}, "kernels/roi/roi_align_mine.cpp");
  exercise.replace("template <class T>\nvoid pool_roi(", "}  // namespace\n", code[0] + "\n");
  exercise.replace("#include <algorithm>\n", "\n", "#include <algorithm>\n#include <vector>\n");
  CHECK(exercise.refused({}) == "");
}
