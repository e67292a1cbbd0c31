// The program `rcnn`. Its exit status is 0 on success, 2 for a fault in the input or on the command line, 128
// plus the signal's number if a signal ended the run, and 1 for anything else.
#include <fmt/format.h>

#include <csignal>
#include <new>

#include "cli/commands.h"
#include "core/error.h"
#include "core/text.h"
#include "core/waiting.h"
#include "train/interrupt.h"

namespace {

std::string quote(const std::string& word) {
  const bool plain = word.find_first_of(" \t\n'\"\\$&;|<>*?()") == std::string::npos && !word.empty();
  return plain ? word : "'" + word + "'";
}

/// One line that says what is wrong with the command line, and which help explains it.
std::string usage_error(const CLI::App* program, const CLI::Error& error) {
  const CLI::App* command = program;
  std::string name = program->get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  std::string fault = error.what();
  // CLI11 only says that a command is missing; a mistyped one is among the remaining words.
  if (!command->get_subcommands({}).empty() && command->remaining_size() > 0)
    fault = fmt::format("'{}' is not a command", command->remaining().front());
  return fmt::format("rcnn: {}; `{} --help` explains the usage\n", fault, name);
}

struct HelpFormatter : CLI::Formatter {
  /// `--help` shows the most important options only, and leaves groups under kMoreOptions to `--help-all`.
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    all_ = mode == CLI::AppFormatMode::All;
    std::string help = CLI::Formatter::make_help(app, std::move(name), mode);
    for (size_t at; (at = help.find("\n\n\n")) != std::string::npos;)
      help.erase(at, 1);  // left by groups that are not shown
    return help;
  }
  std::string make_group(std::string group, bool positional,
                         std::vector<const CLI::Option*> options) const override {
    if (!all_ && group.starts_with(rcnn::kMoreOptions)) return "";
    return CLI::Formatter::make_group(std::move(group), positional, std::move(options));
  }
  /// Names a switch `--x,--no-x`. CLI11 would also show the text that each name stands for:
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
  rcnn::sleep_soon_when_waiting(argv);
  CLI::App program{"Faster R-CNN from scratch: train, evaluate and run object detectors."};
  program.name("rcnn");
  program.formatter(std::make_shared<HelpFormatter>());  // subcommands inherit it
  program.set_version_flag("--version", rcnn::version_line);
  program.require_subcommand(1);
  program.footer(
      "`rcnn COMMAND --help` explains a command. A first run on generated images:\n"
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
  // Reaching a file size limit is an error like a full disk; it must not kill the process silently.
  std::signal(SIGXFSZ, SIG_IGN);
  // Each line is written at once, also to a pipe or a log file.
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
    fmt::print(stderr, "rcnn: {}\n", rcnn::printable(error.what()));
    return 2;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "rcnn: out of memory; a lower --batch or --short-side needs less\n");
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "rcnn: {}\n", rcnn::printable(error.what()));
    return 1;
  }
}
