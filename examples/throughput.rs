//! How much the arithmetic of this process does a second, each figure checked against GMP's powm on
//! a few elements: one line `name<TAB>per second` a figure. `SMLP_BACKEND` chooses the backend.
//!
//! `cargo run --release --example throughput -- [batch 1024] [repetitions 3] [largest root 3072]`

use rug::Integer;
use smlp::modular::exponentiation::{Exponents, power};
use smlp::modular::{
    Limbs, Modulus, Residues, backend, integer_from_limbs, limbs_of, plugin_report,
};
use smlp::random::Random;
use smlp::{Encrypt, EncryptedTensor, IntegerTensor, PrivateKey, Security};
use std::time::Instant;

/// Statistical security of re-randomisation: so much longer than N is its exponent.
const SIGMA: u32 = 64;

/// Bits of the scalars of matrix products.
const SCALAR_BITS: usize = 104;

fn main() -> smlp::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        let argument = arguments.next();
        argument.map_or(default, |a| a.parse().expect("a number"))
    };
    let (batch, repetitions, largest) = (number(1024), number(3), number(3072));
    println!(
        "# {} on {} threads",
        backend()?.name(),
        rayon::current_num_threads()
    );
    println!("# {}", plugin_report());
    for bits in [1024, 2048, 3072] {
        if bits <= largest {
            exponentiation(bits, batch, repetitions)?;
        }
    }
    paillier(batch, repetitions)?;
    println!("# {}", plugin_report());
    Ok(())
}

/// Prints elements a second: the median of several inputs.
fn rate<I>(name: &str, count: usize, inputs: Vec<I>, mut run: impl FnMut(I)) {
    let mut seconds: Vec<_> = inputs
        .into_iter()
        .map(|input| {
            let started = Instant::now();
            run(input);
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    println!("{name}\t{:.1}", count as f64 / seconds[seconds.len() / 2]);
}

fn random(bits: usize) -> smlp::Result<Integer> {
    let limbs = Random::os().limbs(1, bits)?;
    Ok(integer_from_limbs(limbs.row(0)))
}

/// Exponentiation modulo the square of a root, exponents as long as the root: decryption's work.
fn exponentiation(bits: usize, batch: usize, repetitions: usize) -> smlp::Result<()> {
    let root = random(bits)? | 1u32 | Integer::from(1) << (bits as u32 - 1);
    let square = Integer::from(root.square_ref());
    let ring = backend()?.square_ring(Modulus::new(&limbs_of(&root, bits / 64))?);
    let width = ring.modulus().width();
    let mut inputs = vec![];
    // One more than asked for, to warm up.
    for _ in 0..=repetitions {
        let mut limbs = Vec::with_capacity(batch * width);
        for _ in 0..batch {
            limbs.extend_from_slice(&limbs_of(&(random(2 * bits)? % &square), width));
        }
        let exponent = random(bits)?;
        inputs.push((Residues::from_limbs(&ring, limbs)?, exponent));
    }
    let run = |(bases, exponent): &(Residues, Integer)| {
        let rows = Limbs::from_words(limbs_of(exponent, bits / 64).to_vec(), bits / 64);
        let powers = power(bases, &Exponents::new(&rows, bits));
        for i in [0, batch / 2, batch - 1] {
            let base = integer_from_limbs(bases.row(i));
            let want = base
                .pow_mod(exponent, &square)
                .expect("a positive exponent");
            assert_eq!(integer_from_limbs(powers.row(i)), want, "power {i}");
        }
    };
    run(&inputs.pop().expect("one to warm up"));
    rate(
        &format!("modexp ({}, {bits})", 2 * bits),
        batch,
        inputs,
        |i| run(&i),
    );
    Ok(())
}

/// What the protocols spend their time on, 2048-bit key.
fn paillier(batch: usize, repetitions: usize) -> smlp::Result<()> {
    let key = PrivateKey::generate(2048, Security::Required)?;
    let (public, os) = (key.public().clone(), Random::os());
    let plaintexts: Vec<_> = (0..=repetitions)
        .map(|_| os.limbs(batch, 2040))
        .collect::<smlp::Result<_>>()?;
    // Makes the tables, too.
    let mut encrypted = vec![key.encrypt(&plaintexts[0], &os)?];
    encrypted.push(public.encrypt(&plaintexts[0], &os)?);
    let inputs = || plaintexts[1..].iter().collect::<Vec<_>>();
    rate("encryption, public key", batch, inputs(), |p| {
        let of_public = public.encrypt(p, &os).expect("fits");
        of_public.limbs();
        encrypted.push(of_public);
    });
    rate("encryption, key holder", batch, inputs(), |p| {
        key.encrypt(p, &os).expect("fits").limbs();
    });
    let of_public = encrypted.split_off(2);
    rate("re-randomisation", batch, of_public.iter().collect(), |c| {
        let fresh = public
            .rerandomize(c, public.bits() + SIGMA, &os)
            .expect("randomness");
        fresh.limbs();
    });
    let mut decrypted = vec![];
    rate("decryption", batch, of_public.iter().collect(), |c| {
        decrypted.push(key.decrypt(c).expect("valid"));
    });
    assert!(decrypted.iter().zip(&plaintexts[1..]).all(|(d, p)| d == p));
    products(&key, batch, repetitions)
}

/// A clear matrix by an encrypted one: products of powers over shared tables.
fn products(key: &PrivateKey, batch: usize, repetitions: usize) -> smlp::Result<()> {
    let (inner, columns) = (64, batch.div_ceil(64).max(1));
    let (rows, os) = (batch.min(64), Random::os());
    let data: Vec<i64> = (0..(inner * columns) as i64)
        .map(|i| 7 * i % 1800 - 900)
        .collect();
    let clear = IntegerTensor::from_i64(&[inner, columns], &data, Some(12))?;
    let data = EncryptedTensor::encrypt(&clear, key, &os)?;
    let mut inputs = vec![];
    for _ in 0..=repetitions {
        let magnitudes = os.limbs(rows * inner, SCALAR_BITS)?;
        let values = (0..rows * inner).map(|i| {
            let magnitude = integer_from_limbs(magnitudes.row(i)).to_i128_wrapping();
            if i % 2 == 0 { magnitude } else { -magnitude }
        });
        inputs.push(IntegerTensor::from_i128(
            &[rows, inner],
            values.collect(),
            0,
            SCALAR_BITS as u32,
        )?);
    }
    let product = |weights: &IntegerTensor| data.rmatmul_plain(weights).expect("fits");
    let checked = inputs.pop().expect("one to warm up");
    let got = product(&checked).decrypt(key)?;
    assert_eq!(got.values(), clear.rmatmul_plain(&checked)?.values());
    rate(
        &format!("matrix product, {SCALAR_BITS}-bit scalars, terms"),
        rows * inner * columns,
        inputs,
        |weights| {
            product(&weights).storage().residues().limbs();
        },
    );
    let sums: Vec<_> = (0..repetitions).collect();
    rate("ciphertext addition", inner * columns, sums, |_| {
        data.add(&data).expect("fits").storage().residues().limbs();
    });
    Ok(())
}
