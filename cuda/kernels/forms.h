// The two forms that numbers have on the device, with the operations that kernels.h is made of.
//
// A form holds a number in WORDS words, DIGITS·L of them in each lane, all values canonical. The
// second operand of a product is read from the group's shared row, where put() lays it.
//
// Constants of a ring, as the host lays them: modulus (H words), offset (H, see Nadic), one, R²,
// R³ (WORDS each, in the form), the negated inverse of the modulus modulo 2^32 (and padding).
#pragma once
#include "montgomery.h"

// Montgomery form: x·R mod n.
template <u32 TPI, u32 L> struct Plain : Group<TPI, L> {
  typedef Group<TPI, L> G;
  static constexpr u32 DIGITS = 1, WORDS = G::H;

  METHOD void begin(const u32 *constants) { this->start(constants, constants + 2 * G::H + 3 * WORDS); }

  METHOD void multiply(word *x, shared_row y) const {
    Column<L> t;
    t.clear();
    ROLLED for (u32 i = 0; i < G::H; i += 2) {
      UNROLL for (u32 k = 0; k < 2; k++) {
        t.add_row(x, shared_load(y, i + k), t.pending);
        this->reduce(t);
      }
    }
    word above = this->settle(x, t, splat(0));
    this->subtract_once(x, above);
  }

  METHOD void square(word *x, shared_row row) const {
    this->put(row, 0, x);
    group_barrier();
    multiply(x, row);
    group_barrier();
  }

  // x (below R) to the form.
  METHOD void enter(word *x, const u32 *constants, shared_row row) const {
    word r_squared[L];
    load_all<L>(r_squared, constants + 2 * G::H + WORDS, this->lane * L);
    this->put(row, 0, r_squared);
    group_barrier();
    multiply(x, row);
    group_barrier();
  }

  METHOD void leave(u32 *out, word at, word *x, shared_row row, word live) const {
    UNROLL for (u32 j = 0; j < L; j++)
      shared_store(row, this->lane * L + splat(j), j == 0 ? this->lowest & splat(1) : splat(0));
    group_barrier();
    multiply(x, row);
    store_all<L>(out, at + this->lane * L, x, live);
  }
};

// N-adic form for a modulus that is a square: x·R mod N² as digits x0 + x1·N, both below N.
//
// Montgomery's division gives x0·y0 = R·t − q·N with the quotient q that it makes anyway, so
// x·y/R = t + N·((x0·y1 + x1·y0 − q)/R mod N): five products of H words by H where Montgomery form
// modulo N² takes eight, and four where a square takes eight. To stay positive, the second sum
// starts from ⌈R/N⌉·N − q = offset + (R − 1 − q), offset = ⌈R/N⌉·N − R + 1 ≤ N + 1.
template <u32 TPI, u32 L> struct Nadic : Group<TPI, L> {
  typedef Group<TPI, L> G;
  static constexpr u32 DIGITS = 2, WORDS = 2 * G::H;

  const u32 *offset;

  METHOD void begin(const u32 *constants) {
    this->start(constants, constants + 2 * G::H + 3 * WORDS);
    offset = constants + G::H;
  }

  // What multiply and square share. A first digit below R (not only below N) is allowed in x if y
  // has canonical digits: t0 < (R·N + R·N)/R, t1 < (R·N + R·N + R + N)/R.
  template <bool SQUARE> METHOD void product(word *x, shared_row y) const {
    Column<L> t0, t1;
    t0.clear();
    t1.clear();
    load_all<L>(t1.e, offset, this->lane * L);
    ROLLED for (u32 i = 0; i < G::H; i += 2) {
      UNROLL for (u32 k = 0; k < 2; k++) {
        word y0 = shared_load(y, i + k), y1 = shared_load(y, G::H + i + k);
        t0.add_row(x, y0, t0.pending);
        t1.add_row(x, y1, t1.pending);
        if (!SQUARE) t1.add_row(x + L, y0);
        word q = this->reduce(t0);
        this->reduce(t1, ~q & this->lowest);
      }
    }
    word above = this->settle(x, t0, splat(0));
    // What is taken off the first digit goes to the second.
    word moved = this->subtract_once(x, above);
    above = this->settle(x + L, t1, moved);
    // Below (2N² + R + N + R·N)/R + 1 < 3N + 3; of a square, below 2N + 3.
    this->subtract_once(x + L, above);
    this->subtract_once(x + L, above);
    if (!SQUARE) this->subtract_once(x + L, above);
  }

  METHOD void multiply(word *x, shared_row y) const { product<false>(x, y); }

  // 2·x0·x1 is x0·(2·x1 mod N): one row less.
  METHOD void square(word *x, shared_row row) const {
    word twice[L];
    UNROLL for (u32 j = 0; j < L; j++) twice[j] = x[L + j];
    word above = this->add(twice, x + L, splat(0));
    this->subtract_once(twice, above);
    this->put(row, 0, x);
    this->put(row, G::H, twice);
    group_barrier();
    product<true>(x, row);
    group_barrier();
  }

  // x = l + h·R below N² with l, h in the two halves: l·R²/R + h·R³/R.
  METHOD void enter(word *x, const u32 *constants, shared_row row) const {
    word sum[2 * L];
    UNROLL for (u32 j = 0; j < 2 * L; j++) sum[j] = splat(0);
    ROLLED for (u32 half = 0; half < 2; half++) {
      word digits[2 * L];
      UNROLL for (u32 d = 0; d < 2; d++) {
        word power[L];
        load_all<L>(power, constants + 2 * G::H + (1 + half) * WORDS, this->lane * L + splat(d * G::H));
        this->put(row, d * G::H, power);
      }
      UNROLL for (u32 j = 0; j < L; j++) {
        digits[j] = half ? x[L + j] : x[j];
        digits[L + j] = splat(0);
      }
      group_barrier();
      product<false>(digits, row);
      group_barrier();
      word above = this->add(sum, digits, splat(0));
      word moved = this->subtract_once(sum, above);
      above = this->add(sum + L, digits + L, moved);
      this->subtract_once(sum + L, above);
    }
    UNROLL for (u32 j = 0; j < 2 * L; j++) x[j] = sum[j];
  }

  // Times 1, then x0 + x1·N word by word.
  METHOD void leave(u32 *out, word at, word *x, shared_row row, word live) const {
    UNROLL for (u32 j = 0; j < L; j++) {
      word i = this->lane * L + splat(j);
      shared_store(row, i, j == 0 ? this->lowest & splat(1) : splat(0));
      shared_store(row, i + splat(G::H), splat(0));
    }
    group_barrier();
    product<false>(x, row);
    group_barrier();
    this->put(row, 0, x + L);
    group_barrier();
    Column<L> t;
    t.clear();
    UNROLL for (u32 j = 0; j < L; j++) t.e[j] = x[j];
    ROLLED for (u32 i = 0; i < G::H; i += 2) {
      UNROLL for (u32 k = 0; k < 2; k++) {
        t.add_row(this->n, shared_load(row, i + k), t.pending);
        store(out, at + splat(i + k), t.e[0], live & this->lowest);
        t.template move_down<TPI>(this->last_lane);
      }
    }
    this->settle(x, t, splat(0));
    store_all<L>(out, at + this->lane * L + splat(G::H), x, live);
  }
};
