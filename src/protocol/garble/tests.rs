use super::super::transfer::{Sender, Setup, answer_setup};
use super::super::wide::{from_rows, negate_if, power_of_two};
use super::*;
use crate::random::Random;

const NONCES: Nonces = Nonces {
    transfer: *b"nonce for tests!",
    garbling: *b"and that of P1..",
};

fn wide(x: i128) -> Wide {
    negate_if(&Wide::from_u128(x.unsigned_abs()), x < 0)
}

/// Uniform in [−2^(bits−1), 2^(bits−1)).
fn values(count: usize, bits: u32) -> Vec<i128> {
    let rows = Random::os().limbs(count, bits as usize).unwrap();
    let half = 1i128 << (bits - 1);
    (0..count)
        .map(|i| {
            let row = rows.row(i);
            let high = row.get(1).copied().unwrap_or(0);
            (i128::from(high) << 64 | i128::from(row[0])) - half
        })
        .collect()
}

fn words(count: usize) -> Vec<u128> {
    let rows = Random::os().limbs(count, 128).unwrap();
    let word = |i| u128::from(rows.row(i)[0]) | u128::from(rows.row(i)[1]) << 64;
    (0..count).map(word).collect()
}

/// One batch, with everything that goes into it.
struct Batch {
    circuit: Circuit,
    z: Vec<i128>,
    /// z' = z + k.
    masked: Vec<Wide>,
    /// y = −k.
    addends: Vec<Wide>,
    masks: Vec<Wide>,
    /// Shares t of P2 and λ of P1 of a shared bit.
    shares: [Vec<bool>; 2],
}

impl Batch {
    fn new(
        z: Vec<i128>,
        k: &[Wide],
        r: &[Wide],
        bits: u32,
        mask_bits: u32,
        source: Source,
    ) -> Self {
        let count = z.len();
        let shared = if source == Source::Bit { count } else { 0 };
        let coins = || Random::os().coins(shared).unwrap().to_vec();
        Self {
            circuit: Circuit::new(count, bits, mask_bits, source).unwrap(),
            masked: (z.iter().zip(k))
                .map(|(&z, k)| wide(z).wrapping_add(k))
                .collect(),
            addends: k.iter().map(|k| Wide::ZERO.wrapping_sub(k)).collect(),
            masks: r.to_vec(),
            shares: [coins(), coins()],
            z,
        }
    }

    fn random(count: usize, bits: u32, mask_bits: u32, source: Source) -> Self {
        let limbs = |bits: u32| from_rows(&Random::os().limbs(count, bits as usize).unwrap());
        let (k, r) = (limbs(bits + 64), limbs(mask_bits));
        Self::new(values(count, bits), &k, &r, bits, mask_bits, source)
    }

    fn garble(&self, delta: u128, nonces: &Nonces, labels: &[u128]) -> Garbled {
        let [_, p1] = &self.shares;
        self.circuit
            .garble(delta, nonces, labels, &self.addends, p1, &self.masks)
    }

    fn choices(&self) -> Zeroizing<Vec<bool>> {
        self.circuit.choices(&self.masked, &self.shares[0])
    }

    fn check(&self, garbled: &Garbled, evaluated: &Evaluated) {
        assert_eq!(evaluated.values.len(), self.z.len());
        let offset = power_of_two(self.circuit.bits as u32 - 1);
        for (j, &z) in self.z.iter().enumerate() {
            let bit = match self.circuit.source {
                Source::Sign => z >= 0,
                Source::Bit => self.shares[0][j] ^ self.shares[1][j],
            };
            let passed = if bit { wide(z) } else { Wide::ZERO };
            let expected = passed.wrapping_add(&offset).wrapping_add(&self.masks[j]);
            assert_eq!(evaluated.values[j], expected, "value {j}: {z}, bit {bit}");
            assert_eq!(garbled.shares[j] ^ evaluated.shares[j], bit, "value {j}");
        }
    }
}

/// Garbles and evaluates under labels that are dealt, not transferred.
fn run(batch: &Batch) -> (Garbled, Evaluated) {
    let delta = words(1)[0] | 1;
    let zero = words(batch.circuit.labels());
    let choices = batch.choices();
    let active = zero.iter().zip(&*choices);
    let active: Vec<_> = active.map(|(l, &x)| l ^ (truth_mask(x) & delta)).collect();
    let garbled = batch.garble(delta, &NONCES, &zero);
    let circuit = &batch.circuit;
    let evaluated = circuit
        .evaluate(&NONCES, &active, &garbled.message)
        .unwrap();
    (garbled, evaluated)
}

fn parties() -> (Sender, super::super::transfer::Seeds) {
    let random = Random::os();
    let (setup, points) = Setup::new(&random).unwrap();
    let (reply, seeds) = answer_setup(&points, &random).unwrap();
    (setup.finish(&reply).unwrap(), seeds)
}

