//! What P2 sees does not depend on the data: for every operation, the values that it opens are
//! distributed alike for two very different inputs.
//!
//! Masks are seeded, so that the tests never flake; the two-sample tests reject at about one in
//! a thousand. The last test shows that they do reject masks that are too narrow or shared.

mod common;

use rug::Integer;
use smlp::fixed::RoundingKey;
use smlp::protocol::Call;
use smlp::random::Random;
use smlp::{
    Arithmetic, Division, Encrypt, EncryptedTensor, IntegerTensor, P1, P2, PrivateKey, Promise,
    Result, Security, Session, Step, Transport,
};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

const BOUND: u32 = 20;
const SIGMA: u32 = 40;
const ELEMENTS: usize = 600;

fn key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(512, Security::AllowInsecure).unwrap())
}

fn tensor(shape: &[usize], value: impl Fn(usize) -> i128) -> EncryptedTensor {
    let values = (0..shape.iter().product()).map(value).collect();
    let clear = IntegerTensor::from_i128(shape, values, 0, BOUND).unwrap();
    EncryptedTensor::encrypt(&clear, key(), &Random::os()).unwrap()
}

/// Two inputs that could hardly differ more: all at the lower bound; ascending, mostly positive.
fn inputs(shape: &[usize]) -> [EncryptedTensor; 2] {
    let top = (1i128 << BOUND) - 1;
    let count = shape.iter().product::<usize>() as i128;
    [
        tensor(shape, |_| -top),
        tensor(shape, |i| top * (i as i128 + 1) / count),
    ]
}

/// What P2 opens in the request of `start`, group by group, for both inputs.
fn views(
    shape: &[usize],
    start: impl Fn(&P1, &EncryptedTensor) -> Result<Call>,
) -> [Vec<Vec<Integer>>; 2] {
    let p2 = P2::new(key().clone());
    let mut seed = 10;
    inputs(shape).map(|x| {
        // Different masks for both, as in life.
        seed += 1;
        let p1 = P1::seeded(key().public().clone(), Promise::insecure(SIGMA), seed).unwrap();
        p2.view(start(&p1, &x).unwrap().request().unwrap()).unwrap()
    })
}

/// Kolmogorov–Smirnov: the largest distance of the two empirical distributions, in units of
/// √((n+m)/nm); above 1.95 in one of a thousand cases where both are the same.
fn distance(a: &[Integer], b: &[Integer]) -> f64 {
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    a.sort();
    b.sort();
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (mut i, mut j, mut largest) = (0, 0, 0f64);
    while i < a.len() && j < b.len() {
        let x = a[i].clone().min(b[j].clone());
        while i < a.len() && a[i] <= x {
            i += 1;
        }
        while j < b.len() && b[j] <= x {
            j += 1;
        }
        largest = largest.max((i as f64 / n - j as f64 / m).abs());
    }
    largest * (n * m / (n + m)).sqrt()
}

/// The largest chi-square of residues modulo `d` between both samples, in standard deviations.
fn residue_distance(a: &[Integer], b: &[Integer], d: u32) -> f64 {
    let histogram = |values: &[Integer]| {
        let mut counts = vec![0f64; d as usize];
        for v in values {
            counts[v.mod_u(d) as usize] += 1.0;
        }
        counts
    };
    let (a, b) = (histogram(a), histogram(b));
    let square: f64 = a
        .iter()
        .zip(&b)
        .filter(|(x, y)| **x + **y > 0.0)
        .map(|(x, y)| (x - y).powi(2) / (x + y))
        .sum();
    let degrees = f64::from(d - 1);
    (square - degrees) / (2.0 * degrees).sqrt()
}

#[track_caller]
fn assert_alike(a: &[Integer], b: &[Integer]) {
    assert!(a.len() >= ELEMENTS);
    let d = distance(a, b);
    assert!(d < 1.95, "distributions differ: {d}");
    for modulus in [2, 7, 16] {
        let d = residue_distance(a, b, modulus);
        assert!(
            d < 3.5,
            "residues modulo {modulus} differ by {d} deviations"
        );
    }
    // Fresh for each element: a 61-bit mask does not repeat among a few hundred.
    for view in [a, b] {
        let mut sorted = view.to_vec();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), view.len(), "a mask served two elements");
        // Neighbours do not share a mask either: their differences spread over the mask's width.
        let wide = view
            .windows(2)
            .filter(|w| Integer::from(&w[0] - &w[1]).significant_bits() > BOUND + SIGMA - 8)
            .count();
        assert!(
            wide > view.len() * 9 / 10,
            "{wide} of {} differences are wide",
            view.len()
        );
    }
}

