//! [`Client`]: P1's transport over the network.
//!
//! An answer depends on the request alone, so a request whose answer did not come is sent again, to the same
//! server or to another one, until it is answered, refused for good, or the deadline is over. P1 notices none
//! of that but the time. Sessions over it let P1 and P2 work at once.
//!
//! Its thread and its connections stay with the process that made it: a child that was forked from that one
//! gets an error at once, and leaves all of it untouched.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::client_options::ClientOptions;
use super::messages::{ANSWER, Chunk, DESCRIBE, DescribeRequest, Description, RETRY_AFTER};
use super::replicas::{Replica, choose};
use super::{CHUNK_BYTES, PROTOCOL_VERSION};
use crate::error::{Error, Result};
use crate::parallel::Process;
use crate::transport::Transport;

/// For one connection and its handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that is silent for that long is asked whether it is alive, and given up after as much again.
/// (That it computes for minutes is no silence: the connection answers by itself.)
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Flow control: what may be under way unacknowledged. 16 MiB fill 1 Gbit/s at 100 ms.
const WINDOW_BYTES: u32 = 16 << 20;

/// What the exchanges of a client have cost so far; bytes and time are in [`crate::Statistics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientStatistics {
    /// Exchanges that were answered.
    pub answered: u64,
    /// Attempts, at least one for each exchange.
    pub attempts: u64,
    /// Attempts that failed, whatever came of the exchange.
    pub failures: u64,
    /// Time that exchanges rested between attempts, in nanoseconds.
    pub resting_nanoseconds: u64,
}

/// P1's end of the network: a [`Transport`] to one key server or several replicas. Shareable between threads,
/// each of which may have an exchange under way.
pub struct Client {
    shared: Arc<Shared>,
    /// `None` only while it is being dropped.
    runtime: Option<Runtime>,
    process: Process,
}

struct Shared {
    replicas: Vec<Replica>,
    deadline: Duration,
    max_reply_bytes: u64,
    answered: AtomicU64,
    attempts: AtomicU64,
    failures: AtomicU64,
    resting: AtomicU64,
    /// The quickest answer so far, in nanoseconds.
    quickest: AtomicU64,
}

/// What follows from a failed attempt.
#[derive(Debug)]
enum Failure {
    /// Every server would say the same.
    Final(Error),
    /// This server will not answer, another one may.
    Hopeless(String),
    /// Worth another try, not before so much time is over.
    Passing(String, Option<Duration>),
}

impl Client {
    /// Connects, and makes sure that at least one of the servers answers and speaks our version.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an address that is none; [`Error::Transport`] when none answered until the
    /// deadline; [`Error::Refused`] when all of them refuse this client.
    pub fn connect(options: ClientOptions) -> Result<Self> {
        let client = Self::new(options)?;
        let description = client.describe()?;
        if description.protocol_version != PROTOCOL_VERSION {
            return Err(Error::Transport(format!(
                "the key server ({}) speaks version {} of the protocol, this library version {PROTOCOL_VERSION}; \
                 update the older one",
                description.server_version, description.protocol_version
            )));
        }
        Ok(client)
    }

    /// As [`Client::connect`] without asking anybody yet.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]; [`Error::Transport`] if no thread can be started.
    pub fn new(options: ClientOptions) -> Result<Self> {
        if options.addresses.is_empty() {
            return Err(Error::invalid(
                "no address of a key server; name at least one",
            ));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("smlp-network")
            .enable_all()
            .build()
            .map_err(|e| Error::Transport(format!("no thread for the network: {e}")))?;
        let inside = runtime.enter();
        let replicas = options
            .addresses
            .iter()
            .map(|address| Ok(Replica::new(address.clone(), channel(address, &options)?)))
            .collect::<Result<_>>()?;
        drop(inside);
        let shared = Shared {
            replicas,
            deadline: options.deadline,
            max_reply_bytes: options.max_reply_bytes,
            answered: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            resting: AtomicU64::new(0),
            quickest: AtomicU64::new(u64::MAX),
        };
        Ok(Self {
            shared: Arc::new(shared),
            runtime: Some(runtime),
            process: Process::current(),
        })
    }

    /// What the first server that answers says about itself, and what we may use it for.
    ///
    /// # Errors
    /// [`Error::Transport`], [`Error::Refused`].
    pub fn describe(&self) -> Result<Description> {
        let shared = Arc::clone(&self.shared);
        self.wait(async move {
            let until = Instant::now() + shared.deadline;
            shared.ask(until, |channel| describe(channel, until)).await
        })
    }

    /// What it has cost so far.
    pub fn statistics(&self) -> ClientStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ClientStatistics {
            answered: read(&self.shared.answered),
            attempts: read(&self.shared.attempts),
            failures: read(&self.shared.failures),
            resting_nanoseconds: read(&self.shared.resting),
        }
    }

