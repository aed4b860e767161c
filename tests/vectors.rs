//! Files that Rust and Python wrote, read by both: the formats stay what they are.
//!
//! `SMLP_BLESS=1 cargo test --test vectors` writes the key and Rust's tensor anew; then
//! `SMLP_BLESS=1 pytest bindings/python/tests/test_vectors.py` writes Python's.

use smlp::random::Random;
use smlp::{Encrypt, EncryptedTensor, IntegerTensor, PrivateKey, PublicKey, Security};
use std::path::PathBuf;

const VALUES: [f64; 6] = [1.5, -2.0, 0.0, 0.25, 100.0, -99.75];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name)
}

/// Writes a key of test size and a tensor under it.
fn bless() {
    let key = PrivateKey::generate(256, Security::AllowInsecure).unwrap();
    let clear = IntegerTensor::from_f64(&[2, 3], &VALUES, 12, Some(30)).unwrap();
    let tensor = EncryptedTensor::encrypt(&clear, &key, &Random::os()).unwrap();
    std::fs::write(path("toy.private"), key.to_bytes()).unwrap();
    std::fs::write(path("toy.public"), key.public().to_bytes()).unwrap();
    std::fs::write(path("rust.tensor"), tensor.to_bytes().unwrap()).unwrap();
}

#[test]
fn tensors_of_both_languages_are_read() {
    if std::env::var_os("SMLP_BLESS").is_some() {
        bless();
    }
    // Not load(): a checkout lets everybody read it.
    let key = std::fs::read(path("toy.private")).unwrap();
    let key = PrivateKey::from_bytes(&key, Security::AllowInsecure).unwrap();
    let public = std::fs::read(path("toy.public")).unwrap();
    let public = PublicKey::from_bytes(&public, Security::AllowInsecure).unwrap();
    assert_eq!(public.id(), key.public().id());
    for name in ["rust.tensor", "python.tensor"] {
        let bytes = std::fs::read(path(name)).unwrap();
        let tensor = EncryptedTensor::from_bytes(&bytes, &public).unwrap();
        assert_eq!(tensor.shape(), [2, 3], "{name}");
        assert_eq!((tensor.scale(), tensor.bound()), (12, 30), "{name}");
        assert_eq!(tensor.decrypt(&key).unwrap().to_f64(), VALUES, "{name}");
    }
}
