//! Every operation on every backend against rug: moduli of several shapes and sizes, edge operands.

use super::*;
use crate::modular::straus::Straus;
use crate::modular::{Comb, Modulus, backends, integer_from_limbs, limbs_of};
use rug::Integer;

/// A small deterministic generator: tests need variety, not security.
struct Lcg(u64);
impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        self.0 ^ (self.0 >> 29)
    }
    fn integer(&mut self, bits: u32) -> Integer {
        let words: Vec<u64> = (0..bits.div_ceil(64)).map(|_| self.next()).collect();
        integer_from_limbs(&words).keep_bits(bits)
    }
}

fn limbs(values: &[Integer], width: usize) -> Limbs {
    Limbs::from_words(
        values
            .iter()
            .flat_map(|v| limbs_of(v, width).to_vec())
            .collect(),
        width,
    )
}

fn values(r: &Residues) -> Vec<Integer> {
    (0..r.len()).map(|i| integer_from_limbs(r.row(i))).collect()
}

/// Runs `case` on every backend, for moduli of several shapes and sizes, squares among them.
fn on_all(case: impl Fn(&Arc<dyn Ring>, &Integer, &mut Lcg)) {
    let mut rng = Lcg(7);
    let mut moduli: Vec<Integer> = [3u32, 15, 255].map(Integer::from).to_vec();
    for bits in [63, 64, 65, 127, 512, 1000, 2048] {
        moduli.push(rng.integer(bits) | (Integer::from(1) << (bits - 1)) | 1u32);
        moduli.push((Integer::from(1) << bits) - 1u32);
        moduli.push((Integer::from(1) << (bits - 1)) + 1u32);
    }
    for backend in backends() {
        for m in &moduli {
            let width = m.significant_digits::<u64>();
            let ring = backend.ring(Modulus::new(&limbs_of(m, width)).unwrap());
            case(&ring, m, &mut rng);
            // Real sizes in one shape are enough: 2048 bits with all bits set, the widest digits.
            let bits = m.significant_bits();
            if bits <= 127 || bits == 1000 || *m == (Integer::from(1) << bits) - 1u32 {
                let ring = backend.square_ring(Modulus::new(&limbs_of(m, width)).unwrap());
                case(&ring, &m.clone().square(), &mut rng);
            }
        }
    }
}

fn random(ring: &Arc<dyn Ring>, m: &Integer, n: usize, rng: &mut Lcg) -> (Vec<Integer>, Residues) {
    let mut v: Vec<_> = (0..n)
        .map(|_| rng.integer(m.significant_bits()) % m)
        .collect();
    // Edge operands among them, those of the digits of a square too.
    let root = m.clone().sqrt();
    let edges = [
        Integer::from(0),
        Integer::from(1),
        Integer::from(m - 1u32),
        Integer::from(&root - 1u32),
        root.clone(),
        root + 1u32,
    ];
    for (slot, edge) in v.iter_mut().zip(edges) {
        *slot = edge % m;
    }
    let words = limbs(&v, ring.modulus().width());
    let r = Residues::from_limbs(ring, words.words().to_vec()).unwrap();
    (v, r)
}

#[test]
fn products_of_any_width_agree_with_rug() {
    on_all(|ring, m, rng| {
        let (v, r) = random(ring, m, 7, rng);
        for width in 1..6 {
            let indices: Vec<_> = (0..4 * width).map(|_| rng.next() as usize % 7).collect();
            let got = values(&r.products(&indices, width));
            for (k, row) in indices.chunks(width).enumerate() {
                let want = row
                    .iter()
                    .fold(Integer::from(1) % m, |acc, &i| acc * &v[i] % m);
                assert_eq!(got[k], want);
            }
        }
    });
}

#[test]
fn powers_agree_with_rug() {
    on_all(|ring, m, rng| {
        let (v, r) = random(ring, m, 9, rng);
        for bits in [1u32, 5, 64, 131] {
            let mut e: Vec<_> = (0..9).map(|_| rng.integer(bits)).collect();
            e[3] = (Integer::from(1) << bits) - 1u32;
            let rows = limbs(&e, bits.div_ceil(64) as usize);
            let got = values(&power(&r, &Exponents::new(&rows, bits as usize)));
            for i in 0..9 {
                assert_eq!(got[i], v[i].clone().pow_mod(&e[i], m).unwrap());
            }
            let single = limbs(&e[3..4], bits.div_ceil(64) as usize);
            let got = values(&power(&r, &Exponents::new(&single, bits as usize)));
            assert_eq!(got[5], v[5].clone().pow_mod(&e[3], m).unwrap());
            let comb = Comb::new(&r.gather(&[4]), bits as usize);
            // More than all groups that read a table together, and a few.
            let many: Vec<_> = (0..37).map(|i| e[i % 9].clone()).collect();
            let rows = limbs(&many, bits.div_ceil(64) as usize);
            let got = values(&comb.power(&rows, bits as usize));
            for i in 0..37 {
                assert_eq!(got[i], v[4].clone().pow_mod(&many[i], m).unwrap());
            }
        }
    });
}

