//! smlp trains and uses a multilayer perceptron on Paillier-encrypted data.
//!
//! Two servers take part: P1 holds encrypted data and an encrypted model, P2 holds the private key
//! and only ever sees masked values. It implements *Secure Multilayer Perceptron Based on
//! Homomorphic Encryption* (Bellafqira, Coatrieux, Genin, Cozic 2018).
//!
//! A map, from the bottom up; every module uses only those above it in this list:
//!
//! | module | owns |
//! |---|---|
//! | [`error`] | the one error type |
//! | `parallel` | the threads of a process, made anew after a fork |
//! | [`modular`] | batches of numbers modulo an odd number; backends |
//! | [`paillier`] | keys, encryption, decryption, slots |
//! | [`fixed`] | fixed point, bounds, rounding |
//! | [`tensor`] | [`EncryptedTensor`] and [`IntegerTensor`]: shapes, and arithmetic that needs no interaction |
//! | [`store`] | ciphertexts named by 64-bit integers, for the drop-in module `lltm_cpp` |
//! | [`protocol`] | the state machines of P1 and the stateless answers of P2 |
//! | [`transport`] | who carries the bytes |
//! | [`record`] | the rounding keys of calls, for the clear counterpart |
//! | [`session`] | drives protocols over a transport; the clear counterpart |
//! | [`mlp`] | the network |
//! | [`ffi`] | the C ABI |
//!
//! Work is spread over a pool of threads of the library's own, as many as `RAYON_NUM_THREADS` says, or over the rayon pool that
//! the caller is in. A process that forks may use the library, and the same objects, in parent and child; a
//! network client, a call that waits for its reply and a GPU stay with the parent. Fork while no other thread is in
//! the library: what it has locked stays locked in the child.
//!
//! Cargo features: `net` adds [`transport`]'s network and its key server, `cli` the command `smlp` on top of it.

#![deny(missing_debug_implementations)]
#![warn(missing_docs)]

pub mod error;
pub mod ffi;
pub mod fixed;
pub mod mlp;
pub mod modular;
pub mod paillier;
mod parallel;
pub mod protocol;
pub mod random;
pub mod record;
pub mod session;
pub mod store;
pub mod tensor;
pub mod transport;
mod wire;

pub use error::{Error, Result};
pub use mlp::{
    Activation, Checkpointing, EncryptedMlp, FitOptions, IntegerMlp, Mlp, MlpConfig, TrainFor,
};
pub use paillier::{Encrypt, ExponentLength, PrivateKey, PublicKey, Security};
pub use protocol::{Call, P1, P2, P2Limits, Promise, Step};
pub use record::{Record, RecordFile, RecordKey, RecordPublicKey, Recorder};
pub use session::{Arithmetic, Clear, Division, Session, Statistics};
pub use tensor::{EncryptedTensor, IntegerTensor, Tensor};
pub use transport::{InProcess, Transport};
pub use wire::Kind;
