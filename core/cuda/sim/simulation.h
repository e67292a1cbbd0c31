// What tests and the program may ask of the simulated device beyond the runtime's interface.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace rcnn::cuda_sim {

/// The order in which the blocks of a grid and the threads of a block run where the program leaves it open.
enum class Order { ascending, descending, shuffled };

struct Settings {
  Order order = Order::shuffled;
  uint64_t seed = 1;   // of the shuffled orders
  bool eager = false;  // run work when it is put on a stream: for stepping through a kernel in a debugger
  // Count kernels instead of running them, and print the list on standard error when the program ends. What
  // a training step or a detection launches does not depend on values, so it is known in seconds for any
  // size.
  bool list = false;
};

/// The settings of this process. They start with those in RCNN_CUDA_SIM, which may hold "ascending",
/// "descending" or a seed, "eager" and "list", separated by commas.
Settings& settings();

/// The message of the first fault since the last forget_fault(); "" if there was none. After a fault every
/// call that waits for the device fails, as on a GPU.
const std::string& fault();
void forget_fault();

/// The simulation has two devices, which share one memory: work on the second one shows a call that forgets
/// to select its device.
inline constexpr int kDevices = 2;

/// Launches run so far.
uint64_t launches();

/// With `list`: how often each kernel was launched, and with how many blocks in all.
struct Listed {
  uint64_t launches = 0, blocks = 0;
};
std::map<std::string, Listed>& listed();

}  // namespace rcnn::cuda_sim
