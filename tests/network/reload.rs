//! SIGHUP: clients and revoked certificates are read anew while the server works, and nobody else notices.

use std::process::Command;
use std::time::Duration;

use smlp::transport::network::{Client, ClientOptions, Fingerprint};
use smlp::{Error, Transport};

use crate::scene::{Certified, Scene, ServerProcess, eventually, free_address, request};

const SECOND: &str =
    "[[clients]]\nname = \"second\"\ndns_name = \"p1.second.test\"\nkeys = [\"all\"]\n";

/// A server with two clients, one known by its certificate and one by its name.
struct Stage {
    scene: Scene,
    server: ServerProcess,
    text: String,
    first: Client,
    second: Client,
    certificate: Certified,
    request: Vec<u8>,
}

impl Stage {
    fn new(name: &str) -> Self {
        let scene = Scene::local(name);
        let certificate = scene.authority.issue(&["p1.second.test"]);
        scene.folder.write("second.pem", &certificate.certificate);
        let address = free_address();
        let config = scene.configure("p2", address, SECOND);
        let text = std::fs::read_to_string(config).unwrap();
        let server = ServerProcess::start(&scene, "p2", address, &[]);
        let first = scene.connect(&[address]);
        let second = connect(&scene, &server, &certificate).unwrap();
        let request = request(&scene.key, 2);
        let stage = Self {
            scene,
            server,
            text,
            first,
            second,
            certificate,
            request,
        };
        stage.first.exchange(&stage.request).unwrap();
        stage.second.exchange(&stage.request).unwrap();
        stage
    }

    /// Writes a configuration and has it read. `word` is what the log says of it then.
    fn reload(&self, text: &str, word: &str) {
        std::fs::write(self.scene.folder.path("p2.toml"), text).unwrap();
        let before = self.server.log().matches(word).count();
        let id = self.server.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status().unwrap();
        assert!(sent.success());
        eventually(&format!("the log says '{word}'"), || {
            self.server.log().matches(word).count() > before
        });
    }

    #[track_caller]
    fn refused(&self, client: &Client, word: &str) {
        let error = client.exchange(&self.request).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(client.describe().is_err());
    }
}

fn connect(scene: &Scene, server: &ServerProcess, with: &Certified) -> smlp::Result<Client> {
    let options = ClientOptions::new([server.address.to_string()], scene.identity_of(with));
    Client::connect(options.deadline(Duration::from_secs(10)))
}

#[test]
fn revoked_certificates_are_refused_on_open_connections() {
    let mut stage = Stage::new("revoked");
    let fingerprint = Fingerprint::of_pem(stage.certificate.certificate.as_bytes()).unwrap();
    let revoking = |what: &str| format!("revoked = [\"{what}\"]\n{}", stage.text);
    for what in [fingerprint.to_string(), "second.pem".into()] {
        stage.reload(&revoking(&what), "clients reloaded");
        let reason = format!("certificate {fingerprint} is revoked");
        stage.refused(&stage.second, &reason);
        // A new connection of its is refused as well, and so it is written down.
        let error = connect(&stage.scene, &stage.server, &stage.certificate).unwrap_err();
        assert!(error.to_string().contains(&reason), "{error}");
        let records = stage.server.audit();
        assert!(records.iter().any(|record| {
            let text = record["reason"].as_str().unwrap_or("");
            text.contains(&reason) && record["certificate"] == fingerprint.to_string()
        }));
        // Its renewed certificate, for the same name, is good.
        let renewed = stage.scene.authority.issue(&["p1.second.test"]);
        connect(&stage.scene, &stage.server, &renewed).unwrap();
        // The other client's connection is the same as ever.
        stage.first.exchange(&stage.request).unwrap();
        assert_eq!(stage.first.statistics().failures, 0);

        stage.reload(&stage.text, "clients reloaded");
        stage.second.exchange(&stage.request).unwrap();
    }
    assert!(stage.server.is_running());
}

#[test]
fn clients_come_and_go_and_a_bad_configuration_changes_nothing() {
    let mut stage = Stage::new("reload");
    stage.reload(&stage.text.replace(SECOND, ""), "clients reloaded");
    stage.refused(&stage.second, "is not listed");
    stage.first.exchange(&stage.request).unwrap();

    // Fewer keys for one, back again for the other.
    let other = "0".repeat(64);
    let text = stage
        .text
        .replace("[\"owner.public\"]", &format!("[\"{other}\"]"));
    stage.reload(&text, "clients reloaded");
    let error = stage
        .first
        .exchange(&stage.request)
        .unwrap_err()
        .to_string();
    assert!(error.contains("is not served to this client"), "{error}");
    stage.second.exchange(&stage.request).unwrap();

    let twice = format!("{}{SECOND}", stage.text);
    for (bad, why) in [
        ("listen = ", "TOML"),
        (twice.as_str(), "list each once"),
        (&stage.text.replace("p1.pem", "missing.pem"), "missing.pem"),
        (
            &format!("revoked = [\"sha256:00\"]\n{}", stage.text),
            "sha256:00",
        ),
    ] {
        stage.reload(bad, "the old list stays in force");
        assert!(stage.server.log().contains(why), "{}", stage.server.log());
        stage.second.exchange(&stage.request).unwrap();
        assert!(stage.first.exchange(&stage.request).is_err());
    }
    stage.reload(&stage.text, "clients reloaded");
    stage.first.exchange(&stage.request).unwrap();
    assert!(stage.server.is_running() && stage.server.terminate());
}