#[test]
fn products_hide_both_operands() {
    let [a, b] = views(&[ELEMENTS], |p1, x| p1.multiply(x, x));
    (0..2).for_each(|group| assert_alike(&a[group], &b[group]));
    let [a, b] = views(&[ELEMENTS, 1], |p1, x| {
        p1.matmul(x, &x.transpose().slice(&[]).unwrap())
    });
    (0..2).for_each(|group| assert_alike(&a[group], &b[group]));
}

#[test]
fn divisions_hide_the_dividend_and_its_remainder() {
    let rounding = RoundingKey::from_bytes([9; 32]);
    for (number, divisor) in [(1, 1), (2, 16), (3, 7), (4, 1 << 18)] {
        let [a, b] = views(&[ELEMENTS], |p1, x| {
            p1.divide(x, divisor, 0, Some((&rounding, number)))
        });
        assert_alike(&a[0], &b[0]);
    }
}

#[test]
fn refreshing_hides_the_values() {
    let [a, b] = views(&[ELEMENTS], |p1, x| p1.refresh(x));
    assert_alike(&a[0], &b[0]);
}

/// What P2 sees of a whole call, request by request.
fn all_views(p1: &P1, start: impl Fn(&P1) -> Result<Call>) -> Vec<Vec<Integer>> {
    let p2 = P2::new(key().clone());
    let mut call = start(p1).unwrap();
    let mut seen = vec![];
    while call.step().unwrap() == Step::Send {
        let request = call.request().unwrap();
        seen.extend(p2.view(request).unwrap());
        let reply = p2.answer(request).unwrap();
        call.resume(&reply).unwrap();
    }
    seen
}

#[track_caller]
fn assert_coins(bits: &[Integer]) {
    assert!(bits.iter().all(|x| *x == 0 || *x == 1));
    let ones = bits.iter().filter(|x| **x == 1).count() as f64;
    let deviations = (ones - bits.len() as f64 / 2.0) / (bits.len() as f64 / 4.0).sqrt();
    assert!(
        deviations.abs() < 3.3,
        "{ones} of {} bits are 1",
        bits.len()
    );
}

#[test]
fn comparisons_hide_values_signs_and_results() {
    let mut seed = 30;
    let [a, b] = inputs(&[ELEMENTS]).map(|x| {
        seed += 1;
        let p1 = P1::seeded(key().public().clone(), Promise::insecure(SIGMA), seed).unwrap();
        all_views(&p1, |p1| p1.relu(&x))
    });
    // The masked values; what comes out of the gate; one half of every sign.
    assert_eq!((a.len(), b.len()), (3, 3));
    (0..2).for_each(|group| assert_alike(&a[group], &b[group]));
    // All negative, and mostly positive: fair coins both.
    assert_coins(&a[2]);
    assert_coins(&b[2]);
}

#[test]
fn selections_hide_bits_values_and_results() {
    let one = |value: i128| {
        let clear = IntegerTensor::from_i128(&[ELEMENTS], vec![value; ELEMENTS], 0, 1).unwrap();
        EncryptedTensor::encrypt(&clear, key(), &Random::os()).unwrap()
    };
    let mut seed = 40;
    for bits in [one(0), one(1)] {
        let [a, b] = inputs(&[ELEMENTS]).map(|x| {
            seed += 1;
            let p1 = P1::seeded(key().public().clone(), Promise::insecure(SIGMA), seed).unwrap();
            all_views(&p1, |p1| p1.select(&bits, &x))
        });
        // Flipped bits; masked values; what comes out of the gate; the bits' new halves.
        assert_eq!((a.len(), b.len()), (4, 4));
        for view in [&a, &b] {
            assert_coins(&view[0]);
            assert_coins(&view[3]);
        }
        (1..3).for_each(|group| assert_alike(&a[group], &b[group]));
    }
}

