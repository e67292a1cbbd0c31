// Batch normalisation with the statistics of a whole step: its gradients, what it equals, and how it ends.
#include <doctest/doctest.h>

#include <chrono>
#include <cstring>

#include "core/op_observer.h"
#include "layers/batch_norm.h"
#include "tests/layers/gradcheck.h"
#include "tests/one_thread.h"
#include "tests/train/noise.h"
#include "tests/train/ranks.h"
#include "train/passes_together.h"
#include "train/step.h"

using namespace rcnn;
using namespace rcnn::fixtures;
namespace fs = std::filesystem;

namespace {

BatchNorm norm_of_channels(int64_t c) {
  BatchNorm p;
  p.weight = random_leaf({c}, 11);
  p.bias = random_leaf({c}, 12);
  p.running_mean = random_leaf({c}, 13).value();
  p.running_var = Tensor::zeros({c}, DType::f64);
  p.running_var.fill(2);
  return p;
}

/// A loss that weighs every element of y with a number of its own. Its gradient is these numbers.
struct WeighedSum : Node {
  Tensor weights;
  const char* name() const override { return "weighed_sum"; }
  void backward(Context& ctx) override { target(ctx, 0).put(weights); }
};

Tensor numbers_like(const Tensor& y, uint64_t seed) { return random_leaf(y.shape(), seed).value(); }

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.numel(); ++i) sum += a.data<double>()[i] * b.data<double>()[i];
  return sum;
}

/// A model, its optimiser and its step.
struct Training {
  Context ctx;
  FasterRcnn model{tiny_model(), 2, Init(3)};
  Sgd sgd{ctx, model, {.momentum = 0, .weight_decay = 0}};
  TrainingStep step;
  explicit Training(bool sync_bn, World& world = alone()) : step(ctx, model, sgd, false, world, sync_bn) {}

  std::vector<Tensor> state() {
    std::vector<Tensor> all;
    visit_module(
        model, [&](const std::string&, Var& v, const Shape&) { all.push_back(v.value()); },
        [&](const std::string&, Tensor& t) { all.push_back(t); });
    return all;
  }
};

