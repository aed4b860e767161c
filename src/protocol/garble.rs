//! One garbled circuit for many values: lets a bit decide whether a value passes, and hides the result again.
//!
//! P2 knows z' of a value, P1 knows y, and z = z' + y modulo 2^w is the value, in two's complement. P1 garbles,
//! P2 evaluates and learns b·z + 2^(w−1) + r under P1's fresh mask r and nothing else. The bit b is 1 where z ≥ 0
//! ([`Source::Sign`]) or shared already as t ⊕ λ ([`Source::Bit`]); either way it is shared afresh by the colours
//! of its labels. For each value:
//!
//! 1. z = z' + y by a ripple of w − 1 carries;
//! 2. g = z AND b, bit by bit; v = g + 2^(w−1), which is a flip of the highest bit, lies in [0, 2^w);
//! 3. v + r: the lowest w bits by a ripple of w carries, and what is above them, ⌊r / 2^w⌋ or one more, from a
//!    table of two rows that the labels of the last carry encrypt. So wide masks cost next to nothing.
//!
//! Half gates and free XOR of Zahur, Rosulek and Evans (*Two halves make a whole*, EUROCRYPT 2015). What P1 knows
//! only changes which label stands for 0 and is free; a carry out of the lowest bit, P1's bit AND a wire, is half a
//! gate. Labels are hashed under a key for every half gate of a group of values, see [`hash`]. **A garbling of labels
//! happens once**: a second one of the same labels could show b, z and r. So whoever was offered labels uses them up,
//! and P1 draws a nonce of its own ([`Nonces`]), whatever P2 does with that of the transfer.
//!
//! Message, value after value: the ciphertexts of the gates in the order above, 16 bytes each; the two rows of the
//! table, row c for colour c; the colours of the w result wires' labels of 0, little-endian bits.
//!
//! Everything here takes the same time whatever the secrets are. Values go through in groups of [`LANES`].

mod hash;
mod parties;

use super::transfer::Nonce;
use super::wide::Wide;
use crate::error::{Error, Result};
use crate::parallel;
use crate::random::Random;
use hash::Keys;
use parties::{Evaluator, Garbler};
use std::array::from_fn;
use zeroize::Zeroizing;

/// Values that go through the circuit together, under the same keys: what the widest AES units take at once.
const LANES: usize = 64;

/// Labels of one wire for a group of values.
type Wire = [u128; LANES];

/// A bit 1 that P1 knows, for every value of a group.
const ONES: Wire = [u128::MAX; LANES];

/// Widths of values that fit the circuit.
const VALUE_BITS: std::ops::RangeInclusive<u32> = 2..=127;

/// The widest mask: results stay below 2^510.
const MAX_MASK_BITS: u32 = 508;

/// Where the deciding bit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the value: 1 where it is not negative.
    Sign,
    /// From shares: P2's is one more input, P1's is known to the garbler.
    Bit,
}

/// A circuit for `count` values of `bits` bits under masks of `mask_bits` bits.
#[derive(Debug, Clone, Copy)]
pub struct Circuit {
    count: usize,
    bits: usize,
    mask_bits: usize,
    source: Source,
}

/// What the keys of a garbling follow from: neither party can bring about that they come twice.
#[derive(Debug, Clone, Copy)]
pub struct Nonces {
    /// P2's, of the transfer of the labels.
    pub transfer: Nonce,
    /// P1's, which comes with the garbling.
    pub garbling: Nonce,
}

impl Nonces {
    /// P1's part is drawn.
    pub fn draw(transfer: Nonce, random: &Random) -> Result<Self> {
        let mut garbling = Nonce::default();
        random.fill(&mut garbling)?;
        Ok(Self { transfer, garbling })
    }
}

/// What P1 gets: the message for P2, and its shares λ of the deciding bits.
pub struct Garbled {
    pub message: Vec<u8>,
    pub shares: Zeroizing<Vec<bool>>,
}

/// What P2 gets: b·z + 2^(w−1) + r for each value, in [0, 2^(mask_bits+1)), and its shares t.
pub struct Evaluated {
    pub values: Zeroizing<Vec<Wide>>,
    pub shares: Zeroizing<Vec<bool>>,
}

impl Circuit {
    /// Values lie in [−2^(bits−1), 2^(bits−1)), 2 ≤ bits ≤ 127; masks in [0, 2^mask_bits),
    /// bits < mask_bits ≤ 508, and hide a value up to 2^(bits − mask_bits).
    pub fn new(count: usize, bits: u32, mask_bits: u32, source: Source) -> Result<Self> {
        Error::check_limit("number of garbled values", count, crate::wire::MAX_ELEMENTS)?;
        if !VALUE_BITS.contains(&bits) || !(bits + 1..=MAX_MASK_BITS).contains(&mask_bits) {
            return Err(Error::invalid(format!(
                "values of {bits} bits under masks of {mask_bits} bits cannot be garbled; values take 2 to 127 bits, masks more than their values and at most {MAX_MASK_BITS}"
            )));
        }
        Ok(Self {
            count,
            bits: bits as usize,
            mask_bits: mask_bits as usize,
            source,
        })
    }

