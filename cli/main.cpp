// The program `rcnn`. Its exit status is 0 on success, 2 for a fault in the input or on the command line, 128
// plus the signal's number if a signal ended the run, and 1 for anything else.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <new>

#include "cli/commands.h"
#include "cli/ranks.h"
#include "cli/requeue.h"
#include "cli/usage.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory_limit.h"
#include "core/parallel.h"
#include "core/text.h"
#include "core/waiting.h"
#include "core/world.h"
#include "train/interrupt.h"

namespace {

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

/// A file that the program opens must not become standard output or standard error because these were closed.
void open_standard_files() {
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(file, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0)
      return;  // open takes the lowest number
}

/// Standard error may be closed or full; that must not hide the exit status. `sentence` is for a terminal.
void say(std::string_view sentence) {
  std::signal(SIGPIPE, SIG_IGN);
  std::fputs(fmt::format("rcnn: {}\n", sentence).c_str(), stderr);
}

int fail(std::string_view sentence, int status, const std::function<void()>& before_the_end = {}) {
  std::signal(SIGPIPE, SIG_IGN);
  rcnn::end_all(sentence, status, before_the_end);
  rcnn::let_first_speak();
  say(sentence);
  return status;
}

int run(CLI::App& program, int argc, char** argv) {
  try {
    rcnn::set_thread_count(0);
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    if (const std::string list = rcnn::asked_list(program, error); !list.empty()) {
      fmt::print("{}", list);
      return 0;
    }
    if (error.get_exit_code() != 0) rcnn::let_first_speak();
    return program.exit(error) == 0 ? 0 : 2;
  } catch (const rcnn::Interrupted& stopped) {  // all processes have agreed to it, and stop alike
    if (const rcnn::World* world = rcnn::connected_world(); !world || world->is_first()) {
      say(stopped.what());
      if (rcnn::requeues_after(stopped.signal)) rcnn::requeue();
    }
    return 128 + stopped.signal;
  } catch (const rcnn::LostRank& error) {
    return fail(rcnn::printable(error.what()), 1, rcnn::requeue);
  } catch (const rcnn::InputError& error) {
    return fail(rcnn::printable(error.what()), 2);
  } catch (const std::bad_alloc&) {
    return fail(rcnn::address_limit() == 0
                    ? "out of memory; a lower --batch or --short-side needs less"
                    : fmt::format("out of memory: the process may use {} MiB of addresses (ulimit -v); a "
                                  "lower --batch or --short-side needs less",
                                  rcnn::address_limit() >> 20),
                1);
  } catch (const std::filesystem::filesystem_error& error) {
    const std::string path = error.path2().empty() ? error.path1().string() : error.path2().string();
    return fail(rcnn::printable(fmt::format("{}: {}", path, error.code().message())), 2);
  } catch (const std::exception& error) {
    return fail(rcnn::printable(error.what()), 1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_files();
  rcnn::sleep_soon_when_waiting(argv);
  rcnn::prepare_for_limit();
  CLI::App program{"Faster R-CNN from scratch: train, evaluate and run object detectors."};
  program.name("rcnn");
  program.formatter(std::make_shared<HelpFormatter>());  // subcommands inherit it
  program.set_version_flag("--version", rcnn::version_line);
  program.require_subcommand(1);
  std::string command_line = "rcnn";
  for (int i = 1; i < argc; ++i) command_line += " " + rcnn::shell_word(argv[i]);
  rcnn::add_train(program, command_line);
  rcnn::add_eval(program, command_line);
  rcnn::add_compare(program, command_line);
  rcnn::add_detect(program, command_line);
  rcnn::add_explain(program);
  rcnn::add_propose(program);
  rcnn::add_check(program);
  rcnn::add_data(program);
  rcnn::add_summary(program);
  rcnn::add_synth(program);
  rcnn::add_export(program);
  rcnn::add_bench(program);
  rcnn::add_lab(program);
  rcnn::add_profile(program, command_line);
  rcnn::add_lab_replay(program);
  rcnn::add_help(program);
  program.footer(  // after the subcommands, which would inherit it
      "`rcnn COMMAND --help` explains a command. A first run on generated images:\n"
      "  rcnn synth --out scenes --count 500\n"
      "  rcnn synth --out scenes --count 100 --split test\n"
      "  rcnn train --data scenes --out run");
  program.failure_message(rcnn::usage_error);
  // Reaching a file size limit is an error like a full disk; it must not kill the process silently.
  std::signal(SIGXFSZ, SIG_IGN);
  // Each line is written at once, also to a pipe or a log file.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  int status = run(program, argc, argv);
  rcnn::leave_launched_world();
  // What a training says is a log beside its results; what the other commands say is their result.
  if (const std::string lost = rcnn::log_failure(); !lost.empty() && status == 0)
    if (const int failed = fail(lost, 1); !program.got_subcommand("train")) status = failed;
  return status;
}