std::vector<TrainingBatch> batches_of_noise(int64_t count) {
  std::vector<TrainingBatch> batches;
  for (int64_t i = 0; i < count; ++i) batches.push_back(noise(static_cast<uint64_t>(i), 1, i % 2 ? 96 : 64));
  return batches;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("sync-bn: gradients of two batches of different sizes agree with central differences") {
  for (const bool relu : {false, true}) {
    CAPTURE(relu);
    const Var x[2] = {random_leaf({2, 3, 2, 3}, 1), random_leaf({1, 4, 5, 3}, 2)};
    const Var residual[2] = {random_leaf({2, 3, 2, 3}, 3), random_leaf({1, 4, 5, 3}, 4)};
    BatchNorm p = norm_of_channels(3);
    // The loss of both batches; with `gradients` they are added to the leaves.
    const auto loss = [&](bool gradients) {
      Context ctx;
      ctx.training = true;
      ctx.grad = gradients;
      PassesTogether together(ctx, alone(), 2);
      double sum = 0;
      together.run(
          [&](int64_t i) {
            const Var y = batch_norm(ctx, x[i], p, residual[i], relu);
            const Tensor weights = numbers_like(y.value(), 20 + static_cast<uint64_t>(i));
            sum += dot(y.value(), weights);
            if (!gradients) return;
            auto node = std::make_shared<WeighedSum>();
            node->weights = weights;
            backward(ctx, record(ctx, node, {&y}, Tensor::of<double>({}, {dot(y.value(), weights)})));
          },
          [](int64_t) {});
      return sum;
    };
    loss(true);
    for (const Var& leaf : {x[0], x[1], residual[0], residual[1], p.weight, p.bias}) {
      const auto values = leaf.value().mutable_values<double>();
      for (size_t i = 0; i < values.size(); ++i) {
        constexpr double kStep = 1e-6;
        const double before = values[i];
        values[i] = before + kStep;
        const double above = loss(false);
        values[i] = before - kStep;
        const double below = loss(false);
        values[i] = before;
        const double expected = (above - below) / (2 * kStep), found = leaf.gradient().data<double>()[i];
        CAPTURE(i);
        CHECK(std::fabs(found - expected) <= 1e-6 * (1 + std::fabs(expected)));
      }
    }
  }
}

TEST_CASE("sync-bn: running statistics move once in a step, by all values, each counting the same") {
  // 2 values 1 and 6 values 5: mean 4, sum of squares 2 * 9 + 6 * 1 = 24, unbiased variance 24 / 7.
  const Tensor x[2] = {Tensor::of<double>({2, 1}, {1, 1}), Tensor::of<double>({6, 1}, {5, 5, 5, 5, 5, 5})};
  BatchNorm p = norm_of_channels(1);
  p.running_mean.fill(10);
  p.weight.value().fill(1);
  p.bias.value().fill(0);
  Context ctx;
  ctx.training = true;
  PassesTogether together(ctx, alone(), 2);
  double y[2] = {};
  together.run([&](int64_t i) { y[i] = batch_norm(ctx, Var(x[i]), p).value().data<double>()[0]; },
               [](int64_t) {});
  const auto near = [](double expected) { return doctest::Approx(expected).epsilon(1e-7); };
  CHECK(p.running_mean.item<double>() == near(0.9 * 10 + 0.1 * 4));
  CHECK(p.running_var.item<double>() == near(0.9 * 2 + 0.1 * 24 / 7));
  CHECK(y[0] == near(-3 / std::sqrt(3 + 1e-5)));
  CHECK(y[1] == near(1 / std::sqrt(3 + 1e-5)));
}

TEST_CASE("sync-bn: a step of four batches of one image is the step of one batch of four") {
  const OneThread ops;
  std::vector<TrainingBatch> single;
  for (uint64_t i = 0; i < 4; ++i) single.push_back(noise(i));
  Training one(false), four(true), alone_each(false);
  const std::vector<Tensor> before = [&] {
    std::vector<Tensor> copies;
    for (const Tensor& t : one.state()) copies.push_back(t.clone());
    return copies;
  }();
  one.step.run(0, 0.05f, noise(0, 4));
  four.step.run(0, 0.05f, single);
  alone_each.step.run(0, 0.05f, single);
  // The largest difference of any value, as a share of how far its tensor has moved.
  const auto worst = [&](Training& other) {
    double largest = 0;
    const auto a = one.state(), b = other.state();
    for (size_t k = 0; k < a.size(); ++k) {
      double moved = 0, apart = 0;
      for (int64_t i = 0; i < a[k].numel(); ++i) {
        const auto at = [&](const Tensor& t) { return static_cast<double>(t.data<float>()[i]); };
        moved = std::max(moved, std::fabs(at(a[k]) - at(before[k])));
        apart = std::max(apart, std::fabs(at(a[k]) - at(b[k])));
      }
      if (moved > 0) largest = std::max(largest, apart / moved);
    }
    return largest;
  };
  // Measured: 7e-4, and without --sync-bn 3.3.
  CHECK(worst(four) < 5e-3);
  CHECK(worst(alone_each) > 0.5);
}

TEST_CASE("sync-bn: with one batch in a step nothing changes, to the last bit") {
  const OneThread ops;
  Training with(true), without(false);
  const std::vector<TrainingBatch> batch = {noise(1, 2)};
  for (int64_t s = 0; s < 2; ++s) {
    with.step.run(s, 0.05f, batch);
    without.step.run(s, 0.05f, batch);
  }
  const auto a = with.state(), b = without.state();
  for (size_t k = 0; k < a.size(); ++k) CHECK(std::memcmp(a[k].raw(), b[k].raw(), a[k].bytes()) == 0);
}

TEST_CASE("sync-bn: each batch has the process's number of threads that compute") {
  const OneThread ops;
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    Context ctx;
    PassesTogether together(ctx, alone(), 3);
    std::vector<int> found, entered;
    for (int step = 0; step < 2; ++step)
      together.run(
          [&](int64_t) {
            CHECK(ctx.micro_batch == found.size() % 3);
            found.push_back(thread_count());
          },
          [&](int64_t i) { entered.push_back(static_cast<int>(i)); });
    CHECK(found == std::vector<int>(6, thread_count()));
    CHECK(entered == std::vector<int>{0, 1, 2, 0, 1, 2});
  }
}

