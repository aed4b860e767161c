//! [`Server`]: a key server that listens, until it is told to stop.

use std::collections::HashMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use super::access::{Access, InForce};
use super::identity::Identity;
use super::limits::Limits;
use super::metrics::{self, Metrics};
use super::service::KeyService;
use super::{connections, messages::SERVICE_NAME};
use crate::error::{Error, Result};
use crate::paillier::{Encrypt, PrivateKey};
use crate::protocol::P2;

/// Flow control for each call and each connection, in bytes: as much as a client may send unread.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// A silent connection is asked whether it is alive, and closed after as much again.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// For work that cannot be interrupted, after everything else has ended.
const LAST_WORK: Duration = Duration::from_secs(5);

/// What a key server serves, to whom, and within which limits.
pub struct ServerOptions {
    identity: Identity,
    keys: Vec<PrivateKey>,
    access: Access,
    limits: Limits,
    metrics: Option<SocketAddr>,
    stop_on_signals: bool,
    reload: Option<Reload>,
}

/// Reads the list of clients anew.
type Reload = Box<dyn Fn() -> Result<Access> + Send + Sync>;

impl ServerOptions {
    /// Serves `keys` to the clients of `access`.
    pub fn new(identity: Identity, keys: Vec<PrivateKey>, access: Access) -> Self {
        Self {
            identity,
            keys,
            access,
            limits: Limits::default(),
            metrics: None,
            stop_on_signals: false,
            reload: None,
        }
    }

    /// Other limits than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Shows `/metrics` and `/healthz` in plain HTTP at this address, which only the operator should reach.
    pub fn metrics(mut self, address: SocketAddr) -> Self {
        self.metrics = Some(address);
        self
    }

    /// Stops on SIGTERM and SIGINT.
    pub fn stop_on_signals(mut self) -> Self {
        self.stop_on_signals = true;
        self
    }