#[test]
fn every_value_of_four_bits_under_many_masks() {
    let (mut z, mut k, mut r) = (vec![], vec![], vec![]);
    for value in -8..8 {
        for mask in 0..16u64 {
            // Every low part of r with a high part that the carry overflows, and one it does not.
            for low in 0..16u64 {
                for high in [0, 0b10_1001, 0b11_1111] {
                    z.push(value);
                    k.push(Wide::from_u64(mask << 4 | (mask ^ low)));
                    r.push(Wide::from_u64(high << 4 | low));
                }
            }
        }
    }
    for source in [Source::Sign, Source::Bit] {
        let batch = Batch::new(z.clone(), &k, &r, 4, 10, source);
        let (garbled, evaluated) = run(&batch);
        batch.check(&garbled, &evaluated);
    }
}

#[test]
fn values_and_masks_of_every_kind_of_width() {
    for (bits, mask_bits) in [
        (2, 3),
        (3, 150),
        (16, 56),
        (16, 144),
        (25, 89),
        (40, 41),
        (40, 167),
        (64, 128),
        (126, 190),
        (126, 254),
        (127, 508),
    ] {
        for source in [Source::Sign, Source::Bit] {
            // A full group and part of another.
            let batch = Batch::random(LANES + 9, bits, mask_bits, source);
            let (garbled, evaluated) = run(&batch);
            assert_eq!(garbled.message.len(), batch.circuit.message_len());
            batch.check(&garbled, &evaluated);
        }
    }
}

#[test]
fn the_ends_of_the_range() {
    for bits in [2, 16, 127] {
        let half = 1i128 << (bits - 1);
        let z = vec![-half, half - 1, 0, -1];
        let k = vec![power_of_two(200).wrapping_sub(&Wide::ONE); 4];
        let r = vec![power_of_two(254).wrapping_sub(&Wide::ONE); 4];
        for source in [Source::Sign, Source::Bit] {
            let batch = Batch::new(z.clone(), &k, &r, bits, 254, source);
            let (garbled, evaluated) = run(&batch);
            batch.check(&garbled, &evaluated);
        }
    }
}

#[test]
fn with_transferred_labels_from_end_to_end() {
    let (sender, seeds) = parties();
    let seeds = super::super::transfer::Seeds::from_bytes(&seeds.to_bytes()).unwrap();
    for (i, (count, source)) in [
        (0, Source::Sign),
        (1, Source::Bit),
        (100, Source::Sign),
        (100, Source::Bit),
    ]
    .into_iter()
    .enumerate()
    {
        let nonce = [i as u8; 16];
        let nonces = Nonces::draw(nonce, &Random::os()).unwrap();
        let batch = Batch::random(count, 16, 56, source);
        let labels = batch.circuit.labels();
        let message = seeds.choose(&nonce, &batch.choices());
        let zero = sender.zero_labels(&nonce, labels, &message).unwrap();
        let garbled = batch.garble(sender.delta(), &nonces, &zero);
        let active = seeds.labels(&nonce, labels);
        let evaluated = batch.circuit.evaluate(&nonces, &active, &garbled.message);
        batch.check(&garbled, &evaluated.unwrap());
    }
}

#[test]
fn shares_of_a_sign_gate_other_values() {
    // As in the backward pass of a ReLU.
    let forward = Batch::random(200, 20, 84, Source::Sign);
    let (p1, p2) = run(&forward);
    let mut backward = Batch::random(200, 33, 97, Source::Bit);
    backward.shares = [p2.shares.to_vec(), p1.shares.to_vec()];
    let (garbled, evaluated) = run(&backward);
    backward.check(&garbled, &evaluated);
    for (j, z) in forward.z.iter().enumerate() {
        assert_eq!(garbled.shares[j] ^ evaluated.shares[j], *z >= 0);
    }
}

#[test]
fn shares_alone_say_nothing() {
    // The same values each time: 16,384 coins a value of the bit, a standard deviation of 64.
    let (mut of_zero, mut of_one) = (0u32, 0u32);
    for _ in 0..64 {
        let z: Vec<_> = (0..512).map(|j| if j < 256 { -5 } else { 7 }).collect();
        let batch = Batch::new(
            z,
            &[Wide::ZERO; 512],
            &[Wide::ZERO; 512],
            5,
            20,
            Source::Sign,
        );
        let (_, evaluated) = run(&batch);
        let ones = |shares: &[bool]| shares.iter().filter(|&&t| t).count() as u32;
        of_zero += ones(&evaluated.shares[..256]);
        of_one += ones(&evaluated.shares[256..]);
    }
    for ones in [of_zero, of_one] {
        assert!(ones.abs_diff(8192) < 400, "{ones} of 16384");
    }
}

