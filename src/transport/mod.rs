//! Who carries a request to P2 and its reply back: in process here, over a network in `network` (cargo
//! feature `net`), anything else by the caller.

#![forbid(unsafe_code)]

#[cfg(feature = "net")]
pub mod network;

use crate::error::{Error, Result};
use crate::protocol::P2;
use std::sync::Arc;
use std::time::Duration;

/// One exchange with P2. Implementations may be slow, may fail, and may be asked again with the
/// same bytes: P2 keeps no state.
pub trait Transport: Send + Sync {
    /// Sends a request and returns the reply.
    ///
    /// # Errors
    /// [`Error::Transport`] when no reply came; the caller's call then is lost, its tensors not.
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>>;

    /// How long a question takes to P2 and back, P2's work aside, where P2 works elsewhere and
    /// [`Transport::exchange`] may be called from threads of this library, several at a time.
    ///
    /// A session then has P1 and P2 work at once: while P1 makes the rest of a request, P2 opens
    /// what is there already, if it comes back before P1 is done. `None`, which is the default: P2
    /// works here, it is not known yet, or exchanges belong to the caller's thread.
    fn round_trip(&self) -> Option<Duration> {
        None
    }
}

/// P2 in the same process: for tests, tuning and demonstrations. Whoever holds both parties holds
/// everything; real deployments keep P2 elsewhere.
#[derive(Debug, Clone)]
pub struct InProcess(Arc<P2>);

impl InProcess {
    /// Asks `p2` directly.
    pub fn new(p2: Arc<P2>) -> Self {
        Self(p2)
    }
}

impl Transport for InProcess {
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        self.0
            .answer(request)
            .map_err(|e| Error::Refused(e.to_string()))
    }
}

impl<F: Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync> Transport for F {
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        self(request)
    }
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        (**self).exchange(request)
    }

    fn round_trip(&self) -> Option<Duration> {
        (**self).round_trip()
    }
}
