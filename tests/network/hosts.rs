//! P1 and P2 on two hosts: network namespaces with a cable (veth) between them, or, where those are not
//! allowed, processes on loopback. Each test says which it was.
//!
//! The reference is the clear twin, which repeats the record of the training: whatever happens on the way, the
//! trained network is the same, integer for integer.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use smlp::mlp::seed_from_number;
use smlp::random::Random;
use smlp::{
    Clear, Encrypt, EncryptedMlp, EncryptedTensor, FitOptions, IntegerMlp, IntegerTensor,
    MlpConfig, RecordFile, RecordKey, TrainFor,
};

use crate::network_between::{Between, Lossy};
use crate::scene::{SMALL_KEY_BITS, SMLP, Scene, ServerProcess};

/// A small training job in files, and what its twin needs.
struct Job {
    scene: Scene,
    hosts: Between,
    network: IntegerMlp,
    data: [IntegerTensor; 2],
    record_key: RecordKey,
    steps: u64,
}

impl Job {
    fn new(name: &str, bits: u32, steps: u64) -> Self {
        let hosts = Between::new(name);
        let scene = Scene::new(name, bits, &[&hosts.server_host()]);
        let numbers = |rows: usize, columns: usize, step: usize| {
            let values: Vec<f64> = (0..rows * columns)
                .map(|i| ((i * step) % 17) as f64 / 8.0 - 1.0)
                .collect();
            IntegerTensor::from_f64(&[rows, columns], &values, 16, Some(24)).unwrap()
        };
        let (x, y) = (numbers(12, 3, 5), numbers(12, 2, 7));
        let network =
            IntegerMlp::draw(MlpConfig::relu(&[3, 4, 2]), Some(seed_from_number(7))).unwrap();
        let key = &scene.key;
        let encrypt = |tensor: &IntegerTensor| {
            let tensor = EncryptedTensor::encrypt(tensor, key, &Random::os()).unwrap();
            tensor.to_bytes().unwrap()
        };
        scene.folder.write("x", encrypt(&x));
        scene.folder.write("y", encrypt(&y));
        let encrypted = network.encrypt(key, &Random::os()).unwrap();
        scene.folder.write("initial", encrypted.to_bytes().unwrap());

        let record_key = RecordKey::generate().unwrap();
        scene
            .folder
            .write("record.public", record_key.public().to_bytes());
        Self {
            scene,
            hosts,
            network,
            data: [x, y],
            record_key,
            steps,
        }
    }

    /// P2, on its host.
    fn serve(&self) -> ServerProcess {
        let address = self.hosts.server_address();
        self.scene.configure("p2", address, "");
        let prefix = self.hosts.on_server();
        let prefix: Vec<&str> = prefix.iter().map(String::as_str).collect();
        ServerProcess::start(&self.scene, "p2", address, &prefix)
    }

