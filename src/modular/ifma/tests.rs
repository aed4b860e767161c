//! Every kernel against rug on numbers that are not canonical: the largest that its contract
//! allows, shapes of all ones, zero. Canonical numbers of all backends are compared in
//! `exponentiation`.

use super::*;
use kernels::TILE;
use proptest::prelude::*;

fn unsplit(group: &[Vector], lane: usize) -> Integer {
    assert!(kernels::normalised(group));
    let mut words = vec![0; (group.len() * LIMB_BITS).div_ceil(64)];
    unite(group, lane, &mut words);
    integer_from_limbs(&words)
}

fn load(numbers: &[Integer], limbs: usize) -> Vectors {
    let mut group = Vectors::zeros(limbs);
    for (lane, x) in numbers.iter().enumerate() {
        let words = super::super::limbs_of(x, x.significant_digits::<u64>());
        split(&words, &mut group, lane);
    }
    group
}

/// Numbers below `bound` at its edges and between, a different set for every `seed`.
fn below(bound: &Integer, seed: u32) -> Vec<Integer> {
    let bits = bound.significant_bits();
    let mut numbers = vec![
        Integer::from(bound - 1u32),
        Integer::from(0),
        Integer::from(1),
        (Integer::from(1) << (bits - 1)) - 1u32,
        Integer::from(bound / 2u32),
    ];
    for i in 0..3 {
        let mut x = Integer::from(0);
        while x.significant_bits() < bits {
            // Runs of ones and zeros between random words.
            x = (x << 61) + (seed.wrapping_mul(2654435761).wrapping_add(i) | 1);
            x = (x << 70) + ((Integer::from(1) << 66) - 1u32);
            x.square_mut();
        }
        numbers.push(x % bound);
    }
    numbers.rotate_left(seed as usize % 8);
    numbers.truncate(LANES);
    numbers.iter_mut().for_each(|x| *x %= bound);
    numbers
}

fn moduli() -> Vec<Integer> {
    let mut moduli: Vec<Integer> = [3u32, 5, 255, (1 << 26) - 1].map(Integer::from).to_vec();
    for bits in [51, 52, 64, 256, 258, 512, 1024, 1536, 2048, 3072, 4096] {
        moduli.push((Integer::from(1) << bits) - 1u32);
        moduli.push((Integer::from(1) << (bits - 1)) + 1u32);
        let top = Integer::from(1) << (bits - 1);
        moduli.push(below(&top, 0).remove(6) | top | 1u32);
    }
    moduli
}

fn cpu() -> Option<Cpu> {
    Cpu::detect()
}

#[test]
fn plain_products_agree_with_rug_up_to_the_largest_operands() {
    let Some(cpu) = cpu() else { return };
    for m in moduli() {
        let form = Plain::new(cpu, &m);
        let k = form.limbs();
        let bound = Integer::from(&m * 2u32);
        let inverse = (Integer::from(1) << (52 * k) as u32).invert(&m).unwrap();
        for seed in 0..8 {
            let (x, y) = (below(&bound, seed), below(&bound, 3 * seed + 1));
            let (a, b) = (load(&x, k), load(&y, k));
            let mut out = Vectors::zeros(k);
            form.multiply(&mut out, &a, &b, &mut [], &[]);
            let mut square = Vectors::zeros(k);
            form.square(&mut square, &a, &mut [], &mut Scan::nothing());
            for j in 0..LANES {
                let (product, square) = (unsplit(&out, j), unsplit(&square, j));
                assert!(product < bound && square < bound);
                let want = Integer::from(&x[j] * &y[j]) * &inverse % &m;
                assert_eq!(product % &m, want, "{} bits", m.significant_bits());
                let want = Integer::from(x[j].square_ref()) * &inverse % &m;
                assert_eq!(square % &m, want, "{} bits", m.significant_bits());
            }
        }
    }
}

