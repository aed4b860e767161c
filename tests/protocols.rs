//! Every protocol against the clear twin: random shapes, signs and scales, and at the bounds.

mod common;

use common::Parties;
use proptest::prelude::*;
use smlp::random::Random;
use smlp::{
    Arithmetic, Division, Encrypt, EncryptedTensor, Error, ExponentLength, IntegerTensor,
    PublicKey, Security,
};
use std::cell::Cell;
use std::sync::OnceLock;

/// Both kinds of keys, by turns.
fn parties() -> &'static Parties {
    static PARTIES: OnceLock<[Parties; 2]> = OnceLock::new();
    thread_local!(static TURN: Cell<usize> = const { Cell::new(0) });
    let turn = TURN.replace(1 - TURN.get());
    let kinds = [ExponentLength::Half, ExponentLength::Short];
    &PARTIES.get_or_init(|| kinds.map(|kind| Parties::with(512, kind, 40)))[turn]
}

fn plain(divisor: u64, scale_drop: u32) -> Division<'static> {
    Division {
        divisor,
        scale_drop,
        rounding: None,
    }
}

/// A tensor of the given shape whose values use the whole bound, both ends included.
fn tensor(shape: &[usize], bound: u32, seed: u64) -> IntegerTensor {
    let count: usize = shape.iter().product();
    let top = (1i128 << bound) - 1;
    let mut state = u128::from(seed) | 1;
    let values = (0..count)
        .map(|i| {
            state = state
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
                .wrapping_add(0x5851_f42d_4c95_7f2d);
            match (i + seed as usize) % 7 {
                0 => top,
                1 => -top,
                2 => 0,
                3 => -1,
                _ => ((state ^ (state >> 59)) as i128) % (top + 1),
            }
        })
        .collect();
    IntegerTensor::from_i128(shape, values, seed as u32 % 30, bound).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn products_broadcast_like_the_twin(
        rows in 1usize..4, columns in 1usize..5, a in 1u32..60, b in 1u32..60, seed: u64,
        stretch in 0usize..4,
    ) {
        let p = parties();
        let other = [vec![rows, columns], vec![columns], vec![rows, 1], vec![2, 1, columns]];
        let (x, y) = (tensor(&[rows, columns], a, seed), tensor(&other[stretch], b, seed >> 7));
        let (ex, ey) = (p.encrypt(&x), p.encrypt(&y));
        p.same(&p.session.multiply(&ex, &ey).unwrap(), &p.clear.multiply(&x, &y).unwrap());
    }

    #[test]
    fn matrix_products_equal_the_twin(
        m in 1usize..5, inner in 1usize..5, q in 1usize..5, a in 1u32..60, b in 1u32..60, seed: u64,
    ) {
        let p = parties();
        let (x, y) = (tensor(&[m, inner], a, seed), tensor(&[inner, q], b, seed >> 9));
        let (ex, ey) = (p.encrypt(&x), p.encrypt(&y));
        p.same(&p.session.matmul(&ex, &ey).unwrap(), &p.clear.matmul(&x, &y).unwrap());
        // Views reach the protocol like copies do.
        let (xt, ext) = (x.transpose(), ex.transpose());
        p.same(&p.session.matmul(&ext, &ex).unwrap(), &p.clear.matmul(&xt, &x).unwrap());
    }

    #[test]
    fn fused_products_and_quotients_equal_the_twin(
        m in 1usize..6, inner in 1usize..5, q in 1usize..6, a in 1u32..60, b in 1u32..60, seed: u64,
        divisor in prop_oneof![1u64..5, 1u64..1 << 40, (0u32..40).prop_map(|s| 1 << s)],
    ) {
        let p = parties();
        let (x, y) = (tensor(&[m, inner], a, seed), tensor(&[inner, q], b, seed >> 9));
        let (ex, ey) = (p.encrypt(&x), p.encrypt(&y));
        let rounding = smlp::fixed::RoundingKey::from_bytes([4; 32]);
        let division = Division { divisor, scale_drop: 0, rounding: Some((&rounding, seed >> 1)) };
        p.same(
            &p.session.matmul_divide(&ex, &ey, division).unwrap(),
            &p.clear.matmul_divide(&x, &y, division).unwrap(),
        );
    }

    #[test]
    fn quotients_equal_the_twin(
        n in 1usize..9, bound in 1u32..120, divisor in prop_oneof![1u64..5, any::<u64>(), (0u32..63).prop_map(|s| 1 << s)],
        seed: u64,
    ) {
        let p = parties();
        let divisor = divisor.max(1);
        // One stream each, used in step.
        let x = tensor(&[n], bound, seed);
        let rounding = smlp::fixed::RoundingKey::from_bytes([3; 32]);
        let division = Division { divisor, scale_drop: 0, rounding: Some((&rounding, seed >> 1)) };
        let got = p.session.divide(&p.encrypt(&x), division).unwrap();
        p.same(&got, &p.clear.divide(&x, division).unwrap());
        for (q, x) in got.decrypt(&p.key).unwrap().values().iter().zip(x.values()) {
            let floor = x.div_euclid(i128::from(divisor));
            assert!(*q == floor || *q == floor + 1);
        }
    }

    #[test]
    fn comparisons_and_selections_equal_the_twin(n in 1usize..12, bound in 1u32..110, seed: u64) {
        let p = parties();
        let x = tensor(&[n], bound, seed);
        let (relu, bits) = p.session.relu(&p.encrypt(&x)).unwrap();
        let (clear_relu, clear_bits) = p.clear.relu(&x).unwrap();
        p.same(&relu, &clear_relu);
        p.same(&bits, &clear_bits);
        let y = tensor(&[n], bound, seed >> 3);
        p.same(
            &p.session.select(&bits, &p.encrypt(&y)).unwrap(),
            &p.clear.select(&clear_bits, &y).unwrap(),
        );
        let z = tensor(&[2, 1], bound, seed); // broadcasts, and has x's scale
        p.same(
            &p.session.maximum(&p.encrypt(&x), &p.encrypt(&z)).unwrap(),
            &p.clear.maximum(&x, &z).unwrap(),
        );
    }
}