#[test]
fn messages_change_with_either_nonce_and_with_the_labels() {
    let batch = Batch::random(3, 16, 56, Source::Sign);
    let zero = words(batch.circuit.labels());
    let message = |nonces: &Nonces, labels: &[u128]| batch.garble(99, nonces, labels).message;
    let first = message(&NONCES, &zero);
    let others = [
        message(
            &Nonces {
                transfer: *b"some other nonce",
                ..NONCES
            },
            &zero,
        ),
        message(
            &Nonces {
                garbling: *b"some other nonce",
                ..NONCES
            },
            &zero,
        ),
        message(&NONCES, &words(zero.len())),
    ];
    for other in others {
        for (a, b) in first
            .as_chunks::<16>()
            .0
            .iter()
            .zip(other.as_chunks::<16>().0)
        {
            assert_ne!(a, b);
        }
    }
}

#[test]
fn no_key_serves_two_gates_or_two_groups() {
    // Equal labels of equal values: gates under one key would be the same. Values of one group share their
    // keys, so that all of them have these labels shows as well.
    let z = vec![77; 3 * LANES];
    let masks = vec![Wide::from_u64(123_456); z.len()];
    let batch = Batch::new(z, &masks, &masks, 16, 56, Source::Sign);
    let labels = vec![0x1234_5678_9abc_def0; batch.circuit.labels()];
    let message = batch.garble(4321, &NONCES, &labels).message;
    let values: Vec<_> = message.chunks_exact(batch.circuit.value_len()).collect();
    let gates = |value: usize| values[value][..16 * (6 * 16 - 4)].as_chunks::<16>().0;
    assert_eq!(gates(0), gates(LANES - 1));
    let mut all = [gates(0), gates(LANES), gates(2 * LANES)].concat();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn messages_of_the_wrong_length_are_refused_with_both_lengths() {
    let batch = Batch::random(3, 16, 56, Source::Bit);
    let (garbled, _) = run(&batch);
    let labels = words(batch.circuit.labels());
    // 6·16 − 4 ciphertexts, two rows of 6 bytes, 2 bytes of colours.
    assert_eq!(garbled.message.len(), 3 * (16 * 92 + 12 + 2));
    let mut longer = garbled.message.clone();
    longer.push(0);
    for message in [&longer[..], &garbled.message[1..], &[]] {
        let error = batch.circuit.evaluate(&NONCES, &labels, message).err();
        let text = error.expect("an error").to_string();
        let lengths = format!("take 4458 bytes, not {}", message.len());
        assert!(text.contains(&lengths), "{text}");
    }
}

#[test]
fn foreign_bytes_give_values_in_range() {
    for (bits, mask_bits) in [(2, 3), (16, 56), (127, 508)] {
        for source in [Source::Sign, Source::Bit] {
            let circuit = Circuit::new(50, bits, mask_bits, source).unwrap();
            let mut message = vec![0; circuit.message_len()];
            Random::os().fill(&mut message).unwrap();
            let labels = words(circuit.labels());
            let evaluated = circuit.evaluate(&NONCES, &labels, &message).unwrap();
            let limit = power_of_two(mask_bits + 1);
            assert!(evaluated.values.iter().all(|value| value < &limit));
        }
    }
}

#[test]
fn widths_that_do_not_fit_are_refused_by_number() {
    for (bits, mask_bits) in [(1, 60), (128, 200), (16, 16), (16, 509), (127, 127)] {
        let text = Circuit::new(1, bits, mask_bits, Source::Sign)
            .expect_err("an error")
            .to_string();
        let numbers = format!("values of {bits} bits under masks of {mask_bits} bits");
        assert!(text.contains(&numbers), "{text}");
    }
    assert!(Circuit::new((1 << 28) + 1, 16, 56, Source::Sign).is_err());
}

/// What the circuit costs, in one thread: `RAYON_NUM_THREADS=1 cargo test --release --features
/// test-seed --lib cost_of_a_value -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_value() {
    for (bits, mask_bits, source) in [
        (25, 89, Source::Sign),
        (25, 89, Source::Bit),
        (41, 105, Source::Sign),
    ] {
        let batch = Batch::random(1 << 14, bits, mask_bits, source);
        let circuit = &batch.circuit;
        let zero = words(circuit.labels());
        let mut least = [f64::INFINITY; 2];
        for _ in 0..9 {
            let began = std::time::Instant::now();
            let garbled = batch.garble(99, &NONCES, &zero);
            let between = std::time::Instant::now();
            let evaluated = circuit.evaluate(&NONCES, &zero, &garbled.message).unwrap();
            let [garbling, evaluation] = [between - began, between.elapsed()];
            assert_eq!(evaluated.values.len(), batch.z.len());
            for (least, time) in least.iter_mut().zip([garbling, evaluation]) {
                *least = least.min(time.as_secs_f64() * 1e6 / batch.z.len() as f64);
            }
        }
        let [garbling, evaluation] = least;
        println!(
            "{bits} bits, {source:?}: garbling {garbling:.2} µs a value, evaluation {evaluation:.2}"
        );
    }
}
