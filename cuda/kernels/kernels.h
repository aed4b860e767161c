// The kernels, for any form. A number is one group of threads; blocks have THREADS threads; groups
// beyond `count` compute the last number again and store nothing, so that whole warps stay together;
// warps that are all beyond it end at once.
#pragma once
#include "forms.h"

constexpr u32 THREADS = 128;

// One step of evaluate, the same for all numbers: `squarings` squarings, then a multiplication by a
// table row, unless `at` is NO_PRODUCT.
struct Step {
  u32 squarings; // how often
  u32 column;    // which of the number's slots and exponents
  u32 first;     // added to the row's number
  u32 at;        // the first bit of the digit in the exponent
};
constexpr u32 NO_PRODUCT = 0xffffffffu;

template <class F> struct Number {
  F form;
  word index, live, words[F::DIGITS * F::L];

  METHOD Number(const u32 *constants, u32 count) {
    form.begin(constants);
    word i = thread_in_grid() / F::TPI;
    live = below(i, splat(count));
    index = select(live, splat(count - 1), i);
  }

  METHOD word offset(word number) const { return number * F::WORDS + form.lane * F::L; }

  METHOD void load_words(word *to, const u32 *from, word number) const {
    UNROLL for (u32 d = 0; d < F::DIGITS; d++)
      load_all<F::L>(to + d * F::L, from, offset(number) + splat(d * F::H));
  }

  METHOD void store_words(u32 *to, word number) const {
    UNROLL for (u32 d = 0; d < F::DIGITS; d++)
      store_all<F::L>(to, offset(number) + splat(d * F::H), words + d * F::L, live);
  }

  METHOD void put(shared_row row, const word *x) const {
    UNROLL for (u32 d = 0; d < F::DIGITS; d++) form.put(row, d * F::H, x + d * F::L);
  }

  METHOD void multiply(shared_row row, const word *by) {
    put(row, by);
    group_barrier();
    form.multiply(words, row);
    group_barrier();
  }

  // Operands may be secret, and shared memory is handed on as it is.
  METHOD void clear(shared_row row) const {
    group_barrier();
    UNROLL for (u32 j = 0; j < F::DIGITS * F::L; j++)
      shared_store(row, form.lane * (u32)(F::DIGITS * F::L) + splat(j), splat(0));
  }
};

// One word more a row keeps the groups of a warp in different banks.
#define OPERANDS(F) SHARED_ROWS(row, F::WORDS + 1, THREADS / F::TPI, thread_in_block() / F::TPI)

template <class F> DEVICE void enter(const u32 *constants, u32 *out, const u32 *canonical, u32 count) {
  OPERANDS(F);
  Number<F> x(constants, count);
  if (none(x.live)) return;
  x.load_words(x.words, canonical, x.index);
  x.form.enter(x.words, constants, row);
  x.store_words(out, x.index);
  x.clear(row);
}

template <class F> DEVICE void leave(const u32 *constants, u32 *out, const u32 *in, u32 count) {
  OPERANDS(F);
  Number<F> x(constants, count);
  if (none(x.live)) return;
  x.load_words(x.words, in, x.index);
  x.form.leave(out, x.index * F::WORDS, x.words, row, x.live);
  x.clear(row);
}

template <class F> DEVICE void multiply(const u32 *constants, u32 *out, const u32 *a, const u32 *b, u32 count) {
  OPERANDS(F);
  Number<F> x(constants, count);
  if (none(x.live)) return;
  word y[F::DIGITS * F::L];
  x.load_words(x.words, a, x.index);
  x.load_words(y, b, x.index);
  x.multiply(row, y);
  x.store_words(out, x.index);
  x.clear(row);
}

// Powers base^0 … base^(2^window − 1) of each number, base after base; times `start` if there is one.
template <class F>
DEVICE void tables(const u32 *constants, u32 *out, const u32 *bases, const u32 *start, u32 window, u32 count) {
  OPERANDS(F);
  Number<F> x(constants, count);
  if (none(x.live)) return;
  word base[F::DIGITS * F::L];
  x.load_words(base, bases, x.index);
  if (start) x.load_words(x.words, start, x.index);
  else x.load_words(x.words, constants + 2 * F::H, splat(0));
  x.put(row, base);
  group_barrier();
  x.store_words(out, x.index << window);
  ROLLED for (u32 d = 1; d >> window == 0; d++) {
    x.form.multiply(x.words, row);
    x.store_words(out, (x.index << window) + splat(d));
  }
  x.clear(row);
}

// Square-and-multiply over tables, the same steps for all numbers. A product takes the row
// `slots[number·columns + column]·2^window + first + digit` (without slots, `first + digit`), where
// digit is `window` bits of exponent number·output_stride + column·column_stride. Exponents are
// `exponent_words` words apart, one of them zero at the top. All 2^window rows that the digit could
// mean are read. Begins with `start`, or with one.
template <class F>
DEVICE void evaluate(const u32 *constants, u32 *out, const u32 *start, const u32 *table, const Step *steps,
                     u32 step_count, const u32 *slots, u32 columns, const u32 *exponents,
                     u32 exponent_words, u32 output_stride, u32 column_stride, u32 window, u32 count) {
  OPERANDS(F);
  Number<F> x(constants, count);
  if (none(x.live)) return;
  if (start) x.load_words(x.words, start, x.index);
  else x.load_words(x.words, constants + 2 * F::H, splat(0));
  ROLLED for (u32 s = 0; s < step_count; s++) {
    Step step = steps[s];
    ROLLED for (u32 i = 0; i < step.squarings; i++) x.form.square(x.words, row);
    if (step.at == NO_PRODUCT) continue;
    word entry = splat(step.first), digit = splat(0);
    if (slots) entry = entry + (load(slots, x.index * columns + splat(step.column)) << window);
    if (window) {
      word at = (x.index * output_stride + splat(step.column * column_stride)) * exponent_words + splat(step.at / 32);
      u32 shift = step.at % 32;
      digit = load(exponents, at) >> shift;
      if (shift) digit = digit | load(exponents, at + splat(1)) << (32 - shift);
      digit = digit & splat((1u << window) - 1);
    }
    word y[F::DIGITS * F::L];
    UNROLL for (u32 j = 0; j < F::DIGITS * F::L; j++) y[j] = splat(0);
    ROLLED for (u32 d = 0; d >> window == 0; d++) {
      word candidate[F::DIGITS * F::L], chosen = equal(digit, splat(d));
      x.load_words(candidate, table, entry + splat(d));
      UNROLL for (u32 j = 0; j < F::DIGITS * F::L; j++) y[j] = y[j] | (candidate[j] & chosen);
    }
    x.multiply(row, y);
  }
  x.store_words(out, x.index);
  x.clear(row);
}

// Numbers at the given indices, `words` words each: one thread copies four words.
DEVICE void gather(u32 *out, const u32 *source, const u32 *indices, u32 words, u32 count) {
  word i = thread_in_grid(), live = below(i, splat(count * (words / 4)));
  if (none(live)) return;
  i = select(live, splat(0), i);
  word number = i / (words / 4), part = i % (words / 4) * 4u, four[4];
  load_all<4>(four, source, load(indices, number) * words + part);
  store_all<4>(out, number * words + part, four, live);
}