#[test]
fn divisions_of_their_own_are_repeated_in_their_order() {
    let p = Parties::new(256, 40);
    let x = tensor(&[3, 4], 30, 17);
    let encrypted = p.encrypt(&x);
    for d in [7, 1 << 10, 3] {
        p.same(
            &p.session.divide(&encrypted, plain(d, 0)).unwrap(),
            &p.clear.divide(&x, plain(d, 0)).unwrap(),
        );
    }
}

#[test]
fn the_bound_fits_and_one_past_it_is_refused() {
    // 126 bits of bound are the most a product may have; the widest masks still come off.
    let p = Parties::new(512, 128);
    let (x, y) = (tensor(&[9], 63, 1), tensor(&[9], 63, 2));
    let (ex, ey) = (p.encrypt(&x), p.encrypt(&y));
    let product = p.session.multiply(&ex, &ey).unwrap();
    p.same(&product, &p.clear.multiply(&x, &y).unwrap());
    let (relu, _) = p.session.relu(&product).unwrap();
    p.same(
        &relu,
        &p.clear.relu(&p.clear.multiply(&x, &y).unwrap()).unwrap().0,
    );
    p.same(
        &p.session.divide(&product, plain(u64::MAX, 0)).unwrap(),
        &p.clear
            .divide(&p.clear.multiply(&x, &y).unwrap(), plain(u64::MAX, 0))
            .unwrap(),
    );
    let wide = ey.assume_bound(64).unwrap();
    let error = p.session.multiply(&ex, &wide).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Bound {
                needed: 127,
                limit: 126,
                ..
            }
        ),
        "{error}"
    );
    let error = p.session.matmul(&ex, &ey).unwrap_err();
    assert!(matches!(error, Error::Bound { needed: 130, .. }), "{error}");
    // A key whose plaintexts cannot hold a masked value says so before anything is sent.
    let small = Parties::new(64, 40);
    let x = small.encrypt(&tensor(&[2], 30, 1));
    let error = small.session.divide(&x, plain(2, 0)).unwrap_err();
    assert!(matches!(error, Error::Bound { limit: 62, .. }), "{error}");
    assert_eq!(small.session.statistics().rounds, 0);
}