    /// Runs a task on our own thread and waits for it here. Unlike `block_on`, it works on threads of another
    /// runtime too.
    fn wait<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if !self.process.is_current() {
            return Err(Error::Transport(
                "this process was forked after the connection was made, and its thread and its sockets stayed with \
                 the parent; connect anew after the fork, or start processes with spawn"
                    .into(),
            ));
        }
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let runtime = self.runtime.as_ref().expect("there until it is dropped");
        runtime.spawn(async move {
            // Nobody waits any more only if the waiting thread is gone.
            let _ = sender.send(task.await);
        });
        receiver
            .recv()
            .unwrap_or_else(|_| Err(Error::Transport("the network thread is gone".into())))
    }
}

impl Transport for Client {
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        let shared = Arc::clone(&self.shared);
        let request = Bytes::copy_from_slice(request);
        self.wait(async move {
            let (until, limit) = (Instant::now() + shared.deadline, shared.max_reply_bytes);
            let reply = shared
                .ask(until, |channel| {
                    answer(channel, request.clone(), until, limit)
                })
                .await?;
            shared.answered.fetch_add(1, Ordering::Relaxed);
            Ok(reply)
        })
    }

    /// That of the quickest answer so far, which P2 had least to do for.
    fn round_trip(&self) -> Option<Duration> {
        match self.shared.quickest.load(Ordering::Relaxed) {
            u64::MAX => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        if !self.process.is_current() {
            // Its threads are not here, and what they held locked stays locked.
            std::mem::forget((runtime, Arc::clone(&self.shared)));
            return;
        }
        // Dropping a runtime waits, which is forbidden on threads of another one.
        runtime.shutdown_background();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<&str> = self
            .shared
            .replicas
            .iter()
            .map(|replica| &*replica.address)
            .collect();
        write!(f, "Client({})", addresses.join(", "))
    }
}

impl Shared {
    /// Asks one replica after the other until one answers.
    async fn ask<T, F>(&self, until: Instant, attempt: impl Fn(Channel) -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, Failure>>,
    {
        let mut hopeless = vec![false; self.replicas.len()];
        let mut last = String::from("nothing, for lack of time");
        loop {
            let now = Instant::now();
            let Some((i, replica, from)) = choose(&self.replicas, &hopeless, now) else {
                return Err(Error::Refused(last));
            };
            if from >= until || now >= until {
                return Err(self.out_of_time(&last));
            }
            if from > now {
                let rest = from - now;
                self.resting
                    .fetch_add(rest.as_nanos() as u64, Ordering::Relaxed);
                tokio::time::sleep(rest).await;
            }
            self.attempts.fetch_add(1, Ordering::Relaxed);
            let _lease = replica.lease();
            let began = Instant::now();
            let attempt = attempt(replica.channel.clone());
            let Ok(outcome) = tokio::time::timeout_at(until.into(), attempt).await else {
                self.failures.fetch_add(1, Ordering::Relaxed);
                return Err(self.out_of_time(&last));
            };
            let failure = match outcome {
                Ok(answer) => {
                    let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    self.quickest.fetch_min(took, Ordering::Relaxed);
                    replica.succeeded();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            self.failures.fetch_add(1, Ordering::Relaxed);
            match failure {
                Failure::Final(error) => {
                    replica.succeeded(); // it works; it is our request that does not
                    return Err(error);
                }
                Failure::Hopeless(why) => {
                    hopeless[i] = true;
                    last = format!("{}: {why}", replica.address);
                }
                Failure::Passing(why, asked_for) => {
                    replica.failed(asked_for);
                    last = format!("{}: {why}", replica.address);
                }
            }
        }
    }

    fn out_of_time(&self, last: &str) -> Error {
        let addresses: Vec<&str> = self.replicas.iter().map(|r| &*r.address).collect();
        Error::Transport(format!(
            "no answer from {} within {:?}; the last one heard was {last}",
            addresses.join(", "),
            self.deadline
        ))
    }
}

fn channel(address: &str, options: &ClientOptions) -> Result<Channel> {
    let wrong = |why: String| {
        Error::invalid(format!(
            "'{address}' is no address of a key server, host:port ({why})"
        ))
    };
    if address.contains("://") {
        return Err(wrong("without a scheme; TLS is always used".into()));
    }
    let endpoint =
        Endpoint::from_shared(format!("https://{address}")).map_err(|e| wrong(chain(&e)))?;
    let uri = endpoint.uri();
    if uri.port().is_none() || !matches!(uri.path(), "" | "/") {
        return Err(wrong("a host, a colon and a port".into()));
    }
    let tls = options
        .identity
        .client_config(options.server_name.as_deref());
    let endpoint = endpoint
        .tls_config(tls.timeout(CONNECT_TIMEOUT))
        .map_err(|e| Error::malformed("certificate or its private key", chain(&e)))?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .user_agent(concat!("smlp/", env!("CARGO_PKG_VERSION")))
        .map_err(|e| wrong(chain(&e)))?
        .connect_lazy())
}

async fn describe(channel: Channel, until: Instant) -> std::result::Result<Description, Failure> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|e| judge_text(&chain(&e)))?;
    let mut request = Request::new(DescribeRequest {});
    request.set_timeout(until.saturating_duration_since(Instant::now()));
    let codec = ProstCodec::default();
    let answer = grpc
        .unary(request, PathAndQuery::from_static(DESCRIBE), codec)
        .await;
    Ok(answer.map_err(judge)?.into_inner())
}

