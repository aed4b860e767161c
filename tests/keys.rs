//! What a key's id binds, which ciphertexts a key takes, and files of keys that somebody damaged or forged.

mod forgery;

use std::sync::{Arc, OnceLock};

use forgery::{CONTENTS, modulus, put, with_base, with_fingerprint};
use rug::Integer;
use rug::integer::{IsPrime, Order};
use rug::ops::RemRounding;
use smlp::random::Random;
use smlp::{
    Arithmetic, Encrypt, EncryptedTensor, Error, ExponentLength, InProcess, IntegerTensor, P1, P2,
    PrivateKey, PublicKey, Security, Session,
};

const INSECURE: Security = Security::AllowInsecure;

fn generate(bits: u32, exponents: ExponentLength) -> PrivateKey {
    PrivateKey::generate_as(bits, exponents, INSECURE).unwrap()
}

/// Keys that P2 would have: 2048 bits, usual and with short exponents.
fn real() -> &'static [PrivateKey; 2] {
    static KEYS: OnceLock<[PrivateKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [ExponentLength::Half, ExponentLength::Short].map(|e| generate(2048, e)))
}

fn toys() -> [PrivateKey; 2] {
    [ExponentLength::Half, ExponentLength::Short].map(|e| generate(128, e))
}

fn foreign(key: &PrivateKey) -> PublicKey {
    PublicKey::from_modulus(&key.public().modulus_bytes(), INSECURE).unwrap()
}

fn clear() -> IntegerTensor {
    IntegerTensor::from_i64(&[3], &[5, -6, 7], Some(10)).unwrap()
}

fn encrypt(key: &impl Encrypt) -> EncryptedTensor {
    EncryptedTensor::encrypt(&clear(), key, &Random::os()).unwrap()
}

fn session(key: &PrivateKey) -> Session {
    let p1 = P1::new(key.public().clone(), smlp::Promise::insecure(40)).unwrap();
    Session::new(
        Arc::new(p1),
        Arc::new(InProcess::new(Arc::new(P2::new(key.clone())))),
    )
}

/// A base with the given prime order modulo one factor, and a large one modulo the other.
fn base_of_order(order: u32, p: &Integer, q: &Integer) -> Integer {
    let n = Integer::from(p * q);
    let cofactor = Integer::from(p - 1u32) / order;
    let element = (2u32..)
        .map(|x| Integer::from(x).pow_mod(&cofactor, p).unwrap())
        .find(|x| *x != 1)
        .unwrap();
    // The element modulo p, 3 modulo q.
    let inverse = Integer::from(p.invert_ref(q).unwrap());
    let difference = Integer::from(3 - &element) * inverse;
    let h = element + difference.rem_euc(q) * p;
    h.pow_mod(&n, &n.clone().square()).unwrap()
}

/// A prime of exactly `bits` bits that is 1 modulo twice the divisor and below 3/4 of the most.
fn prime_with(divisor: &Integer, bits: u32) -> Integer {
    let step = Integer::from(divisor * 2u32);
    let seed = Random::os().limbs(1, 60).unwrap().row(0)[0];
    let start = (Integer::from(7) << (bits - 3)) + (Integer::from(seed) << (bits - 80));
    let mut candidate = start / &step * &step + 1u32;
    while candidate.is_probably_prime(30) == IsPrime::No {
        candidate += &step;
    }
    assert_eq!(candidate.significant_bits(), bits);
    candidate
}

fn from_primes(p: &Integer, q: &Integer) -> smlp::Result<PrivateKey> {
    let [p, q] = [p, q].map(|prime| prime.to_digits::<u8>(Order::Msf));
    PrivateKey::from_primes(&p, &q, INSECURE)
}

#[test]
fn an_id_binds_the_modulus_the_base_and_the_exponents() {
    for key in real() {
        let public = key.public();
        let n2 = modulus(key.public()).square();
        // 4 is a base as good as any for who knows nothing but N; it is another key.
        let other =
            PublicKey::from_bytes(&with_base(public, &4.into()), Security::Required).unwrap();
        assert_eq!(other.modulus_bytes(), public.modulus_bytes());
        assert!(other.id() != public.id() && other != *public);
        let x = encrypt(&other);
        assert!(matches!(x.decrypt(key), Err(Error::KeyMismatch { .. })));
        assert!(matches!(
            x.add(&encrypt(key)),
            Err(Error::KeyMismatch { .. })
        ));
        assert!(matches!(
            session(key).relu(&x),
            Err(Error::KeyMismatch { .. })
        ));
        let read = EncryptedTensor::from_bytes(&x.to_bytes().unwrap(), public);
        assert!(matches!(read, Err(Error::KeyMismatch { .. })));
        let foreign = foreign(key);
        assert!(foreign.id() != public.id() && foreign != *public);
        assert!(foreign.is_foreign());
        // Another number of short exponents is another kind of key.
        if public.has_short_exponents() {
            let mut longer = public.to_bytes();
            let at = CONTENTS + 8 + 256 + 2;
            longer[at..at + 8].copy_from_slice(&512u64.to_le_bytes());
            let longer = PublicKey::from_bytes(&with_fingerprint(longer), Security::Required);
            assert_ne!(longer.unwrap().id(), public.id());
        }
        let again = with_base(public, &(n2 - 4u32));
        assert!(PublicKey::from_bytes(&again, Security::Required).is_ok());
    }
}