    /// Input labels of all values: `bits` each, lowest bit first, and then that of P2's share if
    /// the bit is shared. Value after value.
    pub fn labels(&self) -> usize {
        self.count * self.inputs()
    }

    /// Bytes of the message.
    pub fn message_len(&self) -> usize {
        self.count * self.value_len()
    }

    /// The bits of P2, in the order of the labels: those of z' (as many low ones as count) and, for
    /// [`Source::Bit`], of its shares (none otherwise).
    pub fn choices(&self, values: &[Wide], shares: &[bool]) -> Zeroizing<Vec<bool>> {
        assert_eq!(
            (values.len(), shares.len()),
            (self.count, self.shared()),
            "one value, and one share of a shared bit, for each value of the circuit"
        );
        let mut choices = Zeroizing::new(Vec::with_capacity(self.labels()));
        for (j, value) in values.iter().enumerate() {
            choices.extend((0..self.bits).map(|i| bit_mask(value, i) & 1 == 1));
            choices.extend(shares.get(j));
        }
        choices
    }

    /// P1's side. `labels` are the labels of 0 of P2's bits, `addends` hold y (only the low bits count), `shares` λ for
    /// [`Source::Bit`] (none otherwise), `masks` r. Panics if their lengths are not those of the circuit.
    pub fn garble(
        &self,
        delta: u128,
        nonces: &Nonces,
        labels: &[u128],
        addends: &[Wide],
        shares: &[bool],
        masks: &[Wide],
    ) -> Garbled {
        assert_eq!(
            (labels.len(), addends.len(), shares.len(), masks.len()),
            (self.labels(), self.count, self.shared(), self.count),
            "labels, addends, shares of the bits and masks of a circuit"
        );
        let keys = Keys::new(nonces);
        let mut message = vec![0; self.message_len()];
        let mut fresh = Zeroizing::new(vec![false; self.count]);
        parallel::chunks_mut(&mut message, LANES * self.value_len())
            .zip(parallel::chunks_mut(&mut fresh, LANES))
            .enumerate()
            .for_each(|(group, (message, fresh))| {
                let first = group * LANES;
                let range = first..first + fresh.len();
                let known = Known {
                    addends: &addends[range.clone()],
                    shares: shares.get(range.clone()).unwrap_or(&[]),
                    masks: &masks[range],
                };
                let mut garbler = Garbler::new(self, &keys, delta, group, message);
                let out = self.run(&mut garbler, &self.wires(labels, first), &known);
                garbler.finish(self, &out, known.masks);
                set_colours(fresh, &out.bit);
            });
        Garbled {
            message,
            shares: fresh,
        }
    }

    /// P2's side. `labels` are the active labels of P2's bits; panics if there are not
    /// [`Circuit::labels`] of them. A message of another length is refused; wrong bytes give wrong values.
    pub fn evaluate(&self, nonces: &Nonces, labels: &[u128], message: &[u8]) -> Result<Evaluated> {
        assert_eq!(labels.len(), self.labels(), "labels of a circuit");
        if message.len() != self.message_len() {
            return Err(Error::malformed(
                "garbled circuit",
                format!(
                    "{} values of {} bits under masks of {} bits take {} bytes, not {}",
                    self.count,
                    self.bits,
                    self.mask_bits,
                    self.message_len(),
                    message.len()
                ),
            ));
        }
        let keys = Keys::new(nonces);
        let mut values = Zeroizing::new(vec![Wide::ZERO; self.count]);
        let mut shares = Zeroizing::new(vec![false; self.count]);
        parallel::chunks(message, LANES * self.value_len())
            .zip(parallel::chunks_mut(&mut values, LANES))
            .zip(parallel::chunks_mut(&mut shares, LANES))
            .enumerate()
            .for_each(|(group, ((message, values), shares))| {
                let first = group * LANES;
                let mut evaluator = Evaluator::new(self, &keys, group, message);
                let wires = self.wires(labels, first);
                let out = self.run(&mut evaluator, &wires, &Known::default());
                evaluator.finish(self, &out, values);
                set_colours(shares, &out.bit);
            });
        Ok(Evaluated { values, shares })
    }