async fn answer(
    channel: Channel,
    request: Bytes,
    until: Instant,
    limit: u64,
) -> std::result::Result<Vec<u8>, Failure> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(2 * CHUNK_BYTES);
    grpc.ready().await.map_err(|e| judge_text(&chain(&e)))?;
    let chunks = (0..request.len())
        .step_by(CHUNK_BYTES)
        .map(move |start| Chunk {
            data: request.slice(start..request.len().min(start + CHUNK_BYTES)),
        });
    let mut outgoing = Request::new(tokio_stream::iter(chunks));
    outgoing.set_timeout(until.saturating_duration_since(Instant::now()));
    let codec = ProstCodec::<Chunk, Chunk>::default();
    let path = PathAndQuery::from_static(ANSWER);
    let incoming = grpc.streaming(outgoing, path, codec).await;
    let mut incoming = incoming.map_err(judge)?.into_inner();
    let mut reply = Vec::new();
    while let Some(chunk) = incoming.message().await.map_err(judge)? {
        if (reply.len() + chunk.data.len()) as u64 > limit {
            return Err(Failure::Final(Error::Limit {
                what: "bytes of a reply",
                value: (reply.len() + chunk.data.len()) as u64,
                limit,
            }));
        }
        reply.extend_from_slice(&chunk.data);
    }
    Ok(reply)
}

/// What a status says about trying again.
fn judge(status: Status) -> Failure {
    let message = status.message().to_owned();
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            Failure::Final(Error::Refused(message))
        }
        Code::PermissionDenied | Code::Unauthenticated | Code::NotFound => {
            Failure::Hopeless(message)
        }
        Code::Unimplemented => Failure::Hopeless(format!("this is no key server ({message})")),
        Code::ResourceExhausted => {
            let after = status.metadata().get(RETRY_AFTER);
            let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
            Failure::Passing(message, after.map(Duration::from_millis))
        }
        _ => judge_text(&chain(&status)),
    }
}

/// What a failure of the connection says about trying again. Layers below hand TLS errors up as text only.
fn judge_text(text: &str) -> Failure {
    if text.contains("received fatal alert") {
        let advice = match text {
            t if t.contains("CertificateExpired") => "it has expired; get a new one",
            t if t.contains("CertificateRequired") => "none was shown",
            t if t.contains("UnknownCA") || t.contains("DecryptError") => {
                "it comes from an authority that the server does not know"
            }
            _ => "see the server's log for the reason",
        };
        return Failure::Hopeless(format!(
            "the server does not accept our certificate: {advice} ({text})"
        ));
    }
    if text.contains("invalid peer certificate") {
        return Failure::Hopeless(format!(
            "the server's certificate is not what we expect, so it may be somebody else: {text}"
        ));
    }
    Failure::Passing(text.to_owned(), None)
}

/// An error with everything that caused it; those of the layers below say little by themselves.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_another_try() {
        let code = |code| judge(Status::new(code, "text"));
        assert!(matches!(
            code(Code::InvalidArgument),
            Failure::Final(Error::Refused(_))
        ));
        assert!(matches!(code(Code::PermissionDenied), Failure::Hopeless(_)));
        for passing in [
            Code::Unavailable,
            Code::Unknown,
            Code::Internal,
            Code::Cancelled,
        ] {
            assert!(matches!(code(passing), Failure::Passing(_, None)));
        }
        let mut busy = Status::new(Code::ResourceExhausted, "busy");
        busy.metadata_mut()
            .insert(RETRY_AFTER, "250".parse().unwrap());
        let Failure::Passing(_, Some(after)) = judge(busy) else {
            panic!("a time was given");
        };
        assert_eq!(after, Duration::from_millis(250));
        assert!(matches!(
            judge_text("error: received fatal alert: CertificateExpired"),
            Failure::Hopeless(text) if text.contains("expired; get")
        ));
        assert!(matches!(
            judge_text("invalid peer certificate: UnknownIssuer"),
            Failure::Hopeless(_)
        ));
    }
}
