//! Who gets in: certificates and the list of clients. Every refusal is in the audit file.

use std::time::Duration;

use smlp::transport::network::{Client, ClientOptions, Fingerprint, Identity};
use smlp::{Encrypt, Error, PrivateKey, Security, Transport};

use crate::scene::{Authority, Certified, Scene, ServerProcess, eventually, request};

fn connect(scene: &Scene, server: &ServerProcess, certified: &Certified) -> smlp::Result<Client> {
    let identity = scene.identity_of(certified);
    Client::connect(options(server, identity))
}

fn options(server: &ServerProcess, identity: Identity) -> ClientOptions {
    ClientOptions::new([server.address.to_string()], identity).deadline(Duration::from_secs(10))
}

#[track_caller]
fn recorded(server: &ServerProcess, word: &str) {
    eventually(&format!("a refusal with '{word}' is recorded"), || {
        server.audit().iter().any(|record| {
            let reason = record["reason"].as_str().unwrap_or("");
            record["outcome"] == "refused" && reason.contains(word) && record["peer"].is_string()
        })
    });
}

#[track_caller]
fn refused(outcome: smlp::Result<Client>, word: &str) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert!(error.to_string().contains(word), "{error}");
}

#[test]
fn certificates_that_are_not_accepted() {
    let scene = Scene::local("certificates");
    let server = scene.serve("p2", "");

    let other = Authority::new("another authority");
    refused(
        connect(&scene, &server, &other.issue(&["p1.test"])),
        "authority",
    );
    recorded(&server, "UnknownIssuer");

    let expired = scene.authority.issue_expired(&["p1.test"]);
    refused(connect(&scene, &server, &expired), "expired");
    recorded(&server, "certificate expired");

    // Accepted, but not listed: an answer instead of a closed connection.
    let stranger = scene.authority.issue(&["stranger.test"]);
    let fingerprint = Fingerprint::of_pem(stranger.certificate.as_bytes()).unwrap();
    refused(
        connect(&scene, &server, &stranger),
        &format!("{fingerprint} is not listed"),
    );
    let client = Client::new(options(&server, scene.identity_of(&stranger))).unwrap();
    assert!(matches!(client.exchange(&[0; 100]), Err(Error::Refused(_))));
    recorded(&server, &format!("{fingerprint} is not listed"));

    // And the other way round: a server of another authority is not who the client looks for.
    let identity = Identity::from_pem(
        other.pem.as_bytes(),
        scene.client.certificate.as_bytes(),
        scene.client.key.as_bytes(),
    );
    refused(
        Client::connect(options(&server, identity.unwrap())),
        "may be somebody else",
    );
    let named = options(&server, scene.identity()).server_name("other.test");
    refused(Client::connect(named), "may be somebody else");
    assert!(connect(&scene, &server, &scene.client).is_ok());
}

/// A client of another kind, which shows no certificate at all.
#[test]
fn no_certificate() {
    let scene = Scene::local("none");
    let server = scene.serve("p2", "");
    let output = std::process::Command::new("openssl")
        .args(["s_client", "-tls1_3", "-alpn", "h2", "-quiet", "-connect"])
        .arg(server.address.to_string())
        .arg("-CAfile")
        .arg(scene.folder.path("ca.pem"))
        .stdin(std::process::Stdio::null())
        .output()
        .expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("certificate required"), "{text}");
    recorded(&server, "peer sent no certificates");
}

#[test]
fn a_key_of_somebody_else() {
    let scene = Scene::local("other-key");
    let other = PrivateKey::generate(512, Security::AllowInsecure).unwrap();
    other.save(&scene.folder.path("other.private")).unwrap();
    let second = scene.authority.issue(&["p1.other.test"]);
    scene.folder.write("second.pem", &second.certificate);
    let config = scene.configure(
        "p2",
        crate::scene::free_address(),
        &format!(
            "[[clients]]\nname = \"second\"\ndns_name = \"p1.other.test\"\nkeys = [\"{}\"]\n",
            other.public().id().to_hex()
        ),
    );
    let text = std::fs::read_to_string(&config).unwrap();
    let both = text.replace(
        "[\"owner.private\"]",
        "[\"owner.private\", \"other.private\"]",
    );
    std::fs::write(&config, &both).unwrap();
    let address = both.split('"').nth(1).unwrap().parse().unwrap();
    let server = ServerProcess::start(&scene, "p2", address, &[]);

    for (certified, own, foreign) in [
        (&scene.client, &scene.key, &other),
        (&second, &other, &scene.key),
    ] {
        let client = connect(&scene, &server, certified).unwrap();
        let served = client.describe().unwrap().keys;
        assert_eq!(served.len(), 1);
        assert_eq!(served[0].id, own.public().id().0);
        client.exchange(&request(own, 2)).unwrap();
        let error = client
            .exchange(&request(foreign, 2))
            .unwrap_err()
            .to_string();
        let expected = format!("key {} is not served to this client", foreign.public().id());
        assert!(error.contains(&expected), "{error}");
        recorded(&server, &expected);
    }
    // A key that the server has never heard of looks just the same.
    let unknown = PrivateKey::generate(512, Security::AllowInsecure).unwrap();
    let client = connect(&scene, &server, &second).unwrap();
    let error = client
        .exchange(&request(&unknown, 2))
        .unwrap_err()
        .to_string();
    assert!(error.contains("is not served to this client"), "{error}");
}

/// The audit file names people and sizes, and holds no number of the messages.
#[test]
fn the_audit_file_is_its_owners_and_holds_no_values() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::local("audit");
    let server = scene.serve("p2", "");
    let client = connect(&scene, &server, &scene.client).unwrap();
    client.exchange(&request(&scene.key, 6)).unwrap();
    eventually("it is recorded", || server.audit().len() == 1);
    let record = &server.audit()[0];
    let object = record.as_object().unwrap();
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut expected = vec![
        "timestamp",
        "level",
        "target",
        "outcome",
        "client",
        "certificate",
        "peer",
        "key",
        "operation",
        "shapes",
        "values",
        "answers",
        "bytes_in",
        "bytes_out",
        "milliseconds",
        "waited_milliseconds",
        "computed_milliseconds",
        "reason",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(
        (&record["values"], &record["answers"]),
        (&6.into(), &6.into())
    );
    let file = std::fs::metadata(scene.folder.path("p2.audit")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}
