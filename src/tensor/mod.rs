//! To be written.
mod storage;
pub use storage::Storage;
