// The kernel lab: what it makes of times, results and sources.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "bench/checkout.h"
#include "bench/error_map.h"
#include "bench/lab_results.h"
#include "bench/source_items.h"
#include "bench/timing.h"
#include "tests/data/fixtures.h"

using namespace rcnn;
using namespace rcnn::fixtures;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Takes the values of a list in turn.
Sampler from_list(const std::vector<double>& values, size_t& next) {
  return {[&values, &next](std::vector<double>& seconds) {
    seconds.push_back(values[next++ % values.size()]);
    return seconds.back();
  }};
}

TimedRow row_of(const std::string& op, const std::string& variant, double seconds, double noise = 0.01) {
  return {.op = op,
          .variant = variant,
          .inputs = {{2, 3}},
          .outputs = {{6}},
          .flop = 4e6,
          .bytes = 1e6,
          .timing = {
              .seconds = seconds, .p10 = 0.9 * seconds, .p90 = 1.2 * seconds, .noise = noise, .samples = 9}};
}

LabRun run_of_today() {
  LabRun run;
  run.device = "cpu", run.machine = "Made-up processor", run.commit = "abc",
  run.date = "2026-01-02T03:04:05Z";
  run.threads = 2;
  run.roofs.copy = 1e10;
  run.roofs.products[Precision::f32] = 1e11;
  return run;
}

}  // namespace

TEST_CASE("timing: quantiles, and the error of the median") {
  const std::vector<double> values{5, 1, 4, 2, 3};
  CHECK(median(values) == 3);
  CHECK(quantile(values, 0) == 1);
  CHECK(quantile(values, 1) == 5);
  CHECK(quantile(values, 0.25) == 2);
  // The deviations from 3 are 2, 2, 1, 1, 0: their median is 1.
  CHECK(relative_error_of_median(values) == doctest::Approx(std::sqrt(M_PI / 2 / 5) * 1.4826 / 3));
  CHECK(std::isinf(relative_error_of_median({1})));
  // One value far away does not move it.
  CHECK(relative_error_of_median({5, 1, 4, 2, 300}) < 1.1 * relative_error_of_median({5, 1, 4, 2, 6}));
}

TEST_CASE("timing: sampling stops at the noise, at the time, and never before three values") {
  size_t next = 0;
  std::vector<double> seconds;
  const std::vector<double> quiet{1, 1.0001, 1.0002}, loud{1, 2, 3, 1.5};
  collect(from_list(quiet, next), {1000, 0.001}, seconds);
  CHECK(seconds.size() >= 20);
  CHECK(seconds.size() < 100);
  seconds.clear();
  collect(from_list(loud, next), {50, 0.0001}, seconds);
  double sum = 0;
  for (const double value : seconds) sum += value;
  CHECK(sum >= 50);
  CHECK(sum - seconds.back() < 50);
  seconds.clear();
  collect(from_list(quiet, next), {0, 0.001}, seconds);
  CHECK(seconds.size() == 3);
  // Of a batch of ten runs one value is kept, but all of its time counts.
  seconds.clear();
  const Sampler batches{[](std::vector<double>& values) {
    values.push_back(1);
    return 10.0;
  }};
  collect(batches, {50, 0}, seconds);
  CHECK(seconds.size() == 5);
}

TEST_CASE("timing: rounds that differ are noise, even if each is quiet") {
  const Timing same = timing_of({{1, 1, 1}, {1, 1, 1}}, false),
               drift = timing_of({{1, 1, 1}, {1.2, 1.2, 1.2}}, true);
  CHECK(same.noise == 0);
  CHECK(drift.noise >= 0.08);
  CHECK(drift.samples == 6);
  CHECK(drift.graph);
}

