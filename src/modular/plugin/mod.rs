//! The accelerator backend: a plugin, `libsmlp_cuda.so`, found and loaded when the process first
//! wants a backend. Without one nothing happens, and nothing is printed.
//!
//! | file | owns |
//! |---|---|
//! | `table` | the C table, shared with the plugin |
//! | `loading` | where a plugin is looked for, and why it is not used |
//! | `handles` | the plugin's objects behind Rust types |
//! | `numbers` | batches that are on the host, on the device, or both |
//! | `ring` | the [`Ring`](super::Ring) that computes on the device, and on the CPU when it must |
//!
//! **Nothing is lost.** Every result of the device is fetched at once and stays on the host too, so
//! that a device that fails, or has no memory left, costs time and nothing else: the CPU computes
//! what the device did not. What is on the device is a copy that saves sending it again. Tables are
//! the exception; they are made again from their bases. A process that was forked from the one that opened the
//! device does without it in the same way, and never calls the plugin, not even to free something.
//!
//! Small batches are computed on the CPU, by the best backend there is.

mod handles;
mod loading;
mod numbers;
mod ring;
#[allow(dead_code)] // the plugin's side
mod table;

pub use loading::report;

use super::{Backend, Gmp, Modulus, Ring};
use handles::Plugin;
use std::sync::Arc;

/// The backend of a loaded plugin.
pub struct Accelerator(Plugin);

impl Accelerator {
    /// The backend, if there is a plugin with a device.
    pub fn detect() -> Option<&'static Self> {
        loading::loaded().as_ref().ok()
    }

    /// Whether this process was forked from the one that opened the device.
    pub fn was_left_behind(&self) -> bool {
        self.0.was_left_behind()
    }
}

/// What computes where the device does not.
fn cpu() -> &'static dyn Backend {
    #[cfg(target_arch = "x86_64")]
    if let Some(ifma) = super::Ifma::detect() {
        return ifma;
    }
    &Gmp
}

impl Backend for Accelerator {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn ring(&self, modulus: Modulus) -> Arc<dyn Ring> {
        let cpu = cpu().ring(modulus.clone());
        ring::on_device(&self.0, modulus, false, cpu)
    }

    fn square_ring(&self, root: Modulus) -> Arc<dyn Ring> {
        let cpu = cpu().square_ring(root.clone());
        ring::on_device(&self.0, root, true, cpu)
    }
}
