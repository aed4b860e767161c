//! Times encrypted training steps of any network on random data, and says what they cost.
//!
//! `cargo run --release --example step -- 64,32,10 [batch 32] [key bits 2048] [σ 40] [steps 1]`

use smlp::random::Random;
use smlp::{
    Encrypt, EncryptedTensor, InProcess, IntegerMlp, IntegerTensor, MlpConfig, P1, P2, PrivateKey,
    Security, Session,
};
use std::sync::Arc;
use std::time::Instant;

fn main() -> smlp::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let layers: Vec<usize> = arguments
        .next()
        .unwrap_or_else(|| "64,32,10".into())
        .split(',')
        .map(|n| n.parse().expect("layer sizes are numbers"))
        .collect();
    let mut number = |default: u32| {
        arguments
            .next()
            .map_or(default, |a| a.parse().expect("a number"))
    };
    let (batch, bits, sigma, steps) = (number(32) as usize, number(2048), number(40), number(1));

    let key = PrivateKey::generate(bits, Security::Required)?;
    let config = MlpConfig::relu(&layers)
        .with_fraction_bits(12)
        .with_bits(15, 15);
    let mut net = IntegerMlp::draw(config, Some([7; 32]))?.encrypt(&key, &Random::os())?;
    let batch_of = |width: usize, scale: f64| -> smlp::Result<EncryptedTensor> {
        let values: Vec<f64> = (0..batch * width)
            .map(|i| ((i * 7919 + 13) % 101) as f64 / 101.0 * scale - scale / 2.0)
            .collect();
        let clear = IntegerTensor::from_f64(&[batch, width], &values, 12, Some(15))?;
        EncryptedTensor::encrypt(&clear, &key, &Random::os())
    };
    let (x, y) = (
        batch_of(layers[0], 1.0)?,
        batch_of(layers[layers.len() - 1], 1.0)?,
    );
    let p1 = P1::new(key.public().clone(), sigma)?;
    let p2 = InProcess::new(Arc::new(P2::new(key.clone())));
    let session = Session::new(Arc::new(p1), Arc::new(p2));
    for step in 0..steps {
        session.reset_statistics();
        let started = Instant::now();
        net.train_step(&session, &x, &y, 0.1)?;
        let cost = session.statistics();
        println!(
            "step {step}: {:.2} s ({} threads): P1 {:.2} s, P2 {:.2} s; {} rounds, {} kB sent, {} kB received; \
             {} operations modulo N², {} modulo p² and q²",
            started.elapsed().as_secs_f64(),
            rayon::current_num_threads(),
            cost.p1_time.as_secs_f64(),
            cost.exchange_time.as_secs_f64(),
            cost.rounds,
            cost.bytes_sent / 1000,
            cost.bytes_received / 1000,
            cost.p1_operations,
            cost.p2_operations,
        );
    }
    Ok(())
}
