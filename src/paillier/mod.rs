//! The Paillier cryptosystem.
mod key_id;
pub use key_id::KeyId;
