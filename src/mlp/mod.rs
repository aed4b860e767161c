//! The network: what it is, how it predicts, how it learns.
//!
//! Everything here is written once over [`crate::session::Arithmetic`]: on a session it runs under
//! encryption, on [`crate::session::Clear`] it runs the same integers in the clear.
#![forbid(unsafe_code)]

pub mod checkpoint;
mod config;
mod estimate;
mod evaluation;
mod exposure;
mod fitting;
mod network;
mod training;

#[cfg(test)]
mod tests;

/// A network whose parameters are encrypted.
pub type EncryptedMlp = Mlp<crate::tensor::Ciphertexts>;

/// Its clear twin.
pub type IntegerMlp = Mlp<crate::tensor::Integers>;

pub use config::{Activation, MlpConfig};
pub use estimate::{Estimate, Job, StepCost};
pub use evaluation::{accuracy, argmax, loss};
pub use fitting::{Checkpointing, FitOptions, Progress, TrainFor};
pub use network::{Layer, Mlp, seed_from_number};
