// The commands of the kernel lab. What they compute is tested in tests/kernels/test_verify.cpp and
// tests/bench/test_lab.cpp.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "kernels/ops.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

namespace fs = std::filesystem;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// Whether the tests run in a checkout; on a machine that has the program alone, those of sources are
/// skipped.
bool in_checkout() { return fs::exists("kernels/ops.h"); }

/// A copy of what `lab new` reads and a compiler needs.
void copy_checkout(const fs::path& to) {
  for (const char* folder : {"kernels", "core"}) fs::copy(folder, to / folder, fs::copy_options::recursive);
  fs::copy("Makefile", to / "Makefile");
}

/// Why g++ refuses a source in `root`; empty if it does not. Skipped, with "", without a compiler.
std::string refused(const fs::path& root, const std::string& source) {
  const Finished found =
      run_program("/usr/bin/env", {"g++", "-std=c++20", "-fsyntax-only", "-march=native", "-Wall", "-Wextra",
                                   "-Werror", "-I" + root.string(), (root / source).string()});
  return found.status == 127 ? "" : found.err;
}

}  // namespace

TEST_CASE("lab list: every variant of every op, with a source that exists and defines it") {
  const fs::path program = find_program();
  if (program.empty() || !in_checkout()) return;
  const Finished all = run_program(program, {"lab", "list", "--root", "."});
  CHECK_MESSAGE(all.status == 0, all.err);
  size_t variants = 0;
  kernels::for_each_op([&](const auto& op) { variants += op.variants.count; });
  size_t listed = 0;
  for (const std::string& line : lines_of(all.out)) {
    if (!line.starts_with("  ")) continue;
    ++listed;
    const std::string place = line.substr(line.rfind(' ') + 1);
    CAPTURE(line);
    REQUIRE(has(place, ":"));
    const auto source = lines_of(content_of(place.substr(0, place.find(':'))));
    const size_t number = std::stoul(place.substr(place.find(':') + 1));
    REQUIRE(number <= source.size());
    CHECK(source[number - 1].starts_with("void "));
  }
  CHECK(listed == variants);
  const std::string one = run_program(program, {"lab", "list", "roi_align", "--root", "."}).out;
  CHECK(has(one, "kernels/roi/roi_align_taps_cpu.cpp:"));
  CHECK(has(one, "where it fits"));
  CHECK(has(one, "default"));
  CHECK(!has(one, "conv2d"));
  CHECK(run_program(program, {"lab", "list", "roi"}).status == 2);
  CHECK(has(run_program(program, {"lab", "list", "nms=none"}).err, "nms has no variant none; it has "));
}

TEST_CASE("lab verify: right variants, and names that do not exist") {
  const fs::path program = find_program();
  if (program.empty()) return;
  const Finished found =
      run_program(program, {"lab", "verify", "upsample_add=reference", "nms=vector_scan", "--device=cpu"});
  CHECK_MESSAGE(found.status == 0, found.err);
  CHECK(has(found.out, "right: 7 cases, 28 runs"));
  CHECK(lines_of(found.out).size() == 2);
  const Finished none = run_program(program, {"lab", "verify", "upsample"});
  CHECK(none.status == 2);
  CHECK(has(none.err, "rcnn: upsample: there is no op upsample; there are conv2d, "));
  CHECK(run_program(program, {"lab", "verify", "nms="}).status == 2);
  // On the CPU alone there is nothing to do for a CUDA kernel.
  const Finished nothing = run_program(program, {"lab", "verify", "nms=one_block", "--device=cpu"});
  CHECK(nothing.status == 2);
  CHECK(has(nothing.err, "nothing was verified"));
}

