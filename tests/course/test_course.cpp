// docs/course/: the command of each lesson prints what the lesson shows, and the answers of its exercises are
// what the engine computes.
#include <algorithm>
#include <sstream>

#include "eval/average_precision.h"
#include "kernels/boxes/box_math.h"
#include "layers/box_targets.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/roi_align.h"
#include "layers/sigmoid_cross_entropy.h"
#include "layers/smooth_l1.h"
#include "layers/sum.h"
#include "models/faster_rcnn.h"
#include "tests/program.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

constexpr const char* kLessons[] = {"1-tensor",  "2-autograd",   "3-convolution", "4-backbone",
                                    "5-anchors", "6-rpn-losses", "7-roi-align",   "8-nms-and-evaluation"};

std::string lesson(int number) { return content_of(fmt::format("docs/course/{}.md", kLessons[number - 1])); }

/// The first fenced block of the page that is marked with `language`, as lines; spaces at the ends are left
/// out.
std::vector<std::string> block_of(const std::string& page, const std::string& language) {
  std::vector<std::string> lines;
  std::istringstream stream(page);
  bool inside = false;
  for (std::string line; std::getline(stream, line);) {
    if (inside && line == "```") return lines;
    line.erase(line.find_last_not_of(' ') + 1);
    if (inside) lines.push_back(line);
    inside = inside || line == "```" + language;
  }
  return lines;
}

/// What the command prints. It is the last one of the line, and its program lies beside the tests or is
/// `rcnn`. Empty, after a message, if that is not built.
std::string output_of(const std::string& line) {
  std::istringstream words(line.substr(line.rfind("&& ") == std::string::npos ? 0 : line.rfind("&& ") + 3));
  std::vector<std::string> command;
  for (std::string word; words >> word;) command.push_back(word);
  fs::path program = find_program();
  if (command.at(0) != "build/rcnn") {
    REQUIRE(command[0].starts_with("build/release/examples/"));
    std::error_code none;
    program =
        fs::read_symlink("/proc/self/exe", none).parent_path() / "examples" / fs::path(command[0]).filename();
  }
  if (!fs::is_regular_file(program)) {
    MESSAGE("skipped: ", program.string(), " is not built");
    return {};
  }
  const Finished finished = run_program(program, {command.begin() + 1, command.end()});
  CHECK_MESSAGE(finished.status == 0, line, " ended with ", finished.status, ": ", finished.err);
  return finished.out;
}

/// The lesson gives these answers.
void expect_answers(int number, const std::string& first, const std::string& second) {
  CAPTURE(number);
  const std::string page = lesson(number);
  CHECK(contains(page, "\n- Answer 1: `" + first + "`."));
  CHECK(contains(page, "\n- Answer 2: `" + second + "`."));
}

}  // namespace

TEST_CASE("course: the command of each lesson prints what the lesson shows") {
  for (int number = 1; number <= 8; ++number) {
    CAPTURE(number);
    const std::string page = lesson(number);
    REQUIRE(!page.empty());
    CHECK(contains(content_of("docs/course/README.md"), fmt::format("({}.md)", kLessons[number - 1])));
    const std::vector<std::string> command = block_of(page, "sh"), shown = block_of(page, "text");
    REQUIRE(command.size() == 1);
    REQUIRE(shown.size() >= 3);
    const std::string out = output_of(command[0]);
    if (out.empty()) continue;
    // Lines of the output may be left out, but their order stays.
    std::istringstream printed(out);
    std::string line;
    size_t found = 0;
    while (found < shown.size() && std::getline(printed, line)) {
      line.erase(line.find_last_not_of(' ') + 1);
      found += line == shown[found];
    }
    CHECK_MESSAGE(found == shown.size(), "not printed: ", found < shown.size() ? shown[found] : "");
  }
}

