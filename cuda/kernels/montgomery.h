// Montgomery's division, spread over a group of threads: TPI lanes of a warp hold one number, L
// words each (lane l has words l·L … l·L + L − 1). H = TPI·L words, R = 2^(32·H), modulus below R.
//
// Products are made row by row, one word of the second operand at a time, least significant first;
// after each row the lowest word is cleared by a multiple of the modulus and the whole number moves
// down one word. Even and odd words have accumulators of their own, so that the 64-bit products of a
// row form two carry chains. The moves cost nothing: they rename registers.
#pragma once
#include "word.h"

// Lanes that resolve a carry look ahead instead of waiting for each other: bit l of the result is
// the carry into lane l. `generates` is all ones in lanes that carry, `passes` in those that would
// hand on a carry from below; never both.
template <u32 TPI> DEVICE word look_ahead(word generates, word passes, word carry_in, word base) {
  word g = (votes(generates) >> base) & splat((1u << TPI) - 1);
  word p = (votes(passes) >> base) & splat((1u << TPI) - 1);
  return ((g << 1 | carry_in) + p) ^ p;
}

// A running sum: e + o·2^32 + pending in each lane, where e[0] of a lane is the word above the
// lane below's e[L − 1].
template <u32 L> struct Column {
  word e[L], o[L], pending, top;

  METHOD void clear() {
    UNROLL for (u32 j = 0; j < L; j++) e[j] = o[j] = splat(0);
    pending = top = splat(0);
  }

  // Adds a·b. Carries out of the lane gather in `top`, the word above o[L − 1].
  METHOD void add_row(const word *a, word b) {
    o[0] = mad_lo_cc(a[1], b, o[0]);
    add_rest(a, b);
  }

  // Adds a·b and `extra`, whose carry joins that of the odd words.
  METHOD void add_row(const word *a, word b, word extra) {
    e[0] = add_cc(e[0], extra);
    o[0] = madc_lo_cc(a[1], b, o[0]);
    add_rest(a, b);
  }

  METHOD void add_rest(const word *a, word b) {
    o[1] = madc_hi_cc(a[1], b, o[1]);
    UNROLL for (u32 j = 3; j < L; j += 2) {
      o[j - 1] = madc_lo_cc(a[j], b, o[j - 1]);
      o[j] = madc_hi_cc(a[j], b, o[j]);
    }
    top = addc(top, splat(0));
    UNROLL for (u32 j = 0; j < L; j += 2) {
      e[j] = j == 0 ? mad_lo_cc(a[j], b, e[j]) : madc_lo_cc(a[j], b, e[j]);
      e[j + 1] = madc_hi_cc(a[j], b, e[j + 1]);
    }
    o[L - 1] = addc_cc(o[L - 1], splat(0));
    top = addc(top, splat(0));
  }

  // Moves everything down one word. The lowest word of the number must be zero; that of every other
  // lane goes to the lane below.
  template <u32 TPI> METHOD void move_down(word last_lane) {
    word from_next = from_above(e[0], TPI) & ~last_lane;
    pending = e[1];
    word lower[L];
    UNROLL for (u32 j = 0; j < L; j++) lower[j] = o[j];
    UNROLL for (u32 j = 0; j < L - 2; j++) o[j] = e[j + 2];
    o[L - 2] = from_next;
    o[L - 1] = top;
    UNROLL for (u32 j = 0; j < L; j++) e[j] = lower[j];
    top = splat(0);
  }
};

template <u32 TPI_, u32 L_> struct Group {
  static constexpr u32 TPI = TPI_, L = L_, H = TPI_ * L_;

  word lane, base, last_lane, lowest; // lowest: all ones in lane 0
  word n[L];                          // the modulus
  word negated_inverse;               // −modulus^−1 mod 2^32

  METHOD void start(const u32 *modulus, const u32 *inverse) {
    lane = thread_in_block() & splat(TPI - 1);
    base = thread_in_block() & splat(31 & ~(TPI - 1));
    lowest = equal(lane, splat(0));
    last_lane = equal(lane, splat(TPI - 1));
    load_all<L>(n, modulus, lane * L);
    negated_inverse = load(inverse, splat(0));
  }

  // Clears the lowest word of t by a multiple of the modulus, and moves down. The quotient digit
  // comes back.
  METHOD word reduce(Column<L> &t) const {
    word q = from_lane(t.e[0], 0, TPI) * negated_inverse;
    t.add_row(n, q);
    t.template move_down<TPI>(last_lane);
    return q;
  }

  // As above, after adding `extra`.
  METHOD word reduce(Column<L> &t, word extra) const {
    word q = from_lane(t.e[0] + extra, 0, TPI) * negated_inverse;
    t.add_row(n, q, extra);
    t.template move_down<TPI>(last_lane);
    return q;
  }

  // The words of t, carries resolved, `carry_in` (0 or 1) added; what is above them comes back, in
  // all lanes.
  METHOD word settle(word *out, const Column<L> &t, word carry_in) const {
    out[0] = add_cc(t.e[0], t.pending);
    UNROLL for (u32 j = 1; j < L; j++) out[j] = addc_cc(t.e[j], t.o[j - 1]);
    word above = addc(t.o[L - 1], splat(0));
    // A few units for the lane above; then at most one.
    word low = from_below(above, TPI) & ~lowest;
    out[0] = add_cc(out[0], low);
    UNROLL for (u32 j = 1; j < L; j++) out[j] = addc_cc(out[j], splat(0));
    word carry = addc(splat(0), splat(0));
    word carries = ripple(out, carry, carry_in);
    return from_lane(above, TPI - 1, TPI) + (carries >> TPI & splat(1));
  }

  // Hands carries of the lanes (0 or 1) and `carry_in` upwards; bit TPI of the result is what leaves
  // the number.
  METHOD word ripple(word *x, word carry, word carry_in) const {
    word ones = x[0];
    UNROLL for (u32 j = 1; j < L; j++) ones = ones & x[j];
    word carries = look_ahead<TPI>(splat(0) - carry, equal(ones, splat(~0u)), carry_in, base);
    x[0] = add_cc(x[0], carries >> lane & splat(1));
    UNROLL for (u32 j = 1; j < L; j++) x[j] = addc_cc(x[j], splat(0));
    return carries;
  }

  // Subtracts the modulus from x + above·R unless that is below it; 1 comes back if it did.
  METHOD word subtract_once(word *x, word &above) const {
    word d[L];
    d[0] = add_cc(x[0], ~n[0]);
    UNROLL for (u32 j = 1; j < L; j++) d[j] = addc_cc(x[j], ~n[j]);
    word carry = addc(splat(0), splat(0));
    // x + ~n + 1 = x − n + R.
    word carries = ripple(d, carry, splat(1));
    above = above + (carries >> TPI & splat(1));
    word enough = ~equal(above, splat(0));
    UNROLL for (u32 j = 0; j < L; j++) x[j] = select(enough, x[j], d[j]);
    above = above + enough; // less one
    return enough & splat(1);
  }

  // x ← x + y; the carry comes back.
  METHOD word add(word *x, const word *y, word carry_in) const {
    x[0] = add_cc(x[0], y[0]);
    UNROLL for (u32 j = 1; j < L; j++) x[j] = addc_cc(x[j], y[j]);
    word carry = addc(splat(0), splat(0));
    return ripple(x, carry, carry_in) >> TPI & splat(1);
  }

  // Puts a number into the group's shared row from word `at` on.
  METHOD void put(shared_row row, u32 at, const word *x) const {
    UNROLL for (u32 j = 0; j < L; j++) shared_store(row, lane * L + splat(at + j), x[j]);
  }
};