TEST_CASE("lab time and compare: figures in 100 columns and in files, which can be compared") {
  const fs::path program = find_program();
  if (program.empty()) return;
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder / name).string(); };
  const std::vector<std::string> words = {"lab",      "time",           "softmax=reference", "upsample_add",
                                          "--case=0", "--seconds=0.01", "--device=cpu",      "--threads=1"};
  const auto with = [&](std::initializer_list<std::string> more) {
    std::vector<std::string> all = words;
    all.insert(all.end(), more);
    return run_program(program, all);
  };
  const Finished timed = with({"--json", path("a.json"), "--markdown", path("a.md"), "--svg", path("a.svg")});
  CHECK_MESSAGE(timed.status == 0, timed.err);
  CHECK(has(timed.out, "limits measured now: copy "));
  for (const std::string& line : lines_of(timed.out))
    if (line.starts_with("  ")) CHECK(line.size() <= 100);
  const auto document = nlohmann::json::parse(content_of(folder / "a.json"));
  CHECK(document.at("threads") == 1);
  CHECK(!document.at("machine").get<std::string>().empty());
  CHECK(!document.at("commit").get<std::string>().empty());
  CHECK(document.at("roofs").at("f32").get<double>() > 0);
  std::set<std::string> variants;
  for (const auto& row : document.at("ops")) {
    variants.insert(row.at("op").get<std::string>() + "=" + row.at("variant").get<std::string>());
    CHECK(row.at("p10_ms").get<double>() <= row.at("ms").get<double>());
    CHECK(row.at("ms").get<double>() <= row.at("p90_ms").get<double>());
    CHECK(row.at("samples").get<int>() >= 3);
    CHECK(row.at("roof").get<double>() > 0);
  }
  CHECK(variants == std::set<std::string>{"softmax=reference", "upsample_add=reference"});
  CHECK(has(content_of(folder / "a.md"), "### upsample_add"));
  CHECK(has(content_of(folder / "a.svg"), "<svg "));

  CHECK(run_program(program, {"lab", "compare", path("a.json"), path("a.json")}).status == 0);
  auto slower = document;
  for (auto& row : slower.at("ops"))
    if (row.at("op") == "softmax") {
      for (const char* figure : {"ms", "p10_ms", "p90_ms"})
        row.at(figure) = row.at(figure).get<double>() * 1.2;
      row.at("noise") = 0.01;
    }
  auto before = document;
  for (auto& row : before.at("ops")) row.at("noise") = 0.01;
  write_text(folder / "b.json", before.dump());
  write_text(folder / "c.json", slower.dump());
  const Finished worse = run_program(program, {"lab", "compare", path("b.json"), path("c.json")});
  CHECK(worse.status == 1);
  CHECK(has(worse.out, "slower  softmax=reference, case 0, f32: "));
  CHECK(has(worse.out, "(+20.0 %"));
  const Finished better = run_program(program, {"lab", "compare", path("c.json"), path("b.json")});
  CHECK(better.status == 0);
  CHECK(has(better.out, "faster  softmax=reference, case 0, f32: "));

  const Finished once = with({"--once"});
  CHECK(once.status == 0);
  CHECK(has(once.out, "ran once"));
  CHECK(with({"--once", "--json", path("d.json")}).status == 2);
  write_text(folder / "mine.svg", "mine");
  CHECK(with({"--svg", path("mine.svg")}).status == 2);
  CHECK(content_of(folder / "mine.svg") == "mine");
}

/// The one line with which the program refuses `rcnn lab WORDS`.
static std::string refusal(std::vector<std::string> words) {
  words.insert(words.begin(), "lab");
  const Finished found = run_program(find_program(), words);
  CHECK(found.status == 2);
  CHECK(lines_of(found.err).size() == 1);
  return found.err;
}

TEST_CASE("lab time: cases that do not exist, and a file of another kind") {
  if (find_program().empty()) return;
  CHECK(has(refusal({"time", "nms", "--case=900"}), "--case 900: nms has the cases 0 to "));
  CHECK(has(refusal({"time", "nms", "conv2d", "--case=0,40"}), "--case 40: nms has the cases 0 to "));
  CHECK(has(refusal({"time", "--case=900"}),
            "--case 900: no op that is to be timed has more cases than 0 to "));
  const TemporaryFolder folder;
  const std::string file = (folder / "a.json").string();
  const std::string evaluation = "{\"info\": \"written by rcnn.cu\", \"map\": 0.5}\n";
  write_text(file, evaluation);
  CHECK(has(refusal({"time", "nms", "--case=0", "--json", file}),
            "--json " + file + ": this program wrote it, but it has no times of `lab time`"));
  CHECK(content_of(file) == evaluation);
}

TEST_CASE("lab explain: what it refuses") {
  if (find_program().empty()) return;
  const TemporaryFolder folder;
  const std::string file = (folder / "a.json").string();
  write_text(file, "{\"info\": \"written by rcnn.cu\", \"capability\": 90}\n");
  CHECK(has(refusal({"explain", "nms", "--json", file}),
            "--json " + file + ": this program wrote it, but it has no figures of `lab explain`"));
  CHECK(has(refusal({"explain", "nms", "--json", (folder / "a.txt").string()}), "--json"));
  CHECK(has(refusal({"explain", "nms", "--card", "T4"}), "--card T4: there are figures of H100, "));
  CHECK(has(refusal({"explain", "nms=none"}), "nms has no variant none"));
  CHECK(has(refusal({"explain"}), "ops is required"));
}