TEST_CASE("course: the answers of lessons 1 and 2, tensor and autograd") {
  Tensor numbered = Tensor::empty({2, 4, 6, 8}, DType::f32);
  for (size_t i = 0; i < static_cast<size_t>(numbered.numel()); ++i)
    numbered.mutable_values<float>()[i] = static_cast<float>(i);
  const Tensor pixel = numbered.slice(1, 2).reshape({4, 6, 8}).slice(3, 4).reshape({6, 8}).slice(2, 3);
  const Tensor level = Tensor::empty({1, 800 / 4, 1344 / 4, 256}, DType::f32);
  expect_answers(1, fmt::format("{}", pixel.values<float>()[5]), fmt::format("{}", level.bytes()));

  Context ctx;
  ctx.grad = true;
  const Var a = Var::parameter(Tensor::of<float>({1}, {1.5f}));
  backward(ctx, weighted_sum(ctx, {a, a}, {2, 3}));
  const Var w = Var::parameter(Tensor::of<float>({4, 2}, {0.5f, 0.25f, 0, 0, 0, 0, 0, 0}));
  const Var y = linear(ctx, Var(Tensor::of<float>({1, 2}, {2, -1})), w, {});
  CHECK(y.value().values<float>()[0] == 0.75f);
  backward(ctx, smooth_l1(ctx, {y}, 1, Tensor::of<float>({1, 1, 4}, {0.72f, 0, 0, 0}),
                          Tensor::of<int32_t>({1, 1}, {1}), 0.1f));
  expect_answers(2, fmt::format("{}", a.gradient().item<float>()),
                 fmt::format("{:.2f}", w.gradient().values<float>()[0]));
}

TEST_CASE("course: the answers of lessons 3 and 4, convolution and backbone") {
  Context ctx;
  const auto ones = [](const Shape& shape) {
    const Tensor tensor = Tensor::empty(shape, DType::f32);
    tensor.fill(1);
    return Var(tensor);
  };
  const Var rows = conv2d(ctx, ones({1, 224, 16, 1}), ones({1, 7, 7, 1}), {.stride = 2, .pad = 3});
  const Var w = ones({64, 3, 3, 32}), out = conv2d(ctx, ones({1, 30, 40, 32}), w, {.pad = 1});
  CHECK(out.shape() == Shape{1, 30, 40, 64});
  // Every product is 1, so that an output inside counts its own products.
  const float products = out.value().values<float>()[static_cast<size_t>((10 * 40 + 10) * 64)];
  CHECK(static_cast<int64_t>(products) == w.value().numel() / 64);
  expect_answers(3, fmt::format("{}", rows.dim(1)),
                 fmt::format("{}", out.value().numel() * static_cast<int64_t>(products)));

  const ModelConfig config = model_config("nano-fpn");
  FasterRcnn model(config, 6, Init(1));
  ImageBatch batch;
  batch.pixels = Tensor::zeros({1, 240, 320, 3}, DType::f32);
  batch.size = Tensor::of<float>({1, 2}, {240, 320});
  const RpnOutput output = model.predict_anchors(ctx, batch);
  std::string strides;
  for (const Var& map : output.objectness)
    strides += fmt::format("{}{}", strides.empty() ? "" : ", ", 240 / map.dim(1));
  expect_answers(4, strides, fmt::format("{}", output.anchors.dim(0)));
}