#[test]
fn bases_that_hide_nothing_are_refused() {
    let keys = [
        generate(64, ExponentLength::Half),
        generate(512, ExponentLength::Short),
    ];
    for key in keys.iter().chain(real()) {
        let n = modulus(key.public());
        let n2 = n.clone().square();
        let random = Integer::from_digits(Random::os().limbs(1, 60).unwrap().row(0), Order::Lsf);
        let multiple = (random % &n) * &n;
        for h_s in [
            Integer::from(0),
            Integer::from(1),
            Integer::from(&n2 - 1u32),
            Integer::from(&n + 1u32),
            Integer::from(&n - 1u32),
            Integer::from(&multiple + 1u32),
            Integer::from(&n2 - &multiple) - 1u32,
            // No units, and no residues.
            n.clone(),
            multiple,
            n2.clone(),
            n2 + 2u32,
        ] {
            let read = PublicKey::from_bytes(&with_base(key.public(), &h_s), INSECURE);
            assert!(matches!(read, Err(Error::Malformed { .. })), "{h_s}");
        }
    }
}

#[test]
fn small_orders_are_told_as_far_as_promised() {
    // p − 1 has all four divisors, so that elements have these orders modulo p alone.
    let divisor = Integer::from(3 * 65521) * 65537u32;
    let p = prime_with(&divisor, 1024);
    let q = prime_with(&Integer::from(1), 1024);
    let key = from_primes(&p, &q).unwrap();
    for (order, refused) in [(2, true), (3, true), (65521, true), (65537, false)] {
        let bytes = with_base(key.public(), &base_of_order(order, &p, &q));
        let read = PublicKey::from_bytes(&bytes, Security::Required);
        assert_eq!(read.is_err(), refused, "{order}");
        if let Err(error) = read {
            assert!(error.to_string().contains("small order"), "{error}");
        }
    }
}

#[test]
fn every_key_that_is_made_is_read_again() {
    for bits in (16..=80).step_by(2).chain([128, 254, 256]) {
        for exponents in [ExponentLength::Half, ExponentLength::Short] {
            if exponents == ExponentLength::Short && bits < 64 {
                continue;
            }
            for _ in 0..10 {
                let key = generate(bits, exponents);
                let private = PrivateKey::from_bytes(&key.to_bytes(), INSECURE).unwrap();
                let public = PublicKey::from_bytes(&key.public().to_bytes(), INSECURE).unwrap();
                assert_eq!([private.public(), &public], [key.public(); 2]);
            }
        }
    }
}

#[test]
fn a_key_takes_its_own_ciphertexts_and_those_of_its_modulus() {
    for key in [
        generate(512, ExponentLength::Half),
        generate(512, ExponentLength::Short),
    ] {
        let (ours, theirs) = (key.public(), foreign(&key));
        let other = generate(512, ExponentLength::Half);
        assert!(ours.check_takes(ours.id()).is_ok() && ours.check_takes(theirs.id()).is_ok());
        assert!(theirs.check_takes(theirs.id()).is_ok());
        for (key, id) in [
            (&theirs, ours.id()),
            (ours, other.public().id()),
            (ours, foreign(&other).id()),
        ] {
            assert!(matches!(
                key.check_takes(id),
                Err(Error::KeyMismatch { .. })
            ));
        }

        let (x, session) = (encrypt(&theirs), session(&key));
        assert_eq!(x.key(), &theirs);
        assert_eq!(x.decrypt(&key).unwrap().values(), clear().values());
        assert!(matches!(x.decrypt(&other), Err(Error::KeyMismatch { .. })));
        // Sums take no ciphertexts of both, nor do the calls of a P1; a session does.
        assert!(matches!(
            x.add(&encrypt(ours)),
            Err(Error::KeyMismatch { .. })
        ));
        let error = session.p1().multiply(&x, &x).unwrap_err();
        assert!(error.to_string().contains("refresh"), "{error}");
        let refreshed = session.refresh(&x).unwrap();
        assert!(refreshed.key() == ours && refreshed.storage().is_refreshed());
        assert_eq!(refreshed.decrypt(&key).unwrap().values(), clear().values());
        let product = session.multiply(&x, &encrypt(ours)).unwrap();
        assert_eq!(product.decrypt(&key).unwrap().values(), [25, 36, 49]);
        let nothing = session.refresh(&x.take(0, &[]).unwrap()).unwrap();
        assert!(nothing.key() == ours && nothing.is_empty());

        // Their files are read under our key, and never pass for refreshed ones.
        let read = EncryptedTensor::from_bytes(&x.to_bytes().unwrap(), ours).unwrap();
        assert!(read.key() == ours && !read.storage().is_refreshed());
        assert_eq!(read.decrypt(&key).unwrap().values(), clear().values());
        // Packed ones go through a session and a refresh, too.
        let packed = EncryptedTensor::encrypt_packed(&clear(), &theirs, 60, &Random::os()).unwrap();
        for x in [session.unpack(&packed), session.refresh(&packed)] {
            let x = x.unwrap();
            assert!(x.key() == ours);
            assert_eq!(x.decrypt(&key).unwrap().values(), clear().values());
        }
        let read = EncryptedTensor::from_bytes(&encrypt(ours).to_bytes().unwrap(), &theirs);
        assert!(matches!(read, Err(Error::KeyMismatch { .. })));
    }
}

