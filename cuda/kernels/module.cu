// The entry points of one size: compiled once for each line of sizes.h, with MODULE_BITS,
// MODULE_TPI and MODULE_LIMBS set.
// Names are plain_2048_enter and so on.
#include "kernels.h"

#define JOIN_(a, b, c) a##_##b##_##c
#define JOIN(form, bits, what) JOIN_(form, bits, what)
#define KERNEL(form, what) extern "C" __global__ void __launch_bounds__(THREADS) JOIN(form, MODULE_BITS, what)

#define ENTRIES(form, F)                                                                             \
  KERNEL(form, enter)(const u32 *constants, u32 *out, const u32 *canonical, u32 count) {             \
    enter<F>(constants, out, canonical, count);                                                      \
  }                                                                                                  \
  KERNEL(form, leave)(const u32 *constants, u32 *out, const u32 *in, u32 count) {                    \
    leave<F>(constants, out, in, count);                                                             \
  }                                                                                                  \
  KERNEL(form, multiply)(const u32 *constants, u32 *out, const u32 *a, const u32 *b, u32 count) {    \
    multiply<F>(constants, out, a, b, count);                                                        \
  }                                                                                                  \
  KERNEL(form, tables)(const u32 *constants, u32 *out, const u32 *bases, const u32 *start,           \
                       u32 window, u32 count) {                                                      \
    tables<F>(constants, out, bases, start, window, count);                                          \
  }                                                                                                  \
  KERNEL(form, evaluate)(const u32 *constants, u32 *out, const u32 *start, const u32 *table,         \
                         const Step *steps, u32 step_count, const u32 *slots, u32 columns,           \
                         const u32 *exponents, u32 exponent_words, u32 output_stride,                \
                         u32 column_stride, u32 window, u32 count) {                                 \
    evaluate<F>(constants, out, start, table, steps, step_count, slots, columns, exponents,          \
                exponent_words, output_stride, column_stride, window, count);                        \
  }

typedef Plain<MODULE_TPI, MODULE_LIMBS> PlainForm;
typedef Nadic<MODULE_TPI, MODULE_LIMBS> NadicForm;
ENTRIES(plain, PlainForm)
ENTRIES(nadic, NadicForm)

extern "C" __global__ void __launch_bounds__(THREADS) JOIN(any, MODULE_BITS, gather)(
    u32 *out, const u32 *source, const u32 *indices, u32 words, u32 count) {
  gather(out, source, indices, words, count);
}
