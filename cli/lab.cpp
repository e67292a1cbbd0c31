#include <fmt/format.h>

#include "bench/checkout.h"
#include "bench/lab_explain.h"
#include "bench/lab_list.h"
#include "bench/lab_new.h"
#include "bench/lab_results.h"
#include "bench/lab_time.h"
#include "bench/lab_verify.h"
#include "cli/commands.h"

namespace rcnn {
namespace {

constexpr const char* kNames = "OP or OP=VARIANT, as in roi_align=merged_taps [all]";

void add_list(CLI::App& lab) {
  struct Options {
    std::vector<std::string> ops;
    std::string root;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = lab.add_subcommand("list", "List the ops, their variants and where they are written");
  app->add_option("ops", options->ops, kNames)->type_name("OP");
  app->add_option("--root", options->root,
                  "the checkout whose sources are named [the one around this folder]")
      ->type_name("DIR");
  app->callback([options] {
    const std::filesystem::path root = find_checkout(options->root);
    check_input(options->root.empty() || !root.empty(), "--root {}: no checkout of this project",
                options->root);
    lab_list(options->ops, root);
    if (root.empty()) fmt::print("(run in a checkout, or with --root, this also names the source files)\n");
  });
}

void add_verify(CLI::App& lab) {
  auto options = std::make_shared<LabVerifyOptions>();
  CLI::App* app =
      lab.add_subcommand("verify", "Compare variants with the reference, on every test case of their op");
  app->add_option("ops", options->ops, kNames)->type_name("OP");
  app->add_option("--device", options->device, "cpu, cuda or all [all]")
      ->check(CLI::IsMember({"all", "cpu", "cuda"}));
  app->add_option("--out", options->out, "write a picture of each wrong result to this folder")
      ->type_name("DIR");
  add_threads(*app);
  add_force(*app, options->force);
  app->callback([options] { lab_verify(*options); });
}

void add_time(CLI::App& lab) {
  auto options = std::make_shared<LabTimeOptions>();
  options->seconds = 1;
  options->noise = 0.005;
  CLI::App* app = lab.add_subcommand("time", "Time variants on the shapes of the models");
  app->add_option("ops", options->names, kNames)->type_name("OP");
  add_time_options(*app, *options);
  app->add_option("--shapes", options->shapes,
                  "the calls of this file, which `--capture FILE` of train, detect or profile has written, "
                  "instead of the shapes of the models")
      ->type_name("FILE")
      ->check([](const std::string& file) { return file.empty() ? "expected the name of a file" : ""; });
  app->add_option("--seconds", options->seconds, "at most, for each variant and shape [1]")
      ->check(CLI::Range(0.0, 600.0))
      ->check(finite_number());
  app->add_option("--noise", options->noise,
                  "stop earlier, once the median is known to within this share of it [0.005]")
      ->check(CLI::Range(0.0, 1.0))
      ->check(finite_number());
  app->add_flag("--once", options->once, "run each variant once, without timing it: for profilers");
  app->add_option("--markdown", options->markdown, "also write the tables to this file")->type_name("FILE");
  app->add_option("--svg", options->svg, "also draw the times below the machine's limits (a roofline)")
      ->type_name("FILE");
  app->callback([options] {
    check_input(
        !options->once || (options->json.empty() && options->markdown.empty() && options->svg.empty()),
        "--once measures nothing that --json, --markdown or --svg could write");
    options->version = version_line();
    options->commit = commit_name();
    lab_time(*options);
  });
}

void add_lab_explain(CLI::App& lab) {
  auto options = std::make_shared<LabExplainOptions>();
  CLI::App* app = lab.add_subcommand(
      "explain",
      "Count the memory accesses of CUDA kernels on the simulated device, and tell what limits them");
  app->add_option("ops", options->names, "OP or OP=VARIANT, as in roi_align=warp_per_bin")
      ->required()
      ->type_name("OP");
  app->add_option("--case", options->cases,
                  "the cases of these numbers, as `lab time` numbers them, separated by commas [0]")
      ->delimiter(',')
      ->check(CLI::Range(0, 1000));
  app->add_flag("--tested", options->tested, "cases of the op's tests, which are small, instead");
  app->add_option("--blocks", options->blocks,
                  "blocks to run of each launch, where others do not depend on them; 0: all [8]")
      ->check(CLI::Range(0, 1000000));
  app->add_option("--card", options->card, "whose limits the advice and the table name [H100]")
      ->type_name("CARD");
  app->add_option("--json", options->json, "also write the figures to this file")->type_name("FILE");
  add_force(*app, options->force);
  app->callback([options] {
    options->root = find_checkout();
    options->version = version_line();
    lab_explain(*options);
  });
}

void add_compare(CLI::App& lab) {
  struct Options {
    std::string base, fresh;
  };
  auto options = std::make_shared<Options>();
  CLI::App* app = lab.add_subcommand(
      "compare", "Compare two files of `lab time --json`; fails if a variant became slower beyond the noise");
  app->add_option("base", options->base, "the times before")->required()->type_name("BASE.json");
  app->add_option("new", options->fresh, "the times now")->required()->type_name("NEW.json");
  app->callback([options] {
    const LabComparison found = compare_lab_results(options->base, options->fresh);
    check(found.slower == 0 && found.failed == 0, "slower: {}, failed: {}, see above", found.slower,
          found.failed);
  });
}

void add_new(CLI::App& lab) {
  auto options = std::make_shared<LabNewOptions>();
  CLI::App* app = lab.add_subcommand("new", "Add a variant to an op: its file, its declaration and its row");
  app->add_option("op", options->op, "the op, as `rcnn lab list` names it")->required()->type_name("OP");
  app->add_option("variant", options->variant, "the name of the technique: small letters, digits, _")
      ->required()
      ->type_name("VARIANT");
  app->add_flag("--cuda", options->cuda, "a CUDA kernel, which begins as a copy of the op's simplest one");
  app->add_option("--root", options->root, "the checkout to change [the one around this folder]")
      ->type_name("DIR");
  app->callback([options] { lab_new(*options); });
}

}  // namespace

void add_time_options(CLI::App& app, LabTimeOptions& options) {
  app.add_option("--device", options.device, "where to compute: auto, cpu, cuda or cuda:N [auto]")
      ->type_name("DEVICE");
  app.add_option("--chosen", options.chosen,
                 "only the variants that a model of these precisions uses, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "tf32", "bf16"}));
  app.add_option("--case", options.cases,
                 "of each op only the cases of these numbers, counted from 0, separated by commas")
      ->delimiter(',')
      ->check(CLI::Range(0, 1000));
  app.add_flag("--cold", options.cold, "on a GPU, also time each run after the L2 cache was overwritten");
  app.add_option("--json", options.json, "also write the times to this file")->type_name("FILE");
  add_threads(app);
  add_force(app, options.force);
}

void add_lab(CLI::App& program) {
  CLI::App* lab = program.add_subcommand("lab", "Write, verify and time kernels");
  lab->require_subcommand(1);
  add_list(*lab);
  add_verify(*lab);
  add_time(*lab);
  add_lab_explain(*lab);
  add_lab_tune(*lab);
  add_compare(*lab);
  add_new(*lab);
}

}  // namespace rcnn