TEST_CASE("course: the answers of lessons 5 and 6, anchors and losses") {
  Context ctx;
  const std::vector<float> cell = cell_anchors(std::vector<float>{64}, std::vector<float>{0.5f});
  const Tensor anchors =
      Tensor::of<float>({3, 4}, {0, 0, 100, 62, 0, 0, 100, 55, 0, 0, 100, 41});  // of an object of 100 x 100
  const GroundTruth truth{.boxes = Tensor::of<float>({1, 1, 4}, {0, 0, 100, 100}),
                          .labels = Tensor::of<int32_t>({1, 1}, {1}),
                          .count = Tensor::of<int32_t>({1}, {1}),
                          .image_id = Tensor::of<int32_t>({1}, {0})};
  const Tensor matched = match(ctx, anchors, {}, truth, {.high = 0.7f, .low = 0.3f, .promote_best = true});
  std::string fates;
  for (const int32_t object : matched.values<int32_t>())
    fates += fmt::format("{}{}", fates.empty() ? "" : ", ",
                         object >= 0    ? "positive"
                         : object == -1 ? "background"
                                        : "ignored");
  expect_answers(5, fmt::format("{} x {}", cell[2] - cell[0], cell[3] - cell[1]), fates);

  const Var objectness =
      sigmoid_cross_entropy(ctx, {Var(Tensor::zeros({1, 1}, DType::f32))}, Tensor::of<int32_t>({1, 1}, {1}));
  const auto box_loss = [&](float off) {
    return smooth_l1(ctx, {Var(Tensor::zeros({1, 1, 4}, DType::f32))}, 1,
                     Tensor::of<float>({1, 1, 4}, {off, 0, 0, 0}), Tensor::of<int32_t>({1, 1}, {1}), 1.0f / 9)
        .value()
        .item<float>();
  };
  expect_answers(6, fmt::format("{:.4f}", objectness.value().item<float>()),
                 fmt::format("{:.4f} and {:.4f}", box_loss(0.1f), box_loss(0.5f)));
}

TEST_CASE("course: the answers of lessons 7 and 8, RoIAlign and evaluation") {
  Context ctx;
  std::vector<Var> levels;  // each holds its own number
  RoiAlignConfig config{.height = 1, .width = 1, .sampling = 1, .scales = {}};
  for (int level = 2; level <= 5; ++level) {
    const Tensor map = Tensor::empty({1, 1024 >> level, 1024 >> level, 1}, DType::f32);
    map.fill(level);
    levels.emplace_back(map);
    config.scales.push_back(1.0f / static_cast<float>(1 << level));
  }
  const auto pooled = [&](const std::vector<Var>& maps, float low, float high) {
    return roi_align(ctx, maps, Tensor::of<float>({1, 1, 4}, {low, low, high, high}), {}, config)
        .value()
        .item<float>();
  };
  CHECK(fmt::format("{:.0f}", pooled(levels, 0, 224)) == "4");
  const std::string level = fmt::format("P{:.0f}", pooled(levels, 100, 212));
  const Tensor columns = Tensor::of<float>({1, 4, 4, 1}, {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3});
  config.scales = {1.0f / 16};
  expect_answers(7, level, fmt::format("{:.1f}", pooled({Var(columns)}, 8, 24)));

  const Candidates boxes{Tensor::of<float>({1, 3, 4}, {0, 0, 100, 10, 25, 0, 125, 10, 50, 0, 150, 10}),
                         Tensor::of<float>({1, 3}, {0.9f, 0.8f, 0.7f}),
                         Tensor::of<int32_t>({1, 3}, {0, 0, 0})};
  CHECK(fmt::format("{:.2f}", kernels::iou(Box{0, 0, 100, 10}, Box{25, 0, 125, 10})) == "0.60");
  CHECK(fmt::format("{:.2f}", kernels::iou(Box{0, 0, 100, 10}, Box{50, 0, 150, 10})) == "0.33");
  const KeptRows kept = nms(ctx, boxes, {.threshold = 0.5f, .max_boxes = 3});
  std::string names;
  for (int32_t i = 0; i < kept.count.values<int32_t>()[0]; ++i)
    names += fmt::format("{}{}", names.empty() ? "" : ", ",
                         static_cast<char>('A' + kept.rows.values<int32_t>()[static_cast<size_t>(i)]));
  Dataset data;
  data.classes = {"cat"};
  data.samples.emplace_back();
  data.samples[0].objects = {{{0, 0, 10, 10}, 1}, {{20, 0, 30, 10}, 1}};
  const VocResult result = evaluate_voc(
      {{0, 1, 0.9f, {0, 0, 10, 10}}, {0, 1, 0.8f, {50, 50, 60, 60}}, {0, 1, 0.7f, {20, 0, 30, 10}}}, data);
  expect_answers(8, names, fmt::format("{:.4f}", result.classes[0].ap_area));
}
