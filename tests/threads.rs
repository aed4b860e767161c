//! Keys, tensors and sessions shared between threads: nothing waits for itself.

mod common;

use common::Parties;
use smlp::random::Random;
use smlp::{Arithmetic, Division, EncryptedTensor, IntegerTensor};
use std::sync::{Arc, mpsc};
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
