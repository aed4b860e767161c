//! What is written down about every call: who asked for what, how large it was, what came of it. No value, no
//! ciphertext, no secret.
//!
//! Records are `tracing` events with the target [`AUDIT_TARGET`], so that whoever sets up the logs decides
//! where they go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::{Code, Status};

use super::connections::Peer;
use super::metrics::Metrics;
use crate::paillier::KeyId;
use crate::protocol::{Operation, Summary};

/// The `tracing` target of audit records.
pub const AUDIT_TARGET: &str = "smlp::audit";

/// The client of whoever is in no list.
pub(super) const UNLISTED: &str = "unlisted";

/// The record of one call. It is written when it is dropped, so also for a call that nobody waits for any more.
#[derive(Debug)]
pub(super) struct Record {
    peer: Arc<Peer>,
    /// Its name in the list of clients, if it is there.
    pub client: Option<String>,
    metrics: Arc<Metrics>,
    began: Instant,
    /// What the request says about itself, as soon as it is known.
    pub operation: Option<Operation>,
    pub key: Option<KeyId>,
    pub summary: Option<Summary>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub waited: Duration,
    pub computed: Duration,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    /// The client, or its connection, was gone before the end.
    Abandoned,
    Answered,
    Refused(Code, String),
}

impl Record {
    pub fn new(peer: Arc<Peer>, metrics: Arc<Metrics>) -> Self {
        metrics.calls_under_way.inc();
        Self {
            peer,
            client: None,
            metrics,
            began: Instant::now(),
            operation: None,
            key: None,
            summary: None,
            bytes_in: 0,
            bytes_out: 0,
            waited: Duration::ZERO,
            computed: Duration::ZERO,
            outcome: Outcome::Abandoned,
        }
    }

    pub fn refused(mut self, status: &Status) {
        self.outcome = Outcome::Refused(status.code(), status.message().to_owned());
    }

    pub fn answered(mut self) {
        self.outcome = Outcome::Answered;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let client = self.client.as_deref().unwrap_or(UNLISTED);
        let operation = self.operation.map_or("unknown", Operation::name);
        let (outcome, reason) = match &self.outcome {
            Outcome::Answered => ("answered", String::new()),
            Outcome::Abandoned => ("abandoned", "the client is gone".into()),
            Outcome::Refused(code, message) => ("refused", format!("{code:?}: {message}")),
        };
        let values = self.summary.as_ref().map_or(0, Summary::values);
        let shapes = self.summary.as_ref().map(|summary| &summary.groups);
        self.metrics.call(
            client,
            operation,
            outcome,
            [values, self.bytes_in, self.bytes_out],
            self.computed,
        );
        let milliseconds = |time: Duration| time.as_micros() as f64 / 1000.0;
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    target: AUDIT_TARGET,
                    outcome,
                    client,
                    certificate = %self.peer.fingerprint,
                    peer = %self.peer.address,
                    key = self.key.map(KeyId::to_hex),
                    operation,
                    shapes = shapes.map(|groups| format!("{groups:?}")),
                    values,
                    answers = self.summary.as_ref().map_or(0, |summary| summary.answers),
                    bytes_in = self.bytes_in,
                    bytes_out = self.bytes_out,
                    milliseconds = milliseconds(self.began.elapsed()),
                    waited_milliseconds = milliseconds(self.waited),
                    computed_milliseconds = milliseconds(self.computed),
                    reason,
                )
            };
        }
        match self.outcome {
            Outcome::Answered => event!(info),
            _ => event!(warn),
        }
    }
}

/// A connection that was refused before it could make a call: no certificate, or none that is accepted.
pub(super) fn connection_refused(address: SocketAddr, reason: &str, metrics: &Metrics) {
    metrics.connections_refused.inc();
    tracing::warn!(
        target: AUDIT_TARGET,
        outcome = "refused",
        client = UNLISTED,
        peer = %address,
        operation = "connect",
        reason,
    );
}
