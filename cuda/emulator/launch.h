// Runs kernels on the emulator by name, the way a driver would: a grid of blocks, warp after warp,
// arguments as an array of pointers.
#pragma once
#include "../kernels/kernels.h"
#include "../kernels/sizes.h"
#include <cstring>
#include <map>
#include <string>

namespace emulator {

typedef void (*Kernel)(void **arguments);

template <class T> T argument(void **arguments, int i) {
  T value;
  memcpy(&value, arguments[i], sizeof value);
  return value;
}
template <class... T, size_t... I> void apply(void (*kernel)(T...), void **arguments, std::index_sequence<I...>) {
  kernel(argument<T>(arguments, (int)I)...);
}
template <class... T> void call(void (*kernel)(T...), void **arguments) {
  apply(kernel, arguments, std::index_sequence_for<T...>());
}

inline const std::map<std::string, Kernel> &kernels() {
#define ENTRY(form, F, bits, tpi, limbs, what) \
  {#form "_" #bits "_" #what, [](void **a) { call(what<F<tpi, limbs>>, a); }},
#define ENTRIES_OF(form, F, bits, tpi, limbs) \
  ENTRY(form, F, bits, tpi, limbs, enter)     \
  ENTRY(form, F, bits, tpi, limbs, leave)     \
  ENTRY(form, F, bits, tpi, limbs, multiply)  \
  ENTRY(form, F, bits, tpi, limbs, tables)    \
  ENTRY(form, F, bits, tpi, limbs, evaluate)
#define ENTRIES_OF_SIZE(bits, tpi, limbs)       \
  ENTRIES_OF(plain, Plain, bits, tpi, limbs)    \
  ENTRIES_OF(nadic, Nadic, bits, tpi, limbs)    \
  {"any_" #bits "_gather", [](void **a) { call(gather, a); }},
  static const std::map<std::string, Kernel> all = {FOR_ALL_SIZES(ENTRIES_OF_SIZE)};
  return all;
}

inline void launch(Kernel kernel, u32 blocks, u32 threads, void **arguments) {
  for (u32 block = 0; block < blocks; block++)
    for (u32 warp = 0; warp < threads / WARP; warp++) {
      place = {block, threads, warp};
      kernel(arguments);
    }
}

} // namespace emulator
