//! Keys of all kinds and sizes, and their files.

use super::*;
use crate::modular::Limbs;
use crate::paillier::{Encrypt, PublicKey};
use crate::wire::{Kind, Reader, Writer};

fn toy(bits: u32) -> PrivateKey {
    PrivateKey::generate(bits, Security::AllowInsecure).unwrap()
}

fn rows(values: &[u64], width: usize) -> Limbs {
    let mut out = Limbs::zeros(values.len(), width);
    for (i, &v) in values.iter().enumerate() {
        out.row_mut(i)[0] = v;
    }
    out
}

#[test]
fn every_plaintext_of_a_tiny_key_comes_back_from_both_keys() {
    for bits in [16, 18] {
        for _ in 0..3 {
            let key = toy(bits);
            let n = key.public().modulus().limbs()[0];
            assert_eq!(key.public().bits(), bits);
            let all: Vec<u64> = (0..n).step_by(7).chain([n - 1]).collect();
            let random = Random::os();
            for encrypted in [
                key.encrypt(&rows(&all, 1), &random).unwrap(),
                key.public().encrypt(&rows(&all, 1), &random).unwrap(),
            ] {
                assert_eq!(key.decrypt(&encrypted).unwrap().words(), &all[..]);
            }
        }
    }
}

/// Header and fingerprint.
const CONTENTS: usize = 8 + 32;

/// Gives changed contents the fingerprint that goes with them.
fn with_fingerprint(bytes: &[u8], kind: Kind) -> Vec<u8> {
    let mut w = Writer::default();
    w.bytes(&bytes[CONTENTS..]);
    w.finish_with_fingerprint(kind)
}

fn little_endian(limbs: &[u64]) -> Vec<u8> {
    limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect()
}

fn short(bits: u32) -> PrivateKey {
    PrivateKey::generate_as(bits, ExponentLength::Short, Security::AllowInsecure).unwrap()
}

#[test]
fn sizes_around_limb_borders_work() {
    let sizes = [62, 64, 66, 126, 128, 130, 190, 192, 194, 256, 510, 512];
    let long_enough = |bits: &&u32| **bits >= MIN_SHORT_EXPONENT_KEY_BITS;
    let keys = sizes.iter().map(|&bits| toy(bits));
    let short = sizes.iter().filter(long_enough).map(|&bits| short(bits));
    for key in keys.chain(short) {
        let public = key.public();
        let bits = public.bits();
        let foreign =
            PublicKey::from_modulus(&public.modulus_bytes(), Security::AllowInsecure).unwrap();
        assert_eq!(foreign.id(), public.modulus_id());
        assert_ne!(foreign.id(), public.id());
        let random = Random::os();
        let n = integer_from_limbs(public.modulus().limbs());
        let width = public.modulus().width();
        let mut m = rows(&[0, 1, 12345, 0], width);
        m.row_mut(3)
            .copy_from_slice(&crate::modular::limbs_of(&Integer::from(&n - 1u32), width));
        for encrypted in [
            key.encrypt(&m, &random).unwrap(),
            public.encrypt(&m, &random).unwrap(),
            public
                .rerandomize(&public.embed(&m), public.order_bits() + 40, &random)
                .unwrap(),
            foreign.encrypt(&m, &random).unwrap(),
        ] {
            assert_eq!(key.decrypt(&encrypted).unwrap(), m);
        }
        let again = PrivateKey::from_bytes(&key.to_bytes(), Security::AllowInsecure).unwrap();
        assert_eq!(
            again.decrypt(&key.encrypt(&m, &random).unwrap()).unwrap(),
            m
        );
        assert_eq!((again.public().bits(), n.significant_bits()), (bits, bits));
        let copy = PublicKey::from_bytes(&public.to_bytes(), Security::AllowInsecure).unwrap();
        assert_eq!(copy.exponent_bits(), public.exponent_bits());
        assert_eq!(again.public().exponent_bits(), public.exponent_bits());
    }
}

/// The order of h_s is twice the product of the subgroups' orders, no less.
#[test]
fn short_exponents_generate_a_subgroup_of_the_promised_order() {
    for bits in [64, 128, 256] {
        let key = short(bits);
        let exponents = key.public().exponent_bits();
        assert_eq!(exponents, bits / 8 * 2);
        assert!(key.public().has_short_exponents() && !toy(bits).public().has_short_exponents());
        let bytes = key.to_bytes();
        let mut r = Reader::new(Kind::ShortPrivateKey, &bytes).unwrap();
        r.fingerprint(Kind::ShortPrivateKey).unwrap();
        let mut number =
            |bits: u32| integer_from_limbs(&r.limbs(bits.div_ceil(64) as usize).unwrap());
        number(64);
        let (p, q) = (number(bits / 2), number(bits / 2));
        let n = Integer::from(&p * &q);
        let square = Integer::from(n.square_ref());
        let h_s = number(square.significant_bits());
        number(64);
        let (f, g) = (number(exponents / 2), number(exponents / 2));
        let power = |e: Integer| h_s.clone().pow_mod(&e, &square).unwrap();
        let order = Integer::from(2) * &f * &g;
        assert_eq!(power(order.clone()), 1);
        for divisor in [Integer::from(2), f, g] {
            assert_ne!(power(Integer::from(&order / &divisor)), 1, "{divisor}");
        }
    }
}

