//! Estimates what training a network costs, then trains it on random data and compares.
//!
//! `cargo run --release --example step -- 64,32,10 [batch 32] [key bits 2048] [steps 4] [--sigma=BITS] [--short-exponents]`
//!
//! The masks are as wide as the promise of 2^−40 demands for these steps; --sigma=BITS measures others.

use smlp::mlp::{Estimate, Job};
use smlp::random::Random;
use smlp::tensor::UPLOAD_SIGMA;
use smlp::{
    Encrypt, EncryptedTensor, ExponentLength, FitOptions, InProcess, IntegerMlp, IntegerTensor,
    MlpConfig, P1, P2, PrivateKey, Promise, Security, Session, TrainFor,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

fn main() -> smlp::Result<()> {
    let (options, arguments): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let exponents = match options.iter().any(|o| o == "--short-exponents") {
        true => ExponentLength::Short,
        false => ExponentLength::Half,
    };
    let mut arguments = arguments.into_iter();
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
    let (batch, bits, steps) = (number(32) as usize, number(2048), number(4));
    let sigma = options.iter().find_map(|o| o.strip_prefix("--sigma="));
    let promise = sigma.map_or(Promise::default(), |bits| {
        Promise::insecure(bits.parse().expect("--sigma is a number"))
    });

    let config = MlpConfig::relu(&layers)
        .with_fraction_bits(12)
        .with_bits(15, 15);
    let rows = batch * steps as usize;
    let job = Job {
        rows,
        batch_size: batch,
        epochs: 1,
        key_bits: bits,
        exponents,
        promise,
    };
    println!("{} threads", rayon::current_num_threads());
    let estimate = Estimate::measure(&config, job, Security::Required)?;
    println!("{estimate}");

    let started = Instant::now();
    let key = PrivateKey::generate_as(bits, exponents, Security::Required)?;
    let random = Random::os();
    let mut net = IntegerMlp::draw(config, Some([7; 32]))?.encrypt(&key, &random)?;
    let data = |width: usize| -> smlp::Result<EncryptedTensor> {
        let values: Vec<f64> = (0..rows * width)
            .map(|i| ((i * 7919 + 13) % 101) as f64 / 101.0 - 0.5)
            .collect();
        let clear = IntegerTensor::from_f64(&[rows, width], &values, 12, Some(15))?;
        EncryptedTensor::encrypt_packed(&clear, &key, UPLOAD_SIGMA, &random)
    };
    let (x, y) = (data(layers[0])?, data(layers[layers.len() - 1])?);
    println!(
        "key, data and network encrypted: {:.2} s",
        started.elapsed().as_secs_f64()
    );
    let p1 = P1::new(key.public().clone(), promise)?;
    let p2 = InProcess::new(Arc::new(P2::new(key.clone())));
    let session = Session::new(Arc::new(p1), Arc::new(p2));
    let mut last = Instant::now();
    let options = FitOptions::new(TrainFor::Epochs(1), batch, 0.1);
    net.fit(&session, &x, &y, &options, &mut |_, done, _| {
        let ratio = last.elapsed().as_secs_f64() / estimate.step.time().as_secs_f64();
        println!(
            "step {done}: {:.3} s, {ratio:.2} of the estimate",
            last.elapsed().as_secs_f64()
        );
        last = Instant::now();
        ControlFlow::Continue(())
    })
}