#[test]
fn multi_powers_agree_with_rug_whatever_the_column_blocks() {
    on_all(|ring, m, rng| {
        let (v, r) = random(ring, m, 6, rng);
        let bits = 70;
        // Products that are computed in several parts, some of unequal lengths, and one that is not.
        for (width, outputs) in [(5, 4), (7, 1), (64, 1), (3, 2), (2, 40)] {
            let indices: Vec<_> = (0..width * outputs)
                .map(|_| rng.next() as usize % 6)
                .collect();
            let e: Vec<_> = indices.iter().map(|_| rng.integer(bits)).collect();
            let rows = limbs(&e, 2);
            let exponents = Exponents::new(&rows, bits as usize);
            let want: Vec<_> = (0..outputs)
                .map(|k| {
                    (k * width..(k + 1) * width).fold(Integer::from(1) % m, |acc, i| {
                        acc * v[indices[i]].clone().pow_mod(&e[i], m).unwrap() % m
                    })
                })
                .collect();
            assert_eq!(values(&multi_power(&r, &indices, &exponents, width)), want);
            let straus = Straus::new(&r, &indices, width);
            for limit in 1..7 {
                let bytes = limit * 64 * ring.modulus().width();
                let got = straus.run(&exponents, 3, bytes, None).unwrap();
                assert_eq!(values(&got), want);
            }
        }
    });
}

#[test]
fn signed_multi_powers_agree_with_rug() {
    on_all(|ring, m, rng| {
        let (v, r) = random(ring, m, 40, rng);
        let units: Vec<_> = (0..40).filter(|&i| v[i].clone().gcd(m) == 1).collect();
        let (v, r): (Vec<_>, _) = (units.iter().map(|&i| &v[i]).collect(), r.gather(&units));
        // Like a matrix product: outputs of one column use the same bases, in a mixed order.
        for (width, columns, rows) in [(v.len().min(4), 2, 35), (v.len().min(5), 1, 1), (11, 2, 2)]
        {
            let indices: Vec<_> = (0..rows * columns)
                .flat_map(|k| (0..width).map(move |t| (k % columns + t, k)))
                .map(|(i, _)| i % v.len())
                .collect();
            for bits in [1, 31, 126] {
                let largest = i128::MAX >> (127 - bits);
                let mut e: Vec<_> = indices
                    .iter()
                    .map(|_| {
                        let x = (i128::from(rng.next() as i64) << 64) | i128::from(rng.next());
                        x % (largest + 1)
                    })
                    .collect();
                e[0] = largest;
                e[1 % width] = -largest;
                let got = signed_multi_power(&r, &indices, &e, bits, width).unwrap();
                let got = values(&got);
                for (k, got) in got.iter().enumerate() {
                    let want = (k * width..(k + 1) * width).fold(Integer::from(1), |acc, i| {
                        acc * v[indices[i]].clone().pow_mod(&e[i].into(), m).unwrap() % m
                    });
                    assert_eq!(*got, want);
                }
            }
        }
    });
}

#[test]
fn packing_is_horner_with_and_without_exponents() {
    on_all(|ring, m, rng| {
        let (v, r) = random(ring, m, 7, rng);
        let (slot, bits) = (23usize, 20u32);
        let e: Vec<_> = (0..7).map(|_| rng.integer(bits)).collect();
        let rows = limbs(&e, 1);
        let exponents = Exponents::new(&rows, bits as usize);
        for per_pack in [1, 2, 3, 7, 10] {
            for with in [false, true] {
                let places: Vec<_> = (0..7usize.next_multiple_of(per_pack))
                    .map(|i| Some(i).filter(|&i| i < 7))
                    .collect();
                let exponents = with.then_some(&exponents);
                let got = values(&pack(&r, exponents, slot, per_pack, &places));
                assert_eq!(got.len(), 7usize.div_ceil(per_pack));
                for (g, got) in got.iter().enumerate() {
                    let members = g * per_pack..((g + 1) * per_pack).min(7);
                    let want = members
                        .enumerate()
                        .fold(Integer::from(1) % m, |acc, (j, i)| {
                            let e = if with { e[i].clone() } else { Integer::from(1) };
                            acc * v[i].clone().pow_mod(&(e << (j * slot) as u32), m).unwrap() % m
                        });
                    assert_eq!(*got, want);
                }
            }
        }
    });
}

#[test]
fn inverses_multiply_to_one_and_zero_is_refused() {
    on_all(|ring, m, rng| {
        let (v, r) = random(ring, m, 12, rng);
        assert!(r.invert().is_err(), "zero has no inverse");
        let units: Vec<_> = (0..12).filter(|&i| v[i].clone().gcd(m) == 1).collect();
        let r = r.gather(&units);
        assert!(
            values(&r.multiply(&r.invert().unwrap()))
                .iter()
                .all(|x| *x == 1)
        );
    });
}

#[test]
fn choosing_takes_the_second_where_told() {
    on_all(|ring, m, rng| {
        let (a, ra) = random(ring, m, 5, rng);
        let (b, rb) = random(ring, m, 5, rng);
        let choice = [true, false, true, false, false];
        let got = values(&choose(&ra, &rb, &choice));
        for i in 0..5 {
            assert_eq!(
                got[i],
                if choice[i] {
                    b[i].clone()
                } else {
                    a[i].clone()
                }
            );
        }
    });
}
