// Starting other programs: mpirun with several processes of this one, and Slurm's commands.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace rcnn {

/// The file of a program in the folders of PATH; empty if none has it.
std::filesystem::path find_on_path(const std::string& program);

/// Runs a program with these arguments and waits for it. Returns its exit status; -1 if it could not be
/// started or was ended by a signal.
int run_and_wait(const std::filesystem::path& program, const std::vector<std::string>& arguments);

/// The words that start so many processes of a command on this machine, which has so many processors.
std::vector<std::string> mpirun_words(const std::filesystem::path& mpirun, int processes, int processors,
                                      const std::vector<std::string>& command);

/// For the calls of the system, which take pointers: to each of the words, and a null pointer.
std::vector<char*> pointers_to(std::vector<std::string>& words);

/// The program that runs and its arguments.
std::vector<std::string> own_command();

/// If OMP_NUM_THREADS is not set, sets it so that each of so many processes gets an equal part of the
/// threads.
void divide_threads(int processes);

/// Becomes mpirun with so many processes of this program, with the same arguments and divided threads. Throws
/// InputError if there is no mpirun.
[[noreturn]] void become_ranks(int processes);

}  // namespace rcnn