    /// The circuit, whoever runs it.
    fn run(&self, party: &mut impl Party, inputs: &[Wire], known: &Known<'_>) -> Outputs {
        let (value, share) = inputs.split_at(self.bits);
        let (z, _) = add(party, value, known.addends, self.bits - 1);
        let bit = Zeroizing::new(match self.source {
            Source::Sign => party.flip(&z[self.bits - 1], &ONES),
            Source::Bit => {
                let known = from_fn(|l| truth_mask(known.shares.get(l).copied().unwrap_or(false)));
                party.flip(&share[0], &known)
            }
        });
        let mut gated = Zeroizing::new(Vec::with_capacity(self.bits));
        gated.extend(z.iter().map(|z| party.and(z, &bit)));
        gated[self.bits - 1] = party.flip(&gated[self.bits - 1], &ONES);
        let (sums, carry) = add(party, &gated, known.masks, self.bits);
        Outputs { bit, sums, carry }
    }

    /// The input wires of the group of values from `first` on; missing values get labels 0.
    fn wires(&self, labels: &[u128], first: usize) -> Zeroizing<Vec<Wire>> {
        let inputs = self.inputs();
        let group = &labels[first * inputs..];
        let label = |i, l: usize| group.get(l * inputs + i).copied().unwrap_or(0);
        Zeroizing::new((0..inputs).map(|i| from_fn(|l| label(i, l))).collect())
    }

    fn inputs(&self) -> usize {
        self.bits + usize::from(self.source == Source::Bit)
    }

    /// Number of shares of deciding bits that go in.
    fn shared(&self) -> usize {
        self.count * usize::from(self.source == Source::Bit)
    }

    /// Bits of the result above the lowest `bits`.
    fn high_bits(&self) -> usize {
        self.mask_bits - self.bits + 1
    }

    fn row_len(&self) -> usize {
        self.high_bits().div_ceil(8)
    }

    fn value_len(&self) -> usize {
        let full_gates = (self.bits - 2) + self.bits + (self.bits - 1);
        16 * (2 * full_gates + 2) + 2 * self.row_len() + self.bits.div_ceil(8)
    }
}

struct Outputs {
    bit: Zeroizing<Wire>,
    sums: Zeroizing<Vec<Wire>>,
    carry: Zeroizing<Wire>,
}

/// What P1 knows of a group of values. P2 runs the circuit with nothing.
#[derive(Default)]
struct Known<'a> {
    addends: &'a [Wide],
    shares: &'a [bool],
    masks: &'a [Wide],
}

/// Adds numbers that P1 knows: the sum's wires, and carry number `carries`.
fn add(
    party: &mut impl Party,
    wires: &[Wire],
    known: &[Wide],
    carries: usize,
) -> (Zeroizing<Vec<Wire>>, Zeroizing<Wire>) {
    let bits = |i| from_fn(|l| known.get(l).map_or(0, |x| bit_mask(x, i)));
    let mut sums = Zeroizing::new(Vec::with_capacity(wires.len()));
    sums.push(party.flip(&wires[0], &bits(0)));
    let mut carry = Zeroizing::new(party.and_known(&wires[0], &bits(0)));
    for (i, wire) in wires.iter().enumerate().skip(1) {
        let bits = bits(i);
        sums.push(party.flip(&xor(wire, &carry), &bits));
        if i < carries {
            // The majority of x, c and k is ((x ⊕ k) AND (c ⊕ k)) ⊕ k.
            let both = party.and(&party.flip(wire, &bits), &party.flip(&carry, &bits));
            *carry = party.flip(&both, &bits);
        }
    }
    (sums, carry)
}

/// What P1 does with labels of 0 and P2 with active labels.
trait Party {
    /// XOR with bits that P1 knows (0 or all ones a value): P1 lets the other label stand for 0.
    fn flip(&self, wire: &Wire, known: &Wire) -> Wire;

    /// A gate of two ciphertexts.
    fn and(&mut self, a: &Wire, b: &Wire) -> Wire;

    /// AND with bits that P1 knows: one ciphertext.
    fn and_known(&mut self, a: &Wire, known: &Wire) -> Wire;
}

fn xor(a: &Wire, b: &Wire) -> Wire {
    from_fn(|l| a[l] ^ b[l])
}

/// All ones for true.
fn truth_mask(truth: bool) -> u128 {
    u128::from(truth).wrapping_neg()
}

/// All ones where bit i is 1.
fn bit_mask(value: &Wide, i: usize) -> u128 {
    u128::from(value.as_words()[i / 64] >> (i % 64) & 1).wrapping_neg()
}

fn set_colours(colours: &mut [bool], wire: &Wire) {
    for (colour, label) in colours.iter_mut().zip(wire) {
        *colour = label & 1 == 1;
    }
}

#[cfg(test)]
mod tests;
