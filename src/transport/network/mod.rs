//! P1 and P2 on two machines: gRPC over HTTP/2 with mutual TLS. Cargo feature `net`.
//!
//! | file | owns |
//! |---|---|
//! | `messages` | what goes over the wire, and under which names |
//! | `identity` | certificates: reading them, fingerprints, the two TLS configurations |
//! | `client`, `replicas` | [`Client`], P1's transport: which replica is asked, what is asked again, when to give up |
//! | `access` | [`Access`]: which certificate may use which key |
//! | `limits` | [`Limits`]: sizes, rates and times, and what enforces them |
//! | `server`, `connections` | [`Server`]: listens, greets, shuts down |
//! | `service`, `intake`, `outflow` | one call: reading it in, judging it, answering it, sending the answer |
//! | `audit`, `metrics` | what is written down about it |
//!
//! P2 stays what it is everywhere: a stateless answerer. Nothing here is needed for a second request
//! to be answered by another server than the first.

mod access;
mod audit;
mod client;
mod client_options;
mod connections;
mod identity;
mod intake;
mod limits;
mod messages;
mod metrics;
mod outflow;
mod replicas;
mod server;
mod service;

pub use access::{Access, Grant, Holder, Keys};
pub use audit::AUDIT_TARGET;
pub use client::{Client, ClientStatistics};
pub use client_options::ClientOptions;
pub use identity::{Fingerprint, Identity};
pub use limits::Limits;
pub use messages::{Description, KeyDescription, SERVICE_NAME};
pub use server::{Server, ServerOptions, Stop};

/// The version of the protocol between client and server: that of the messages that it carries.
pub const PROTOCOL_VERSION: u32 = crate::wire::FORMAT_VERSION as u32;

/// Bytes of a message in one chunk, at most.
const CHUNK_BYTES: usize = 1 << 20;