TEST_CASE("sync-bn: after a step the model has the optimiser's leaves again") {
  Training training(true);
  training.step.run(0, 0.05f, batches_of_noise(3));
  size_t k = 0;
  for_each_parameter(training.model, [&](const std::string& name, Var& v) {
    if (!v.requires_grad()) return;
    CAPTURE(name);
    CHECK(v.gradient_memory().storage().id ==
          training.sgd.parameters()[k++].value.gradient_memory().storage().id);
  });
  CHECK(k == training.sgd.parameters().size());
}

TEST_CASE("sync-bn: a batch that fails ends the others, in one process and in several; the next step works") {
  const OneThread ops;
  /// Lets one batch fail when it comes to an op.
  struct Failure : OpObserver {
    const Context& ctx;
    std::string where;
    uint32_t batch;
    Failure(const Context& c, std::string op, uint32_t b) : ctx(c), where(std::move(op)), batch(b) {}
    void op_begins(const OpCall& call) override {
      if (where == call.op && ctx.micro_batch == batch) throw Error(sentence());
    }
    void op_ends(const OpCall&) override {}
    std::string sentence() const { return fmt::format("batch {} fails in {}", batch, where); }
  };
  const auto batches = batches_of_noise(4);
  const auto own = [&](const World& world) {
    const Share share = world.share(4);
    return std::span(batches).subspan(static_cast<size_t>(share.begin), static_cast<size_t>(share.count()));
  };
  // Before any meeting, between forward and backward, and in the middle of backward.
  for (const char* where : {"conv2d", "roi_align", "sync_batch_norm_backward"})
    for (const uint32_t bad : {0u, 1u, 3u}) {
      CAPTURE(where);
      CAPTURE(bad);
      Training alone_here(true), undisturbed(true);
      Failure failure(alone_here.ctx, where, bad);
      alone_here.ctx.observer = &failure;
      CHECK(error_of([&] { alone_here.step.run(0, 0.05f, batches); }) == failure.sentence());
      CHECK(alone_here.ctx.micro_batch == 0);
      CHECK(std::string(alone_here.ctx.layer).empty());
      alone_here.ctx.observer = nullptr;
      // Running statistics may have moved; what the step makes of weights and batches is the same.
      alone_here.step.run(0, 0.05f, batches);
      undisturbed.step.run(0, 0.05f, batches);
      CHECK(std::memcmp(alone_here.sgd.norm().raw(), undisturbed.sgd.norm().raw(), sizeof(float)) == 0);

      for (const int ranks : {2, 3, 4}) {
        CAPTURE(ranks);
        std::string said;
        const double seconds = seconds_of([&] {
          said = error_of([&] {
            run_ranks(ranks, [&](World& world) {
              Training training(true, world);
              Failure one(training.ctx, where, bad);
              training.ctx.observer = &one;
              training.step.run(0, 0.05f, own(world), 4);
            });
          });
        });
        CHECK(said == failure.sentence());
        CHECK(seconds < 20);
      }
    }
}

TEST_CASE("sync-bn: batches that meet at other normalisations end with a sentence") {
  Context ctx;
  ctx.training = true;
  const auto said = [&](const std::function<void(int64_t)>& pass) {
    PassesTogether together(ctx, alone(), 2);
    return error_of([&] { together.run(pass, [](int64_t) {}); });
  };
  BatchNorm three = norm_of_channels(3), four = norm_of_channels(4);
  const Var x3 = random_leaf({2, 3}, 1), x4 = random_leaf({2, 4}, 1);
  CHECK(said([&](int64_t i) {
          if (i == 0) batch_norm(ctx, x3, three);
        }) == "--sync-bn: 1 of 2 batches wait at a normalisation that the others do not have");
  CHECK(said([&](int64_t i) { i == 0 ? batch_norm(ctx, x3, three) : batch_norm(ctx, x4, four); }) ==
        "--sync-bn: batch 0 waits at a normalisation of 7 numbers, and batch 1 at one of 9");
  // Backward belongs to the pass.
  ctx.grad = true;
  Var y;
  PassesTogether together(ctx, alone(), 2);
  together.run(
      [&](int64_t) {
        y = batch_norm(ctx, Var(Tensor::zeros({1, 3}, DType::f64)), three);
      },
      [](int64_t) {});
  auto node = std::make_shared<WeighedSum>();
  node->weights = numbers_like(y.value(), 1);
  const Var loss = record(ctx, node, {&y}, Tensor::zeros({}, DType::f64));
  CHECK(error_of([&] { backward(ctx, loss); }) ==
        "--sync-bn: a batch comes to a normalisation when its pass has ended");
}

