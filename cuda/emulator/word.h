// kernels/word.h for a host compiler: a word is 32 lanes, every operation is done in all of them.
//
// Lanes cannot diverge, since a word does not convert to bool. What the hardware would do with
// warps, blocks and the grid is a loop in emulator/launch.h.
#pragma once
#include <cstddef>

typedef u32 word __attribute__((vector_size(128)));
typedef u64 wide __attribute__((vector_size(256)));

enum { WARP = 32 };

#define DEVICE static inline
#define METHOD inline
#define UNROLL
#define ROLLED

namespace emulator {

// Where the warp that runs now stands. One host thread runs one warp at a time.
struct Place {
  u32 block, threads_in_block, warp;
};
static thread_local Place place;
// The carry flag of every lane.
static thread_local word carry;

inline word low(wide v) { return __builtin_convertvector(v, word); }
inline wide widen(word v) { return __builtin_convertvector(v, wide); }
inline word keep(wide v) {
  carry = low(v >> 32);
  return low(v);
}
inline word lanes() {
  word l;
  for (u32 i = 0; i < WARP; i++) l[i] = i;
  return l;
}

} // namespace emulator

DEVICE word splat(u32 value) { return word{} + value; }

DEVICE word add_cc(word a, word b) { return emulator::keep(emulator::widen(a) + emulator::widen(b)); }
DEVICE word addc_cc(word a, word b) {
  return emulator::keep(emulator::widen(a) + emulator::widen(b) + emulator::widen(emulator::carry));
}
DEVICE word addc(word a, word b) { return a + b + emulator::carry; }
DEVICE wide emulator_product(word a, word b) { return emulator::widen(a) * emulator::widen(b); }
DEVICE word mad_lo_cc(word a, word b, word c) {
  return emulator::keep(emulator::widen(a * b) + emulator::widen(c));
}
DEVICE word madc_lo_cc(word a, word b, word c) {
  return emulator::keep(emulator::widen(a * b) + emulator::widen(c) + emulator::widen(emulator::carry));
}
DEVICE word madc_hi_cc(word a, word b, word c) {
  return emulator::keep((emulator_product(a, b) >> 32) + emulator::widen(c) + emulator::widen(emulator::carry));
}

DEVICE word equal(word a, word b) { return (word)(a == b); }
DEVICE word below(word a, word b) { return (word)(a < b); }
DEVICE word select(word mask, word a, word b) { return a ^ ((a ^ b) & mask); }

DEVICE word thread_in_block() { return emulator::lanes() + emulator::place.warp * WARP; }
DEVICE word thread_in_grid() {
  return thread_in_block() + emulator::place.block * emulator::place.threads_in_block;
}

DEVICE word from_lane(word value, u32 lane, u32 width) {
  word r;
  for (u32 i = 0; i < WARP; i++) r[i] = value[(i & ~(width - 1)) + lane];
  return r;
}
DEVICE word from_below(word value, u32 width) {
  word r;
  for (u32 i = 0; i < WARP; i++) r[i] = value[i & (width - 1) ? i - 1 : i];
  return r;
}
DEVICE word from_above(word value, u32 width) {
  word r;
  for (u32 i = 0; i < WARP; i++) r[i] = value[(i + 1) & (width - 1) ? i + 1 : i];
  return r;
}
DEVICE word votes(word mask) {
  u32 bits = 0;
  for (u32 i = 0; i < WARP; i++) bits |= (u32)(mask[i] != 0) << i;
  return splat(bits);
}

DEVICE bool none(word mask) { return votes(mask)[0] == 0; }

DEVICE word load(const u32 *from, word at) {
  word r;
  for (u32 i = 0; i < WARP; i++) r[i] = from[at[i]];
  return r;
}
template <u32 L> DEVICE void load_all(word *out, const u32 *from, word at) {
  for (u32 i = 0; i < WARP; i++)
    for (u32 j = 0; j < L; j++) out[j][i] = from[(size_t)at[i] + j];
}
template <u32 L> DEVICE void store_all(u32 *to, word at, const word *value, word live) {
  for (u32 i = 0; i < WARP; i++)
    for (u32 j = 0; live[i] && j < L; j++) to[(size_t)at[i] + j] = value[j][i];
}
DEVICE void store(u32 *to, word at, word value, word live) {
  for (u32 i = 0; i < WARP; i++)
    if (live[i]) to[at[i]] = value[i];
}

// Each lane's row of the shared memory of its warp.
struct shared_row {
  u32 *memory;
  word start;
  shared_row operator+(u32 offset) const { return {memory, start + offset}; }
};
DEVICE word shared_load(shared_row row, u32 at) {
  word r;
  for (u32 i = 0; i < WARP; i++) r[i] = row.memory[row.start[i] + at];
  return r;
}
DEVICE void shared_store(shared_row row, word at, word value) {
  for (u32 i = 0; i < WARP; i++) row.memory[row.start[i] + at[i]] = value[i];
}
DEVICE void group_barrier() {}

#define SHARED_ROWS(name, stride, groups, group)           \
  static thread_local u32 name##_memory[(stride) * (groups)]; \
  shared_row name = {name##_memory, (group) * (u32)(stride)}
