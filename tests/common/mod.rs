//! What the integration tests share: keys, a session and its clear twin.
#![allow(dead_code)] // every test file uses a part of it

use smlp::random::Random;
use smlp::{
    Clear, Encrypt, EncryptedTensor, ExponentLength, InProcess, IntegerTensor, P1, P2, PrivateKey,
    Promise, Record, Security, Session,
};
use std::sync::Arc;

/// A key pair, a session in process that keeps a record, and the twin that repeats it.
pub struct Parties {
    pub key: PrivateKey,
    pub session: Session,
    pub clear: Clear,
}

impl Parties {
    pub fn new(bits: u32, sigma: u32) -> Self {
        Self::with(bits, ExponentLength::Half, sigma)
    }

    pub fn with(bits: u32, exponents: ExponentLength, sigma: u32) -> Self {
        let key = PrivateKey::generate_as(bits, exponents, Security::AllowInsecure).unwrap();
        let p1 = P1::new(key.public().clone(), Promise::insecure(sigma)).unwrap();
        let record = Arc::new(Record::new());
        let clear = Clear::repeating(record.clone());
        let p2 = InProcess::new(Arc::new(P2::new(key.clone())));
        let session = Session::new(Arc::new(p1), Arc::new(p2)).recording(record);
        Self {
            key,
            session,
            clear,
        }
    }

    pub fn encrypt(&self, tensor: &IntegerTensor) -> EncryptedTensor {
        EncryptedTensor::encrypt(tensor, &self.key, &Random::os()).unwrap()
    }

    /// The encrypted tensor has the twin's integers, shape, scale and bound.
    #[track_caller]
    pub fn same(&self, encrypted: &EncryptedTensor, clear: &IntegerTensor) {
        assert_eq!(encrypted.shape(), clear.shape());
        assert_eq!(encrypted.meta(), clear.meta());
        let decrypted = encrypted.decrypt(&self.key).unwrap();
        assert_eq!(decrypted.values(), clear.values());
    }
}
