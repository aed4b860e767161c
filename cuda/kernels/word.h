// What the arithmetic is written in: a `word` is one 32-bit register of every thread of a warp.
//
// On a GPU that is a plain unsigned int. Elsewhere emulator/word.h defines the same operations on 32
// lanes at once, so that any C++ compiler can run the kernels in lock step. No kernel branches on a
// word: control flow is the same in all lanes of a warp by construction, and no branch depends on a
// number.
#pragma once

typedef unsigned int u32;
typedef unsigned long long u64;

#if !defined(__CUDACC_RTC__)
#include "../emulator/word.h"
#else

typedef u32 word;
typedef u32 *shared_row;

#define DEVICE static __device__ __forceinline__
#define METHOD __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")

// Carry chains: each continues the one before it. The compiler fuses neighbours lo/hi of one product
// into a single wide multiply-add.
DEVICE word add_cc(word a, word b) {
  word r;
  asm volatile("add.cc.u32 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
DEVICE word addc_cc(word a, word b) {
  word r;
  asm volatile("addc.cc.u32 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
DEVICE word addc(word a, word b) {
  word r;
  asm volatile("addc.u32 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
DEVICE word mad_lo_cc(word a, word b, word c) {
  word r;
  asm volatile("mad.lo.cc.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
DEVICE word madc_lo_cc(word a, word b, word c) {
  word r;
  asm volatile("madc.lo.cc.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
DEVICE word madc_hi_cc(word a, word b, word c) {
  word r;
  asm volatile("madc.hi.cc.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}

DEVICE word splat(u32 value) { return value; }

// All ones where a == b, else zero.
DEVICE word equal(word a, word b) { return a == b ? 0xffffffffu : 0u; }
DEVICE word below(word a, word b) { return a < b ? 0xffffffffu : 0u; }
// b where the mask is all ones, a where it is zero.
DEVICE word select(word mask, word a, word b) { return a ^ ((a ^ b) & mask); }

// This thread's number in its block, and in the grid.
DEVICE word thread_in_block() { return threadIdx.x; }
DEVICE word thread_in_grid() { return blockIdx.x * blockDim.x + threadIdx.x; }

// Among the `width` lanes of a group: from a given lane, from the lane below, from the lane above.
DEVICE word from_lane(word value, u32 lane, u32 width) {
  return __shfl_sync(0xffffffffu, value, lane, width);
}
DEVICE word from_below(word value, u32 width) { return __shfl_up_sync(0xffffffffu, value, 1, width); }
DEVICE word from_above(word value, u32 width) {
  return __shfl_down_sync(0xffffffffu, value, 1, width);
}
// Bit l of the result tells whether lane l of the warp has all ones (not zero).
DEVICE word votes(word mask) { return __ballot_sync(0xffffffffu, mask != 0); }

// Whether no lane of the warp has all ones: the same in all of them.
DEVICE bool none(word mask) { return __ballot_sync(0xffffffffu, mask != 0) == 0; }

// Memory. Offsets are in words; numbers begin at multiples of 16 bytes.
DEVICE word load(const u32 *from, word at) { return from[at]; }
template <u32 L> DEVICE void load_all(word *out, const u32 *from, word at) {
  const uint4 *source = reinterpret_cast<const uint4 *>(from + at);
  UNROLL for (u32 j = 0; j < L; j += 4) {
    uint4 four = source[j / 4];
    out[j] = four.x;
    out[j + 1] = four.y;
    out[j + 2] = four.z;
    out[j + 3] = four.w;
  }
}
template <u32 L> DEVICE void store_all(u32 *to, word at, const word *value, word live) {
  if (live) {
    uint4 *target = reinterpret_cast<uint4 *>(to + at);
    UNROLL for (u32 j = 0; j < L; j += 4)
      target[j / 4] = make_uint4(value[j], value[j + 1], value[j + 2], value[j + 3]);
  }
}
DEVICE void store(u32 *to, word at, word value, word live) {
  if (live) to[at] = value;
}

// A row of memory that the lanes of one group share.
DEVICE word shared_load(shared_row row, u32 at) { return row[at]; }
DEVICE void shared_store(shared_row row, word at, word value) { row[at] = value; }
DEVICE void group_barrier() { __syncwarp(); }

#define SHARED_ROWS(name, stride, groups, group)           \
  __shared__ __align__(16) u32 name##_memory[(stride) * (groups)]; \
  shared_row name = name##_memory + (stride) * (group)

#endif
