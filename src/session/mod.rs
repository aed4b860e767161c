//! Sessions: the operations that need both parties, and their clear counterpart.
#![forbid(unsafe_code)]

mod ahead;
mod arithmetic;
mod clear;
mod encrypted;
mod exposure;
mod fused;
mod layers;

pub use arithmetic::{Arithmetic, Division};
pub use clear::Clear;
pub use encrypted::{Session, Statistics};
pub use exposure::Exposure;
pub use fused::EncryptedDerivative;
pub use layers::{Back, Backward, Format, Forward, Layers, Updated};
