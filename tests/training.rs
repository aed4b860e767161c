//! Networks trained under encryption equal their clear twins, weight by weight.

mod common;

use common::Parties;
use smlp::mlp::{Mlp, seed_from_number};
use smlp::random::Random;
use smlp::tensor::Storage;
use smlp::{
    Activation, EncryptedMlp, EncryptedTensor, ExponentLength, FitOptions, IntegerMlp,
    IntegerTensor, MlpConfig, TrainFor,
};
use std::ops::ControlFlow;

/// Trains both from the same start and compares all parameters after every step.
fn train_both(p: &Parties, config: MlpConfig, rows: usize, batch: usize, steps: u64, rate: f64) {
    let f = config.fraction_bits;
    let bound = Some(config.activation_bits);
    let (inputs, outputs) = (config.layers[0], config.layers[config.depth()]);
    let value = |i: usize, m: usize| ((i * 7919 + 13) % m) as f64 / m as f64 - 0.5;
    let x: Vec<f64> = (0..rows * inputs).map(|i| value(i, 97)).collect();
    let y: Vec<f64> = (0..rows * outputs).map(|i| value(i, 31)).collect();
    let x = IntegerTensor::from_f64(&[rows, inputs], &x, f, bound).unwrap();
    let y = IntegerTensor::from_f64(&[rows, outputs], &y, f, bound).unwrap();
    let mut twin = IntegerMlp::draw(config, Some(seed_from_number(4))).unwrap();
    let mut net = twin.encrypt(&p.key, &Random::os()).unwrap();
    let (ex, ey) = (p.encrypt(&x), p.encrypt(&y));
    let options = FitOptions::new(TrainFor::Steps(1), batch, rate);
    for _ in 0..steps {
        net.fit(&p.session, &ex, &ey, &options, &mut go_on).unwrap();
        twin.fit(&p.clear, &x, &y, &options, &mut go_on).unwrap();
        same_parameters(p, &net, &twin);
    }
    assert_eq!(net.step(), steps);
    p.same(
        &net.predict(&p.session, &ex).unwrap(),
        &twin.predict(&p.clear, &x).unwrap(),
    );
    // A checkpoint goes on, and so do a copy and the decrypted network: each from the same values with roundings of
    // its own, which the last lines of the record tell.
    let resumed = EncryptedMlp::from_bytes(&net.to_bytes().unwrap(), net.key()).unwrap();
    for mut again in [resumed, net.clone()] {
        let mut decrypted = net.decrypt(&p.key).unwrap();
        let mut twin = twin.clone();
        again
            .fit(&p.session, &ex, &ey, &options, &mut go_on)
            .unwrap();
        decrypted
            .fit(&p.clear, &x, &y, &options, &mut go_on)
            .unwrap();
        twin.fit(&p.clear, &x, &y, &options, &mut go_on).unwrap();
        same_parameters(p, &again, &twin);
        same_parameters(p, &again, &decrypted);
    }
}

fn go_on<S: Storage>(_: &Mlp<S>, _: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn same_parameters(p: &Parties, net: &EncryptedMlp, twin: &IntegerMlp) {
    for (a, b) in net.layers().iter().zip(twin.layers()) {
        p.same(&a.weight, &b.weight);
        p.same(&a.bias, &b.bias);
    }
}

#[test]
fn xor_equals_its_twin() {
    let config = MlpConfig::relu(&[2, 10, 2]).with_fraction_bits(10);
    train_both(&Parties::new(512, 40), config, 20, 8, 5, 0.25);
}

#[test]
fn three_layers_of_odd_sizes_equal_their_twin() {
    use Activation::{Linear, Relu};
    let config = MlpConfig::new(&[5, 7, 3, 4], &[Relu, Linear, Relu]);
    train_both(&Parties::new(512, 40), config, 11, 4, 4, 0.3);
}

#[test]
fn linear_layers_equal_their_twin() {
    use Activation::Linear;
    let config = MlpConfig::new(&[3, 4, 2, 5], &[Linear, Linear, Linear]);
    train_both(&Parties::new(512, 40), config, 7, 3, 3, 0.3);
}

#[test]
fn xor_equals_its_twin_at_a_real_key_size() {
    let config = MlpConfig::relu(&[2, 10, 2])
        .with_fraction_bits(8)
        .with_bits(11, 13);
    for exponents in [ExponentLength::Half, ExponentLength::Short] {
        let p = Parties::with(2048, exponents, 64);
        train_both(&p, config.clone(), 4, 4, 1, 0.2);
    }
}

#[test]
fn a_lost_exchange_leaves_the_network_as_it_was() {
    let p = Parties::new(256, 40);
    let config = MlpConfig::relu(&[2, 3, 2]).with_fraction_bits(8);
    let twin = IntegerMlp::draw(config, Some(seed_from_number(1))).unwrap();
    let mut net = twin.encrypt(&p.key, &Random::os()).unwrap();
    let x = IntegerTensor::from_f64(&[2, 2], &[0.5; 4], 8, None).unwrap();
    let x = p.encrypt(&x);
    // A wire that breaks after three rounds.
    let left = std::sync::atomic::AtomicI32::new(3);
    let p2 = smlp::P2::new(p.key.clone());
    let wire = move |request: &[u8]| -> smlp::Result<Vec<u8>> {
        if left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) > 0 {
            p2.answer(request)
        } else {
            Err(smlp::Error::Transport("the wire broke".into()))
        }
    };
    let p1 = smlp::P1::new(net.key().clone(), smlp::Promise::insecure(40)).unwrap();
    let session = smlp::Session::new(std::sync::Arc::new(p1), std::sync::Arc::new(wire));
    let error = net.train_step(&session, &x, &x, 0.1).unwrap_err();
    assert!(matches!(error, smlp::Error::Transport(_)), "{error}");
    assert_eq!(net.step(), 0);
    same_parameters(&p, &net, &twin);
    // Another session takes over.
    net.train_step(&p.session, &x, &x, 0.1).unwrap();
    assert_eq!(net.step(), 1);
}

#[test]
fn checkpoints_survive_and_damaged_ones_are_refused() {
    let p = Parties::new(256, 40);
    let config = MlpConfig::relu(&[2, 3, 2]);
    let twin = IntegerMlp::draw(config, None).unwrap();
    let net = twin.encrypt(&p.key, &Random::os()).unwrap();
    let bytes = net.to_bytes().unwrap();
    let again = EncryptedMlp::from_bytes(&bytes, net.key()).unwrap();
    same_parameters(&p, &again, &twin);
    for cut in 0..bytes.len() {
        assert!(EncryptedMlp::from_bytes(&bytes[..cut], net.key()).is_err());
    }
    let clear = twin.to_bytes().unwrap();
    assert!(EncryptedMlp::from_bytes(&clear, net.key()).is_err());
    for cut in 0..clear.len() {
        assert!(IntegerMlp::from_bytes(&clear[..cut]).is_err());
    }
    let other = Parties::new(256, 40);
    assert!(matches!(
        EncryptedMlp::from_bytes(&bytes, other.session.p1().key()),
        Err(smlp::Error::KeyMismatch { .. })
    ));
    let _: EncryptedTensor = again.layers()[0].weight.clone();
}
