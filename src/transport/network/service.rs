//! The service: what happens to one call, from its first byte to its last.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::access::{Grant, InForce};
use super::audit::Record;
use super::connections::Peer;
use super::intake::{self, Memory, Reserved, busy, malformed};
use super::limits::{Limits, Meter};
use super::messages::{
    ANSWER, Chunk, DESCRIBE, DescribeRequest, Description, KeyDescription, SERVICE_NAME,
};
use super::metrics::Metrics;
use super::outflow::{self, Outflow};
use super::{CHUNK_BYTES, PROTOCOL_VERSION};
use crate::paillier::KeyId;
use crate::protocol::{P2, Summary};

/// The service, shared by all connections.
#[derive(Debug, Clone)]
pub(super) struct KeyService(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    keys: HashMap<KeyId, Arc<P2>>,
    access: Arc<InForce>,
    limits: Limits,
    metrics: Arc<Metrics>,
    memory: Memory,
    /// By name; those who are not listed any more stay, as a list that lost them may come back.
    clients: Mutex<HashMap<String, Arc<Client>>>,
    computing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// What is metered for each client. It is no state of the protocol: a server that forgets it answers alike.
#[derive(Debug)]
struct Client {
    calls: Arc<Semaphore>,
    meter: Meter,
}

/// An answer with all that it occupies until it is sent.
struct Answered {
    reply: Vec<u8>,
    held: (OwnedSemaphorePermit, Reserved),
}

impl KeyService {
    pub fn new(
        keys: HashMap<KeyId, Arc<P2>>,
        access: Arc<InForce>,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Shared {
            clients: Mutex::default(),
            memory: Memory::new(limits.memory_bytes, Arc::clone(&metrics)),
            computing: Arc::new(Semaphore::new(limits.computing)),
            waiting: Arc::new(Semaphore::new(limits.waiting)),
            keys,
            access,
            limits,
            metrics,
        }))
    }
}

impl Shared {
    /// Who calls, and what it may use.
    fn grant(&self, peer: &Peer) -> Result<Grant, Status> {
        let grant = self.access.grant(&peer.certificate);
        grant.map_err(Status::permission_denied)
    }

    /// The meters of a client.
    fn client(&self, name: &str) -> Arc<Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(Client {
                calls: Arc::new(Semaphore::new(self.limits.calls_per_client)),
                meter: Meter::new(self.limits.values_per_second),
            })
        });
        Arc::clone(client)
    }

    fn describe(&self, peer: &Peer) -> Result<Description, Status> {
        let grant = self.grant(peer)?;
        let allowed = self.keys.iter().filter(|(id, _)| grant.allows(**id));
        let mut keys: Vec<_> = allowed
            .map(|(id, p2)| KeyDescription {
                id: id.0.to_vec(),
                bits: p2.key().bits(),
            })
            .collect();
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Description {
            protocol_version: PROTOCOL_VERSION,
            server_version: env!("CARGO_PKG_VERSION").into(),
            keys,
            max_request_bytes: self.limits.request_bytes,
            max_request_values: self.limits.request_values,
            values_per_second: self.limits.values_per_second,
            concurrent_calls: self.limits.calls_per_client as u32,
        })
    }

    async fn answer(
        &self,
        peer: &Peer,
        record: &mut Record,
        incoming: &mut Streaming<Chunk>,
    ) -> Result<Answered, Status> {
        let grant = self.grant(peer)?;
        record.client = Some(grant.client.clone());
        let client = self.client(&grant.client);
        let call = Arc::clone(&client.calls)
            .try_acquire_owned()
            .map_err(|_| busy("too many calls of this client at once", None))?;
        let find = |_, id: KeyId| {
            // One answer for keys that are not here and keys of others: which there are is nobody's business.
            let p2 = self.keys.get(&id).filter(|_| grant.allows(id));
            p2.cloned().ok_or_else(|| {
                Status::permission_denied(format!("key {id} is not served to this client"))
            })
        };
        let (request, memory, p2) =
            intake::read(incoming, &self.limits, &self.memory, record, find).await?;
        let summary = Summary::of(&request, p2.key()).map_err(malformed)?;
        let (values, answers) = (summary.values(), summary.answers);
        let (reply_bytes, proportionate) = (summary.reply_bytes, p2.limits().check(&summary));
        record.summary = Some(summary);
        proportionate.map_err(|error| Status::out_of_range(error.to_string()))?;
        if values.max(answers) > self.limits.request_values {
            return Err(Status::out_of_range(format!(
                "a request of {values} values for {answers} answers; this server's limit is {}: ask for less at a time",
                self.limits.request_values
            )));
        }
        client
            .meter
            .admit(values, Instant::now())
            .map_err(|after| {
                busy(
                    "this client's values for the moment are used up",
                    Some(after),
                )
            })?;
        let patience = self.limits.idle;
        let for_reply = self.memory.reserve(reply_bytes, patience).await?;

        let queued = Instant::now();
        let turn = self.turn().await?;
        record.waited = queued.elapsed();
        // The work goes on to its end even if the client leaves, so what it occupies goes with it.
        // Its name, not its connection: it may come back on another one.
        let name = grant.client.clone();
        let work = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let reply = p2.answer_for(name.as_bytes(), &request);
            drop((turn, memory, request));
            (reply, began.elapsed(), (call, for_reply))
        });
        let (reply, computed, held) = work
            .await
            .map_err(|_| Status::internal("a fault in the key server; its log tells more"))?;
        record.computed = computed;
        let reply = reply.map_err(malformed)?;
        Ok(Answered { reply, held })
    }

    /// A place among those who compute.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Status> {
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(busy("too many calls wait already", None));
        };
        let gauge = &self.metrics.calls_waiting;
        gauge.inc();
        let leave = Leave(gauge);
        let turn = Arc::clone(&self.computing).acquire_owned().await;
        drop(leave);
        turn.map_err(|_| Status::unavailable("the server stops"))
    }
}

