//! Clients that send rubbish, send slowly, or send too much: the server serves the others on, in bounded memory.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use smlp::protocol::REQUEST_HEADER_BYTES;
use smlp::random::Random;
use smlp::transport::network::{Client, ClientOptions};
use smlp::{Encrypt, EncryptedTensor, Error, IntegerTensor, P1, Promise, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_prost::ProstCodec;

use crate::scene::{Scene, ServerProcess, eventually, request};

/// A second client that the server knows, so that the first one's limits are not its own.
fn with_a_neighbour(scene: &Scene, limits: &str) -> (ServerProcess, Client) {
    let neighbour = scene.authority.issue(&["neighbour.test"]);
    scene.folder.write("neighbour.pem", &neighbour.certificate);
    let server = scene.serve(
        "p2",
        &format!(
            "[[clients]]\nname = \"neighbour\"\ncertificate = \"neighbour.pem\"\nkeys = [\"all\"]\n[limits]\n{limits}"
        ),
    );
    let options = ClientOptions::new([server.address.to_string()], scene.identity_of(&neighbour));
    let neighbour = Client::connect(options.deadline(Duration::from_secs(20))).unwrap();
    (server, neighbour)
}

/// Runs `attack` while the neighbour keeps asking. Returns how often it was answered, and its longest wait.
fn beside_a_neighbour(
    neighbour: &Client,
    request: &[u8],
    attack: impl FnOnce(),
) -> (usize, Duration) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let (mut answered, mut longest) = (0, Duration::ZERO);
            while !over.load(Ordering::Relaxed) || answered == 0 {
                let began = Instant::now();
                neighbour
                    .exchange(request)
                    .expect("the neighbour is served");
                longest = longest.max(began.elapsed());
                answered += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            (answered, longest)
        });
        attack();
        over.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    })
}

/// One of the ways in which a message can be wrong.
fn spoil(request: &[u8], random: &mut ChaCha20Rng, number: usize) -> Vec<u8> {
    let mut below = |limit: usize| (random.next_u64() % limit.max(1) as u64) as usize;
    match number % 5 {
        // Rubbish of any length.
        0 => (0..below(600)).map(|_| below(256) as u8).collect(),
        // The start of a request.
        1 => request[..below(request.len())].to_vec(),
        // A request with more after it.
        2 => [request, &vec![7; 1 + below(600)]].concat(),
        // Damaged where sizes stand.
        3 => {
            let mut bytes = request.to_vec();
            // Any label is that of a job.
            let at = below(42 + 24);
            let at = if at < 42 { at } else { at + 16 };
            bytes[at] ^= 1 << below(8);
            bytes
        }
        // Absurd sizes.
        _ => {
            let mut bytes = request.to_vec();
            let at = REQUEST_HEADER_BYTES + 8 * below(3);
            bytes[at..at + 8].copy_from_slice(&(u64::MAX >> below(40)).to_le_bytes());
            bytes
        }
    }
}

#[test]
fn ten_thousand_bad_messages() {
    let scene = Scene::local("bad");
    let (mut server, neighbour) = with_a_neighbour(&scene, "request_bytes = 1000000\n");
    let attacker = scene.connect(&[server.address]);
    let good = request(&scene.key, 8);
    neighbour.exchange(&good).unwrap();
    let before = server.memory();
    let (refused, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let next = AtomicUsize::new(0);
    let (served, _) = beside_a_neighbour(&neighbour, &good, || {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (attacker, good) = (&attacker, &good);
                let (refused, answered, next) = (&refused, &answered, &next);
                scope.spawn(move || {
                    let mut random = ChaCha20Rng::seed_from_u64(thread);
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let message = match number {
                            0..100 => vec![1; 1_000_001 + 20_000 * number],
                            100..10_000 => spoil(good, &mut random, number),
                            _ => return,
                        };
                        match attacker.exchange(&message) {
                            // Damage may also hit nothing that matters.
                            Ok(_) => answered.fetch_add(1, Ordering::Relaxed),
                            Err(Error::Refused(_)) => refused.fetch_add(1, Ordering::Relaxed),
                            Err(other) => panic!("message {number}: {other}"),
                        };
                    }
                });
            }
        });
    });
    let (refused, answered) = (refused.into_inner(), answered.into_inner());
    assert_eq!(refused + answered, 10_000);
    assert!(refused > 9_000, "{refused} refused");
    assert!(served > 10, "{served}");
    assert!(server.is_running());
    let after = server.memory();
    assert!(
        after < before + 150,
        "memory went from {before} to {after} MiB"
    );
    eventually("every one is recorded", || {
        let of = |client: &str| {
            let records = server.audit();
            records.iter().filter(|r| r["client"] == client).count()
        };
        of("p1") >= 10_000
    });
}

#[test]
fn rubbish_below_the_messages() {
    let scene = Scene::local("rubbish");
    let (mut server, neighbour) = with_a_neighbour(&scene, "handshake_seconds = 2\n");
    let good = request(&scene.key, 4);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connector = tls(&scene);
    let (served, _) = beside_a_neighbour(&neighbour, &good, || {
        runtime.block_on(async {
            let mut random = ChaCha20Rng::seed_from_u64(9);
            for number in 0..200 {
                let mut bytes = vec![0; 400];
                random.fill_bytes(&mut bytes);
                let stream = tokio::net::TcpStream::connect(server.address)
                    .await
                    .unwrap();
                match number % 3 {
                    0 => raw(stream, &bytes).await,
                    1 => raw(greet(&connector, stream).await, &bytes).await,
                    _ => {
                        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &bytes[..]].concat();
                        raw(greet(&connector, stream).await, &preface).await;
                    }
                }
            }
        });
    });
    assert!(served > 1);
    assert!(server.is_running());
}

