//! Keys, tensors and sessions shared between threads: nothing waits for itself.

mod common;

use common::Parties;
use smlp::protocol::{Operation, addressee};
use smlp::random::Random;
use smlp::{
    Arithmetic, Clear, Division, Encrypt, EncryptedTensor, IntegerMlp, IntegerTensor, MlpConfig,
    P1, P2, Promise, Session,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

#[test]
fn threads_share_fresh_keys_and_tensors() {
    // Several rounds: what is made lazily (combs, backend forms) is new in each.
    for _ in 0..5 {
        let parties = Arc::new(Parties::new(512, 40));
        let x = IntegerTensor::from_i64(&[6, 6], &(0..36).collect::<Vec<_>>(), Some(20)).unwrap();
        let bytes = parties.encrypt(&x).to_bytes().unwrap();
        let key = parties.session.p1().key().clone();
        let shared = Arc::new(EncryptedTensor::from_bytes(&bytes, &key).unwrap());
        let (sender, receiver) = mpsc::channel();
        let threads = 8;
        for i in 0..threads {
            let (parties, shared, x, sender) =
                (parties.clone(), shared.clone(), x.clone(), sender.clone());
            std::thread::spawn(move || {
                let fresh = match i % 2 {
                    0 => EncryptedTensor::encrypt(&x, &parties.key, &Random::os()),
                    _ => EncryptedTensor::encrypt(&x, shared.key(), &Random::os()),
                };
                let product = parties.session.matmul(&shared, &fresh.unwrap()).unwrap();
                let sum = product.add(&product).unwrap();
                sender
                    .send(sum.decrypt(&parties.key).unwrap().values())
                    .unwrap();
            });
        }
        let clear = parties.clear.matmul(&x, &x).unwrap();
        let want = clear.add(&clear).unwrap().values();
        for _ in 0..threads {
            // A deadlock fails the test instead of holding it up.
            let got = receiver.recv_timeout(Duration::from_secs(120));
            assert_eq!(got.expect("a thread hangs or failed"), want);
        }
    }
}

/// Shares are kept beside a tensor's ciphertexts: threads that share the same one at the same time, in
/// several shapes and under several bounds, must not mix masks of one with halves of another.
#[test]
fn threads_share_one_tensor_with_p2_in_several_shapes() {
    let parties = Parties::new(512, 40);
    let values: Vec<i64> = (0..36).map(|i| 7 * i - 100).collect();
    let x = IntegerTensor::from_i64(&[6, 6], &values, Some(9)).unwrap();
    let exact = Division {
        divisor: 1,
        scale_drop: 0,
        rounding: None,
    };
    for _ in 0..6 {
        let tensor = parties.encrypt(&x);
        std::thread::scope(|scope| {
            for i in 0..6 {
                let (parties, tensor, x) = (&parties, &tensor, &x);
                scope.spawn(move || {
                    let shape = [[6, 6], [4, 9], [9, 4]][i % 3];
                    let bound = [9, 12][i % 2];
                    let (e, c) = (tensor.reshape(&shape).unwrap(), x.reshape(&shape).unwrap());
                    let e = e.assume_bound(bound).unwrap();
                    let (et, ct) = (e.transpose(), c.transpose());
                    let product = parties.session.matmul_divide(&e, &et, exact).unwrap();
                    let clear = parties.clear.matmul(&c, &ct).unwrap();
                    let decrypted = product.decrypt(&parties.key).unwrap();
                    assert_eq!(decrypted.values(), clear.values());
                });
            }
        });
    }
}

/// More shares of one tensor at a time than are kept beside it.
#[test]
fn threads_share_one_tensor_under_more_bounds_than_are_kept() {
    let parties = Parties::new(512, 40);
    let values: Vec<i64> = (0..16).map(|i| 7 * i - 50).collect();
    let x = IntegerTensor::from_i64(&[4, 4], &values, Some(9)).unwrap();
    let tensor = parties.encrypt(&x);
    let want = parties.clear.matmul(&x, &x).unwrap().values();
    let exact = Division {
        divisor: 1,
        scale_drop: 0,
        rounding: None,
    };
    let start = Barrier::new(24);
    std::thread::scope(|scope| {
        for i in 0..24 {
            let (parties, tensor, start, want) = (&parties, &tensor, &start, &want);
            scope.spawn(move || {
                let e = tensor.assume_bound(9 + i).unwrap();
                start.wait();
                for _ in 0..2 {
                    let product = parties.session.matmul_divide(&e, &e, exact).unwrap();
                    assert_eq!(&product.decrypt(&parties.key).unwrap().values(), want);
                }
            });
        }
    });
}

/// Threads that start with a fresh P1 need its set-up of transfers at the same time. A gate whose labels come from
/// another set-up than its garbling gives garbage as large as a mask; roundings move a result by little.
#[test]
fn threads_start_cold_and_train_and_predict_like_the_twin() {
    let config = MlpConfig::relu(&[3, 5, 2]).with_fraction_bits(8);
    let tensor = |columns: usize| {
        let values: Vec<f64> = (0..4 * columns)
            .map(|i| (i * 37 % 16) as f64 / 16.0 - 0.4)
            .collect();
        let bound = Some(config.activation_bits);
        IntegerTensor::from_f64(&[4, columns], &values, 8, bound).unwrap()
    };
    let (x, y) = (tensor(3), tensor(2));
    for _ in 0..6 {
        let parties = Parties::new(512, 40);
        let (p2, set_ups) = (P2::new(parties.key.clone()), Arc::new(AtomicUsize::new(0)));
        let counted = set_ups.clone();
        let transport = move |request: &[u8]| -> smlp::Result<Vec<u8>> {
            if addressee(request)?.0 == Operation::Setup {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            p2.answer(request)
        };
        let p1 = P1::new(parties.key.public().clone(), Promise::insecure(40)).unwrap();
        let session = Session::new(Arc::new(p1), Arc::new(transport));
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for i in 0..8u8 {
                let (parties, session, start) = (&parties, &session, &start);
                let (x, y, config) = (&x, &y, config.clone());
                scope.spawn(move || {
                    let mut twin = IntegerMlp::draw(config, Some([i; 32])).unwrap();
                    let mut net = twin.encrypt(&parties.key, &Random::os()).unwrap();
                    let (ex, ey) = (parties.encrypt(x), parties.encrypt(y));
                    start.wait();
                    if i % 2 == 0 {
                        net.train_step(session, &ex, &ey, 0.1).unwrap();
                        twin.train_step(&Clear::new(), x, y, 0.1).unwrap();
                    }
                    let got = net.predict(session, &ex).unwrap();
                    let got = got.decrypt(&parties.key).unwrap().to_f64();
                    let want = twin.predict(&Clear::new(), x).unwrap().to_f64();
                    for (got, want) in got.iter().zip(&want) {
                        assert!((got - want).abs() < 0.2, "{got} for {want}");
                    }
                });
            }
        });
        assert_eq!(set_ups.load(Ordering::Relaxed), 1);
    }
}