#[test]
fn real_keys_agree_too() {
    let (half, short) = (ExponentLength::Half, ExponentLength::Short);
    for (bits, exponents) in [(2048, half), (3072, half), (2048, short), (3072, short)] {
        let p = Parties::with(bits, exponents, 64);
        let (x, y) = (tensor(&[2, 3], 20, 5), tensor(&[3, 2], 20, 9));
        let (ex, ey) = (p.encrypt(&x), p.encrypt(&y));
        let product = p.session.matmul(&ex, &ey).unwrap();
        let clear = p.clear.matmul(&x, &y).unwrap();
        p.same(&product, &clear);
        let (relu, bits) = p.session.relu(&product).unwrap();
        let (clear_relu, clear_bits) = p.clear.relu(&clear).unwrap();
        p.same(&relu, &clear_relu);
        p.same(
            &p.session.select(&bits, &product).unwrap(),
            &p.clear.select(&clear_bits, &clear).unwrap(),
        );
        p.same(
            &p.session.divide(&relu, plain(1 << 12, 5)).unwrap(),
            &p.clear.divide(&clear_relu, plain(1 << 12, 5)).unwrap(),
        );
        // A product, the set-up of transfers, two for each gate, a division.
        assert_eq!(p.session.statistics().rounds, 7);
    }
}

#[test]
fn empty_tensors_need_no_question() {
    let p = Parties::new(256, 40);
    let x = IntegerTensor::from_i64(&[0, 3], &[], None).unwrap();
    let e = p.encrypt(&x);
    let rounds = p.session.statistics().rounds;
    p.same(
        &p.session.multiply(&e, &e).unwrap(),
        &p.clear.multiply(&x, &x).unwrap(),
    );
    p.same(
        &p.session.divide(&e, plain(3, 0)).unwrap(),
        &p.clear.divide(&x, plain(3, 0)).unwrap(),
    );
    assert_eq!(p.session.relu(&e).unwrap().1.shape(), [0, 3]);
    assert_eq!(p.session.statistics().rounds, rounds);
}

/// Ciphertexts of x outside the group that h_s generates, made by who knows the modulus alone (ϱ^N): their
/// Jacobi symbol is −1, that of powers of h_s is 1.
fn theirs(p: &Parties, x: &IntegerTensor) -> EncryptedTensor {
    let public = p.key.public();
    let other = PublicKey::from_modulus(&public.modulus_bytes(), Security::AllowInsecure).unwrap();
    let n = integer(public.modulus().limbs());
    let parts: Vec<EncryptedTensor> = (0..x.len())
        .map(|i| {
            let one = x.reshape(&[x.len() as isize]).unwrap();
            let one = one.take(0, &[i]).unwrap();
            loop {
                let c = EncryptedTensor::encrypt(&one, &other, &Random::os()).unwrap();
                if integer(c.storage().residues().limbs()).jacobi(&n) == -1 {
                    break c;
                }
            }
        })
        .collect();
    let all = EncryptedTensor::concatenate(&parts.iter().collect::<Vec<_>>(), 0).unwrap();
    let (each, bytes) = all.to_ciphertexts().unwrap();
    EncryptedTensor::from_ciphertexts(&bytes, each, x.shape(), x.scale(), x.bound(), public)
        .unwrap()
}

fn integer(limbs: &[u64]) -> rug::Integer {
    smlp::modular::integer_from_limbs(limbs)
}