TEST_CASE("roofs: the floor of a kernel is the larger of its two limits") {
  Roofs roofs;
  roofs.copy = 10;
  roofs.products[Precision::f32] = 100;
  bool by_memory = false;
  CHECK(roofs.floor(1000, 50, Precision::f32, by_memory) == 10);
  CHECK(!by_memory);
  CHECK(roofs.floor(1000, 200, Precision::f32, by_memory) == 20);
  CHECK(by_memory);
  CHECK(roofs.floor(0, 50, Precision::f32, by_memory) == 5);
  CHECK(roofs.floor(1000, 50, Precision::bf16, by_memory) == 5);  // of bf16 only the copy is known
  CHECK(Roofs{}.floor(1000, 50, Precision::f32, by_memory) == 0);
  const Roofs here = measure_cpu_roofs();
  CHECK(here.copy > 1e8);
  CHECK(here.products.at(Precision::f32) > 1e8);
}

TEST_CASE("error_map: cells show the worst channel, and a NaN as such") {
  const Tensor expected = Tensor::of<double>({1, 1, 2, 2}, {1, 1, 1, 1});
  const auto colour = [&](std::initializer_list<double> found, int cell) {
    const Image image = error_map(Tensor::of<double>({1, 1, 2, 2}, found), expected, {0.1, 0.1, 0.1, 0.1});
    CHECK(image.width == 3 * 24 - 24);
    CHECK(image.height == 24);
    const uint8_t* pixel = image.pixel(cell * 24 + 12, 12);
    return std::array<int, 3>{pixel[0], pixel[1], pixel[2]};
  };
  const auto equal = colour({1, 1, 1, 1}, 0);
  CHECK(colour({1, 1, 1, 1}, 1) == equal);
  CHECK(colour({1, 1, 1, 5}, 0) == equal);
  const auto wrong = colour({1, 1, 1, 5}, 1), close = colour({1, 1, 1, 1.05}, 1),
             nan = colour({1, 1, NAN, 1}, 1);
  CHECK(wrong[0] > 200);
  CHECK(wrong[2] < 100);
  CHECK(close[1] > close[0]);
  CHECK(nan == std::array<int, 3>{225, 0, 225});
  // A large result is reduced, and still shows its one wrong element.
  const Tensor large = Tensor::empty({5000, 3000}, DType::f32),
               other = Tensor::empty({5000, 3000}, DType::f32);
  large.fill(0), other.fill(0);
  other.mutable_data<float>()[4321 * 3000 + 1234] = 1;
  const Image image = error_map(other, large, {});
  CHECK(image.width <= 2000);
  CHECK(image.height <= 2000);
  int red = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) red += image.pixel(x, y)[0] > 150;
  CHECK(red == 1);
  CHECK(error_map(Tensor::empty({0, 3}, DType::f32), Tensor::empty({0, 3}, DType::f32), {}).width > 0);
}

TEST_CASE("lab compare: a change beyond the noise of both files is told, in both directions") {
  const TemporaryFolder folder;
  const auto file = [&](const std::string& name, const std::vector<TimedRow>& rows) {
    write_text(folder / name, lab_json(run_of_today(), rows));
    return folder / name;
  };
  const auto base =
      file("base.json", {row_of("a", "x", 1e-3), row_of("b", "x", 1e-3), row_of("c", "x", 1e-3, 0.2)});
  const auto compared = [&](const std::vector<TimedRow>& rows) {
    const LabComparison found = compare_lab_results(base, file("new.json", rows));
    return std::array<int, 5>{found.slower, found.faster, found.same, found.failed, found.missing};
  };
  const auto other = [](double a, double b, double c) {
    return std::vector<TimedRow>{row_of("a", "x", a), row_of("b", "x", b), row_of("c", "x", c, 0.2)};
  };
  CHECK(compared(other(1e-3, 1e-3, 1e-3)) == std::array{0, 0, 3, 0, 0});
  CHECK(compared(other(1.2e-3, 1e-3, 1e-3)) == std::array{1, 0, 2, 0, 0});
  CHECK(compared(other(1.02e-3, 0.8e-3, 1e-3)) == std::array{0, 1, 2, 0, 0});
  CHECK(compared(other(1e-3, 1e-3, 1.2e-3)) == std::array{0, 0, 3, 0, 0});  // within the noise of that row
  TimedRow failed = row_of("b", "x", 1e-3);
  failed.error = "no";
  CHECK(compared({row_of("a", "x", 1e-3), failed}) == std::array{0, 0, 1, 1, 1});
  // A median that rose while the fast tenth did not is another program's work.
  TimedRow disturbed = row_of("a", "x", 1.3e-3);
  disturbed.timing.p10 = 0.9e-3;
  CHECK(compared({disturbed}) == std::array{0, 0, 1, 0, 2});

  write_text(folder / "text.json", "no JSON");
  CHECK_THROWS_AS(compare_lab_results(base, folder / "text.json"), InputError);
  CHECK_THROWS_AS(compare_lab_results(folder / "none.json", base), InputError);
  CHECK_THROWS_WITH_AS(
      compare_lab_results(base, file("d.json", {row_of("d", "x", 1)})),
      fmt::format("{} and {} have no measurement in common", base.string(), (folder / "d.json").string())
          .c_str(),
      InputError);
}