/// python-paillier takes primes as they come: half of all pairs are no Blum primes, or have more in common.
#[test]
fn primes_of_other_software_make_a_key() {
    let divisors = [
        (1, 1),
        (2, 1),
        (1, 2),
        (2, 2),
        (4 * 3 * 5, 3 * 5),
        (3 * 7, 2 * 7),
    ];
    for (bits, (a, b)) in [256, 1024]
        .iter()
        .flat_map(|bits| divisors.map(|d| (*bits, d)))
    {
        let (p, q) = (prime_with(&a.into(), bits), prime_with(&b.into(), bits));
        let key = from_primes(&p, &q).unwrap();
        assert_eq!(from_primes(&q, &p).unwrap().public(), key.public());
        let read = PrivateKey::from_bytes(&key.to_bytes(), INSECURE).unwrap();
        assert_eq!(read.public(), key.public());
        let public = PublicKey::from_bytes(&key.public().to_bytes(), INSECURE).unwrap();
        for x in [encrypt(&read), encrypt(&public), encrypt(&foreign(&key))] {
            assert_eq!(x.decrypt(&key).unwrap().values(), clear().values());
        }
        let product = session(&key).multiply(&encrypt(&public), &encrypt(&foreign(&key)));
        assert_eq!(
            product.unwrap().decrypt(&key).unwrap().values(),
            [25, 36, 49]
        );
        // The Jacobi symbol of a ciphertext shows nothing of its exponent.
        let n = Integer::from(&p * &q);
        let h = Integer::from_digits(
            &public.to_bytes()[CONTENTS + 8 + n.significant_digits::<u64>() * 8 + 2..],
            Order::Lsf,
        );
        assert_eq!(h.jacobi(&n), 1);
    }
}

