//! No two calls round alike, whatever is trained or predicted from whatever copy of a network: what P2 sees of
//! two runs differs by uniform residues modulo every divisor.
//!
//! Equal roundings of two dividends would show P2 their difference modulo the divisor. From the first step of two
//! trainings on data that differ in one row, that is enough to compute both versions of the row.

mod common;

use common::Parties;
use rug::Integer;
use smlp::fixed::RoundingKey;
use smlp::mlp::{Mlp, seed_from_number};
use smlp::protocol::{Operation, addressee};
use smlp::random::Random;
use smlp::tensor::Storage;
use smlp::{
    Arithmetic, Division, Encrypt, EncryptedMlp, EncryptedTensor, FitOptions, IntegerMlp,
    IntegerTensor, MlpConfig, P1, P2, PrivateKey, Promise, Result, Session, TrainFor,
};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

const F: u32 = 12;
const BATCH: usize = 32;
const RATE: f64 = 0.1;
/// 2^F · BATCH / RATE.
const WEIGHTS: u32 = 1_310_720;

/// Groups of values as P2 opens them.
type View = Vec<Vec<Integer>>;

/// A session; of its requests for products and quotients, P2 looks at what it opens. (A value that is shared once
/// and used again, in a copy of the network too, keeps its mask.)
fn watched(key: &PrivateKey) -> (Session, Arc<Mutex<View>>) {
    let views = Arc::new(Mutex::new(vec![]));
    let (log, p2) = (views.clone(), P2::new(key.clone()));
    let wire = move |request: &[u8]| -> Result<Vec<u8>> {
        if addressee(request)?.0 == Operation::Products {
            log.lock().unwrap().extend(p2.view(request)?);
        }
        p2.answer(request)
    };
    let p1 = P1::new(key.public().clone(), Promise::insecure(40)).unwrap();
    (Session::new(Arc::new(p1), Arc::new(wire)), views)
}

/// How far the residues of the differences of two groups are from uniform: chi-square over sixteen equal parts, in
/// standard deviations.
fn unevenness(a: &[Integer], b: &[Integer], divisor: u32) -> f64 {
    let mut counts = [0f64; 16];
    for (a, b) in a.iter().zip(b) {
        let residue = Integer::from(a - b).mod_u(divisor);
        counts[(u64::from(residue) * 16 / u64::from(divisor)) as usize] += 1.0;
    }
    let expected = a.len() as f64 / 16.0;
    let square: f64 = counts
        .iter()
        .map(|c| (c - expected).powi(2) / expected)
        .sum();
    (square - 15.0) / 30f64.sqrt()
}

/// All groups of two runs differ by uniform residues. Above nine deviations one in ten million is.
#[track_caller]
fn assert_apart(a: &View, b: &View) {
    assert_eq!(a.len(), b.len());
    let mut tested = 0;
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a.len(), b.len());
        // Few values say little.
        if a.len() < 400 {
            continue;
        }
        for divisor in [1 << F, WEIGHTS] {
            let found = unevenness(a, b, divisor);
            assert!(found < 9.0, "residues modulo {divisor}: {found} deviations");
            tested += 1;
        }
    }
    assert!(tested >= 8, "{tested}");
}

struct Data {
    key: PrivateKey,
    network: IntegerMlp,
    /// Two versions that differ in one row.
    x: [IntegerTensor; 2],
    y: IntegerTensor,
}

impl Data {
    fn new() -> Self {
        let config = MlpConfig::relu(&[30, 16, 2]).with_fraction_bits(F);
        let numbers = |columns: usize, changed: Option<usize>| {
            let value = |i: usize| {
                let row = if changed == Some(i / columns) {
                    1 + i
                } else {
                    i
                };
                ((row * 7919 + 13) % 97) as f64 / 97.0 - 0.5
            };
            let values: Vec<f64> = (0..BATCH * columns).map(value).collect();
            IntegerTensor::from_f64(&[BATCH, columns], &values, F, Some(F + 8)).unwrap()
        };
        Self {
            key: Parties::new(512, 40).key,
            network: IntegerMlp::draw(config, Some(seed_from_number(1))).unwrap(),
            x: [numbers(30, None), numbers(30, Some(7))],
            y: numbers(2, None),
        }
    }

