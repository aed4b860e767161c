//! Connections: accepted, greeted with TLS in time, and handed to HTTP/2 together with who is at the other end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::audit;
use super::identity::Fingerprint;
use super::limits::Limits;
use super::metrics::Metrics;

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub address: SocketAddr,
    /// From an accepted authority. Whether it is listed, and for what, every call asks anew.
    pub certificate: CertificateDer<'static>,
    pub fingerprint: Fingerprint,
}

/// A connection after its handshake.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Arc<Peer>,
    metrics: Arc<Metrics>,
    _place: OwnedSemaphorePermit,
}

/// Accepts connections until `stop` and sends those with an accepted certificate on.
pub(super) async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    limits: Limits,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
    accepted: mpsc::Sender<io::Result<Connection>>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        // With all places taken, newcomers wait in the kernel's queue.
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, incoming) = tokio::select! {
            next = next => next,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (Ok(place), Ok((stream, address))) = (place, incoming) else {
            // Out of file descriptors, most likely: give others time to return some.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let acceptor = acceptor.clone();
        let (metrics, accepted) = (Arc::clone(&metrics), accepted.clone());
        tokio::spawn(async move {
            let greeting = greet(stream, address, acceptor);
            let outcome = match tokio::time::timeout(limits.handshake, greeting).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no handshake within {:?}", limits.handshake)),
            };
            match outcome {
                Ok((stream, peer)) => {
                    metrics.connections.inc();
                    let connection = Connection {
                        stream,
                        peer: Arc::new(peer),
                        metrics,
                        _place: place,
                    };
                    // It fails only when the server has stopped meanwhile.
                    let _ = accepted.send(Ok(connection)).await;
                }
                Err(reason) => audit::connection_refused(address, &reason, &metrics),
            }
        });
    }
}

async fn greet(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
) -> Result<(TlsStream<TcpStream>, Peer), String> {
    let _ = stream.set_nodelay(true);
    let stream = acceptor
        .accept(stream)
        .await
        .map_err(|error| error.to_string())?;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.ok_or("no certificate")?;
    let peer = Peer {
        address,
        fingerprint: Fingerprint::of(certificate),
        certificate: certificate.clone().into_owned(),
    };
    Ok((stream, peer))
}

impl Connected for Connection {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
