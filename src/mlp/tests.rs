//! Networks on the clear twin: learning, resuming, refusing.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::*;
use crate::error::{Error, Result};
use crate::fixed::{RoundingKey, floor_divide};
use crate::record::{Line, Record, Recorder, RoundingCall};
use crate::session::Clear;
use crate::tensor::{IntegerTensor, Integers};

const F: u32 = 10;

fn clear() -> Clear {
    Clear::new()
}

fn key_of_step(step: u64) -> RoundingKey {
    RoundingKey::from_bytes([step as u8 + 1; 32])
}

/// A twin with known roundings for so many steps.
fn repeating(steps: u64, learning_rate: f64) -> Clear {
    let record = Record::new();
    for step in 0..steps {
        let call = RoundingCall::Step {
            step,
            rows: vec![],
            learning_rate,
        };
        let key = key_of_step(step);
        record.record(&Line { call, key }).unwrap();
    }
    Clear::repeating(Arc::new(record))
}

fn tensor(shape: &[usize], values: &[f64]) -> IntegerTensor {
    IntegerTensor::from_f64(shape, values, F, None).unwrap()
}

fn config() -> MlpConfig {
    MlpConfig::relu(&[2, 10, 2]).with_fraction_bits(F)
}

fn network(seed: u64) -> Mlp<Integers> {
    Mlp::draw(config(), Some(seed_from_number(seed))).unwrap()
}

/// Random points of the truth table: inputs, one-hot targets, labels.
fn xor(rows: usize) -> (IntegerTensor, IntegerTensor, Vec<usize>) {
    let draws = RoundingKey::from_bytes([5; 32]).draw(0, 4, rows);
    let labels: Vec<usize> = draws.iter().map(|&d| (d & 1 ^ d >> 1) as usize).collect();
    let x: Vec<f64> = draws
        .iter()
        .flat_map(|&d| [(d & 1) as f64, (d >> 1) as f64])
        .collect();
    let y: Vec<f64> = labels
        .iter()
        .flat_map(|&l| [1.0 - l as f64, l as f64])
        .collect();
    (tensor(&[rows, 2], &x), tensor(&[rows, 2], &y), labels)
}

fn parameters(network: &Mlp<Integers>) -> Vec<Vec<i128>> {
    let both = |layer: &Layer<Integers>| [layer.weight.values(), layer.bias.values()];
    network.layers().iter().flat_map(both).collect()
}