TEST_CASE("lab new: a variant that compiles, and is refused when its name is taken") {
  const fs::path program = find_program();
  if (program.empty() || !in_checkout()) return;
  const TemporaryFolder folder;
  copy_checkout(folder.path());
  const auto create = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"lab", "new"});
    words.insert(words.end(), {"--root", folder.path().string()});
    return run_program(program, words);
  };
  const Finished made = create({"roi_align", "mine"});
  CHECK_MESSAGE(made.status == 0, made.err);
  CHECK(has(made.out, "lab verify roi_align=mine && build/rcnn lab time roi_align=mine"));
  CHECK(create({"roi_align_backward", "mine"}).status == 0);
  CHECK(create({"roi_align", "mine", "--cuda"}).status ==
        2);  // its file would be roi_align_mine.cu; see below
  const std::string header = content_of(folder / "kernels/roi/roi_align.h");
  CHECK(has(header, "Run<RoiAlignArgs<float>> roi_align_mine;\n"));
  CHECK(
      has(header, "    {\"mine\", on_cpu, roi_align_mine, roi_align_backward_mine},\n    {\"reference\", "));
  const std::string source = content_of(folder / "kernels/roi/roi_align_mine.cpp");
  CHECK(has(source, "void roi_align_mine(const Stream&, Workspace&, const RoiAlignArgs<float>& a) {"));
  CHECK(has(source, "void pool_roi("));
  CHECK(!has(source, "spread_roi"));
  CHECK(!has(source, "reference<float>"));
  CHECK(refused(folder.path(), "kernels/roi/roi_align_mine.cpp") == "");
  CHECK(refused(folder.path(), "kernels/roi/roi_align_backward_mine.cpp") == "");
  write_text(folder / "check.cpp", R"(#include "kernels/roi/roi_align.h"
constexpr bool has_mine(const auto& op) {
  for (const auto& variant : op.variants)
    if (std::string_view(variant.name) == "mine") return variant.run != nullptr;
  return false;
}
static_assert(has_mine(rcnn::kernels::roi_align) && has_mine(rcnn::kernels::roi_align_backward));
)");
  CHECK(refused(folder.path(), "check.cpp") == "");

  const Finished again = create({"roi_align", "mine"});
  CHECK(again.status == 2);
  CHECK(again.err == "rcnn: roi_align has a variant mine on the CPU already: kernels/roi/roi_align.h\n");
  CHECK(create({"roi_align", "reference"}).status == 2);
  CHECK(create({"roi_align", "Mine"}).status == 2);
  CHECK(has(create({"roi", "mine"}).err, "rcnn: roi: no header in kernels/"));
  write_text(folder / "kernels/boxes/nms_taken.cpp", "mine");
  CHECK(create({"nms", "taken"}).status == 2);
  CHECK(content_of(folder / "kernels/boxes/nms_taken.cpp") == "mine");
  CHECK(content_of(folder / "kernels/roi/roi_align.h") == header);
  CHECK(run_program(program, {"lab", "new", "nms", "mine", "--root", "/"}).status == 2);
}

TEST_CASE("lab new: every op has a kernel to begin with, on the CPU and on a GPU") {
  const fs::path program = find_program();
  if (program.empty() || !in_checkout()) return;
  const TemporaryFolder folder;
  copy_checkout(folder.path());
  kernels::for_each_op([&](const auto& op) {
    for (const bool cuda : {false, true}) {
      CAPTURE(op.name);
      CAPTURE(cuda);
      const std::string name = cuda ? "on_gpu" : "on_host";
      std::vector<std::string> words = {"lab", "new", op.name, name, "--root", folder.path().string()};
      if (cuda) words.emplace_back("--cuda");
      const Finished made = run_program(program, words);
      const bool full = op.variants.count + (cuda ? 1 : 0) >= op.variants.rows.size();
      if (full && made.status == 2) {
        CHECK(has(made.err, "a table has room for"));
        continue;
      }
      CHECK_MESSAGE(made.status == 0, made.err);
      const std::string file = made.out.substr(0, made.out.find(':'));
      const std::string source = content_of(folder / file);
      CHECK(has(source, fmt::format("\nvoid {}_{}(", op.name, name)));
      CHECK(!has(source, "_reference("));
    }
  });
}