#[test]
fn ciphertexts_of_anybody_give_the_integers_of_the_twin() {
    for kind in [ExponentLength::Half, ExponentLength::Short] {
        let p = Parties::with(512, kind, 40);
        let x = IntegerTensor::from_i64(&[2, 2], &[5, -6, 7, 0], Some(20)).unwrap();
        let bits = IntegerTensor::from_i64(&[2, 2], &[1, 0, 0, 1], Some(1)).unwrap();
        let (theirs, their_bits) = (theirs(&p, &x), theirs(&p, &bits));
        // As a file of ours, it is as good as theirs.
        let bytes = theirs.to_bytes().unwrap();
        let file = EncryptedTensor::from_bytes(&bytes, p.key.public()).unwrap();
        for e in [&theirs, &file, &p.encrypt(&x)] {
            p.same(e, &x);
            p.same(&p.session.refresh(e).unwrap(), &x);
            let product = p.session.multiply(e, e).unwrap();
            let clear = p.clear.multiply(&x, &x).unwrap();
            p.same(&product, &clear);
            p.same(
                &p.session.multiply(&product, e).unwrap(),
                &p.clear.multiply(&clear, &x).unwrap(),
            );
            p.same(
                &p.session.matmul(e, &p.encrypt(&x)).unwrap(),
                &p.clear.matmul(&x, &x).unwrap(),
            );
            p.same(&p.session.relu(e).unwrap().0, &p.clear.relu(&x).unwrap().0);
            p.same(
                &p.session.select(&their_bits, e).unwrap(),
                &p.clear.select(&bits, &x).unwrap(),
            );
            p.same(&p.session.divide(e, plain(1, 0)).unwrap(), &x);
            p.same(
                &p.session.matmul_divide(e, e, plain(1, 0)).unwrap(),
                &p.clear.matmul(&x, &x).unwrap(),
            );
        }
    }
}

/// The last `count` ciphertexts before the last `rest` bytes of what a call sends: those of Jacobi symbol −1.
fn outside(p: &Parties, call: &smlp::Call, count: usize, rest: usize) -> usize {
    let width = 8 * p.key.public().ring().modulus().width();
    let n = integer(p.key.public().modulus().limbs());
    let request = call.request().unwrap();
    let end = request.len() - rest;
    let ciphertexts = request[end - count * width..end].chunks_exact(width);
    let symbols = ciphertexts.map(|bytes| {
        let limbs: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|b| u64::from_le_bytes(b.try_into().unwrap()))
            .collect();
        integer(&limbs).jacobi(&n)
    });
    symbols.filter(|&symbol| symbol == -1).count()
}

#[test]
fn p2_does_not_see_whose_ciphertexts_it_opens() {
    // One value in a ciphertext that P2 gets to see: 2 · (100 + 42) bits do not fit.
    let p = Parties::new(256, 40);
    let count = 64;
    let x = IntegerTensor::from_i64(&[count], &vec![-3; count], Some(100)).unwrap();
    let (own, theirs) = (p.encrypt(&x), theirs(&p, &x));
    let bytes = theirs.to_bytes().unwrap();
    let file = EncryptedTensor::from_bytes(&bytes, p.key.public()).unwrap();
    p.session.relu(&own).unwrap();
    let p1 = p.session.p1();
    let seen = |x: &EncryptedTensor| {
        [
            outside(&p, &p1.divide(x, 7, 0, None).unwrap(), count, 0),
            outside(&p, &p1.refresh(x).unwrap(), count, 0),
            // Delivery and offer follow.
            outside(&p, &p1.relu(x).unwrap(), count, 14 + 8),
        ]
    };
    assert_eq!(seen(&own), [0; 3]);
    for x in [&theirs, &file] {
        // Fair coins; powers of h_s would leave all of them outside.
        for outside in seen(x) {
            assert!((12..=52).contains(&outside), "{outside} of {count}");
        }
    }
    // Of a product that P1 computes with masks as exponents, too, and not of what P2 makes anew.
    let narrow = x.assume_bound(50).unwrap();
    let theirs = theirs.assume_bound(50).unwrap();
    let n = integer(p.key.public().modulus().limbs());
    let symbols = |x: &EncryptedTensor| -> usize {
        let residues = x.storage().residues();
        let symbols = (0..count).map(|i| integer(residues.row(i)).jacobi(&n));
        symbols.filter(|&symbol| symbol == -1).count()
    };
    let product = p.session.multiply(&theirs, &theirs).unwrap();
    p.same(&product, &p.clear.multiply(&narrow, &narrow).unwrap());
    assert!((12..=52).contains(&symbols(&product)));
    assert_eq!(symbols(&p.session.refresh(&theirs).unwrap()), 0);
}

