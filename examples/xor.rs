//! The paper's first job: XOR learned on encrypted data, 2-10-2, and compared with the clear twin.
//!
//! `cargo run --release --example xor [key bits]`

use smlp::mlp::{argmax, seed_from_number};
use smlp::random::Random;
use smlp::{
    Clear, Encrypt, EncryptedTensor, FitOptions, InProcess, IntegerMlp, IntegerTensor, MlpConfig,
    P1, P2, PrivateKey, Promise, Record, Security, Session, TrainFor,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

fn main() -> smlp::Result<()> {
    let bits = std::env::args()
        .nth(1)
        .map_or(2048, |a| a.parse().expect("key bits"));
    let started = Instant::now();

    // The data owner: a key, four rows of data, one-hot labels, a network.
    let key = PrivateKey::generate(bits, Security::Required)?;
    let (f, bound) = (8, Some(13));
    let x = IntegerTensor::from_f64(&[4, 2], &[0., 0., 0., 1., 1., 0., 1., 1.], f, bound)?;
    let y = IntegerTensor::from_f64(&[4, 2], &[1., 0., 0., 1., 0., 1., 1., 0.], f, bound)?;
    let config = MlpConfig::relu(&[2, 10, 2])
        .with_fraction_bits(f)
        .with_bits(11, 13);
    let mut twin = IntegerMlp::draw(config, Some(seed_from_number(2)))?;
    let mut net = twin.encrypt(&key, &Random::os())?;
    let ex = EncryptedTensor::encrypt(&x, &key, &Random::os())?;
    let ey = EncryptedTensor::encrypt(&y, &key, &Random::os())?;

    // P1 and P2, here in one process.
    let p1 = P1::new(key.public().clone(), Promise::default())?;
    let p2 = InProcess::new(Arc::new(P2::new(key.clone())));
    // What is rounded with is kept for the twin alone.
    let record = Arc::new(Record::new());
    let session = Session::new(Arc::new(p1), Arc::new(p2)).recording(record.clone());
    let clear = Clear::repeating(record);

    let mut options = FitOptions::new(TrainFor::Steps(12), 4, 0.2);
    options.shuffle = false;
    net.fit(&session, &ex, &ey, &options, &mut |_, done, total| {
        println!(
            "step {done}/{total}, {:.1} s",
            started.elapsed().as_secs_f64()
        );
        ControlFlow::Continue(())
    })?;
    twin.fit(&clear, &x, &y, &options, &mut |_, _, _| {
        ControlFlow::Continue(())
    })?;

    // The owner again.
    let outputs = net.predict(&session, &ex)?.decrypt(&key)?;
    let hits = argmax(&outputs)?
        .iter()
        .zip([0, 1, 1, 0])
        .filter(|(a, b)| **a == *b)
        .count();
    let trained = net.decrypt(&key)?;
    let equal =
        trained.layers().iter().zip(twin.layers()).all(|(a, b)| {
            a.weight.values() == b.weight.values() && a.bias.values() == b.bias.values()
        });
    let cost = session.statistics();
    println!(
        "accuracy {}, weights equal to the clear twin's: {equal}",
        hits as f64 / 4.0
    );
    println!(
        "{} rounds, {} kB sent, {} kB received, P1 {:.1} s and {} operations, P2 and wire {:.1} s and {} operations",
        cost.rounds,
        cost.bytes_sent / 1000,
        cost.bytes_received / 1000,
        cost.p1_time.as_secs_f64(),
        cost.p1_operations,
        cost.exchange_time.as_secs_f64(),
        cost.p2_operations,
    );
    assert!(equal && hits == 4);
    Ok(())
}