/// Counts down also when a waiting call is given up.
struct Leave<'a>(&'a prometheus::IntGauge);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn peer_of<T>(request: &Request<T>) -> Result<Arc<Peer>, Status> {
    let peer = request.extensions().get::<Arc<Peer>>().cloned();
    peer.ok_or_else(|| Status::internal("a connection without a peer"))
}

type Reply<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

impl StreamingService<Chunk> for KeyService {
    type Response = Chunk;
    type ResponseStream = Outflow;
    type Future = Reply<Outflow>;

    fn call(&mut self, request: Request<Streaming<Chunk>>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let peer = peer_of(&request)?;
            let mut record = Record::new(Arc::clone(&peer), Arc::clone(&shared.metrics));
            let mut incoming = request.into_inner();
            match shared.answer(&peer, &mut record, &mut incoming).await {
                Ok(Answered { reply, held }) => {
                    let patience = shared.limits.idle;
                    Ok(Response::new(outflow::send(reply, record, held, patience)))
                }
                Err(status) => {
                    record.refused(&status);
                    Err(status)
                }
            }
        })
    }
}

impl UnaryService<DescribeRequest> for KeyService {
    type Response = Description;
    type Future = Reply<Description>;

    fn call(&mut self, request: Request<DescribeRequest>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let description = shared.describe(&*peer_of(&request)?)?;
            Ok(Response::new(description))
        })
    }
}

impl NamedService for KeyService {
    const NAME: &'static str = SERVICE_NAME;
}

impl tower_service::Service<http::Request<Body>> for KeyService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                ANSWER => {
                    let codec = ProstCodec::<Chunk, Chunk>::default();
                    // A chunk, and what its message adds to it.
                    let mut grpc = Grpc::new(codec).max_decoding_message_size(CHUNK_BYTES + 64);
                    grpc.streaming(service, request).await
                }
                DESCRIBE => {
                    let mut grpc = Grpc::new(ProstCodec::<Description, DescribeRequest>::default())
                        .max_decoding_message_size(64);
                    grpc.unary(service, request).await
                }
                _ => Status::new(Code::Unimplemented, "no such method").into_http(),
            })
        })
    }
}