#[test]
fn shared_values_follow_their_tensor_into_other_shapes() {
    let p = Parties::new(512, 40);
    let x = tensor(&[4, 6], 9, 7);
    let w = tensor(&[8, 2], 9, 8);
    // Shared as four lines of six, by a comparison; then used as three of eight, and the other way.
    let single = p.session.relu(&p.encrypt(&x)).unwrap().0;
    let packed = EncryptedTensor::encrypt_packed(&x, &p.key, 40, &Random::os()).unwrap();
    let clear = p.clear.relu(&x).unwrap().0;
    for (e, c) in [(single, clear), (packed, x)] {
        let (wide, clear_wide) = (e.reshape(&[3, 8]).unwrap(), c.reshape(&[3, 8]).unwrap());
        let rounding = smlp::fixed::RoundingKey::from_bytes([5; 32]);
        let mut number = 0;
        let mut product = |e: &EncryptedTensor, c: &IntegerTensor, w: &IntegerTensor| {
            number += 1;
            let division = Division {
                divisor: 8,
                scale_drop: 0,
                rounding: Some((&rounding, number)),
            };
            p.same(
                &p.session.matmul_divide(e, &p.encrypt(w), division).unwrap(),
                &p.clear.matmul_divide(c, w, division).unwrap(),
            );
        };
        product(&wide, &clear_wide, &w);
        // Rows taken after that are rows of the shape they are taken from.
        let rows = [2, 0, 3];
        let (ex, cx) = (e.take(0, &rows).unwrap(), c.take(0, &rows).unwrap());
        product(&ex, &cx, &tensor(&[6, 3], 9, 9));
        product(&e, &c, &tensor(&[6, 3], 9, 9));
        product(&wide, &clear_wide, &w);
    }
}

#[test]
fn packed_tensors_are_unpacked_in_one_round_and_used_as_they_are() {
    let p = Parties::new(512, 40);
    let x = tensor(&[3, 5], 9, 4);
    let packed = EncryptedTensor::encrypt_packed(&x, &p.key, 40, &Random::os()).unwrap();
    let single = p.session.unpack(&packed).unwrap();
    assert_eq!(p.session.statistics().rounds, 1);
    assert!(packed.is_packed() && !single.is_packed());
    p.same(&single, &x);
    p.same(&single.sum(Some(0)).unwrap(), &x.sum(Some(0)).unwrap());
    let (relu, bits) = p.session.relu(&packed).unwrap();
    let (clear_relu, clear_bits) = p.clear.relu(&x).unwrap();
    p.same(&relu, &clear_relu);
    p.same(&bits, &clear_bits);
    p.same(
        &p.session.multiply(&packed, &single).unwrap(),
        &p.clear.multiply(&x, &x).unwrap(),
    );
}

#[test]
fn a_tensor_times_its_own_transpose_equals_the_twin() {
    let p = parties();
    for shape in [[1, 1], [4, 1], [1, 5], [3, 4]] {
        let x = tensor(&shape, 12, 3);
        let packed = EncryptedTensor::encrypt_packed(&x, &p.key, 40, &Random::os()).unwrap();
        for e in [p.encrypt(&x), p.session.unpack(&packed).unwrap()] {
            let (t, clear_t) = (e.transpose(), x.transpose());
            for (a, b, ca, cb) in [(&e, &t, &x, &clear_t), (&t, &e, &clear_t, &x)] {
                p.same(
                    &p.session.matmul_divide(a, b, plain(8, 0)).unwrap(),
                    &p.clear.matmul_divide(ca, cb, plain(8, 0)).unwrap(),
                );
            }
        }
    }
}
