//! Every operation against plain integers, under small keys and larger ones.

use super::*;
use crate::paillier::Security;
use rug::ops::RemRounding;

struct Fixture {
    store: Store,
    private: StoreKey,
    public: StoreKey,
}

const A: [i64; 4] = [3, -5, 0, 40];
const B: [i64; 4] = [-7, 2, 11, 1];

fn fixtures() -> Vec<Fixture> {
    let make = |bits| {
        let private = StoreKey::generate(bits, Security::AllowInsecure).unwrap();
        let public = private.public();
        let store = Store::new();
        Fixture {
            store,
            private,
            public,
        }
    };
    [20, 30, 31, 32, 64, 256].map(make).into()
}

fn bytes(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

impl Fixture {
    fn encrypt(&self, values: &[i64]) -> Vec<i64> {
        let bytes = bytes(values);
        let words = self
            .store
            .encrypt(&self.public, Numbers::new(&bytes, 8).unwrap());
        words.unwrap()
    }

    fn decrypt(&self, words: Result<Vec<i64>>) -> Vec<i64> {
        let (each, bytes) = self.store.decrypt(&self.private, &words.unwrap()).unwrap();
        assert_eq!(each, 8);
        let words = bytes.chunks_exact(8);
        words
            .map(|w| i64::from_le_bytes(w.try_into().unwrap()))
            .collect()
    }
}

#[test]
fn sums_and_clear_factors() {
    for f in fixtures() {
        let (store, key) = (&f.store, &f.public);
        let (a, b) = (f.encrypt(&A), f.encrypt(&B));
        assert_ne!(f.encrypt(&A), f.encrypt(&A));
        assert_eq!(f.decrypt(Ok(a.clone())), A);
        assert_eq!(f.decrypt(store.add(key, &a, &b)), [-4, -3, 11, 41]);
        assert_eq!(f.decrypt(store.add(key, &a[..1], &b)), [-4, 5, 14, 4]);
        assert_eq!(f.decrypt(store.add(key, &a, &[1])), A, "1 is E(0)");
        assert_eq!(f.decrypt(store.subtract(key, &a, &b)), [10, -7, -11, 39]);
        let three = bytes(&[-3]);
        let three = Numbers::new(&three, 8).unwrap();
        let times = store.multiply_numbers(key, &a, three);
        assert_eq!(f.decrypt(times), [-9, 15, 0, -120]);
        let each = bytes(&B);
        let each = Numbers::new(&each, 8).unwrap();
        let times = store.multiply_numbers(key, &a, each);
        assert_eq!(f.decrypt(times), [-21, -10, 0, 40]);
        assert_eq!(
            f.decrypt(store.add_numbers(key, &a, each)),
            [-4, -3, 11, 41]
        );
        assert_eq!(f.decrypt(store.sum(key, &a, 2)), [-2, 40]);
        assert_eq!(f.decrypt(store.sum(key, &a, 0)), [38]);
        assert_eq!(f.decrypt(store.sum(key, &[], 0)), [0]);
        assert!(matches!(store.sum(key, &a, 3), Err(Error::Shape(_))));
        assert!(matches!(store.add(key, &a, &b[..3]), Err(Error::Shape(_))));
    }
}

#[test]
fn what_p2_does() {
    for f in fixtures() {
        let (store, key) = (&f.store, &f.private);
        let (a, b) = (f.encrypt(&A), f.encrypt(&B));
        assert_eq!(
            f.decrypt(store.p2_multiply(key, &a, &b, 1)),
            [-21, -10, 0, 40]
        );
        assert_eq!(
            f.decrypt(store.p2_multiply(key, &a, &b, 4)),
            [-6, -3, 0, 10]
        );
        assert_eq!(f.decrypt(store.p2_power(key, &a, &b)), [-21, -10, 0, 40]);
        assert_eq!(f.decrypt(store.p2_sum(key, &a, 2)), [-2, 40]);
        let product = store.p2_matmul(key, &a, &b, [2, 2, 2], 1);
        assert_eq!(f.decrypt(product), [-76, 1, 440, 40]);
        // Term by term: ⌊−21/4⌋ + ⌊−55/4⌋, ⌊6/4⌋ + ⌊−5/4⌋, 0 + 110, 0 + 10.
        let product = store.p2_matmul(key, &a, &b, [2, 2, 2], 4);
        assert_eq!(f.decrypt(product), [-20, -1, 110, 10]);
        assert!(store.p2_matmul(key, &a, &b, [2, 2, 3], 1).is_err());
        assert!(store.p2_multiply(key, &a, &b, 0).is_err());
        assert!(store.p2_multiply(&f.public, &a, &b, 1).is_err(), "public");
    }
}

#[test]
fn masks_come_off_again() {
    let number = |value: i64| value.to_le_bytes();
    for f in fixtures() {
        let (store, key) = (&f.store, &f.public);
        let (a, b) = (f.encrypt(&A), f.encrypt(&B));
        let (r_a, r_b) = (number(9), number(-4));
        let masks = [&r_a, &r_b].map(|r| Numbers::new(r, 8).unwrap());
        let masked =
            [(&a, masks[0]), (&b, masks[1])].map(|(x, r)| store.add_numbers(key, x, r).unwrap());
        let m = store
            .p2_multiply(&f.private, &masked[0], &masked[1], 1)
            .unwrap();
        // (a + r_a)(b + r_b) = ab + r_b·a + r_a·b + r_a·r_b: the masks change places.
        let product = store.unmask(key, [&a, &b, &m], masks[1], masks[0]);
        assert_eq!(f.decrypt(product), [-21, -10, 0, 40]);
        let matrix = store.unmask_matrix(key, [&a[..2], &b[..2], &a], masks[1], masks[0]);
        // a_ij + 4·a_i − 9·b_j + 36.
        assert_eq!(f.decrypt(matrix), [114, 25, 79, 38]);
        assert!(
            store
                .unmask_matrix(key, [&a, &b, &a], masks[0], masks[1])
                .is_err()
        );
        assert!(
            store
                .unmask(key, [&a[..3], &b, &m], masks[0], masks[1])
                .is_err()
        );
    }
}

#[test]
fn masks_of_any_size() {
    let f = &fixtures()[5];
    let (a, b) = (f.encrypt(&A), f.encrypt(&B));
    for bits in [100, 119, 121, 126] {
        let mask = |factor: i32| to_bytes(&[(Integer::from(1) << bits) * factor + 12345u32]);
        let (r_a, r_b) = (mask(1), mask(-1));
        let [r_a, r_b] = [&r_a, &r_b].map(|(each, bytes)| Numbers::new(bytes, *each).unwrap());
        let masked =
            [(&a, r_a), (&b, r_b)].map(|(x, r)| f.store.add_numbers(&f.public, x, r).unwrap());
        let m = f.store.p2_multiply(&f.private, &masked[0], &masked[1], 1);
        let product = f.store.unmask(&f.public, [&a, &b, &m.unwrap()], r_b, r_a);
        assert_eq!(f.decrypt(product), [-21, -10, 0, 40], "{bits} bits");
    }
}

#[test]
fn what_does_not_fit_wraps_under_small_keys_only() {
    for f in fixtures() {
        let n = f.public.modulus();
        let half = Integer::from(&n >> 1);
        for (value, fits) in [
            (half.clone(), true),
            (-half.clone(), true),
            (half + 1u32, false),
        ] {
            let (each, bytes) = to_bytes(std::slice::from_ref(&value));
            let words = f
                .store
                .encrypt(&f.public, Numbers::new(&bytes, each).unwrap());
            match (fits, n.significant_bits() <= 31) {
                (true, _) => {
                    let back = f.store.open(&f.private, &words.unwrap()).unwrap();
                    assert_eq!((back, f.store.take_wrapped()), (vec![value], 0));
                }
                (false, true) => {
                    let back = f.store.open(&f.private, &words.unwrap()).unwrap();
                    assert_eq!((&back[0], f.store.take_wrapped()), (&(value - &n), 1));
                }
                (false, false) => assert!(matches!(words, Err(Error::Bound { .. }))),
            }
        }
    }
}

/// Only negative exponents need an inverse, so that an error there would tell P1 the sign of a plaintext.
#[test]
fn bases_without_an_inverse_are_refused_whatever_the_exponent() {
    for f in fixtures() {
        for exponent in [3, 0, -3] {
            let x = f.encrypt(&[exponent]);
            let error = f.store.p2_power(&f.private, &x, &[0]).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
        }
    }
}

/// What P2 computes is no error whatever it is: P1 would learn something about plaintexts.
#[test]
fn results_of_p2_wrap_under_every_key() {
    for f in fixtures() {
        let n = f.public.modulus();
        let half = Integer::from(&n >> 1);
        let (each, bytes) = to_bytes(std::slice::from_ref(&half));
        let encrypted = f
            .store
            .encrypt(&f.public, Numbers::new(&bytes, each).unwrap());
        let x = encrypted.unwrap();
        assert_eq!(f.store.take_wrapped(), 0);
        // ((N − 1)/2)² and N − 1, least residues in magnitude.
        let square = Integer::from(half.square_ref()).rem_euc(&n);
        let square = match square > half {
            true => square - &n,
            false => square,
        };
        let product = f.store.p2_multiply(&f.private, &x, &x, 1).unwrap();
        assert_eq!(f.store.open(&f.private, &product).unwrap()[0], square);
        assert_eq!(f.store.take_wrapped(), 1);
        let entries = f.store.p2_matmul(&f.private, &x, &x, [1, 1, 1], 1).unwrap();
        assert_eq!(f.store.open(&f.private, &entries).unwrap()[0], square);
        let twice = [x[0], x[0]];
        let sum = f.store.p2_sum(&f.private, &twice, 2).unwrap();
        assert_eq!(f.store.open(&f.private, &sum).unwrap(), [-1]);
        assert_eq!(f.store.take_wrapped(), 2);
    }
}

#[test]
fn words_that_are_no_ciphertexts_are_refused() {
    let all = fixtures();
    for f in &all {
        let a = f.encrypt(&A);
        let zeros = f.store.add(&f.public, &a, &[0]).unwrap();
        assert!(matches!(
            f.store.decrypt(&f.private, &zeros),
            Err(Error::Malformed { .. })
        ));
        assert!(f.store.subtract(&f.public, &a, &[0]).is_err());
        let small = f.public.modulus().significant_bits() <= 31;
        assert_eq!(f.store.add(&f.public, &a, &[-5]).is_err(), !small);
        assert!(f.store.add(&f.public, &a, &[i64::MAX]).is_err());
        assert!(f.store.decrypt(&f.public, &a).is_err(), "public");
    }
    let (f, other) = (&all[5], &all[4]);
    let error = f.store.decrypt(&other.private, &f.encrypt(&A)).unwrap_err();
    assert!(matches!(error, Error::KeyMismatch { .. }), "{error}");
    let error = other
        .store
        .decrypt(&other.private, &f.encrypt(&A))
        .unwrap_err();
    assert!(matches!(error, Error::Finished(_)), "{error}");
}
