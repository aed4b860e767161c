//! [`ClientOptions`]: what a client has to know before it connects.

use std::time::Duration;

use super::identity::Identity;

/// How long an exchange may take when the caller does not say: ten minutes.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(600);
/// The largest reply by default: 4 GiB.
const DEFAULT_MAX_REPLY_BYTES: u64 = 4 << 30;

/// Whom to ask, as whom, and for how long.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    pub(super) addresses: Vec<String>,
    pub(super) identity: Identity,
    pub(super) server_name: Option<String>,
    pub(super) deadline: Duration,
    pub(super) max_reply_bytes: u64,
}

impl ClientOptions {
    /// Asks the servers at `addresses`, replicas with the same keys, each `host:port` (or `[address]:port`).
    pub fn new<A: Into<String>>(
        addresses: impl IntoIterator<Item = A>,
        identity: Identity,
    ) -> Self {
        Self {
            addresses: addresses.into_iter().map(Into::into).collect(),
            identity,
            server_name: None,
            deadline: DEFAULT_DEADLINE,
            max_reply_bytes: DEFAULT_MAX_REPLY_BYTES,
        }
    }

    /// For one exchange, all attempts included; ten minutes by default. Bridge at least a restart of the server.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What the servers' certificates have to be for, if it is not the host of the address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The largest reply that is accepted, in bytes; 4 GiB by default.
    pub fn max_reply_bytes(mut self, bytes: u64) -> Self {
        self.max_reply_bytes = bytes;
        self
    }
}