#[test]
fn weak_primes_are_refused_by_name() {
    let one = Integer::from(1);
    let q = prime_with(&one, 1024);
    let composite = (Integer::from(&q / 3u32) | 1u32) * 3u32;
    let common = Integer::from(Integer::u_pow_u(2, 70)) + 1u32;
    let smooth = {
        let mut product = Integer::from(1);
        let primes: Vec<u32> = (3u32..65536).filter(|&n| is_prime(n)).collect();
        let random = Random::os();
        loop {
            product *= primes[random.below(primes.len() as u64).unwrap() as usize];
            match Integer::from(&product * 2u32).significant_bits() {
                ..1024 => continue,
                1024 if candidate_is_high(&product) => {
                    let candidate = Integer::from(&product * 2u32) + 1u32;
                    if squarefree(&product, &primes)
                        && candidate.is_probably_prime(30) != IsPrime::No
                    {
                        break candidate;
                    }
                }
                _ => {}
            }
            product = Integer::from(1);
        }
    };
    for (p, q, why) in [
        (&q, &q, "different"),
        (&q, &prime_with(&one, 1022), "one length"),
        (&composite, &prime_with(&one, 1024), "prime"),
        (&q, &Integer::from(&q + 1u32).next_prime(), "Fermat"),
        (&smooth, &q, "p - 1"),
        (
            &prime_with(&common, 1024),
            &prime_with(&common, 1024),
            "common divisor",
        ),
    ] {
        let error = from_primes(p, q).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
    let n = Integer::from(&q * 65521u32);
    let easy = |n: &Integer| PublicKey::from_modulus(&n.to_digits::<u8>(Order::Msf), INSECURE);
    let prime = prime_with(&one, 2048);
    for modulus in [prime, n * prime_with(&one, 1100)] {
        assert!(matches!(easy(&modulus), Err(Error::Malformed { .. })));
    }
}

fn is_prime(n: u32) -> bool {
    Integer::from(n).is_probably_prime(10) != IsPrime::No
}

fn candidate_is_high(product: &Integer) -> bool {
    Integer::from(product >> 1021u32) >= 3
}

fn squarefree(product: &Integer, primes: &[u32]) -> bool {
    primes
        .iter()
        .all(|&p| !product.is_divisible(&Integer::from(p).square()))
}

/// What the factors, h_s and the subgroups of a private key must have to do with each other.
#[test]
fn private_keys_whose_numbers_do_not_go_together_are_refused() {
    for key in real() {
        let bytes = key.to_bytes();
        let n2 = modulus(key.public()).square();
        let h_s = CONTENTS + 8 + 2 * 128..CONTENTS + 8 + 2 * 128 + 512;
        let stored = Integer::from_digits(&bytes[h_s.clone()], Order::Lsf);
        let mut bases = vec![
            (Integer::from(1), "h_s"),
            (Integer::from(&n2 - 1u32), "small order"),
            (modulus(key.public()) + 1u32, "small order"),
            // A unit, but no N-th residue; and the right one times 1 + N.
            (Integer::from(4), "N-th residue"),
            (
                &stored * (modulus(key.public()) + 1u32) % &n2,
                "N-th residue",
            ),
        ];
        if key.public().has_short_exponents() {
            // An N-th residue outside the subgroup.
            let outside = Integer::from(3)
                .pow_mod(&modulus(key.public()), &n2)
                .unwrap();
            bases.push((outside, "N-th residue"));
        }
        for (base, why) in bases {
            let mut wrong = bytes.to_vec();
            put(&mut wrong[h_s.clone()], &base);
            let error = PrivateKey::from_bytes(&with_fingerprint(wrong), INSECURE).unwrap_err();
            assert!(error.to_string().contains(why), "{why}: {error}");
        }
        assert!(PrivateKey::from_bytes(&bytes, Security::Required).is_ok());
    }
}

/// Every single bit, in every kind of file.
#[test]
fn every_flipped_bit_is_noticed() {
    let read_private = |bytes: &[u8]| PrivateKey::from_bytes(bytes, INSECURE).map(|_| ());
    let read_public = |bytes: &[u8]| PublicKey::from_bytes(bytes, INSECURE).map(|_| ());
    type Read<'a> = &'a dyn Fn(&[u8]) -> smlp::Result<()>;
    for key in toys().iter().chain(real()) {
        let files: [(Vec<u8>, Read<'_>); 3] = [
            (key.to_bytes().to_vec(), &read_private),
            (key.public().to_bytes(), &read_public),
            (foreign(key).to_bytes(), &read_public),
        ];
        for (file, read) in files {
            read(&file).unwrap();
            let mut wrong = file.clone();
            for bit in 0..8 * file.len() {
                wrong[bit / 8] ^= 1 << (bit % 8);
                let error = read(&wrong).unwrap_err();
                assert!(
                    matches!(error, Error::Malformed { .. }),
                    "bit {bit}: {error}"
                );
                let named = bit < 64 || error.to_string().contains("damaged");
                assert!(named, "bit {bit}: {error}");
                wrong[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

/// As above with a fingerprint that goes with the changed contents: whether the numbers go together is what counts.
/// A changed public key may be a key, but then it is another one: the true one does not open what it makes.
#[test]
fn every_forged_bit_is_refused_or_makes_another_key() {
    for key in toys().iter().chain(real()) {
        let toy = key.public().bits() < 2048;
        // Real keys take their time: some bits of every part of the file.
        let chosen = |bytes: &[u8], step: usize| {
            let step = if toy { 1 } else { step };
            (8 * CONTENTS..8 * bytes.len()).step_by(step)
        };
        let forged = |bytes: &[u8], bit: usize| {
            let mut wrong = bytes.to_vec();
            wrong[bit / 8] ^= 1 << (bit % 8);
            with_fingerprint(wrong)
        };
        let private = key.to_bytes();
        for bit in chosen(&private, 197) {
            let read = PrivateKey::from_bytes(&forged(&private, bit), INSECURE);
            assert!(read.is_err(), "bit {bit}");
        }
        for (public, step) in [(key.public().clone(), 397), (foreign(key), 61)] {
            let mut others = 0;
            let bytes = public.to_bytes();
            for bit in chosen(&bytes, step) {
                let Ok(other) = PublicKey::from_bytes(&forged(&bytes, bit), INSECURE) else {
                    continue;
                };
                others += 1;
                assert!(other.id() != public.id() && other != public, "bit {bit}");
                let opened = encrypt(&other).decrypt(key);
                assert!(
                    matches!(opened, Err(Error::KeyMismatch { .. })),
                    "bit {bit}"
                );
            }
            // Most of the odd numbers of 2048 bits have a small factor.
            assert!(others > 0 || !toy && public.is_foreign());
        }
    }
}
