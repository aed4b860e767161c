//! The transport itself: the same integers as in process, replicas, limits, deadlines, stopping.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smlp::fixed::RoundingStream;
use smlp::random::Random;
use smlp::transport::network::Client;
use smlp::{
    Arithmetic, Clear, Division, EncryptedTensor, Error, IntegerMlp, IntegerTensor, MlpConfig, P1,
    Session, Transport,
};

use crate::scene::{SMLP, Scene, ServerProcess, eventually, free_address};
use smlp::Encrypt;

struct Parties {
    session: Session,
    clear: Clear,
}

fn parties(scene: &Scene, transport: Arc<dyn Transport>) -> Parties {
    let p1 = P1::new(scene.key.public().clone(), 40).unwrap();
    let clear = Clear::new(RoundingStream::from_seed(*p1.rounding().seed()));
    Parties {
        session: Session::new(Arc::new(p1), transport),
        clear,
    }
}

fn encrypt(scene: &Scene, tensor: &IntegerTensor) -> EncryptedTensor {
    EncryptedTensor::encrypt(tensor, &scene.key, &Random::os()).unwrap()
}

fn matrix(rows: usize, columns: usize) -> IntegerTensor {
    let values: Vec<f64> = (0..rows * columns)
        .map(|i| ((i % 1000) as f64 - 7.0) / 4.0)
        .collect();
    IntegerTensor::from_f64(&[rows, columns], &values, 8, Some(20)).unwrap()
}

#[test]
fn every_operation_gives_the_integers_of_the_twin() {
    let scene = Scene::local("operations");
    let server = scene.serve("p2", "");
    let client = Arc::new(scene.connect(&[server.address]));
    let Parties { session, clear } = parties(&scene, client.clone());
    let (a, b) = (matrix(4, 3), matrix(3, 5));
    let (ea, eb) = (encrypt(&scene, &a), encrypt(&scene, &b));
    let same = |encrypted: &EncryptedTensor, clear: &IntegerTensor| {
        assert_eq!(
            encrypted.decrypt(&scene.key).unwrap().values(),
            clear.values()
        );
    };
    same(
        &session.matmul(&ea, &eb).unwrap(),
        &clear.matmul(&a, &b).unwrap(),
    );
    same(
        &session.multiply(&ea, &ea).unwrap(),
        &clear.multiply(&a, &a).unwrap(),
    );
    let division = Division {
        divisor: 256,
        scale_drop: 8,
        rounding: None,
    };
    same(
        &session.divide(&ea, division).unwrap(),
        &clear.divide(&a, division).unwrap(),
    );
    same(
        &session.matmul_divide(&ea, &eb, division).unwrap(),
        &clear.matmul_divide(&a, &b, division).unwrap(),
    );
    let (relu, bits) = session.relu(&ea).unwrap();
    let (clear_relu, clear_bits) = clear.relu(&a).unwrap();
    same(&relu, &clear_relu);
    same(&bits, &clear_bits);
    same(
        &session.select(&bits, &ea).unwrap(),
        &clear.select(&clear_bits, &a).unwrap(),
    );
    let statistics = session.statistics();
    assert_eq!(statistics.rounds, client.statistics().answered);
    assert!(statistics.exchange_time > Duration::ZERO && statistics.bytes_received > 0);
    let audit = server.audit();
    assert_eq!(audit.len() as u64, statistics.rounds);
    let sums = |name: &str| audit.iter().map(|r| r[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sums("bytes_in"), statistics.bytes_sent);
    assert_eq!(sums("bytes_out"), statistics.bytes_received);
    assert!(audit.iter().all(|r| r["outcome"] == "answered"
        && r["client"] == "p1"
        && r["key"] == scene.key.public().id().to_hex()));
    let operations: BTreeSet<&str> = audit
        .iter()
        .map(|record| record["operation"].as_str().unwrap())
        .collect();
    let used = [
        "divide", "gate", "matmul", "multiply", "products", "setup", "share",
    ];
    assert_eq!(operations, used.into());
    let metrics = server.get("/metrics");
    assert!(
        metrics.contains(
            "smlp_calls_total{client=\"p1\",operation=\"matmul\",outcome=\"answered\"} 1"
        ),
        "{metrics}"
    );
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
}

/// Messages of several chunks, both ways, from several threads over one connection.
#[test]
fn large_messages_come_in_chunks() {
    let scene = Scene::local("large");
    let server = scene.serve("p2", "");
    let client = Arc::new(scene.connect(&[server.address]));
    let Parties { session, .. } = parties(&scene, client);
    let clear = matrix(200, 150);
    let encrypted = encrypt(&scene, &clear);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let (relu, _) = session.relu(&encrypted).unwrap();
                let expected = clear.values().into_iter().map(|x| x.max(0));
                assert!(
                    relu.decrypt(&scene.key)
                        .unwrap()
                        .values()
                        .into_iter()
                        .eq(expected)
                );
            });
        }
    });
    let statistics = session.statistics();
    assert!(statistics.bytes_received / 2 > 5 << 20 && statistics.bytes_sent / 2 > 1 << 20);
}