TEST_CASE(
    "sync-bn: a whole run leaves the same files with 1, 2 and 3 ranks, and resumes with another number") {
  const OneThread ops;
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 7);
  write_tiny_scenes(folder / "data", 2, "test");
  write_broken_split(folder / "data");
  const auto run = [&](const std::string& out) {
    RunOptions options = tiny_run(folder / "data", folder / out);
    options.train.accumulate = 4;
    options.train.batch = 1;
    options.train.steps = 4;
    options.train.sync_bn = true;
    options.model.box_dropout = 0.3f;
    return options;
  };
  train_quietly(run("one"));
  for (const int ranks : {2, 3}) {
    CAPTURE(ranks);
    train_with_ranks(ranks, run(std::to_string(ranks)));
    check_same_results(folder / "one", folder / std::to_string(ranks));
  }
  RunOptions apart = run("apart");
  apart.train.sync_bn = false;
  train_quietly(apart);
  CHECK((content_of(folder / "apart/metrics.jsonl") != content_of(folder / "one/metrics.jsonl")));

  // An evaluation that fails ends the run after its first epoch, with a checkpoint.
  RunOptions stopped = run("stopped");
  stopped.train.val = "broken";
  CHECK_THROWS(train_with_ranks(3, stopped));
  RunOptions resumed = run("stopped");
  resumed.resume = true;
  RunOptions other = resumed;
  other.train.sync_bn = false;
  CHECK(contains(input_error([&] { train_quietly(other); }),
                 "the run to resume has --sync-bn 'true', not 'false'"));
  train_with_ranks(2, resumed);
  for (const char* file : {"best.safetensors", "metrics.jsonl", "detections.json"})
    CHECK((content_of(folder / "one" / file) == content_of(folder / "stopped" / file)));
  auto last = timeless(folder / "stopped/last.safetensors");
  CHECK(last.erase("evaluation_due") == 1);  // on the broken split
  CHECK((last == timeless(folder / "one/last.safetensors")));
}

TEST_CASE("sync-bn: without batch normalisation that is trained, it is refused with a sentence") {
  const TemporaryFolder folder;
  write_tiny_scenes(folder / "data", 3);
  const Quiet quiet;
  for (const char* norm : {"group", "folded"})  // "frozen" is for --weights
    for (const bool dry : {false, true}) {
      RunOptions run = tiny_run(folder / "data", folder / "out");
      run.train.sync_bn = true;
      run.model.norm = norm;
      run.dry_run = dry;
      CHECK(
          input_error([&] { train_detector(run); }) ==
          fmt::format("--sync-bn: no batch normalisation is trained (--model nano-fpn, --norm {}), so there "
                      "is nothing to synchronise; leave it out, or train with --norm batch",
                      norm));
      CHECK_FALSE(fs::exists(folder / "out"));
    }
}

TEST_CASE("sync-bn: a dry run that is refused says nothing about its batches before") {
  const ProgramTrial trial;
  if (!trial) return;
  write_tiny_scenes(trial.folder / "data", 3);
  const Finished found =
      trial.run({"train", "--data", trial.path("data"), "--out", trial.path("out"), "--model", "vgg16",
                 "--short-side", "32", "--sync-bn", "--accumulate", "2", "--dry-run"});
  CHECK(found.status == 2);
  CHECK(contains(found.err, "--sync-bn: no batch normalisation is trained (--model vgg16"));
  CHECK_FALSE(contains(found.out, "batches"));
}
