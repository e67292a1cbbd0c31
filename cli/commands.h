// The subcommands of `rcnn`, one file each.
#pragma once

#include <CLI/CLI.hpp>

#include <cmath>
#include <string>
#include <string_view>

namespace rcnn {

// Each function adds its subcommand to the program. `command_line` is quoted in the files of the run.
void add_train(CLI::App& program, const std::string& command_line);
void add_eval(CLI::App& program, const std::string& command_line);
void add_compare(CLI::App& program, const std::string& command_line);
void add_detect(CLI::App& program, const std::string& command_line);
void add_explain(CLI::App& program);
void add_propose(CLI::App& program);
void add_check(CLI::App& program);
void add_data(CLI::App& program);
void add_summary(CLI::App& program);
void add_synth(CLI::App& program);
void add_export(CLI::App& program);
void add_bench(CLI::App& program);
void add_lab(CLI::App& program);
void add_profile(CLI::App& program, const std::string& command_line);
/// Adds `tune` to the subcommand `lab`.
void add_lab_tune(CLI::App& lab);
/// Adds `replay` to the subcommand `lab`, and that if it does not exist.
void add_lab_replay(CLI::App& program);

/// Adds --force, which is OutputCheck's.
inline CLI::Option* add_force(CLI::App& app, bool& force) {
  return app.add_flag("--force", force, "replace files that another program wrote");
}

/// Adds --rank-timeout, World::Watch's.
inline CLI::Option* add_rank_timeout(CLI::App& app, double& seconds) {
  return app
      .add_option("--rank-timeout", seconds,
                  "several processes: seconds after which one that waits for another ends the run; 0: never")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str()
      ->type_name("SECONDS");
}

/// Refuses NaN and infinity, which a comparison with the ends of a range lets pass.
inline CLI::Validator finite_number() {
  return {[](const std::string& text) {
            double value = 0;
            const bool bad = CLI::detail::lexical_cast(text, value) && !std::isfinite(value);
            return bad ? "expected a finite number, found " + text : std::string();
          },
          ""};
}

/// Refuses a number below 0, which an unsigned option would read as a very large one.
inline CLI::Validator not_negative() {
  return {[](const std::string& text) {
            return text.starts_with('-') ? "expected 0 or more, found " + text : std::string();
          },
          ""};
}

/// Adds --threads.
CLI::Option* add_threads(CLI::App& app);

/// Options in groups whose names begin with this are only shown by --help-all.
inline constexpr std::string_view kMoreOptions = "More: ";

struct LabTimeOptions;
/// Adds the options that `lab time` and `bench ops` share: --device, --chosen, --case, --cold, --json,
/// --threads and --force.
void add_time_options(CLI::App& app, LabTimeOptions& options);

/// Commit, libraries and instruction set in one line.
std::string version_line();
/// The commit alone, as `git describe` names it.
std::string commit_name();

}  // namespace rcnn
