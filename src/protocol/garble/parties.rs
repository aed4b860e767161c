//! How each party computes the gates and ends a group of values: P1 writes, P2 reads.

use super::super::wide::{self, Wide};
use super::hash::{Hashes, Keys};
use super::{Circuit, ONES, Outputs, Party, Wire, truth_mask};
use std::array::from_fn;
use std::ops::Range;
use zeroize::Zeroizing;

/// P1 and the part of the message for one group of values.
pub struct Garbler<'a> {
    hashes: Hashes<'a>,
    delta: u128,
    place: Place,
    message: &'a mut [u8],
}

impl<'a> Garbler<'a> {
    /// For a group of values; `message` has room for all of them.
    pub fn new(
        circuit: &Circuit,
        keys: &'a Keys,
        delta: u128,
        group: usize,
        message: &'a mut [u8],
    ) -> Self {
        Self {
            hashes: Hashes::new(keys, group),
            delta,
            place: Place::start(circuit),
            message,
        }
    }

    /// The table of the last carry, and what the colours of the sums stand for.
    pub fn finish(mut self, circuit: &Circuit, out: &Outputs, masks: &[Wide]) {
        let row_len = circuit.row_len();
        // Where the label of 0 has colour 1, that of colour 0 stands for a carry.
        let carries = colour_masks(&out.carry);
        let zero: Wire = from_fn(|l| out.carry[l] ^ (carries[l] & self.delta));
        let one = self.flip(&zero, &ONES);
        let pads = self.hashes.pads([&zero, &one], row_len);
        let (table, colours) = self.place.end(circuit);
        let messages = self.message.chunks_exact_mut(self.place.value_len);
        for (l, (message, mask)) in messages.zip(masks).enumerate() {
            let high = mask.shr_vartime(circuit.bits as u32);
            let rows = message[table.clone()].chunks_exact_mut(row_len);
            for ((colour, row), pads) in rows.enumerate().zip(pads.iter()) {
                let carry = (carries[l] as u64 & 1) ^ colour as u64;
                let plain = to_bytes(&high.wrapping_add(&Wide::from_u64(carry)));
                row.copy_from_slice(&plain[..row_len]);
                apply_pads(row, pads, l);
            }
            let bytes = packed_colours(&out.sums, l).to_le_bytes();
            message[colours.clone()].copy_from_slice(&bytes[..colours.len()]);
        }
    }

    fn write(&mut self, ciphertexts: &Wire) {
        let bytes = self.place.take(16);
        let values = self.message.chunks_exact_mut(self.place.value_len);
        for (value, ciphertext) in values.zip(ciphertexts) {
            value[bytes.clone()].copy_from_slice(&ciphertext.to_le_bytes());
        }
    }
}

impl Party for Garbler<'_> {
    fn flip(&self, wire: &Wire, known: &Wire) -> Wire {
        from_fn(|l| wire[l] ^ (known[l] & self.delta))
    }

    fn and(&mut self, a: &Wire, b: &Wire) -> Wire {
        let (a1, b1) = (self.flip(a, &ONES), self.flip(b, &ONES));
        let [ha, ha1] = self.hashes.labels([a, &a1]);
        let [hb, hb1] = self.hashes.labels([b, &b1]);
        let (pa, pb) = (colour_masks(a), colour_masks(b));
        let generator: Wire = from_fn(|l| ha[l] ^ ha1[l] ^ (pb[l] & self.delta));
        let evaluator: Wire = from_fn(|l| hb[l] ^ hb1[l] ^ a[l]);
        self.write(&generator);
        self.write(&evaluator);
        from_fn(|l| ha[l] ^ (pa[l] & generator[l]) ^ hb[l] ^ (pb[l] & (evaluator[l] ^ a[l])))
    }

    fn and_known(&mut self, a: &Wire, known: &Wire) -> Wire {
        let a1 = self.flip(a, &ONES);
        let [h, h1] = self.hashes.labels([a, &a1]);
        let pa = colour_masks(a);
        let generator: Wire = from_fn(|l| h[l] ^ h1[l] ^ (known[l] & self.delta));
        self.write(&generator);
        from_fn(|l| h[l] ^ (pa[l] & generator[l]))
    }
}

/// P2 and the part of the message for one group of values.
pub struct Evaluator<'a> {
    hashes: Hashes<'a>,
    place: Place,
    message: &'a [u8],
}

impl<'a> Evaluator<'a> {
    /// For a group of values; `message` has all that is about them.
    pub fn new(circuit: &Circuit, keys: &'a Keys, group: usize, message: &'a [u8]) -> Self {
        Self {
            hashes: Hashes::new(keys, group),
            place: Place::start(circuit),
            message,
        }
    }