fn silent(_: &Mlp<Integers>, _: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn xor_is_learnt() {
    let (x, y, labels) = xor(1000);
    for seed in 1..=3 {
        let mut mlp = network(seed);
        let options = FitOptions::new(TrainFor::Epochs(4), 40, 0.25);
        let before = loss(&mlp.predict(&clear(), &x).unwrap(), &y).unwrap();
        mlp.fit(&clear(), &x, &y, &options, &mut silent).unwrap();
        assert_eq!(mlp.step(), 100);
        assert_eq!(
            mlp.evaluate(&clear(), &x, &labels).unwrap(),
            1.0,
            "seed {seed}"
        );
        let after = loss(&mlp.predict(&clear(), &x).unwrap(), &y).unwrap();
        assert!(
            after < 0.1 * before,
            "seed {seed}: loss {before} to {after}"
        );
    }
}

/// One step spelled out over plain loops, with the draws of the documented places.
#[test]
fn a_step_is_what_the_protocol_says() {
    let mut mlp = network(4);
    let (x, y, _) = xor(3);
    let (twin, old) = (repeating(2, 0.5), parameters(&mlp));
    // One step before, so that the key is not that of step 0.
    mlp.train_step(&twin, &x, &y, 0.5).unwrap();
    let (w0, b0, w1, b1) = match &parameters(&mlp)[..] {
        [w0, b0, w1, b1] => (w0.clone(), b0.clone(), w1.clone(), b1.clone()),
        _ => unreachable!(),
    };
    assert_ne!(old, parameters(&mlp));
    mlp.train_step(&twin, &x, &y, 0.5).unwrap();

    let (x, y) = (x.values(), y.values());
    let divide = |values: Vec<i128>, layer: u64, role: u64, d: u64| -> Vec<i128> {
        let draws = key_of_step(1).draw(layer << 4 | role, d, values.len());
        values
            .iter()
            .zip(draws.iter())
            .map(|(&v, &r)| floor_divide(v, r, d))
            .collect()
    };
    let matmul = |a: &[i128], b: &[i128], (m, p, q): (usize, usize, usize)| -> Vec<i128> {
        (0..m * q)
            .map(|k| (0..p).map(|t| a[k / q * p + t] * b[t * q + k % q]).sum())
            .collect()
    };
    let transpose = |a: &[i128], (m, n): (usize, usize)| -> Vec<i128> {
        (0..m * n).map(|k| a[k % m * n + k / m]).collect()
    };
    let plus = |a: &[i128], b: &[i128]| -> Vec<i128> {
        a.iter().zip(b.iter().cycle()).map(|(a, b)| a + b).collect()
    };
    let columns = |a: &[i128], q: usize| -> Vec<i128> {
        (0..q).map(|j| a.iter().skip(j).step_by(q).sum()).collect()
    };
    // d_W = 2^10 · 3 / 0.5, d_b = 3 / 0.5.
    let (q, d_w, d_b) = (1u64 << F, 6144, 6);
    let z = plus(&divide(matmul(&x, &w0, (3, 2, 10)), 0, 0, q), &b0);
    let hidden: Vec<i128> = z.iter().map(|&z| z.max(0)).collect();
    let output = plus(&divide(matmul(&hidden, &w1, (3, 10, 2)), 1, 0, q), &b1);
    let delta: Vec<i128> = y.iter().zip(&output).map(|(y, a)| y - a).collect();
    let new_w1 = plus(
        &w1,
        &divide(
            matmul(&transpose(&hidden, (3, 10)), &delta, (10, 3, 2)),
            1,
            1,
            d_w,
        ),
    );
    let new_b1 = plus(&b1, &divide(columns(&delta, 2), 1, 2, d_b));
    let back = divide(
        matmul(&delta, &transpose(&w1, (10, 2)), (3, 2, 10)),
        1,
        3,
        q,
    );
    let delta: Vec<i128> = back
        .iter()
        .zip(&z)
        .map(|(&d, &z)| if z >= 0 { d } else { 0 })
        .collect();
    let new_w0 = plus(
        &w0,
        &divide(
            matmul(&transpose(&x, (3, 2)), &delta, (2, 3, 10)),
            0,
            1,
            d_w,
        ),
    );
    let new_b0 = plus(&b0, &divide(columns(&delta, 10), 0, 2, d_b));
    assert_eq!(parameters(&mlp), [new_w0, new_b0, new_w1, new_b1]);
}

#[test]
fn resumed_training_equals_uninterrupted_training() {
    // 130 rows: batches of 40, 40, 40 and 10.
    let (x, y, _) = xor(130);
    let options = |duration| FitOptions {
        shuffle_seed: 7,
        ..FitOptions::new(duration, 40, 0.5)
    };
    let twin = repeating(12, 0.5);
    let mut whole = network(1);
    whole
        .fit(&twin, &x, &y, &options(TrainFor::Epochs(3)), &mut silent)
        .unwrap();
    assert_eq!(whole.step(), 12);

    let mut cut = network(1);
    let mut seen = Vec::new();
    let result = cut.fit(
        &twin,
        &x,
        &y,
        &options(TrainFor::Epochs(3)),
        &mut |network, done, total| {
            assert_eq!(network.step(), done);
            seen.push((done, total));
            if done == 5 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    assert_eq!(result, Err(Error::Cancelled));
    assert_eq!(seen, (1..=5).map(|done| (done, 12)).collect::<Vec<_>>());
    assert_eq!(cut.step(), 5);
    // A prediction in between and a copy through a checkpoint change nothing.
    cut.predict(&clear(), &x).unwrap();
    let mut resumed = Mlp::<Integers>::from_bytes(&cut.to_bytes().unwrap()).unwrap();
    assert_eq!(resumed.step(), 5);
    resumed
        .fit(&twin, &x, &y, &options(TrainFor::Steps(7)), &mut silent)
        .unwrap();
    assert_eq!(parameters(&resumed), parameters(&whole));

    let mut ordered = network(1);
    let unshuffled = FitOptions {
        shuffle: false,
        ..options(TrainFor::Epochs(3))
    };
    ordered
        .fit(&twin, &x, &y, &unshuffled, &mut silent)
        .unwrap();
    assert_ne!(parameters(&ordered), parameters(&whole));
}

#[test]
fn calls_never_share_roundings() {
    let mlp = network(2);
    let x = tensor(&[64, 2], &[0.3; 128]);
    let first = mlp.predict(&clear(), &x).unwrap();
    let second = mlp.predict(&clear(), &x).unwrap();
    assert_ne!(first.values(), second.values());
    assert_eq!(first.shape(), [64, 2]);
    assert_eq!(first.scale(), F);
    // Neither do copies, nor the same step of the same network on the same data.
    let y = tensor(&[64, 2], &[0.7; 128]);
    let after = || {
        let mut copy = mlp.clone();
        copy.train_step(&clear(), &x, &y, 0.3).unwrap();
        parameters(&copy)
    };
    assert_ne!(after(), after());
}

#[test]
fn a_broken_bound_is_named_and_changes_nothing() {
    // Weights may reach 16, activations 4: a rate far too large breaks one of them.
    let tight = config().with_bits(F + 4, F + 2);
    let mut mlp = Mlp::draw(tight, Some(seed_from_number(1))).unwrap();
    let (x, y, _) = xor(40);
    let mut before = parameters(&mlp);
    let error = loop {
        match mlp.train_step(&clear(), &x, &y, 20.0) {
            Ok(()) => before = parameters(&mlp),
            Err(error) => break error,
        }
        assert!(mlp.step() < 1000);
    };
    let text = error.to_string();
    assert!(
        matches!(&error, Error::OutOfRange { index, bound, .. } if !index.is_empty() && [12, 14].contains(bound))
    );
    assert!(
        text.contains("(the integer ") && text.contains("at index ["),
        "{text}"
    );
    assert_eq!(parameters(&mlp), before);

    let large = tensor(&[1, 2], &[0.0, 4.0]);
    let error = mlp.predict(&clear(), &large).unwrap_err();
    assert!(matches!(error, Error::OutOfRange { index, bound: 12, .. } if index == [0, 1]));
}

#[test]
fn what_does_not_fit_is_refused_before_any_work() {
    let mut mlp = network(1);
    let arith = clear();
    let (x, y, _) = xor(4);
    let wide = tensor(&[4, 3], &[0.0; 12]);
    let unscaled = IntegerTensor::from_i64(&[4, 2], &[0; 8], None).unwrap();
    let no_rows = tensor(&[0, 2], &[]);
    let results: [(Result<()>, &str); 8] = [
        (mlp.train_step(&arith, &wide, &y, 0.5), "(batch, 2)"),
        (mlp.train_step(&arith, &x, &wide, 0.5), "(batch, 2)"),
        (mlp.train_step(&arith, &unscaled, &y, 0.5), "scale mismatch"),
        (mlp.train_step(&arith, &no_rows, &y, 0.5), "no rows"),
        (
            mlp.train_step(&arith, &x, &y.take(0, &[0]).unwrap(), 0.5),
            "4 rows of inputs, 1 rows",
        ),
        (mlp.train_step(&arith, &x, &y, 9.0), "learning rate 9"),
        (
            mlp.train_step(&arith, &x.index(0, 0).unwrap(), &y, 0.5),
            "(batch, 2)",
        ),
        (
            mlp.fit(
                &arith,
                &x,
                &y,
                &FitOptions::new(TrainFor::Steps(1), 0, 0.5),
                &mut silent,
            ),
            "batch size",
        ),
    ];
    for (result, part) in results {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(mlp.step(), 0);
}

#[test]
fn configurations_are_validated() {
    assert_eq!(MlpConfig::relu(&[64, 32, 10]).validate(), Ok(()));
    assert_eq!(
        MlpConfig::new(&[3, 1], &[Activation::Linear]).validate(),
        Ok(())
    );
    let bad = [
        MlpConfig::relu(&[]),
        MlpConfig::relu(&[3]),
        MlpConfig::relu(&[3, 0, 2]),
        MlpConfig::relu(&[1; 300]),
        MlpConfig::new(&[3, 2], &[]),
        config().with_fraction_bits(41),
        config().with_fraction_bits(u32::MAX),
        config().with_bits(0, 20),
        config().with_bits(20, F),
        config().with_bits(64, 60),
        config().with_bits(10, 64),
        config().with_bits(u32::MAX, u32::MAX),
    ];
    for config in bad {
        assert!(config.validate().is_err(), "{config:?}");
        assert!(Mlp::draw(config, None).is_err());
    }
}

#[test]
fn drawing() {
    let wide = MlpConfig::relu(&[50, 40, 10]);
    let mlp = Mlp::draw(wide.clone(), Some([1; 32])).unwrap();
    let weights = mlp.layers()[0].weight.to_f64();
    let variance = weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64;
    // 2/50, relative standard deviation √(2/2000) = 3 %.
    assert!((0.034..0.046).contains(&variance), "{variance}");
    assert!(mlp.layers()[0].bias.values().iter().all(|&b| b == 0));
    let same = Mlp::draw(wide.clone(), Some([1; 32])).unwrap();
    assert_eq!(parameters(&mlp), parameters(&same));
    let other = Mlp::draw(wide, None).unwrap();
    assert_ne!(parameters(&mlp), parameters(&other));

    let error = Mlp::draw(config().with_bits(F, F + 8), Some([1; 32])).unwrap_err();
    assert!(error.to_string().contains("weight_bits"), "{error}");
    let debug = format!("{mlp:?}");
    assert!(
        !debug.contains("seed") && !debug.contains("weight:"),
        "{debug}"
    );
}

#[test]
fn parameters_have_to_fit_their_configuration() {
    let mlp = network(1);
    let wrong_scale =
        mlp.map_tensors(|t| IntegerTensor::from_i128(t.shape(), t.values(), F + 1, t.bound()));
    assert!(matches!(wrong_scale, Err(Error::InvalidArgument(_))));
    assert!(matches!(
        mlp.map_tensors(|t| Ok(t.transpose())),
        Err(Error::Shape(_))
    ));
    assert!(mlp.map_tensors(|t| t.assume_bound(F + 9)).is_err());
}

#[test]
fn relu_outputs_and_deeper_networks_train() {
    let layers = MlpConfig::new(
        &[2, 8, 8, 2],
        &[Activation::Relu, Activation::Linear, Activation::Relu],
    );
    let mut mlp = Mlp::draw(layers.with_fraction_bits(14), Some(seed_from_number(3))).unwrap();
    let (x, y, _) = xor(200);
    let at = |t: &IntegerTensor| IntegerTensor::from_f64(t.shape(), &t.to_f64(), 14, None).unwrap();
    let (x, y) = (at(&x), at(&y));
    let before = loss(&mlp.predict(&clear(), &x).unwrap(), &y).unwrap();
    let options = FitOptions::new(TrainFor::Epochs(10), 32, 0.2);
    mlp.fit(&clear(), &x, &y, &options, &mut silent).unwrap();
    let after = loss(&mlp.predict(&clear(), &x).unwrap(), &y).unwrap();
    assert!(after < before, "{before} to {after}");
}