#[test]
fn short_exponents_cost_less_and_take_foreign_ciphertexts_too() {
    let (full, key) = (toy(512), short(512));
    let random = Random::os();
    let m = rows(&[0, 1, 2, 3, 4, 5, 6, 7], 8);
    let cost = |key: &PrivateKey, c: &crate::modular::Residues| {
        let before = key.operations();
        assert_eq!(key.decrypt(c).unwrap(), m);
        key.operations() - before
    };
    let own = key.encrypt(&m, &random).unwrap();
    let cheap = cost(&key, &own);
    assert!(3 * cheap < cost(&full, &full.encrypt(&m, &random).unwrap()));
    let public = key.public();
    let foreign = public.uniform_zeros(8, &random).unwrap();
    let foreign = public.embed(&m).multiply(&foreign);
    assert!(cost(&key, &foreign) > 3 * cheap);
    // Ours and others' in one batch, in whatever order.
    let order = [0, 9, 2, 11, 12, 5, 14, 7];
    let mixed = crate::modular::Residues::concatenate(&[&own, &foreign]).gather(&order);
    cost(&key, &mixed);
}

/// What P2 sees of a re-randomised ciphertext: which power of h_s it is, in the part of the group that
/// has the order f.
#[test]
fn rerandomised_ciphertexts_are_uniform_in_the_subgroup() {
    let key = short(64);
    let public = key.public();
    let p = key.primes().0;
    let h_s = integer_from_limbs(public.h_s().unwrap().row(0)) % &p;
    let is_order = |f: &u32| {
        let order = Integer::from(&p - 1u32);
        order.is_divisible_u(*f) && h_s.clone().pow_mod(&(order / f), &p).unwrap() != 1
    };
    let f = (128..256).find(|f| is_prime(&Integer::from(*f)) && is_order(f));
    let f = f.expect("the order of the subgroup has eight bits");
    let random = Random::os();
    let samples = 100 * f as usize;
    let one = public.embed(&Limbs::zeros(samples, 1));
    // Pearson's statistic has the mean f − 1 and the deviation √(2(f − 1)).
    let deviation = |bits: u32| {
        let hidden = public.rerandomize(&one, bits, &random).unwrap();
        let mut counts = std::collections::HashMap::new();
        let exponent = Integer::from(&p - 1u32) / f;
        for i in 0..samples {
            let c = integer_from_limbs(hidden.row(i)) % &p;
            *counts
                .entry(c.pow_mod(&exponent, &p).unwrap())
                .or_insert(0.0) += 1.0;
        }
        assert!(counts.len() <= f as usize);
        let expected = samples as f64 / f64::from(f);
        let missing = (f as usize - counts.len()) as f64 * expected;
        let found: f64 = counts.values().map(|c: &f64| (c - expected).powi(2)).sum();
        let statistic = found / expected + missing;
        (statistic - f64::from(f - 1)) / (2.0 * f64::from(f - 1)).sqrt()
    };
    let wide = deviation(public.order_bits() + 40);
    assert!(wide.abs() < 6.0, "{wide}");
    // The test would notice exponents that are not longer than the order.
    let narrow = deviation(8);
    assert!(narrow > 6.0, "{narrow}");
}

#[test]
fn keys_with_wrong_short_exponents_are_refused() {
    let (key, other) = (short(256), short(256));
    let (bytes, other) = (key.to_bytes(), other.to_bytes());
    let read = |bytes: &[u8]| {
        let kind = Kind::ShortPrivateKey;
        PrivateKey::from_bytes(&with_fingerprint(bytes, kind), Security::AllowInsecure)
    };
    assert!(read(&bytes).is_ok());
    // The subgroups of another key; those of this one exchanged; none.
    let tail = bytes.len() - 16;
    for orders in [
        &other[tail..],
        &[&bytes[tail + 8..], &bytes[tail..tail + 8]].concat(),
        &[0; 16],
    ] {
        assert!(read(&[&bytes[..tail], orders].concat()).is_err());
    }
    // A randomness base outside the subgroup.
    let h_s = CONTENTS + 8 + 2 * 16;
    let mut wrong = bytes.to_vec();
    let n = integer_from_limbs(key.public().modulus().limbs());
    let base = crate::modular::limbs_of(&(n.square() - 4u32), 8);
    wrong[h_s..h_s + 64].copy_from_slice(&little_endian(&base));
    assert!(read(&wrong).unwrap_err().to_string().contains("h_s"));
    // Exponents that are too short, too long or odd, in a public key.
    let public = key.public().to_bytes();
    let at = CONTENTS + 8 + 32 + 2;
    for bits in [0u64, 14, 63, 130, 1 << 40] {
        let mut wrong = public.clone();
        wrong[at..at + 8].copy_from_slice(&bits.to_le_bytes());
        let wrong = with_fingerprint(&wrong, Kind::PublicKey);
        let error = PublicKey::from_bytes(&wrong, Security::AllowInsecure).unwrap_err();
        assert!(error.to_string().contains(&bits.to_string()), "{error}");
    }
}

