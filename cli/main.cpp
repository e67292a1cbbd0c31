// The program `rcnn`. Exit status: 0, or 2 when the input or the command line is at fault, or 128 and the
// signal's number where one ended the run, or 1 for anything else.
#include <fmt/format.h>

#include <csignal>
#include <new>

#include "cli/commands.h"
#include "core/error.h"
#include "train/interrupt.h"

namespace {

std::string quote(const std::string& word) {
  const bool plain = word.find_first_of(" \t\n'\"\\$&;|<>*?()") == std::string::npos && !word.empty();
  return plain ? word : "'" + word + "'";
}

/// What is wrong with the command line, in one line, and where to read more.
std::string usage_error(const CLI::App* program, const CLI::Error& error) {
  const CLI::App* command = program;
  std::string name = program->get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  std::string fault = error.what();
  // A mistyped command is left over, and CLI11 only says that there is none.
  if (!command->get_subcommands({}).empty() && command->remaining_size() > 0)
    fault = fmt::format("'{}' is not a command", command->remaining().front());
  return fmt::format("rcnn: {}; `{} --help` explains the usage\n", fault, name);
}

struct HelpFormatter : CLI::Formatter {
  /// `--help` shows the first things only: what stands under kMoreOptions is left to `--help-all`.
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    all_ = mode == CLI::AppFormatMode::All;
    std::string help = CLI::Formatter::make_help(app, std::move(name), mode);
    for (size_t at; (at = help.find("\n\n\n")) != std::string::npos;)
      help.erase(at, 1);  // of groups left out
    return help;
  }
  std::string make_group(std::string group, bool positional,
                         std::vector<const CLI::Option*> options) const override {
    if (!all_ && group.starts_with(rcnn::kMoreOptions)) return "";
    return CLI::Formatter::make_group(std::move(group), positional, std::move(options));
  }
  /// Names a switch `--x,--no-x`: CLI11 would show the text that each stands for as well,
  /// `--x{true},--no-x{false}`.
  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, positional);
    for (size_t begin; (begin = name.find('{')) != std::string::npos;)
      name.erase(begin, name.find('}') - begin + 1);
    return name;
  }

 private:
  mutable bool all_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App program{"Faster R-CNN from scratch: train, evaluate and run object detectors."};
  program.name("rcnn");
  program.formatter(std::make_shared<HelpFormatter>());  // subcommands take it over
  program.set_version_flag("--version", rcnn::version_line);
  program.require_subcommand(1);
  program.footer(
      "`rcnn COMMAND --help` explains a command. A first run, without any data:\n"
      "  rcnn synth --out scenes --count 500\n"
      "  rcnn synth --out scenes --count 100 --split test\n"
      "  rcnn train --data scenes --out run");
  std::string command_line = "rcnn";
  for (int i = 1; i < argc; ++i) command_line += " " + quote(argv[i]);
  rcnn::add_train(program, command_line);
  rcnn::add_eval(program);
  rcnn::add_detect(program);
  rcnn::add_propose(program);
  rcnn::add_check(program);
  rcnn::add_summary(program);
  rcnn::add_synth(program);
  rcnn::add_export(program);
  rcnn::add_bench(program);
  program.failure_message(usage_error);
  // A file size limit that is reached is an error like a full disk, not a reason to die without a word.
  std::signal(SIGXFSZ, SIG_IGN);
  // Lines come out as they are made, also into a pipe or a log file.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  } catch (const rcnn::Interrupted& stopped) {
    fmt::print(stderr, "rcnn: {}\n", stopped.what());
    return 128 + rcnn::InterruptGuard::signal();
  } catch (const rcnn::InputError& error) {
    fmt::print(stderr, "rcnn: {}\n", error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "rcnn: out of memory; a smaller --batch or --short-side needs less\n");
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "rcnn: {}\n", error.what());
    return 1;
  }
}
