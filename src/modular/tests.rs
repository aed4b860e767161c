//! Every operation of a ring on every backend, in random sequences: equal bits, those of rug.

use super::*;
use proptest::prelude::*;
use rug::Integer;

/// One operation on a batch.
#[derive(Debug, Clone)]
enum Step {
    Multiply,
    Square(usize),
    Select {
        digits: Vec<u64>,
        entries: usize,
    },
    SquareSelect {
        times: usize,
        digits: Vec<u64>,
        entries: usize,
    },
    Gather(Vec<prop::sample::Index>),
    Join,
    Interleave,
    Reenter,
    Ones,
}

fn step(count: usize) -> impl Strategy<Value = Step> {
    let selection = (1usize..=40).prop_flat_map(move |entries| {
        let digits = prop::collection::vec(0..entries as u64, count);
        digits.prop_map(move |digits| (digits, entries))
    });
    prop_oneof![
        Just(Step::Multiply),
        (0usize..4).prop_map(Step::Square),
        selection
            .clone()
            .prop_map(|(digits, entries)| Step::Select { digits, entries }),
        (0usize..6, selection).prop_map(|(times, (digits, entries))| Step::SquareSelect {
            times,
            digits,
            entries
        }),
        prop::collection::vec(any::<prop::sample::Index>(), count).prop_map(Step::Gather),
        Just(Step::Join),
        Just(Step::Interleave),
        Just(Step::Reenter),
        Just(Step::Ones),
    ]
}

/// The batch after all steps, in the canonical form.
fn run(ring: &Arc<dyn Ring>, x: &[u64], y: &[u64], steps: &[Step]) -> Vec<u64> {
    let count = x.len() / ring.modulus().width();
    let (mut x, y) = (ring.enter(x), ring.enter(y));
    let all: Vec<_> = (0..count).collect();
    for step in steps {
        match step {
            Step::Multiply => ring.multiply(&mut x, &y),
            Step::Square(times) => ring.square(&mut x, *times),
            Step::Select { digits, entries }
            | Step::SquareSelect {
                digits, entries, ..
            } => {
                // The rows of number i are y from the i-th on, over and over.
                let rows: Vec<_> = (0..count + entries).map(|row| row % count).collect();
                let by = Selection {
                    table: &ring.gather(&y, &rows),
                    first: &all,
                    digits,
                    entries: *entries,
                    ahead: 0..count.min(3),
                };
                match step {
                    Step::SquareSelect { times, .. } => {
                        ring.square_multiply_selected(&mut x, *times, &by);
                    }
                    _ => ring.multiply_selected(&mut x, by.table, &all, digits, *entries, 0..0),
                }
            }
            Step::Gather(picks) => {
                let picks: Vec<_> = picks.iter().map(|p| p.index(count)).collect();
                x = ring.gather(&x, &picks);
            }
            Step::Join => {
                let tail: Vec<_> = (count / 2..count).collect();
                let joined = ring.join(&[&ring.gather(&x, &tail), &y, &x]);
                x = ring.gather(&joined, &all);
            }
            Step::Interleave => x = ring.gather(&ring.interleave(&[&x, &y], count), &all),
            Step::Reenter => x = ring.enter(&ring.leave(&x)),
            Step::Ones => ring.multiply(&mut x, &ring.ones(count)),
        }
    }
    ring.leave(&x)
}

/// The same with rug.
fn reference(m: &Integer, x: &[Integer], y: &[Integer], steps: &[Step]) -> Vec<Integer> {
    let (mut x, count) = (x.to_vec(), x.len());
    let power = |x: &Integer, times: usize| {
        let exponent = Integer::from(1) << times as u32;
        x.clone().pow_mod(&exponent, m).expect("positive")
    };
    for step in steps {
        x = match step {
            Step::Multiply => x
                .iter()
                .zip(y)
                .map(|(x, y)| Integer::from(x * y) % m)
                .collect(),
            Step::Square(times) => x.iter().map(|x| power(x, *times)).collect(),
            Step::Select { digits, .. } => (0..count)
                .map(|i| Integer::from(&x[i] * &y[(i + digits[i] as usize) % count]) % m)
                .collect(),
            Step::SquareSelect { times, digits, .. } => (0..count)
                .map(|i| power(&x[i], *times) * &y[(i + digits[i] as usize) % count] % m)
                .collect(),
            Step::Gather(picks) => picks.iter().map(|p| x[p.index(count)].clone()).collect(),
            Step::Join => {
                let parts = x[count / 2..].iter().chain(y).chain(&x);
                parts.take(count).cloned().collect()
            }
            Step::Interleave => (0..count)
                .map(|k| if k % 2 == 0 { &x } else { y }[k / 2].clone())
                .collect(),
            Step::Reenter | Step::Ones => x,
        };
    }
    x
}

/// Numbers of any size up to `bits` bits, runs of ones and zeros among them.
fn integer(bits: u32) -> impl Strategy<Value = Integer> {
    let word = prop_oneof![Just(0u64), Just(u64::MAX), any::<u64>()];
    prop::collection::vec(word, bits.div_ceil(64) as usize)
        .prop_map(move |words| integer_from_limbs(&words).keep_bits(bits))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn all_backends_give_the_bits_of_rug(
        (root, seeds, steps) in (2u32..1100, 1usize..20).prop_flat_map(|(bits, count)| (
            integer(bits).prop_map(move |x| x | 1u32 | (Integer::from(1) << (bits - 1))),
            prop::collection::vec((integer(2 * bits), integer(2 * bits)), count),
            prop::collection::vec(step(count), 1..8),
        )),
        square: bool,
    ) {
        let m = if square { root.clone().square() } else { root.clone() };
        let (x, y): (Vec<_>, Vec<_>) = seeds.into_iter().map(|(x, y)| (x % &m, y % &m)).unzip();
        let want = reference(&m, &x, &y, &steps);
        let modulus = |x: &Integer| Modulus::new(&limbs_of(x, x.significant_digits::<u64>()));
        let width = m.significant_digits::<u64>();
        let words = |x: &[Integer]| -> Vec<u64> {
            x.iter().flat_map(|x| limbs_of(x, width).to_vec()).collect()
        };
        for backend in backends() {
            let ring = match square {
                true => backend.square_ring(modulus(&root).unwrap()),
                false => backend.ring(modulus(&m).unwrap()),
            };
            let got = run(&ring, &words(&x), &words(&y), &steps);
            prop_assert_eq!(got, words(&want), "{}", backend.name());
        }
    }
}

#[test]
fn a_backend_that_is_not_there_is_refused() {
    let gmp: &'static dyn Backend = &Gmp;
    assert_eq!(choose_backend(None, vec![gmp]).unwrap().name(), "gmp");
    assert_eq!(
        choose_backend(Some("gmp"), vec![gmp]).unwrap().name(),
        "gmp"
    );
    // As on a processor without the instructions.
    for wanted in ["ifma", "", "GMP"] {
        let error = choose_backend(Some(wanted), vec![gmp])
            .err()
            .expect("refused");
        let want = format!("SMLP_BACKEND is '{wanted}', this build and machine offer: gmp");
        assert!(error.to_string().contains(&want), "{error}");
    }
    for present in backends() {
        let chosen = choose_backend(Some(present.name()), backends()).unwrap();
        assert_eq!(chosen.name(), present.name());
    }
}