#[test]
fn real_keys_have_the_exponents_of_their_security_level() {
    for (bits, exponents) in [(2048, 448), (3072, 512), (7680, 768), (15360, 1024)] {
        assert_eq!(short_exponent_bits(bits), exponents);
    }
    let generate = |bits, security| PrivateKey::generate_as(bits, ExponentLength::Short, security);
    let key = generate(2048, Security::Required).unwrap();
    assert_eq!(key.public().exponent_bits(), 448);
    let mut public = key.public().to_bytes();
    assert!(PublicKey::from_bytes(&public, Security::Required).is_ok());
    let at = CONTENTS + 8 + 256 + 2;
    public[at..at + 8].copy_from_slice(&446u64.to_le_bytes());
    let public = with_fingerprint(&public, Kind::PublicKey);
    let error = PublicKey::from_bytes(&public, Security::Required).unwrap_err();
    assert!(matches!(error, Error::Insecure(_)), "{error}");
    for bits in [0, 62, 65, 1 << 20] {
        assert!(generate(bits, Security::AllowInsecure).is_err());
    }
    assert!(generate(1024, Security::Required).is_err());
}

#[test]
fn factors_make_the_key_again() {
    let key = toy(128);
    let [p, q] = [key.primes().0, key.primes().1].map(|p| p.to_digits::<u8>(Order::Msf));
    let again = PrivateKey::from_primes(&p, &q, Security::AllowInsecure).unwrap();
    // The base is another than the one that was drawn, and always the same one.
    assert_ne!(again.public(), key.public());
    let exchanged = PrivateKey::from_primes(&q, &p, Security::AllowInsecure).unwrap();
    assert_eq!(exchanged.public(), again.public());
    assert_eq!(exchanged.to_bytes(), again.to_bytes());
    let encrypted = again.encrypt(&rows(&[7], 2), &Random::os()).unwrap();
    assert_eq!(key.decrypt(&encrypted).unwrap().row(0), [7, 0]);
    for (p, q) in [(&p[..], &p[..]), (&p, &q[1..]), (&[], &[]), (&p, &[255; 8])] {
        assert!(PrivateKey::from_primes(p, q, Security::AllowInsecure).is_err());
    }
    assert!(PrivateKey::from_primes(&p, &q, Security::Required).is_err());
    assert!(PrivateKey::from_primes(&p, &[1; 3000], Security::AllowInsecure).is_err());
}

#[test]
fn small_odd_and_absurd_sizes_are_refused() {
    for bits in [0, 15, 17, 1024, 2047, 1 << 20, u32::MAX] {
        assert!(PrivateKey::generate(bits, Security::Required).is_err());
    }
    for bits in [0, 14, 17, 1 << 20] {
        assert!(PrivateKey::generate(bits, Security::AllowInsecure).is_err());
    }
    let key = toy(256);
    assert!(PrivateKey::from_bytes(&key.to_bytes(), Security::Required).is_err());
    assert!(PublicKey::from_bytes(&key.public().to_bytes(), Security::Required).is_err());
}

#[test]
fn keys_do_not_pass_for_each_other_and_debug_shows_no_secret() {
    let key = toy(128);
    let (private, public) = (key.to_bytes(), key.public().to_bytes());
    let error = PublicKey::from_bytes(&private, Security::AllowInsecure).unwrap_err();
    assert!(error.to_string().contains("private key"), "{error}");
    assert!(PrivateKey::from_bytes(&public, Security::AllowInsecure).is_err());
    for key in [key, short(128)] {
        let (private, public) = (key.to_bytes(), key.public().to_bytes());
        for cut in 0..private.len() {
            assert!(PrivateKey::from_bytes(&private[..cut], Security::AllowInsecure).is_err());
        }
        for cut in 0..public.len() {
            assert!(PublicKey::from_bytes(&public[..cut], Security::AllowInsecure).is_err());
        }
        let text = format!("{key:?}");
        assert!(text.len() < 60, "{text}");
    }
}
