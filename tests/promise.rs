//! What P1 promises is kept: masks are as wide as what P2 gets to see demands, and what would show more is refused
//! before anything is sent.

mod common;

use common::Parties;
use smlp::mlp::{Estimate, Job, Mlp, seed_from_number};
use smlp::random::Random;
use smlp::session::Layers;
use smlp::tensor::{Storage, UPLOAD_SIGMA};
use smlp::{
    Activation, Arithmetic, Checkpointing, Encrypt, EncryptedMlp, EncryptedTensor, Error,
    ExponentLength, FitOptions, InProcess, IntegerMlp, IntegerTensor, MlpConfig, P1, P2,
    PrivateKey, Promise, PublicKey, Result, Security, Session, TrainFor, Transport,
};
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn session(key: &PrivateKey, promise: Promise) -> Session {
    let p1 = P1::new(key.public().clone(), promise).unwrap();
    let p2 = InProcess::new(Arc::new(P2::new(key.clone())));
    Session::new(Arc::new(p1), Arc::new(p2))
}

fn go_on<S: Storage>(_: &Mlp<S>, _: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A network, and data of so many rows, one value a ciphertext or packed.
struct Training {
    net: EncryptedMlp,
    x: EncryptedTensor,
    y: EncryptedTensor,
}

impl Training {
    fn new(key: &PrivateKey, config: &MlpConfig, rows: usize, packed: bool) -> Self {
        let tensor = |columns: usize| {
            let values: Vec<f64> = (0..rows * columns)
                .map(|i| (i * 37 % 29) as f64 / 29.0 - 0.4)
                .collect();
            let f = config.fraction_bits;
            let bound = Some(config.activation_bits);
            let clear = IntegerTensor::from_f64(&[rows, columns], &values, f, bound).unwrap();
            let random = Random::os();
            match packed {
                false => EncryptedTensor::encrypt(&clear, key, &random).unwrap(),
                true => {
                    EncryptedTensor::encrypt_packed(&clear, key, UPLOAD_SIGMA, &random).unwrap()
                }
            }
        };
        let clear = IntegerMlp::draw(config.clone(), Some(seed_from_number(1))).unwrap();
        Self {
            net: clear.encrypt(key, &Random::os()).unwrap(),
            x: tensor(config.layers[0]),
            y: tensor(config.layers[config.depth()]),
        }
    }

    fn fit(&mut self, session: &Session, steps: u64, batch: usize) -> Result<()> {
        let options = FitOptions::new(TrainFor::Steps(steps), batch, 0.1);
        (self.net).fit(session, &self.x, &self.y, &options, &mut go_on)
    }
}

/// Deep and shallow, wide and narrow, comparisons everywhere and nowhere.
fn configurations() -> [MlpConfig; 5] {
    use Activation::{Linear, Relu};
    [
        MlpConfig::relu(&[2, 10, 2]),
        MlpConfig::new(&[5, 7, 3, 4], &[Relu, Linear, Relu]),
        MlpConfig::new(&[3, 1], &[Linear]),
        MlpConfig::new(&[1, 1], &[Relu]),
        MlpConfig::new(&[20, 3, 1, 9], &[Relu, Relu, Linear]),
    ]
    .map(|config| config.with_fraction_bits(8))
}

/// What is counted before a training suffices for it, whatever it looks like, with keys that hold one or many values in
/// a ciphertext; and it is not far off.
#[test]
fn trainings_keep_the_promise_and_run_to_their_end() {
    for bits in [256, 1024] {
        let key = Parties::new(bits, 40).key;
        for config in configurations() {
            for (rows, batch, steps) in [(1, 1, 1), (7, 3, 5), (12, 12, 2)] {
                let session = session(&key, Promise::default());
                let mut training = Training::new(&key, &config, rows, rows == 12 && bits > 256);
                training.fit(&session, steps, batch).unwrap();
                let statistics = session.statistics();
                // The first training of a network takes half of 2^-40.
                let kept = statistics.kept_bits();
                assert!(kept >= 41.0, "{config:?} {rows} {batch}: {kept}");
                assert!(kept < 43.5, "{config:?} {rows} {batch}: {kept}");
            }
        }
    }
}

#[test]
fn trainings_of_a_network_share_the_promise() {
    let key = Parties::new(512, 40).key;
    let session = session(&key, Promise::default());
    let mut training = Training::new(&key, &configurations()[0], 8, false);
    let mut whole = 0.0;
    for part in 0..6 {
        session.reset_statistics();
        match part % 2 {
            0 => training.fit(&session, 2, 4).unwrap(),
            _ => {
                let (x, y) = (training.x.clone(), training.y.clone());
                training.net.train_step(&session, &x, &y, 0.1).unwrap();
            }
        }
        // Stored and loaded in between, as after a crash.
        let bytes = training.net.to_bytes().unwrap();
        training.net = EncryptedMlp::from_bytes(&bytes, key.public()).unwrap();
        assert_eq!(training.net.trainings(), part + 1);
        whole += session.statistics().advantage;
    }
    assert!(whole <= 2f64.powi(-40), "{}", whole.log2());
    // The copy that the owner decrypts and encrypts again is the same network.
    let again = training.net.decrypt(&key).unwrap();
    assert_eq!(again.trainings(), 6);
}

/// What other sessions know of the same data takes nothing from a training, however many there are.
#[test]
fn sessions_that_share_the_same_data_leave_a_training_its_own() {
    let key = Parties::new(512, 40).key;
    let config = MlpConfig::new(&[20, 1], &[Activation::Linear]).with_fraction_bits(8);
    let Training { mut net, x, y } = Training::new(&key, &config, 64, false);
    let own = session(&key, Promise::default());
    let others: Vec<_> = (0..16).map(|_| session(&key, Promise::default())).collect();
    let options = FitOptions::new(TrainFor::Steps(6), 64, 0.1);
    let mut progress = |_: &EncryptedMlp, _: u64, _: u64| {
        others
            .iter()
            .for_each(|other| _ = other.prepare(&x).unwrap());
        ControlFlow::Continue(())
    };
    net.fit(&own, &x, &y, &options, &mut progress).unwrap();
    assert!(own.statistics().kept_bits() >= 41.0);
}

/// Elements out of order, and ciphertexts of the modulus alone, of which a session makes its own before it shares them.
#[test]
fn a_step_shares_its_batch_once_whatever_it_is() {
    let key = Parties::new(256, 40).key;
    let config = MlpConfig::new(&[100, 1], &[Activation::Linear]).with_fraction_bits(8);
    let rows = 144;
    let [across, stranger] = [true, false].map(|across| {
        let Training { mut net, x, y } = Training::new(&key, &config, rows, false);
        let columns = x.transpose().compact().unwrap();
        let x = match across {
            true => columns.transpose(),
            false => {
                let n = key.public().modulus_bytes();
                let modulus = PublicKey::from_modulus(&n, Security::AllowInsecure).unwrap();
                let clear = x.decrypt(&key).unwrap();
                EncryptedTensor::encrypt(&clear, &modulus, &Random::os()).unwrap()
            }
        };
        let session = session(&key, Promise::default());
        net.train_step(&session, &x, &y, 0.1)
            .map(|()| session.statistics().masked_values)
    });
    assert_eq!(across.unwrap(), stranger.unwrap());
}

/// P2, and how often it was asked.
fn counted(key: &PrivateKey) -> (Arc<dyn Transport>, Arc<AtomicUsize>) {
    let (p2, asked) = (P2::new(key.clone()), Arc::new(AtomicUsize::new(0)));
    let counter = asked.clone();
    let wire = move |request: &[u8]| -> Result<Vec<u8>> {
        counter.fetch_add(1, Ordering::SeqCst);
        p2.answer(request)
    };
    (Arc::new(wire), asked)
}

#[test]
fn masks_that_are_too_narrow_are_refused_before_anything_is_sent() {
    let key = Parties::new(512, 40).key;
    let (wire, asked) = counted(&key);
    let p1 = P1::new(key.public().clone(), Promise::default().with_sigma(48)).unwrap();
    let session = Session::new(Arc::new(p1), wire);
    let mut training = Training::new(&key, &configurations()[0], 8, false);
    let error = training.fit(&session, 5, 4).unwrap_err();
    assert!(matches!(error, Error::Insecure(_)), "{error}");
    let text = error.to_string();
    for part in ["masks of 48 bits", "2^-40", "2^7 values", "bits are needed"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!((training.net.step(), training.net.trainings()), (0, 0));
}

/// Whoever answers the first request finds it counted in the file: a process that dies then does not get its share back.
#[test]
fn a_checkpoint_counts_a_training_before_anything_is_sent() {
    let key = Parties::new(512, 40).key;
    let name = format!("smlp-promise-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let (file, public) = (path.clone(), key.public().clone());
    let counted = move || {
        let bytes = std::fs::read(&file).unwrap();
        EncryptedMlp::from_bytes(&bytes, &public)
            .unwrap()
            .trainings()
    };
    let (found, counts) = (Arc::new(AtomicUsize::new(0)), counted.clone());
    let seen = found.clone();
    let wire = move |_: &[u8]| -> Result<Vec<u8>> {
        seen.store(counts() as usize, Ordering::SeqCst);
        Err(Error::Transport("gone".into()))
    };
    let p1 = P1::new(key.public().clone(), Promise::default()).unwrap();
    let session = Session::new(Arc::new(p1), Arc::new(wire));
    let mut training = Training::new(&key, &configurations()[0], 8, false);
    let mut fit = |steps: u64| {
        let options = FitOptions {
            checkpoint: Some(Checkpointing {
                path: path.clone(),
                every_steps: NonZeroU64::MIN,
            }),
            ..FitOptions::new(TrainFor::Steps(steps), 4, 0.1)
        };
        let Training { net, x, y } = &mut training;
        net.fit(&session, x, y, &options, &mut go_on)
    };
    // Nothing to do: nothing is asked, and nothing counted.
    fit(0).unwrap();
    assert_eq!((counted(), found.load(Ordering::SeqCst)), (0, 0));
    for before in 0..2 {
        fit(3).unwrap_err();
        assert_eq!(found.load(Ordering::SeqCst), before + 1);
    }
    assert_eq!(counted(), 2);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn calls_outside_of_trainings_end_with_their_budget() {
    let key = Parties::new(512, 40).key;
    let (wire, asked) = counted(&key);
    // 2^-40 for 64 values and ciphertexts.
    let p1 = P1::new(key.public().clone(), Promise::default().values(64)).unwrap();
    assert_eq!(p1.sigma(), 46);
    let session = Session::new(Arc::new(p1), wire);
    let x = IntegerTensor::from_i64(&[20], &[3; 20], Some(8)).unwrap();
    let x = EncryptedTensor::encrypt(&x, &key, &Random::os()).unwrap();
    // Two operands of twenty values, in three ciphertexts each.
    session.multiply(&x, &x).unwrap();
    assert_eq!(session.statistics().masked_values, 46);
    let before = asked.load(Ordering::SeqCst);
    let error = session.multiply(&x, &x).unwrap_err();
    assert!(matches!(error, Error::Insecure(_)), "{error}");
    assert!(error.to_string().contains("the 64 that keep"), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), before);
    assert!(session.statistics().kept_bits() >= 40.0);
}

/// A call that fails has shown what it sent.
#[test]
fn failed_calls_count() {
    let key = Parties::new(512, 40).key;
    let wire = |_: &[u8]| -> Result<Vec<u8>> { Err(Error::Transport("gone".into())) };
    let p1 = P1::new(key.public().clone(), Promise::default()).unwrap();
    let session = Session::new(Arc::new(p1), Arc::new(wire));
    let x = IntegerTensor::from_i64(&[20], &[3; 20], Some(8)).unwrap();
    let x = EncryptedTensor::encrypt(&x, &key, &Random::os()).unwrap();
    session.multiply(&x, &x).unwrap_err();
    assert!(session.statistics().masked_values > 40);
}

#[test]
fn an_estimate_says_how_wide_masks_will_be() {
    let config = MlpConfig::relu(&[3, 4, 2]).with_fraction_bits(8);
    let job = Job {
        rows: 12,
        batch_size: 4,
        epochs: 2,
        key_bits: 512,
        exponents: ExponentLength::Half,
        promise: Promise::default(),
    };
    let estimate = Estimate::measure(&config, job, Security::AllowInsecure).unwrap();
    let key = Parties::new(512, 40).key;
    let session = session(&key, Promise::default());
    let mut training = Training::new(&key, &config, 12, true);
    training.fit(&session, 6, 4).unwrap();
    let shown = session.statistics().masked_values;
    assert!(shown <= estimate.values, "{shown} > {}", estimate.values);
    assert!(2 * shown > estimate.values, "{shown}, {}", estimate.values);
    // What it says is never less than what comes of it.
    assert!(estimate.log2_advantage() >= session.statistics().advantage.log2());
    assert!(
        estimate
            .to_string()
            .contains(&format!("masks of {} bits", estimate.sigma))
    );
}

/// Rows, or weights, packed with too little room: refused by name, and no training is counted.
#[test]
fn packs_without_room_are_refused_before_anything_is_sent() {
    let key = Parties::new(1024, 40).key;
    let (wire, asked) = counted(&key);
    let p1 = P1::new(key.public().clone(), Promise::default()).unwrap();
    let session = Session::new(Arc::new(p1), wire);
    let random = Random::os();
    let narrow = |x: &EncryptedTensor| {
        let clear = x.decrypt(&key).unwrap();
        EncryptedTensor::encrypt_packed(&clear, &key, 41, &random).unwrap()
    };
    for which in 0..3 {
        let mut training = Training::new(&key, &configurations()[0], 8, false);
        match which {
            0 => training.x = narrow(&training.x),
            1 => training.y = narrow(&training.y),
            _ => training.net = training.net.map_tensors(|t| Ok(narrow(t))).unwrap(),
        }
        let (x, y) = (training.x.clone(), training.y.clone());
        let step = training.net.train_step(&session, &x, &y, 0.1);
        for error in [training.fit(&session, 5, 4).unwrap_err(), step.unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains("room for masks of 41 bits"), "{text}");
        }
        assert_eq!((training.net.trainings(), training.net.step()), (0, 0));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