#[test]
fn a_lost_replica_costs_time_only() {
    let scene = Scene::local("replicas");
    let mut servers: Vec<_> = (0..3)
        .map(|i| scene.serve(&format!("p2-{i}"), ""))
        .collect();
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let client = Arc::new(scene.connect(&addresses));
    let Parties { session, clear } = parties(&scene, client.clone());
    let a = matrix(3, 3);
    let ea = encrypt(&scene, &a);
    for round in 0..12 {
        if round == 4 {
            servers[0].kill();
        }
        let product = session.multiply(&ea, &ea).unwrap();
        let expected = clear.multiply(&a, &a).unwrap();
        assert_eq!(
            product.decrypt(&scene.key).unwrap().values(),
            expected.values()
        );
    }
    let statistics = client.statistics();
    assert_eq!(statistics.answered, 12);
    assert!(statistics.failures >= 1, "{statistics:?}");
    assert_eq!(
        statistics.attempts - statistics.failures,
        12 + 2 - 1,
        "{statistics:?}"
    );
    let answered: Vec<usize> = servers.iter().map(|server| server.audit().len()).collect();
    assert_eq!((answered[0], answered.iter().sum::<usize>()), (4, 12));
}

#[test]
fn a_restart_is_bridged_and_a_deadline_is_kept() {
    let scene = Scene::local("restart");
    let mut server = scene.serve("p2", "");
    let client = Arc::new(scene.connect(&[server.address]));
    let Parties { session, .. } = parties(&scene, client);
    let ea = encrypt(&scene, &matrix(2, 2));
    session.multiply(&ea, &ea).unwrap();
    server.kill();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| session.multiply(&ea, &ea));
        std::thread::sleep(Duration::from_millis(500));
        server.restart();
        waiting.join().unwrap().unwrap();
    });
    server.kill();
    let options = scene
        .options(&[server.address])
        .deadline(Duration::from_secs(1));
    let session = parties(&scene, Arc::new(Client::new(options).unwrap())).session;
    let began = Instant::now();
    let error = session.multiply(&ea, &ea).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(3));
    let text = error.to_string();
    assert!(matches!(error, Error::Transport(_)), "{text}");
    assert!(
        text.contains(&server.address.to_string()) && text.contains("1s"),
        "{text}"
    );
}

/// A server that is frozen, not gone: its kernel still acknowledges everything.
#[test]
fn a_frozen_replica_is_left() {
    let scene = Scene::local("frozen");
    let servers = [scene.serve("p2-0", ""), scene.serve("p2-1", "")];
    let addresses = [servers[0].address, servers[1].address];
    let options = scene.options(&addresses).deadline(Duration::from_secs(60));
    let client = Arc::new(Client::connect(options).unwrap());
    let Parties { session, .. } = parties(&scene, client);
    let ea = encrypt(&scene, &matrix(2, 2));
    let signal = |name: &str| {
        let id = servers[0].id().to_string();
        let status = std::process::Command::new("kill")
            .args([name, &id])
            .status();
        assert!(status.unwrap().success());
    };
    signal("-STOP");
    session.multiply(&ea, &ea).unwrap();
    signal("-CONT");
    assert_eq!(servers[1].audit().len(), 1);
}