#[test]
fn products_of_shared_values_hide_factors_terms_and_results() {
    // One product a call: u = XS + RS − ρ2 − K shares S along a column, so that only separate
    // calls give independent samples of it.
    let p2 = Arc::new(P2::new(key().clone()));
    let mut seed = 10;
    let samples = inputs(&[ELEMENTS, 1]).map(|x| {
        seed += 1;
        let p1 = P1::seeded(key().public().clone(), Promise::insecure(SIGMA), seed).unwrap();
        let views = Arc::new(Mutex::new(vec![]));
        let (log, answering) = (views.clone(), p2.clone());
        let wire = move |request: &[u8]| -> Result<Vec<u8>> {
            log.lock().unwrap().push(answering.view(request)?);
            answering.answer(request)
        };
        let session = Session::new(Arc::new(p1), Arc::new(wire));
        let rounding = RoundingKey::from_bytes([8; 32]);
        let mut groups = vec![vec![]; 6];
        for i in 0..ELEMENTS {
            let x = x.take(0, &[i]).unwrap();
            let division = Division {
                divisor: 1 << 10,
                scale_drop: 0,
                rounding: Some((&rounding, i as u64)),
            };
            session.matmul_divide(&x, &x, division).unwrap();
            // Both factors under their masks; then u, v, XW + K, and the quotient under its mask.
            let seen = std::mem::take(&mut *views.lock().unwrap());
            for (group, value) in groups.iter_mut().zip(seen.into_iter().flatten().flatten()) {
                group.push(value);
            }
        }
        groups
    });
    for (a, b) in samples[0].iter().zip(&samples[1]) {
        assert_alike(a, b);
    }
}

/// P2 as if it were elsewhere: it opens terms of products ahead.
struct Remote(P2, Mutex<Vec<Vec<Vec<Integer>>>>);

impl Transport for Remote {
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        self.1.lock().unwrap().push(self.0.view(request)?);
        self.0.answer(request)
    }

    fn round_trip(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

#[test]
fn terms_opened_ahead_hide_what_they_hide_in_one_request() {
    // Large enough a product that u goes ahead, as one part; small enough that v stays.
    const SIDE: usize = 12;
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1);
    let one_thread = one_thread.build().unwrap();
    let rounding = RoundingKey::from_bytes([7; 32]);
    let mut seed = 20;
    let samples = inputs(&[ELEMENTS, 1]).map(|all| {
        seed += 1;
        let p1 = P1::seeded(key().public().clone(), Promise::insecure(SIGMA), seed).unwrap();
        let remote = Arc::new(Remote(P2::new(key().clone()), Mutex::default()));
        let session = Session::new(Arc::new(p1), Arc::new(remote.clone()));
        let mut groups = vec![vec![]; 6];
        for i in 0..ELEMENTS / SIDE {
            let rows: Vec<_> = (i * SIDE..(i + 1) * SIDE).collect();
            let x = all.take(0, &rows).unwrap();
            let division = Division {
                divisor: 1 << 10,
                scale_drop: 0,
                rounding: Some((&rounding, i as u64)),
            };
            let y = x.transpose();
            one_thread.install(|| session.matmul_divide(&x, &y, division).unwrap());
            let seen = std::mem::take(&mut *remote.1.lock().unwrap());
            // Both factors; u; then v, XW + K and the quotient.
            let counts: Vec<_> = seen.iter().map(Vec::len).collect();
            assert_eq!(counts, [2, 1, 3]);
            for (group, values) in groups.iter_mut().zip(seen.into_iter().flatten()) {
                // Elements of a row, or of a column, share a mask inside RS: those of the
                // diagonal do not.
                match values.len() {
                    SIDE => group.extend(values),
                    _ => group.extend(values.into_iter().step_by(SIDE + 1)),
                }
            }
        }
        groups
    });
    for (a, b) in samples[0].iter().zip(&samples[1]) {
        assert_alike(a, b);
    }
}

#[test]
fn the_tests_reject_what_the_prototype_did() {
    let random = Random::seeded(5);
    let masks = |bits: usize, count: usize| -> Vec<Integer> {
        let limbs = random.limbs(count, bits).unwrap();
        (0..count)
            .map(|i| Integer::from_digits(limbs.row(i), rug::integer::Order::Lsf))
            .collect()
    };
    let top = (1i64 << BOUND) - 1;
    let sum = |masks: Vec<Integer>, x: i64| masks.into_iter().map(|m| m + x).collect::<Vec<_>>();
    // A mask no wider than the value.
    let narrow = [top, -top].map(|x| sum(masks(BOUND as usize, ELEMENTS), x));
    assert!(distance(&narrow[0], &narrow[1]) > 10.0);
    // No r_lo: the remainder shows.
    let coarse = [3, 4].map(|x| sum(masks(61, ELEMENTS).into_iter().map(|m| m * 16).collect(), x));
    assert!(residue_distance(&coarse[0], &coarse[1], 16) > 10.0);
    // One mask for a whole tensor.
    let shared = sum(vec![masks(61, 1).remove(0); ELEMENTS], top);
    assert!(std::panic::catch_unwind(|| assert_alike(&shared, &shared)).is_err());
    // Honest masks pass.
    let honest = [top, -top].map(|x| sum(masks(61, ELEMENTS), x));
    assert_alike(&honest[0], &honest[1]);
}