/// Sends bytes and lets the server close.
async fn raw(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
}

fn tls(scene: &Scene) -> tokio_rustls::TlsConnector {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&scene.authority.pem)).unwrap();
    let key = PrivateKeyDer::from_pem_slice(scene.client.key.as_bytes()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(&scene.client.certificate)], key)
        .unwrap();
    Arc::new(config).into()
}

async fn greet(
    connector: &tokio_rustls::TlsConnector,
    stream: tokio::net::TcpStream,
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let name = "127.0.0.1".try_into().unwrap();
    connector.connect(name, stream).await.unwrap()
}

#[derive(Clone, PartialEq, prost::Message)]
struct Chunk {
    #[prost(bytes = "bytes", tag = "1")]
    data: Bytes,
}

fn channel(scene: &Scene, address: SocketAddr) -> Channel {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&scene.authority.pem))
        .identity(Identity::from_pem(
            &scene.client.certificate,
            &scene.client.key,
        ));
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    endpoint.tls_config(tls).unwrap().connect_lazy()
}

/// Connections that never greet, and calls that begin and do not go on.
#[test]
fn slow_senders() {
    let scene = Scene::local("slow");
    let (server, neighbour) = with_a_neighbour(
        &scene,
        "handshake_seconds = 1\nidle_seconds = 1\ncalls_per_client = 16\n",
    );
    let good = request(&scene.key, 4);
    let silent_ones: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (served, longest) = beside_a_neighbour(&neighbour, &good, || {
        runtime.block_on(async {
            let channel = channel(&scene, server.address);
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..30 {
                let (channel, first) = (channel.clone(), Bytes::copy_from_slice(&good[..60]));
                calls.spawn(async move {
                    let (sender, receiver) = tokio::sync::mpsc::channel(1);
                    sender.send(Chunk { data: first }).await.unwrap();
                    let chunks = tokio_stream::wrappers::ReceiverStream::new(receiver);
                    let mut grpc = tonic::client::Grpc::new(channel);
                    grpc.ready().await.unwrap();
                    let path = "/smlp.v1.KeyServer/Answer".parse().unwrap();
                    let codec = ProstCodec::<Chunk, Chunk>::default();
                    let outcome = grpc
                        .streaming(tonic::Request::new(chunks), path, codec)
                        .await;
                    drop(sender); // not before the server has had enough
                    outcome.map(|_| ()).unwrap_err().code()
                });
            }
            let codes = calls.join_all().await;
            let of = |code| codes.iter().filter(|&&found| found == code).count();
            let (slow, surplus) = (
                of(tonic::Code::DeadlineExceeded),
                of(tonic::Code::ResourceExhausted),
            );
            assert_eq!(slow + surplus, 30, "{codes:?}");
            assert!(slow >= 16, "{codes:?}");
        });
    });
    assert!(
        served > 10 && longest < Duration::from_secs(5),
        "{served}, {longest:?}"
    );
    eventually("the silent ones are recorded", || {
        let silent = |r: &&serde_json::Value| {
            r["reason"]
                .as_str()
                .is_some_and(|text| text.contains("no handshake within"))
        };
        server.audit().iter().filter(silent).count() == silent_ones.len()
    });
}

#[test]
fn two_hundred_connections_at_once() {
    let scene = Scene::local("many");
    let server = scene.serve("p2", "");
    let good = request(&scene.key, 4);
    let before = server.memory();
    let start = std::sync::Barrier::new(200);
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                let options = scene.options(&[server.address]);
                let client = Client::new(options.deadline(Duration::from_secs(60))).unwrap();
                start.wait();
                client.exchange(&good).unwrap();
            });
        }
    });
    let after = server.memory();
    assert!(
        after < before + 200,
        "memory went from {before} to {after} MiB"
    );
    eventually("200 answers are recorded", || {
        let records = server.audit();
        records
            .iter()
            .filter(|r| r["outcome"] == "answered")
            .count()
            == 200
    });
    eventually("nothing is left over", || {
        let metrics = server.get("/metrics");
        ["calls_under_way", "connections", "message_memory_bytes"]
            .iter()
            .all(|name| metrics.contains(&format!("\nsmlp_{name} 0\n")))
    });
}

/// An outer product, whose few ciphertexts ask for very many.
#[test]
fn small_requests_for_large_replies() {
    let scene = Scene::local("amplification");
    let (server, neighbour) = with_a_neighbour(&scene, "reply_bytes = 2000000");
    let ask = |values: usize| {
        let operand = |shape: [usize; 2]| {
            let clear = IntegerTensor::from_i64(&shape, &vec![3; values], Some(8)).unwrap();
            EncryptedTensor::encrypt(&clear, &scene.key, &Random::os()).unwrap()
        };
        let p1 = P1::new(scene.key.public().clone(), Promise::insecure(40)).unwrap();
        let call = p1.multiply(&operand([values, 1]), &operand([1, values]));
        call.unwrap().request().unwrap().to_vec()
    };
    let before = server.memory();
    let request = ask(1000);
    assert!(request.len() < 100_000);
    for _ in 0..20 {
        let error = neighbour.exchange(&request).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("128000090") && text.contains("2000000") && text.contains("reply_bytes"),
            "{text}"
        );
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 20, "{grown} MiB for requests that were refused");
    assert!(neighbour.exchange(&ask(100)).unwrap().len() < 2_000_000);
}
