//! Numbers about a key server in Prometheus' text format, and the plain HTTP listener that shows them.
//!
//! The listener has no TLS and asks for no certificate: bind it to an address that only the operator reaches.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections to the metrics listener at a time.
const MAX_CONNECTIONS: usize = 16;
/// For a request to the metrics listener.
const TIMEOUT: Duration = Duration::from_secs(5);

/// All counters of a server.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    calls: IntCounterVec,
    values: IntCounterVec,
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    computing_seconds: HistogramVec,
    pub calls_under_way: IntGauge,
    pub calls_waiting: IntGauge,
    pub connections: IntGauge,
    pub connections_refused: IntCounter,
    pub memory_bytes: IntGauge,
    /// False from the signal to stop on.
    pub serving: AtomicBool,
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        fn add<C: prometheus::core::Collector + Clone + 'static>(
            registry: &Registry,
            collector: prometheus::Result<C>,
        ) -> C {
            let collector = collector.expect("names and labels are well-formed");
            registry
                .register(Box::new(collector.clone()))
                .expect("names are different");
            collector
        }
        let counters = |name: &str, help: &str, labels: &[&str]| {
            add(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name: &str, help: &str| add(&registry, IntGauge::new(name, help));
        let computing = HistogramOpts::new("smlp_computing_seconds", "Time that answers took P2.")
            .buckets(vec![
                0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0,
            ]);
        Self {
            calls: counters(
                "smlp_calls_total",
                "Calls that ended.",
                &["client", "operation", "outcome"],
            ),
            values: counters(
                "smlp_values_total",
                "Masked values in requests.",
                &["client"],
            ),
            bytes_in: counters(
                "smlp_request_bytes_total",
                "Bytes of requests.",
                &["client"],
            ),
            bytes_out: counters("smlp_reply_bytes_total", "Bytes of replies.", &["client"]),
            computing_seconds: add(&registry, HistogramVec::new(computing, &["operation"])),
            calls_under_way: gauge("smlp_calls_under_way", "Calls that have not ended."),
            calls_waiting: gauge("smlp_calls_waiting", "Calls that wait to be computed."),
            connections: gauge(
                "smlp_connections",
                "Connections with an accepted certificate.",
            ),
            connections_refused: add(
                &registry,
                IntCounter::new(
                    "smlp_connections_refused_total",
                    "Connections without an accepted certificate.",
                ),
            ),
            memory_bytes: gauge(
                "smlp_message_memory_bytes",
                "Memory reserved for requests and replies.",
            ),
            registry,
            serving: AtomicBool::new(true),
        }
    }

    /// Counts a call that ended: values, bytes in, bytes out.
    pub fn call(
        &self,
        client: &str,
        operation: &str,
        outcome: &str,
        [values, bytes_in, bytes_out]: [u64; 3],
        computed: Duration,
    ) {
        self.calls_under_way.dec();
        self.calls
            .with_label_values(&[client, operation, outcome])
            .inc();
        self.values.with_label_values(&[client]).inc_by(values);
        self.bytes_in.with_label_values(&[client]).inc_by(bytes_in);
        self.bytes_out
            .with_label_values(&[client])
            .inc_by(bytes_out);
        if !computed.is_zero() {
            self.computing_seconds
                .with_label_values(&[operation])
                .observe(computed.as_secs_f64());
        }
    }

    fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}

/// Answers `GET /metrics`, and `GET /healthz` with 200 or, when the server is about to stop, 503.
pub(super) async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: give others time to return some.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let metrics = Arc::clone(&metrics);
        tokio::spawn(async move {
            let _place = place;
            let respond = hyper::service::service_fn(move |request| {
                let response = respond(&request, &metrics);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), respond);
            // Whatever fails here concerns whoever asked, not the server.
            let _ = tokio::time::timeout(2 * TIMEOUT, connection).await;
        });
    }
}

fn respond(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/metrics" => (StatusCode::OK, metrics.text()),
        "/healthz" if metrics.serving.load(Ordering::Relaxed) => (StatusCode::OK, "ok\n".into()),
        "/healthz" => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into()),
        _ => (StatusCode::NOT_FOUND, "/metrics or /healthz\n".into()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted() {
        let metrics = Metrics::new();
        metrics.calls_under_way.inc();
        metrics.call(
            "p1",
            "relu",
            "answered",
            [12, 100, 1000],
            Duration::from_millis(20),
        );
        let text = metrics.text();
        for line in [
            "smlp_calls_total{client=\"p1\",operation=\"relu\",outcome=\"answered\"} 1",
            "smlp_values_total{client=\"p1\"} 12",
            "smlp_request_bytes_total{client=\"p1\"} 100",
            "smlp_reply_bytes_total{client=\"p1\"} 1000",
            "smlp_computing_seconds_bucket{operation=\"relu\",le=\"0.03\"} 1",
            "smlp_calls_under_way 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
