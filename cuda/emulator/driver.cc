// A test double of libcuda.so.1: device memory is host memory, kernels run on the emulator.
//
// It checks what a real driver would punish: launches of kernels that the loaded PTX does not have,
// copies outside an allocation, use of freed memory. The environment makes it fail on purpose:
//
//   SMLP_DOUBLE_DEVICES=0        there is no device
//   SMLP_DOUBLE_REFUSE_PTX=1     no module loads (error 222: the driver is too old)
//   SMLP_DOUBLE_FAIL_AFTER=N     the N-th launch and everything after it fails (error 700)
//   SMLP_DOUBLE_MEMORY=BYTES     allocations beyond that fail (error 2)
//   SMLP_DOUBLE_REPORT=FILE      adds a line to the file at exit: launches, blocks that were freed
//                                without being cleared, blocks that were not freed
#include "launch.h"
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace {

enum { OK = 0, OUT_OF_MEMORY = 2, NOT_INITIALISED = 3, NO_DEVICE = 100, INVALID_VALUE = 1, BAD_IMAGE = 218, UNSUPPORTED_PTX = 222, NOT_FOUND = 500, FAILED = 700 };

long setting(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}

std::mutex lock;
std::map<u64, size_t> allocations; // start → bytes
size_t in_use, launches, uncleared;
bool broken, initialised;

bool inside(u64 at, size_t bytes) {
  auto next = allocations.upper_bound(at);
  if (next == allocations.begin()) return bytes == 0;
  auto &[start, size] = *--next;
  return at - start <= size && bytes <= size - (at - start);
}

int state() { return broken ? FAILED : initialised ? OK : NOT_INITIALISED; }

struct Module {
  std::string ptx;
};

} // namespace

#define API extern "C" int

API cuInit(unsigned) {
  initialised = true;
  return setting("SMLP_DOUBLE_DEVICES", 1) > 0 ? OK : NO_DEVICE;
}
API cuDriverGetVersion(int *v) { return *v = 12000, OK; }
API cuDeviceGetCount(int *n) { return *n = (int)setting("SMLP_DOUBLE_DEVICES", 1), OK; }
API cuDeviceGet(int *d, int i) { return *d = i, OK; }
API cuDeviceGetName(char *name, int room, int) { return snprintf(name, room, "emulated device"), OK; }
API cuDeviceGetAttribute(int *value, int attribute, int) {
  switch (attribute) {
  case 16: *value = 1; break;  // multiprocessors
  case 75: *value = 7; break;  // compute capability
  case 76: *value = 0; break;
  case 13: *value = 1000000; break; // kHz
  default: *value = 0;
  }
  return OK;
}
API cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = (size_t)setting("SMLP_DOUBLE_MEMORY", 1L << 32), OK; }
API cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
  std::lock_guard<std::mutex> hold(lock);
  *total = (size_t)setting("SMLP_DOUBLE_MEMORY", 1L << 32);
  *free_bytes = *total > in_use ? *total - in_use : 0;
  return state();
}
API cuDevicePrimaryCtxRetain(void **c, int) { return *c = &lock, state(); }
API cuDevicePrimaryCtxRelease_v2(int) { return OK; }
API cuCtxSetCurrent(void *) { return state(); }
API cuCtxSynchronize() { return state(); }
API cuGetErrorString(int, const char **text) { return *text = "an error of the test double", OK; }
API cuGetErrorName(int, const char **text) { return *text = "DOUBLE", OK; }

API cuModuleLoadDataEx(void **m, const void *image, unsigned, int *, void **) {
  if (state()) return state();
  if (setting("SMLP_DOUBLE_REFUSE_PTX", 0)) return UNSUPPORTED_PTX;
  std::string ptx((const char *)image);
  // A whole PTX text ends with the brace of its last kernel.
  size_t end = ptx.find_last_not_of(" \n\t");
  bool whole = ptx.find(".version 7.8") != std::string::npos && ptx.find(".target sm_70") != std::string::npos &&
               end != std::string::npos && ptx[end] == '}';
  if (!whole) return BAD_IMAGE;
  *m = new Module{ptx};
  return OK;
}
API cuModuleUnload(void *m) { return delete (Module *)m, OK; }
API cuModuleGetFunction(void **f, void *m, const char *name) {
  auto kernel = emulator::kernels().find(name);
  std::string entry = std::string(".entry ") + name + "(";
  if (kernel == emulator::kernels().end() || ((Module *)m)->ptx.find(entry) == std::string::npos) return NOT_FOUND;
  *f = (void *)kernel->second;
  return OK;
}