#[test]
fn limits_are_enforced_and_explained() {
    let scene = Scene::local("limits");
    let server = scene.serve(
        "p2",
        "[limits]\nrequest_bytes = 20000\nrequest_values = 100\nvalues_per_second = 40\n",
    );
    let client = Arc::new(scene.connect(&[server.address]));
    let description = client.describe().unwrap();
    assert_eq!(
        (
            description.max_request_bytes,
            description.max_request_values
        ),
        (20_000, 100)
    );
    let Parties { session, .. } = parties(&scene, client.clone());

    let error = session
        .multiply(
            &encrypt(&scene, &matrix(8, 8)),
            &encrypt(&scene, &matrix(8, 8)),
        )
        .unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert!(
        error.to_string().contains("128 values") && error.to_string().contains("100"),
        "{error}"
    );
    let large = encrypt(&scene, &matrix(100, 60));
    let error = session.multiply(&large, &large).unwrap_err();
    assert!(
        error.to_string().contains("more than 20000 bytes"),
        "{error}"
    );
    // Few values may ask for many answers.
    let (tall, wide) = (matrix(15, 1), matrix(1, 15));
    let error = session
        .matmul(&encrypt(&scene, &tall), &encrypt(&scene, &wide))
        .unwrap_err();
    assert!(error.to_string().contains("225 answers"), "{error}");

    // 32 values, then 32 more 0.8 s later: the client waits by itself.
    let small = encrypt(&scene, &matrix(4, 4));
    let began = Instant::now();
    session.multiply(&small, &small).unwrap();
    session.multiply(&small, &small).unwrap();
    assert!(began.elapsed() > Duration::from_millis(700));
    assert!(client.statistics().resting_nanoseconds > 500_000_000);
    eventually("the refusals are recorded", || {
        let refused = |r: &&serde_json::Value| r["outcome"] == "refused";
        server.audit().iter().filter(refused).count() >= 4
    });
}

#[test]
fn stopping_finishes_what_is_under_way() {
    let scene = Scene::local("stopping");
    let mut server = scene.serve("p2", "");
    let client = Arc::new(scene.connect(&[server.address]));
    let Parties { session, .. } = parties(&scene, client);
    let large = encrypt(&scene, &matrix(150, 100));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| session.refresh(&large));
        eventually("the call is under way", || {
            server
                .get("/metrics")
                .contains("\nsmlp_calls_under_way 1\n")
        });
        assert!(server.terminate(), "a signal is no failure");
        call.join().unwrap().unwrap();
    });
    assert!(server.log().contains("stopped"), "{}", server.log());
}

#[test]
fn addresses_are_checked() {
    let scene = Scene::local("addresses");
    for wrong in [
        "",
        "host",
        "https://host:1",
        "host:1/path",
        "ho st:1",
        ":::",
    ] {
        let options = smlp::transport::network::ClientOptions::new([wrong], scene.identity());
        let error = Client::new(options).unwrap_err();
        assert!(error.to_string().contains("host:port"), "{wrong}: {error}");
    }
    assert!(Client::new(scene.options(&[])).is_err());
    let nobody = scene
        .options(&[free_address()])
        .deadline(Duration::from_millis(300));
    assert!(matches!(Client::connect(nobody), Err(Error::Transport(_))));
}

/// Outputs of both paths: roundings move them by little, garbage of a gate is as large as a mask.
#[track_caller]
fn close(got: &IntegerTensor, want: &IntegerTensor) {
    assert_eq!(got.shape(), want.shape());
    for (got, want) in got.to_f64().iter().zip(want.to_f64()) {
        assert!((got - want).abs() < 0.2, "{got} for {want}");
    }
}

fn network_and_rows() -> (IntegerMlp, IntegerTensor, IntegerTensor) {
    let config = MlpConfig::relu(&[3, 5, 2]).with_fraction_bits(8);
    let tensor = |columns: usize| {
        let values: Vec<f64> = (0..8 * columns)
            .map(|i| (i * 37 % 16) as f64 / 16.0 - 0.4)
            .collect();
        let bound = Some(config.activation_bits);
        IntegerTensor::from_f64(&[8, columns], &values, 8, bound).unwrap()
    };
    let (x, y) = (tensor(3), tensor(2));
    (IntegerMlp::draw(config, Some([9; 32])).unwrap(), x, y)
}

#[test]
fn threads_start_cold_over_one_connection_and_get_what_the_twin_gets() {
    let scene = Scene::local("cold");
    let server = scene.serve("p2", "");
    let client = Arc::new(scene.connect(&[server.address]));
    let (network, x, y) = network_and_rows();
    let start_from = network.to_bytes().unwrap();
    let (ex, ey) = (encrypt(&scene, &x), encrypt(&scene, &y));
    for trial in 1..=3 {
        let Parties { session, clear } = parties(&scene, client.clone());
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for i in 0..8 {
                let (session, clear, start, scene) = (&session, &clear, &start, &scene);
                let (x, y, ex, ey, mut twin) = (
                    &x,
                    &y,
                    &ex,
                    &ey,
                    IntegerMlp::from_bytes(&start_from).unwrap(),
                );
                scope.spawn(move || {
                    let mut net = twin.encrypt(&scene.key, &Random::os()).unwrap();
                    start.wait();
                    if i % 2 == 0 {
                        net.train_step(session, ex, ey, 0.1).unwrap();
                        twin.train_step(clear, x, y, 0.1).unwrap();
                    }
                    let got = net.predict(session, ex).unwrap();
                    let got = got.decrypt(&scene.key).unwrap();
                    close(&got, &twin.predict(clear, x).unwrap());
                });
            }
        });
        let setups = || {
            let audit = server.audit();
            audit.iter().filter(|r| r["operation"] == "setup").count()
        };
        eventually("one set-up a P1", || setups() == trial);
    }
}