TEST_CASE("lab time: the tables and the picture have every row, and the marks of this program") {
  std::vector<TimedRow> rows{row_of("a", "x", 1e-3), row_of("a", "y", 2e-3), row_of("b<", "x", 3e-3)};
  rows[0].share = 0.4, rows[0].library = 1.5;
  rows.push_back(row_of("b<", "z", 1));
  rows.back().error = "out of \"memory\"";
  const std::string json = lab_json(run_of_today(), rows), markdown = lab_markdown(run_of_today(), rows),
                    svg = lab_roofline(run_of_today(), rows);
  for (const std::string& text : {json, markdown, svg})
    CHECK(has(text.substr(0, 1000), "written by rcnn.cu"));
  CHECK(has(json, "\"machine\": \"Made-up processor\""));
  CHECK(has(json, "\"commit\": \"abc\""));
  CHECK(has(json, "\"roof\":0.4,\"library\":1.5"));
  CHECK(has(json, "\"error\":\"out of \\\"memory\\\"\""));
  CHECK(has(markdown, "| (2, 3) | x | f32 | 1 | 0.9 to 1.2 | 1.0 % | 4.0 | 1.0 | 40 % | 1.50 |"));
  CHECK(has(markdown, "|  | y | f32 | 2 "));
  CHECK(has(markdown, "| z | f32 | failed |"));
  size_t dots = 0;
  for (size_t at = 0; (at = svg.find("<title>", at)) != std::string::npos; ++at) ++dots;
  CHECK(dots == 3);
  CHECK(has(svg, "b&lt; case 0"));
  CHECK(!has(svg, "nan"));
  CHECK(has(lab_roofline(run_of_today(), {}), "</svg>"));
}

TEST_CASE("lab new: a source is cut into its items") {
  const SourceItems source = split_source(R"(// A head.
#include <a.h>

namespace rcnn::kernels {
namespace {

constexpr int kA = 1, kB = f(2, 3);  // two

// ---- a section ----

/// Says what it is.
template <class T>
T twice(T value, int unused = 3) {
  const char* text = "}";  // and a brace }
  return value * kA;
}

struct Pair : Base {
  int a = 0;
};

}  // namespace

void run(const Stream&, const Args<float>& a) {
  twice(a);
}

template Run<Args<float>> run_reference<float>;

}  // namespace rcnn::kernels
)");
  CHECK(source.head == "// A head.\n#include <a.h>\n\n");
  REQUIRE(source.items.size() == 5);
  CHECK(source.items[0].names == std::set<std::string>{"kA", "kB"});
  CHECK(source.items[1].names == std::set<std::string>{"twice"});
  CHECK(source.items[1].text.starts_with("/// Says what it is.\ntemplate"));
  CHECK(source.items[1].anonymous);
  CHECK(source.items[2].names == std::set<std::string>{"Pair"});
  CHECK(source.items[3].names == std::set<std::string>{"run"});
  CHECK(!source.items[3].anonymous);
  CHECK(rename_word("run(rerun, run)", "run", "go") == "go(rerun, go)");
  CHECK(identifiers_in("a(b1) \"c\" // d") == std::set<std::string>{"a", "b1"});
}
