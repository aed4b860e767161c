//! The primitives of the crate against GMP, each pair measured one after the other in one run, and
//! a table of the ratios at the end. Times are processor time, summed over threads. For one core:
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench primitives
//! ```
//!
//! `SMLP_BACKEND` picks the backend. Arguments filter the cases by name, as criterion does.

use criterion::{Criterion, Throughput};
use rug::Integer;
use rug::ops::RemRounding;
use smlp::modular::exponentiation::{Exponents, power};
use smlp::modular::{Limbs, Modulus, Residues, Ring, backend, integer_from_limbs, limbs_of};
use smlp::random::Random;
use smlp::{Encrypt, EncryptedTensor, ExponentLength, IntegerTensor, PrivateKey, Security};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const SIGMA: u32 = 64;

/// One line of the table.
struct Line {
    what: String,
    unit: &'static str,
    seconds: f64,
    reference: &'static str,
    reference_seconds: f64,
    /// The ratio to reach.
    target: Option<f64>,
}

struct Bench {
    criterion: Criterion,
    lines: Vec<Line>,
    filter: Vec<String>,
}

impl Bench {
    fn wanted(&self, what: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|f| what.contains(f))
    }

    /// Seconds an element of `run`, which computes `elements`: the median of the samples.
    fn measure(&mut self, group: &str, name: &str, elements: usize, mut run: impl FnMut()) -> f64 {
        let mut samples = vec![];
        let mut group = self.criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(elements as u64));
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                let start = processor_time();
                for _ in 0..iterations {
                    run();
                }
                let elapsed = processor_time() - start;
                samples.push(elapsed.as_secs_f64() / (iterations as f64 * elements as f64));
                elapsed
            });
        });
        group.finish();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn compare(
        &mut self,
        (what, unit, target): (&str, &'static str, Option<f64>),
        (elements, ours): (usize, impl FnMut()),
        (reference, theirs): (&'static str, impl FnMut()),
    ) {
        if !self.wanted(what) {
            return;
        }
        let seconds = self.measure(what, "smlp", elements, ours);
        let reference_seconds = self.measure(what, reference, 1, theirs);
        self.lines.push(Line {
            what: what.into(),
            unit,
            seconds,
            reference,
            reference_seconds,
            target,
        });
    }

    fn report(&self) {
        println!(
            "\nbackend {}, {} thread(s); GMP on one",
            backend().expect("a backend").name(),
            rayon::current_num_threads()
        );
        println!("| what | a second | µs each | GMP, µs | × GMP | at least |");
        println!("|---|---|---|---|---|---|");
        for l in &self.lines {
            println!(
                "| {} | {:.0} {} | {:.2} | {}: {:.2} | {:.2} | {} |",
                l.what,
                1.0 / l.seconds,
                l.unit,
                1e6 * l.seconds,
                l.reference,
                1e6 * l.reference_seconds,
                l.reference_seconds / l.seconds,
                l.target.map_or(String::new(), |t| format!("{t:.2}")),
            );
        }
    }
}

/// What this process has computed so far, on all threads: other processes do not count.
fn processor_time() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the answer.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    assert_eq!(status, 0);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn random_integer(bits: usize) -> Integer {
    let x = Random::os().limbs(1, bits).expect("randomness");
    integer_from_limbs(x.row(0)) | (Integer::from(1) << (bits as u32 - 1))
}

fn modulus(value: &Integer) -> Modulus {
    Modulus::new(&limbs_of(value, value.significant_digits::<u64>())).expect("odd")
}

fn random_residues(ring: &Arc<dyn Ring>, count: usize) -> Residues {
    let m = integer_from_limbs(ring.modulus().limbs());
    let limbs = (0..count)
        .flat_map(|_| {
            let x = random_integer(m.significant_bits() as usize) % &m;
            limbs_of(&x, ring.modulus().width()).to_vec()
        })
        .collect();
    Residues::from_limbs(ring, limbs).expect("below the modulus")
}

fn modexp(bench: &mut Bench) {
    for (bits, square) in [(2048, true), (2048, false), (4096, true), (4096, false)] {
        let root = random_integer(bits / 2) | 1u32;
        let m = root.clone().square();
        let backend = backend().expect("a backend");
        let ring = match square {
            true => backend.square_ring(modulus(&root)),
            false => backend.ring(modulus(&m)),
        };
        let count = 64;
        let bases = random_residues(&ring, count);
        let exponent = random_integer(bits / 2);
        let rows = Limbs::from_words(limbs_of(&exponent, bits / 128).to_vec(), bits / 128);
        let base = integer_from_limbs(bases.row(0));
        let name = format!(
            "modexp {bits}/{}, shared exponent, {}",
            bits / 2,
            if square { "square" } else { "any modulus" }
        );
        let run = || {
            let fresh = bases.gather(&(0..count).collect::<Vec<_>>());
            let powers = power(&fresh, &Exponents::new(&rows, bits / 2));
            black_box(powers.limbs());
        };
        let reference = || {
            black_box(base.pow_mod_ref(&exponent, &m).map(Integer::from));
        };
        bench.compare(
            (&name, "", square.then_some(8.0)),
            (count, run),
            ("powm", reference),
        );
    }
}

/// The size of a key, and whether it has short exponents, in names of cases.
fn size(key: &PrivateKey) -> String {
    let public = key.public();
    match public.has_short_exponents() {
        false => public.bits().to_string(),
        true => format!("{} short exponents", public.bits()),
    }
}

/// Targets are for keys of the usual kind.
fn target(key: &PrivateKey, ratio: f64) -> Option<f64> {
    (!key.public().has_short_exponents()).then_some(ratio)
}

fn encryption(bench: &mut Bench, key: &PrivateKey) {
    let (public, count, random) = (key.public(), 64, Random::os());
    let (bits, size) = (public.bits() as usize, size(key));
    let n = integer_from_limbs(public.modulus().limbs());
    let square = Integer::from(n.square_ref());
    let r = random_integer(bits) % &n;
    let powm = || {
        black_box(r.pow_mod_ref(&n, &square).map(Integer::from));
    };
    let plaintexts = random.limbs(count, bits - 1).expect("randomness");
    bench.compare(
        (
            &format!("encryption {size}, key holder"),
            "",
            target(key, 80.0),
        ),
        (count, || {
            black_box(key.encrypt(&plaintexts, &random).expect("fits").limbs());
        }),
        ("r^N mod N²", powm),
    );
    bench.compare(
        (
            &format!("encryption {size}, public key"),
            "",
            target(key, 60.0),
        ),
        (count, || {
            black_box(public.encrypt(&plaintexts, &random).expect("fits").limbs());
        }),
        ("r^N mod N²", powm),
    );
    let ciphertexts = key.encrypt(&plaintexts, &random).expect("fits");
    bench.compare(
        (&format!("re-randomisation {size}"), "", target(key, 50.0)),
        (count, || {
            let fresh = public.rerandomize(&ciphertexts, public.order_bits() + SIGMA, &random);
            black_box(fresh.expect("randomness").limbs());
        }),
        ("r^N mod N²", powm),
    );
}

/// Decryption as one writes it with rug: two half-size powers and Garner.
struct RugKey {
    p: [Integer; 2],
    squares: [Integer; 2],
    h: [Integer; 2],
    p_inverse: Integer,
}

impl RugKey {
    fn new(bits: usize) -> Self {
        let p = [0; 2].map(|_| random_integer(bits / 2).next_prime());
        let n = Integer::from(&p[0] * &p[1]);
        let squares = [0, 1].map(|i| Integer::from(p[i].square_ref()));
        let h = [0, 1].map(|i| {
            let x = (Integer::from(&n + 1u32))
                .pow_mod(&Integer::from(&p[i] - 1u32), &squares[i])
                .expect("positive");
            ((x - 1u32) / &p[i]).invert(&p[i]).expect("prime")
        });
        let p_inverse = p[0].clone().invert(&p[1]).expect("prime");
        Self {
            p,
            squares,
            h,
            p_inverse,
        }
    }

    fn decrypt(&self, c: &Integer) -> Integer {
        let [a, b] = [0, 1].map(|i| {
            let c = Integer::from(c % &self.squares[i]);
            let x = c
                .pow_mod(&Integer::from(&self.p[i] - 1u32), &self.squares[i])
                .expect("positive");
            (x - 1u32).div_exact(&self.p[i]) * &self.h[i] % &self.p[i]
        });
        let difference = (b - &a) * &self.p_inverse;
        difference.rem_euc(&self.p[1]) * &self.p[0] + a
    }
}

fn decryption(bench: &mut Bench, key: &PrivateKey) {
    let (public, count, random) = (key.public(), 64, Random::os());
    let bits = public.bits() as usize;
    let rug = RugKey::new(bits);
    let n = Integer::from(&rug.p[0] * &rug.p[1]);
    let c = random_integer(bits - 2)
        .pow_mod(&n, &Integer::from(n.square_ref()))
        .expect("positive")
        * (Integer::from(&n * 7u32) + 1u32)
        % Integer::from(n.square_ref());
    assert_eq!(rug.decrypt(&c), 7);
    let plaintexts = random.limbs(count, bits - 1).expect("randomness");
    let ciphertexts = key.encrypt(&plaintexts, &random).expect("fits");
    bench.compare(
        (&format!("decryption {}", size(key)), "", target(key, 8.0)),
        (count, || {
            black_box(key.decrypt(&ciphertexts).expect("valid"));
        }),
        ("CRT with powm", || {
            black_box(rug.decrypt(&c));
        }),
    );
}

fn products(bench: &mut Bench, key: &PrivateKey) {
    let (random, public) = (Random::os(), key.public());
    let (rows, inner, columns) = (64, 64, 8);
    let data: Vec<i64> = (0..(inner * columns) as i64)
        .map(|i| 7 * i - 1800)
        .collect();
    let data = IntegerTensor::from_i64(&[inner, columns], &data, Some(12)).expect("fits");
    let data = EncryptedTensor::encrypt(&data, key, &random).expect("fits");
    let square = integer_from_limbs(public.ring().modulus().limbs());
    let (c, d) = (
        integer_from_limbs(data.storage().residues().row(0)),
        integer_from_limbs(data.storage().residues().row(1)),
    );
    // Magnitudes below 2^31 (what an i32 holds) and below 2^104.
    for (name, bits, target) in [("32-bit", 31, 30.0), ("104-bit", 104, 40.0)] {
        let weights = random.limbs(rows * inner, bits).expect("randomness");
        let values = (0..rows * inner)
            .map(|i| {
                let magnitude = integer_from_limbs(weights.row(i)).to_i128_wrapping();
                if i % 2 == 0 { magnitude } else { -magnitude }
            })
            .collect();
        let weights =
            IntegerTensor::from_i128(&[rows, inner], values, 0, bits as u32).expect("fits");
        let exponent = random_integer(bits);
        bench.compare(
            (
                &format!("matrix 64×64 by 64×8, {name} scalars"),
                "MAC",
                Some(target),
            ),
            (rows * inner * columns, || {
                let product = data.rmatmul_plain(&weights).expect("fits");
                black_box(product.storage().residues().limbs());
            }),
            ("powm and multiplication", || {
                let power = Integer::from(c.pow_mod_ref(&exponent, &square).expect("positive"));
                black_box(power * &d % &square);
            }),
        );
    }
    let sum = data.add(&data).expect("fits");
    bench.compare(
        ("ciphertext addition", "", Some(1.0 / 1.2)),
        (inner * columns, || {
            black_box(sum.add(&data).expect("fits"));
        }),
        ("multiplication and remainder", || {
            black_box(Integer::from(&c * &d) % &square);
        }),
    );
}

fn main() {
    let mut bench = Bench {
        criterion: Criterion::default()
            .sample_size(15)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_millis(1500))
            .without_plots(),
        lines: vec![],
        filter: std::env::args()
            .skip(1)
            .filter(|a| !a.starts_with("--"))
            .collect(),
    };
    modexp(&mut bench);
    let key = |bits| PrivateKey::generate(bits, Security::Required).expect("randomness");
    let (small, large) = (key(2048), key(3072));
    let short = |bits| {
        PrivateKey::generate_as(bits, ExponentLength::Short, Security::Required)
            .expect("randomness")
    };
    let (small_short, large_short) = (short(2048), short(3072));
    for key in [&small, &small_short] {
        encryption(&mut bench, key);
    }
    for key in [&small, &large, &small_short, &large_short] {
        decryption(&mut bench, key);
    }
    products(&mut bench, &small);
    bench.report();
}