API cuMemAlloc_v2(u64 *p, size_t bytes) {
  std::lock_guard<std::mutex> hold(lock);
  if (state()) return state();
  if (bytes == 0) return INVALID_VALUE;
  if (in_use + bytes > (size_t)setting("SMLP_DOUBLE_MEMORY", 1L << 32)) return OUT_OF_MEMORY;
  void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!memory) return OUT_OF_MEMORY;
  memset(memory, 0xa5, bytes); // whoever counts on zeros finds out
  *p = (u64)memory;
  allocations[*p] = bytes;
  in_use += bytes;
  return OK;
}
API cuMemFree_v2(u64 p) {
  std::lock_guard<std::mutex> hold(lock);
  auto found = allocations.find(p);
  if (found == allocations.end()) return INVALID_VALUE;
  in_use -= found->second;
  const unsigned char *bytes = (const unsigned char *)p;
  bool clear = true;
  for (size_t i = 0; i < found->second; i++) clear &= bytes[i] == 0;
  uncleared += !clear && !broken;
  allocations.erase(found);
  free((void *)p);
  return state();
}
API cuMemAllocHost_v2(void **p, size_t bytes) {
  if (state()) return state();
  *p = malloc(bytes);
  return *p ? OK : OUT_OF_MEMORY;
}
API cuMemFreeHost(void *p) { return free(p), OK; }

static int copy(void *to, const void *from, size_t bytes, u64 device) {
  std::lock_guard<std::mutex> hold(lock);
  if (state()) return state();
  if (!inside(device, bytes)) return INVALID_VALUE;
  memmove(to, from, bytes);
  return OK;
}
API cuMemcpyHtoD_v2(u64 to, const void *from, size_t bytes) { return copy((void *)to, from, bytes, to); }
API cuMemcpyDtoH_v2(void *to, u64 from, size_t bytes) { return copy(to, (void *)from, bytes, from); }
API cuMemcpyHtoDAsync_v2(u64 to, const void *from, size_t bytes, void *) { return copy((void *)to, from, bytes, to); }
API cuMemcpyDtoHAsync_v2(void *to, u64 from, size_t bytes, void *) { return copy(to, (void *)from, bytes, from); }
API cuMemcpyDtoD_v2(u64 to, u64 from, size_t bytes) {
  {
    std::lock_guard<std::mutex> hold(lock);
    if (!inside(from, bytes)) return INVALID_VALUE;
  }
  return copy((void *)to, (void *)from, bytes, to);
}
API cuMemsetD8_v2(u64 p, unsigned char v, size_t bytes) {
  std::lock_guard<std::mutex> hold(lock);
  if (state()) return state();
  if (!inside(p, bytes)) return INVALID_VALUE;
  memset((void *)p, v, bytes);
  return OK;
}

API cuStreamCreateWithPriority(void **s, unsigned, int) { return *s = malloc(1), state(); }
API cuStreamDestroy_v2(void *s) { return free(s), OK; }
API cuStreamSynchronize(void *) { return state(); }
API cuStreamWaitEvent(void *, void *, unsigned) { return state(); }
// An event is the time at which it was recorded.
API cuEventCreate(void **e, unsigned) { return *e = new std::chrono::steady_clock::time_point(), state(); }
API cuEventDestroy_v2(void *e) { return delete (std::chrono::steady_clock::time_point *)e, OK; }
API cuEventRecord(void *e, void *) { return *(std::chrono::steady_clock::time_point *)e = std::chrono::steady_clock::now(), state(); }
API cuEventSynchronize(void *) { return state(); }
API cuEventQuery(void *) { return state(); }
API cuEventElapsedTime(float *ms, void *a, void *b) {
  typedef std::chrono::steady_clock::time_point T;
  *ms = std::chrono::duration<float, std::milli>(*(T *)b - *(T *)a).count();
  return state();
}

API cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned,
                   void *, void **arguments, void **) {
  {
    std::lock_guard<std::mutex> hold(lock);
    if (state()) return state();
    launches++;
    long limit = setting("SMLP_DOUBLE_FAIL_AFTER", -1);
    if (limit >= 0 && (long)launches > limit) broken = true;
    if (state()) return state();
  }
  if (!gx || gy != 1 || gz != 1 || bx != THREADS || by != 1 || bz != 1) return INVALID_VALUE;
  emulator::launch((emulator::Kernel)f, gx, bx, arguments);
  return OK;
}

namespace {
struct Report {
  ~Report() {
    const char *path = getenv("SMLP_DOUBLE_REPORT");
    FILE *file = path ? fopen(path, "a") : nullptr;
    if (!file) return;
    fprintf(file, "launches %zu uncleared %zu unfreed %zu\n", launches, uncleared, allocations.size());
    fclose(file);
  }
} report;
} // namespace