#[test]
fn nadic_products_agree_with_rug_up_to_the_largest_digits() {
    let Some(cpu) = cpu() else { return };
    for n in moduli() {
        let form = Nadic::new(cpu, &n);
        let h = form.limbs() / 2;
        let (bound, square) = (Integer::from(&n * 4u32), Integer::from(n.square_ref()));
        let inverse = (Integer::from(1) << (52 * h) as u32)
            .invert(&square)
            .unwrap();
        let digits = |seed: u32| {
            let (first, second) = (below(&bound, seed), below(&bound, seed / 3 + 2));
            let mut group = Vectors::zeros(2 * h);
            group[..h].copy_from_slice(&load(&first, h));
            group[h..].copy_from_slice(&load(&second, h));
            group
        };
        let value = |group: &[Vector], j: usize| {
            let (first, second) = (unsplit(&group[..h], j), unsplit(&group[h..], j));
            assert!(first < bound && second < bound);
            second * &n + first
        };
        let mut scratch = Vectors::zeros(form.scratch());
        for seed in 0..8 {
            let (a, b) = (digits(seed), digits(5 * seed + 3));
            let (mut product, mut squared) = (Vectors::zeros(2 * h), Vectors::zeros(2 * h));
            form.multiply(&mut product, &a, &b, &mut scratch, &[]);
            form.square(&mut squared, &a, &mut scratch, &mut Scan::nothing());
            let mut left = Vectors::zeros(2 * h);
            form.leave(&mut left, &a, &mut scratch);
            for j in 0..LANES {
                let (x, y) = (value(&a, j), value(&b, j));
                let want = Integer::from(&x * &y) * &inverse % &square;
                assert_eq!(value(&product, j) % &square, want);
                let want = Integer::from(x.square_ref()) * &inverse % &square;
                assert_eq!(value(&squared, j) % &square, want);
                assert_eq!(unsplit(&left, j), x * &inverse % &square);
            }
        }
    }
}

#[test]
fn what_enters_leaves() {
    let Some(cpu) = cpu() else { return };
    for root in moduli() {
        let words = super::super::limbs_of(&root, root.significant_digits::<u64>());
        let root = Modulus::new(&words).unwrap();
        let backend = Ifma(cpu);
        for ring in [
            backend.ring(root.clone()),
            backend.ring(root.square()),
            backend.square_ring(root),
        ] {
            let m = integer_from_limbs(ring.modulus().limbs());
            for seed in 0..4 {
                // One more than a group.
                let mut x = below(&m, seed);
                x.push(x[seed as usize].clone());
                let limbs: Vec<_> = x
                    .iter()
                    .flat_map(|x| super::super::limbs_of(x, ring.modulus().width()).to_vec())
                    .collect();
                assert_eq!(ring.leave(&ring.enter(&limbs)), limbs);
            }
        }
    }
}

proptest! {
    /// Lanes that share rows, that do not, that overlap; rows anywhere in a group.
    #[test]
    fn selection_finds_its_rows(
        (entries, wanted) in (1usize..70).prop_flat_map(|entries| {
            let lane = (0..100 - entries, 0..entries as u64);
            (Just(entries), prop::collection::vec(lane, 1..=LANES))
        }),
        shared: bool,
    ) {
        let Some(cpu) = cpu() else { return Ok(()) };
        let (first, digits): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        let first = if shared { vec![first[0]; first.len()] } else { first };
        let mut table = Vectors::zeros(104 / LANES * TILE);
        for (i, vector) in table.iter_mut().enumerate() {
            vector.0 = std::array::from_fn(|j| (i * LANES + j) as u64);
        }
        let wanted = Wanted::new(&first, &digits, entries);
        let mut out = Vectors::zeros(TILE);
        let mut scan = cpu.scan(&mut out, &table, wanted.rows, wanted.readings(), 0);
        cpu.finish(&mut scan);
        for (lane, (first, digit)) in first.iter().zip(&digits).enumerate() {
            let row = first + *digit as usize;
            for (l, vector) in out.iter().enumerate() {
                let at = (row / LANES * TILE + l) * LANES + row % LANES;
                prop_assert_eq!(vector.0[lane], at as u64);
            }
        }
    }

    #[test]
    fn gathering_and_joining_keep_numbers_whole(
        counts in prop::collection::vec(0usize..30, 1..5),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        start in 0usize..20,
    ) {
        let total: usize = counts.iter().sum();
        let mut next = 0;
        let parts: Vec<_> = counts
            .iter()
            .map(|&count| {
                let mut batch = Batch::zeros(count, TILE);
                for (i, group) in batch.groups_mut().enumerate() {
                    for vector in group {
                        vector.0 = std::array::from_fn(|j| (next + i * LANES + j) as u64);
                    }
                }
                next += count;
                batch
            })
            .collect();
        let all: Vec<_> = parts
            .iter()
            .flat_map(|p| (0..p.count).map(move |i| (p, i)))
            .collect();
        let number = |b: &Batch, i: usize| b.vectors()[i / LANES * TILE + 2].0[i % LANES];
        let joined = Batch::collect(&all, TILE);
        prop_assert!((0..total).all(|i| number(&joined, i) == i as u64));
        if total > 0 {
            // Runs that begin anywhere, and any order.
            let run = start.min(total)..total;
            let any = picks.iter().map(|p| p.index(total));
            for picks in [run.collect::<Vec<_>>(), any.collect()] {
                let places: Vec<_> = picks.iter().map(|&i| (&joined, i)).collect();
                let got = Batch::collect(&places, TILE);
                prop_assert!((0..got.count).all(|i| number(&got, i) == picks[i] as u64));
            }
        }
    }
}