    /// Asks `read` for the clients anew on SIGHUP. They count from the next call on, on open connections too, so
    /// that whoever is revoked or removed is refused at once, and nobody else is disturbed. Where `read` fails,
    /// the log says why, and the old list stays.
    pub fn reload_on_hangup(
        mut self,
        read: impl Fn() -> Result<Access> + Send + Sync + 'static,
    ) -> Self {
        self.reload = Some(Box::new(read));
        self
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("identity", &self.identity)
            .field("access", &self.access)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A key server: P2 behind gRPC with mutual TLS.
///
/// It keeps nothing from one call to the next that an answer depends on, so any number of servers with the same
/// keys can stand in for each other.
pub struct Server {
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    acceptor: TlsAcceptor,
    service: KeyService,
    access: Arc<InForce>,
    limits: Limits,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    stop_on_signals: bool,
    reload: Option<Reload>,
}

/// Stops a server from another thread.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// No new calls; those under way are answered, as long as [`Limits::drain`] allows.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Takes the address (port 0: any free one). Clients can connect from here on; they are answered by
    /// [`Server::run`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without keys, or for limits of 0; [`Error::Malformed`] for certificates that do not
    /// fit; [`Error::Transport`] when an address cannot be taken.
    pub fn bind(address: SocketAddr, options: ServerOptions) -> Result<Self> {
        let limits = options.limits;
        check(&limits)?;
        if options.keys.is_empty() {
            return Err(Error::invalid(
                "a key server without a private key; name at least one",
            ));
        }
        let p2s = options.keys.into_iter();
        let keys: HashMap<_, _> = p2s
            .map(|key| {
                let id = key.public().id();
                (id, Arc::new(P2::with_limits(key, limits.p2())))
            })
            .collect();
        let access = Arc::new(InForce::new(options.access));
        let metrics = Arc::new(Metrics::new());
        let acceptor = TlsAcceptor::from(options.identity.server_config()?);
        let service = KeyService::new(
            keys,
            Arc::clone(&access),
            limits.clone(),
            Arc::clone(&metrics),
        );
        Ok(Self {
            listener: bind(address)?,
            metrics_listener: options.metrics.map(bind).transpose()?,
            acceptor,
            service,
            access,
            limits,
            metrics,
            stop: watch::Sender::new(false),
            stop_on_signals: options.stop_on_signals,
            reload: options.reload,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// Where its metrics are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        let listener = self.metrics_listener.as_ref()?;
        Some(listener.local_addr().expect("it is bound"))
    }

    /// A handle to stop it with.
    pub fn stop_handle(&self) -> Stop {
        Stop(self.stop.clone())
    }

    /// Answers until it is stopped; then finishes what is under way.
    ///
    /// # Errors
    /// [`Error::Transport`] when the system does not let it work.
    pub fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("smlp-server")
            .max_blocking_threads(self.limits.computing + 4)
            .enable_all()
            .build()
            .map_err(failed)?;
        let outcome = runtime.block_on(self.serve(&runtime));
        runtime.shutdown_timeout(LAST_WORK);
        outcome
    }

    async fn serve(self, runtime: &Runtime) -> Result<()> {
        if self.stop_on_signals {
            watch_signals(Stop(self.stop.clone())).map_err(failed)?;
        }
        if let Some(reload) = self.reload {
            watch_hangups(reload, self.access).map_err(failed)?;
        }
        if let Some(listener) = self.metrics_listener {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
            runtime.spawn(metrics::serve(listener, Arc::clone(&self.metrics)));
        }
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter
            .set_service_status(SERVICE_NAME, tonic_health::ServingStatus::Serving)
            .await;

        let (sender, receiver) = mpsc::channel(16);
        let listener = tokio::net::TcpListener::from_std(self.listener).map_err(failed)?;
        runtime.spawn(connections::accept(
            listener,
            self.acceptor,
            self.limits.clone(),
            Arc::clone(&self.metrics),
            self.stop.subscribe(),
            sender,
        ));

        let mut stop = self.stop.subscribe();
        let metrics = Arc::clone(&self.metrics);
        let stopping = async move {
            // The sender lives in `self.stop`.
            let _ = stop.wait_for(|stop| *stop).await;
            metrics.serving.store(false, Ordering::Relaxed);
            for service in ["", SERVICE_NAME] {
                reporter
                    .set_service_status(service, tonic_health::ServingStatus::NotServing)
                    .await;
            }
        };
        let serving = tonic::transport::Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(2 * self.limits.calls_per_client as u32)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .http2_max_header_list_size(16 << 10)
            .add_service(health)
            .add_service(self.service)
            .serve_with_incoming_shutdown(ReceiverStream::new(receiver), stopping);
        let mut stop = self.stop.subscribe();
        let too_late = async {
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::time::sleep(self.limits.drain).await;
        };
        tokio::select! {
            outcome = serving => outcome.map_err(failed),
            () = too_late => {
                tracing::warn!("calls that did not end within {:?} are cut off", self.limits.drain);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.address())
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|e| Error::Transport(format!("cannot listen at {address}: {e}")))
}

fn failed(error: impl fmt::Display) -> Error {
    Error::Transport(format!("the key server cannot work: {error}"))
}

fn check(limits: &Limits) -> Result<()> {
    for (what, value) in [
        ("request_bytes", limits.request_bytes),
        ("request_values", limits.request_values),
        ("reply_bytes", limits.reply_bytes),
        ("working_bytes", limits.working_bytes),
        ("calls_per_client", limits.calls_per_client as u64),
        ("computing", limits.computing as u64),
        ("waiting", limits.waiting as u64),
        ("memory_bytes", limits.memory_bytes),
        ("connections", limits.connections as u64),
    ] {
        if value == 0 {
            return Err(Error::invalid(format!(
                "a limit of 0 for {what}: nobody could be answered; the smallest is 1"
            )));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn watch_signals(stop: Stop) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop; calls under way are answered first");
        stop.stop();
    });
    Ok(())
}

/// Replaces the list of clients on SIGHUP.
#[cfg(unix)]
fn watch_hangups(reload: Reload, access: Arc<InForce>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())?;
    let reload: Arc<Reload> = Arc::new(reload);
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let reload = Arc::clone(&reload);
            // It reads files.
            let outcome = tokio::task::spawn_blocking(move || reload()).await;
            match outcome.unwrap_or_else(|panic| Err(failed(panic))) {
                Ok(new) => {
                    let [clients, revoked] = new.sizes();
                    access.replace(new);
                    tracing::info!(clients, revoked, "clients reloaded");
                }
                Err(error) => {
                    tracing::error!(%error, "clients not reloaded; the old list stays in force");
                }
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn watch_hangups(_: Reload, _: Arc<InForce>) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn watch_signals(stop: Stop) -> std::io::Result<()> {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.stop();
        }
    });
    Ok(())
}