    fn encrypt(&self, tensor: &IntegerTensor) -> EncryptedTensor {
        EncryptedTensor::encrypt(tensor, &self.key, &Random::os()).unwrap()
    }

    fn encrypted_network(&self) -> EncryptedMlp {
        self.network.encrypt(&self.key, &Random::os()).unwrap()
    }

    /// What P2 sees of one training step on a version of the data.
    fn training(&self, mut network: EncryptedMlp, version: usize) -> View {
        let (session, views) = watched(&self.key);
        let [x, y] = [&self.x[version], &self.y].map(|t| self.encrypt(t));
        let options = FitOptions {
            shuffle: false,
            ..FitOptions::new(TrainFor::Steps(1), BATCH, RATE)
        };
        network.fit(&session, &x, &y, &options, &mut go_on).unwrap();
        std::mem::take(&mut views.lock().unwrap())
    }

    /// What P2 sees of a prediction on a version of the data.
    fn prediction(&self, network: &EncryptedMlp, version: usize) -> View {
        let (session, views) = watched(&self.key);
        let x = self.encrypt(&self.x[version]);
        network.predict(&session, &x).unwrap();
        std::mem::take(&mut views.lock().unwrap())
    }
}

fn go_on<S: Storage>(_: &Mlp<S>, _: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn trainings_from_one_network_show_nothing_together() {
    let data = Data::new();
    let initial = data.encrypted_network();
    let stored = initial.to_bytes().unwrap();
    let load = || EncryptedMlp::from_bytes(&stored, initial.key()).unwrap();
    let again = || {
        let clear = initial.decrypt(&data.key).unwrap();
        clear.encrypt(&data.key, &Random::os()).unwrap()
    };
    let first = data.training(initial.clone(), 0);
    // On the same data, and on data that differ in one row: a copy, a resumed and a re-encrypted network.
    for version in [0, 1] {
        for network in [initial.clone(), load(), again(), data.encrypted_network()] {
            assert_apart(&first, &data.training(network, version));
        }
    }
}

#[test]
fn predictions_of_one_checkpoint_show_nothing_together() {
    let data = Data::new();
    let initial = data.encrypted_network();
    let stored = initial.to_bytes().unwrap();
    let load = || EncryptedMlp::from_bytes(&stored, initial.key()).unwrap();
    let first = data.prediction(&load(), 0);
    for version in [0, 1] {
        let found = data.prediction(&load(), version);
        let (a, b) = (&first.concat(), &found.concat());
        assert_eq!(a.len(), b.len());
        assert!(unevenness(a, b, 1 << F) < 9.0);
    }
}

#[test]
fn the_test_rejects_equal_roundings() {
    let data = Data::new();
    let rounding = RoundingKey::from_bytes([3; 32]);
    let division = |rounding| Division {
        divisor: WEIGHTS.into(),
        scale_drop: 0,
        rounding,
    };
    let view = |key| {
        let (session, views) = watched(&data.key);
        let [x, y] = [&data.x[0].transpose(), &data.x[1]].map(|t| data.encrypt(t));
        session.matmul_divide(&x, &y, division(key)).unwrap();
        // The last but one: XW + K, before it is divided.
        let mut views = views.lock().unwrap();
        views.pop();
        views.pop().unwrap()
    };
    let same = [view(Some((&rounding, 1))), view(Some((&rounding, 1)))];
    assert!(unevenness(&same[0], &same[1], WEIGHTS) > 100.0);
    let fresh = [view(None), view(None)];
    assert!(unevenness(&fresh[0], &fresh[1], WEIGHTS) < 9.0);
}