    /// P1, on its host.
    fn train(&self, server: SocketAddr, more: &[&str]) -> Training {
        let file = |name: &str| self.scene.folder.path(name);
        let mut command = self.hosts.on_client();
        command.push(SMLP.into());
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .args(["train", "--json", "--allow-insecure", "--batch-size", "4"])
            .args([
                "--sigma",
                "40",
                "--learning-rate",
                "0.1",
                "--deadline",
                "60",
            ])
            .args([
                "--steps",
                &self.steps.to_string(),
                "--server",
                &server.to_string(),
            ])
            .args(["--server-name", &self.hosts.server_host()])
            .arg("--network")
            .arg(file("initial"))
            .arg("--inputs")
            .arg(file("x"))
            .arg("--targets")
            .arg(file("y"))
            .arg("--key")
            .arg(file("owner.public"))
            .arg("--output")
            .arg(file("trained"))
            .arg("--record")
            .arg(file("record"))
            .arg("--record-key")
            .arg(file("record.public"))
            .arg("--authority")
            .arg(file("ca.pem"))
            .arg("--certificate")
            .arg(file("p1.pem"))
            .arg("--certificate-key")
            .arg(file("p1.key"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Training { child, lines }
    }

    /// What was trained is what the twin was trained to.
    #[track_caller]
    fn ends_equal(&self) {
        let bytes = std::fs::read(self.scene.folder.path("trained")).unwrap();
        let trained = EncryptedMlp::from_bytes(&bytes, self.scene.key.public()).unwrap();
        let trained = trained.decrypt(&self.scene.key).unwrap();
        let record = self.scene.folder.path("record");
        let record = RecordFile::read(&record, &self.record_key).unwrap();
        let (mut expected, [x, y]) = (self.network.clone(), &self.data);
        let options = FitOptions::new(TrainFor::Steps(self.steps), 4, 0.1);
        let twin = Clear::repeating(Arc::new(record));
        let go_on = &mut |_: &IntegerMlp, _, _| std::ops::ControlFlow::Continue(());
        expected.fit(&twin, x, y, &options, go_on).unwrap();
        assert_eq!((trained.step(), expected.step()), (self.steps, self.steps));
        for (a, b) in trained.layers().iter().zip(expected.layers()) {
            assert_eq!(a.weight.values(), b.weight.values());
            assert_eq!(a.bias.values(), b.bias.values());
        }
    }
}

/// `smlp train` while it runs.
struct Training {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Training {
    /// Waits for the end of a step.
    #[track_caller]
    fn until_step(&mut self, step: u64) {
        loop {
            let line = self.line().expect("it trains on");
            if line["step"].as_u64() >= Some(step) {
                return;
            }
        }
    }

    fn line(&mut self) -> Option<serde_json::Value> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap();
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    /// Its exit status and its last line.
    fn end(mut self) -> (ExitStatus, Option<serde_json::Value>) {
        let mut last = None;
        while let Some(line) = self.line() {
            last = Some(line);
        }
        (self.child.wait().unwrap(), last)
    }

    #[track_caller]
    fn finish(self) -> serde_json::Value {
        let (status, last) = self.end();
        assert!(status.success(), "{status}");
        last.unwrap()
    }
}

#[test]
fn training_at_2048_bits() {
    let job = Job::new("t2048", 2048, 2);
    let server = job.serve();
    let summary = job.train(server.address, &[]).finish();
    job.ends_equal();
    assert_eq!(
        summary["rounds"].as_u64(),
        Some(server.audit().len() as u64)
    );
    assert_eq!(summary["failed_attempts"], 0);
}

#[test]
fn p2_is_killed_and_restarted() {
    let job = Job::new("p2kill", SMALL_KEY_BITS, 12);
    let mut server = job.serve();
    let mut training = job.train(server.address, &[]);
    for step in [3, 6] {
        training.until_step(step);
        server.kill();
        std::thread::sleep(Duration::from_millis(300));
        server.restart();
    }
    let summary = training.finish();
    job.ends_equal();
    assert!(summary["failed_attempts"].as_u64() >= Some(1), "{summary}");
}

#[test]
fn p1_is_killed_and_resumed() {
    let job = Job::new("p1kill", SMALL_KEY_BITS, 12);
    let server = job.serve();
    let every = ["--checkpoint-every", "2", "--resume"];
    for step in [3, 8] {
        let mut training = job.train(server.address, &every);
        training.until_step(step);
        training.child.kill().unwrap();
        training.child.wait().unwrap();
    }
    job.train(server.address, &every).finish();
    job.ends_equal();
}

#[test]
fn p1_is_interrupted_and_resumed() {
    let job = Job::new("p1stop", SMALL_KEY_BITS, 12);
    let server = job.serve();
    let mut training = job.train(server.address, &[]);
    training.until_step(3);
    // Through `ip netns exec`, which becomes the command.
    let id = training.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let (status, _) = training.end();
    assert_eq!(status.code(), Some(130));
    // Another job is not resumed by mistake.
    let (status, _) = job
        .train(server.address, &["--resume", "--no-shuffle"])
        .end();
    assert_eq!(status.code(), Some(3));
    let (status, _) = job.train(server.address, &[]).end();
    assert_eq!(
        status.code(),
        Some(4),
        "without --resume nothing is overwritten"
    );
    job.train(server.address, &["--resume"]).finish();
    job.ends_equal();
}

#[test]
fn delay_and_loss() {
    let job = Job::new("lossy", SMALL_KEY_BITS, 3);
    let server = job.serve();
    let lossy = Lossy::new(&job.hosts, server.address, Duration::from_millis(40), 0.01);
    let summary = job.train(lossy.address(), &[]).finish();
    job.ends_equal();
    let part = |name: &str| summary[name].as_f64().unwrap();
    let (waiting, all) = (part("waiting_seconds"), part("seconds"));
    let rounds = part("rounds");
    assert!(waiting >= 0.04 * rounds, "{rounds} rounds in {waiting} s");
    say(&format!(
        "delay of 40 ms, loss of 1 % ({}): {:.0} % of {all:.1} s was waiting",
        lossy.how(),
        100.0 * waiting / all
    ));
}

/// Past the test runner, which would swallow it.
pub fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("network tests: {text}\n").as_bytes());
}
