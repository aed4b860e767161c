//! Fused operations that other tests do not reach.

use super::*;
use crate::mlp::{FitOptions, Mlp, MlpConfig, TrainFor};
use crate::protocol::{P1, P2, Promise};
use crate::random::Random;
use crate::record::Record;
use crate::session::Clear;
use crate::tensor::IntegerTensor;
use crate::transport::InProcess;
use crate::{Encrypt, PrivateKey, Security};
use std::ops::ControlFlow;

/// Its packs came with a step of one P1, its shares come in several requests of another.
#[test]
fn data_that_is_packed_already_is_shared_in_parts() {
    let key = PrivateKey::generate(512, Security::AllowInsecure).unwrap();
    let transport = Arc::new(InProcess::new(Arc::new(P2::new(key.clone()))));
    let record = Arc::new(Record::new());
    let session = || {
        let p1 = P1::new(key.public().clone(), Promise::insecure(40)).unwrap();
        Session::new(Arc::new(p1), transport.clone()).recording(record.clone())
    };
    let rows = 2 * SHARED_AT_ONCE / 4 + 1;
    let clear = |columns: usize| {
        let values: Vec<i64> = (0..(rows * columns) as i64).map(|i| i * 37 % 64).collect();
        let tensor = IntegerTensor::from_i64(&[rows, columns], &values, Some(10)).unwrap();
        tensor.as_scale(6).unwrap()
    };
    let config = MlpConfig::relu(&[4, 3, 2]).with_fraction_bits(6);
    let mut twin = Mlp::draw(config, Some([7; 32])).unwrap();
    let mut network = twin.encrypt(&key, &Random::os()).unwrap();
    let data = [clear(4), clear(2)];
    let [x, y] =
        (data.each_ref()).map(|t| EncryptedTensor::encrypt(t, &key, &Random::os()).unwrap());
    let options = FitOptions::new(TrainFor::Epochs(1), 16, 0.5);

    network.train_step(&session(), &x, &y, 0.5).unwrap();
    assert!(session().p1().known(&x).rows.is_some());
    let go_on = &mut |_: &_, _, _| ControlFlow::Continue(());
    network.fit(&session(), &x, &y, &options, go_on).unwrap();

    let clear = Clear::repeating(record);
    let [x, y] = &data;
    twin.train_step(&clear, x, y, 0.5).unwrap();
    let go_on = &mut |_: &_, _, _| ControlFlow::Continue(());
    twin.fit(&clear, x, y, &options, go_on).unwrap();
    let decrypted = network.decrypt(&key).unwrap();
    for (layer, expected) in decrypted.layers().iter().zip(twin.layers()) {
        assert_eq!(layer.weight.values(), expected.weight.values());
        assert_eq!(layer.bias.values(), expected.bias.values());
    }
}
