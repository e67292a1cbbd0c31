/* A double of NVIDIA's management library, which tests/bench/test_gpu_state.cpp compiles: a card at 0000:3b:00.0
   whose power limit holds back its clocks, and that does not tell its temperature. */
#include <string.h>

static int begun = 0;
static int card;

int nvmlInit_v2(void) {
  begun = 1;
  return 0;
}
int nvmlShutdown(void) {
  begun = 0;
  return 0;
}
const char* nvmlErrorString(int status) { return status == 6 ? "Not Found" : "Uninitialized"; }
int nvmlSystemGetDriverVersion(char* text, unsigned length) {
  strncpy(text, "550.54.15", length);
  return 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* place, void** device) {
  if (!begun) return 1;
  if (strcmp(place, "0000:3b:00.0") != 0) return 6;
  *device = &card;
  return 0;
}
static int is_card(void* device) { return begun && device == &card; }
int nvmlDeviceGetClockInfo(void* device, int kind, unsigned* mhz) {
  if (!is_card(device)) return 1;
  *mhz = kind == 1 ? 1410 : kind == 2 ? 2619 : 0;
  return 0;
}
int nvmlDeviceGetMaxClockInfo(void* device, int kind, unsigned* mhz) {
  if (!is_card(device)) return 1;
  *mhz = kind == 1 ? 1980 : kind == 2 ? 2619 : 0;
  return 0;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  if (!is_card(device)) return 1;
  *milliwatts = 698500;
  return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(void* device, unsigned* milliwatts) {
  if (!is_card(device)) return 1;
  *milliwatts = 700000;
  return 0;
}
int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* celsius) {
  (void)device, (void)sensor;
  *celsius = 99;
  return 3; /* not supported */
}
#ifndef WITHOUT_REASONS
int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* reasons) {
  if (!is_card(device)) return 1;
  *reasons = 0x1 | 0x4 | 0x20; /* idle, power limit, heat */
  return 0;
}
#endif