    /// The masked results: the row that the last carry opens, above what the colours of the sums say.
    pub fn finish(mut self, circuit: &Circuit, out: &Outputs, values: &mut [Wide]) {
        let row_len = circuit.row_len();
        let [pads] = &*self.hashes.pads([&out.carry], row_len);
        let (table, colours) = self.place.end(circuit);
        let used_high = wide::power_of_two(circuit.high_bits() as u32).wrapping_sub(&Wide::ONE);
        let used_low = (1 << circuit.bits) - 1;
        let messages = self.message.chunks_exact(self.place.value_len);
        for (l, (message, value)) in messages.zip(values).enumerate() {
            // Reads both rows: the colour of the carry is P2's secret.
            let (zero, one) = message[table.clone()].split_at(row_len);
            let colour = truth_mask(out.carry[l] & 1 == 1) as u8;
            let mut row = Zeroizing::new([0; 8 * wide::LIMBS]);
            for ((byte, zero), one) in row.iter_mut().zip(zero).zip(one) {
                *byte = zero ^ (colour & (zero ^ one));
            }
            apply_pads(&mut row[..row_len], pads, l);
            let (limbs, _) = row.as_chunks();
            let high = Wide::from_words(from_fn(|i| u64::from_le_bytes(limbs[i]))) & used_high;
            let low = packed_colours(&out.sums, l) ^ word(&message[colours.clone()]);
            *value = high.shl_vartime(circuit.bits as u32) | Wide::from_u128(low & used_low);
        }
    }

    fn read(&mut self) -> Wire {
        let bytes = self.place.take(16);
        let mut values = self.message.chunks_exact(self.place.value_len);
        from_fn(|_| values.next().map_or(0, |value| word(&value[bytes.clone()])))
    }
}

impl Party for Evaluator<'_> {
    fn flip(&self, wire: &Wire, _known: &Wire) -> Wire {
        *wire
    }

    fn and(&mut self, a: &Wire, b: &Wire) -> Wire {
        let ([ha], [hb]) = (self.hashes.labels([a]), self.hashes.labels([b]));
        let (sa, sb) = (colour_masks(a), colour_masks(b));
        let (generator, evaluator) = (self.read(), self.read());
        from_fn(|l| ha[l] ^ (sa[l] & generator[l]) ^ hb[l] ^ (sb[l] & (evaluator[l] ^ a[l])))
    }

    fn and_known(&mut self, a: &Wire, _known: &Wire) -> Wire {
        let [h] = self.hashes.labels([a]);
        let (sa, generator) = (colour_masks(a), self.read());
        from_fn(|l| h[l] ^ (sa[l] & generator[l]))
    }
}

/// Where the next bytes of each value are, in a message of one value after the other.
struct Place {
    value_len: usize,
    at: usize,
}

impl Place {
    fn start(circuit: &Circuit) -> Self {
        Self {
            value_len: circuit.value_len(),
            at: 0,
        }
    }

    fn take(&mut self, bytes: usize) -> Range<usize> {
        self.at += bytes;
        self.at - bytes..self.at
    }

    /// Both rows of the table and the colours of the sums, which end a value.
    fn end(&mut self, circuit: &Circuit) -> (Range<usize>, Range<usize>) {
        let table = self.take(2 * circuit.row_len());
        let colours = self.take(circuit.bits.div_ceil(8));
        debug_assert_eq!(self.at, self.value_len, "bytes of a value");
        (table, colours)
    }
}

/// All ones where the colour of a label, its lowest bit, is 1.
fn colour_masks(wire: &Wire) -> Wire {
    wire.map(|label| truth_mask(label & 1 == 1))
}

/// The colours of all wires' labels for value l of the group.
fn packed_colours(wires: &[Wire], l: usize) -> u128 {
    let colours = wires.iter().map(|wire| wire[l] & 1).enumerate();
    colours.fold(0, |packed, (i, colour)| packed | colour << i)
}

/// Exclusive or with the hashes for value l of the group.
fn apply_pads(bytes: &mut [u8], pads: &[Wire], l: usize) {
    for (bytes, pad) in bytes.chunks_mut(16).zip(pads) {
        for (byte, pad) in bytes.iter_mut().zip(pad[l].to_le_bytes()) {
            *byte ^= pad;
        }
    }
}

fn to_bytes(value: &Wide) -> Zeroizing<[u8; 8 * wide::LIMBS]> {
    let words = value.as_words();
    Zeroizing::new(from_fn(|i| (words[i / 8] >> (8 * (i % 8))) as u8))
}

/// At most 16 bytes, little-endian.
fn word(bytes: &[u8]) -> u128 {
    let mut word = [0; 16];
    word[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(word)
}