#[test]
fn predictions_in_flight_at_once_are_those_of_the_twin() {
    let scene = Scene::local("in-flight");
    let server = scene.serve("p2", "");
    let (network, x, _) = network_and_rows();
    let encrypted = network.encrypt(&scene.key, &Random::os()).unwrap();
    let folder = &scene.folder;
    folder.write("network", encrypted.to_bytes().unwrap());
    folder.write("rows", encrypt(&scene, &x).to_bytes().unwrap());
    let clear = Clear::new(RoundingStream::from_seed([1; 32]));
    let want = network.predict(&clear, &x).unwrap();
    for in_flight in ["1", "8"] {
        let path = |name: &str| folder.path(name).display().to_string();
        let run = std::process::Command::new(SMLP)
            .args(["predict", "--allow-insecure", "--batch-size", "1"])
            .args(["--in-flight", in_flight, "--sigma", "40"])
            .args(["--network", &path("network"), "--inputs", &path("rows")])
            .args(["--key", &path("owner.public"), "-o", &path(in_flight)])
            .args(["--server", &server.address.to_string()])
            .args(["--authority", &path("ca.pem")])
            .args(["--certificate", &path("p1.pem")])
            .args(["--certificate-key", &path("p1.key")])
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{log}");
        let bytes = std::fs::read(folder.path(in_flight)).unwrap();
        let got = EncryptedTensor::from_bytes(&bytes, scene.key.public()).unwrap();
        close(&got.decrypt(&scene.key).unwrap(), &want);
    }
}

/// What P2 seals is for a client by its name in the server's list: on any connection, and for no other client.
#[test]
fn sealed_halves_outlive_a_connection_and_are_nobody_elses() {
    let scene = Scene::local("clients");
    let second = scene.authority.issue(&["p1.second.test"]);
    let address = free_address();
    let more = "[[clients]]\nname = \"second\"\ndns_name = \"p1.second.test\"\nkeys = [\"owner.public\"]\n";
    scene.configure("p2", address, more);
    let mut server = ServerProcess::start(&scene, "p2", address, &[]);
    let p1 = Arc::new(P1::new(scene.key.public().clone(), 40).unwrap());
    let session = |client: Client| Session::new(p1.clone(), Arc::new(client));
    let x = matrix(2, 2);
    let e = encrypt(&scene, &x);
    // The result is shared with P2, and P1 has a set-up.
    let shared = session(scene.connect(&[address])).relu(&e).unwrap().0;
    let twice = |session: &Session| session.relu(&shared).map(|(relu, _)| relu);
    let again = twice(&session(scene.connect(&[address]))).unwrap();
    let want: Vec<i128> = x.values().into_iter().map(|x| x.max(0)).collect();
    assert_eq!(again.decrypt(&scene.key).unwrap().values(), want);
    server.kill();
    server.restart();
    let again = twice(&session(scene.connect(&[address]))).unwrap();
    assert_eq!(again.decrypt(&scene.key).unwrap().values(), want);
    let options = smlp::transport::network::ClientOptions::new(
        [address.to_string()],
        scene.identity_of(&second),
    );
    let other = session(Client::connect(options.deadline(Duration::from_secs(10))).unwrap());
    let error = twice(&other).unwrap_err().to_string();
    assert!(error.contains("for another job or client"), "{error}");
    // Its own P1 shares the values itself.
    let own = P1::new(scene.key.public().clone(), 40).unwrap();
    let options = smlp::transport::network::ClientOptions::new(
        [address.to_string()],
        scene.identity_of(&second),
    );
    let own = Session::new(Arc::new(own), Arc::new(Client::connect(options).unwrap()));
    let again = twice(&own).unwrap();
    assert_eq!(again.decrypt(&scene.key).unwrap().values(), want);
}
