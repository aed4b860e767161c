//! A stage for the network tests: an authority, certificates, key servers as processes of their own, and folders for
//! all of it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use smlp::random::Random;
use smlp::transport::network::{Client, ClientOptions, Identity};
use smlp::{Encrypt, EncryptedTensor, IntegerTensor, P1, PrivateKey, Promise, Security};

/// The command under test.
pub const SMLP: &str = env!("CARGO_BIN_EXE_smlp");

/// Keys in tests whose subject is not their size.
pub const SMALL_KEY_BITS: u32 = 512;

/// A well-formed request of a new P1: fresh ciphertexts of 0, 1, 2, ...
pub fn request(key: &PrivateKey, values: usize) -> Vec<u8> {
    let numbers: Vec<i64> = (0..values as i64).collect();
    let tensor = IntegerTensor::from_i64(&[values], &numbers, Some(20)).unwrap();
    let tensor = EncryptedTensor::encrypt(&tensor, key, &Random::os()).unwrap();
    let p1 = P1::new(key.public().clone(), Promise::insecure(40)).unwrap();
    p1.refresh(&tensor).unwrap().request().unwrap().to_vec()
}

/// A folder that goes when the test ends.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("smlp-net-{name}-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A certificate authority.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Certified {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(parameters, key),
        }
    }

    pub fn issue(&self, hosts: &[&str]) -> Certified {
        self.issue_with(hosts, |_| {})
    }

    pub fn issue_expired(&self, hosts: &[&str]) -> Certified {
        self.issue_with(hosts, |parameters| {
            parameters.not_before = date_time_ymd(2020, 1, 1);
            parameters.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    fn issue_with(&self, hosts: &[&str], change: impl Fn(&mut CertificateParams)) -> Certified {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut parameters = CertificateParams::new(hosts).unwrap();
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Certified {
            certificate,
            key: key.serialize_pem(),
        }
    }
}

/// A key, an authority, certificates of both sides, in files: all that a key server and its clients need.
pub struct Scene {
    pub folder: Folder,
    pub key: PrivateKey,
    pub authority: Authority,
    pub client: Certified,
}

impl Scene {
    /// `hosts` are what the server's certificate is for.
    pub fn new(name: &str, bits: u32, hosts: &[&str]) -> Self {
        let folder = Folder::new(name);
        let key = PrivateKey::generate(bits, Security::AllowInsecure).unwrap();
        key.save(&folder.path("owner.private")).unwrap();
        folder.write("owner.public", key.public().to_bytes());
        let authority = Authority::new("test authority");
        let (server, client) = (authority.issue(hosts), authority.issue(&["p1.test"]));
        folder.write("ca.pem", &authority.pem);
        folder.write("p2.pem", &server.certificate);
        folder.write("p1.pem", &client.certificate);
        write_secret(&folder.path("p2.key"), &server.key);
        write_secret(&folder.path("p1.key"), &client.key);
        Self {
            folder,
            key,
            authority,
            client,
        }
    }

    /// On loopback.
    pub fn local(name: &str) -> Self {
        Self::new(name, SMALL_KEY_BITS, &["127.0.0.1"])
    }

    /// The configuration of a server with the one client; `more` is appended.
    pub fn configure(&self, name: &str, listen: SocketAddr, more: &str) -> PathBuf {
        let text = format!(
            "listen = \"{listen}\"\nmetrics = \"{}\"\naudit = \"{name}.audit\"\nprivate_keys = [\"owner.private\"]\n\
             certificate = \"p2.pem\"\ncertificate_key = \"p2.key\"\nclient_authorities = \"ca.pem\"\n\
             [[clients]]\nname = \"p1\"\ncertificate = \"p1.pem\"\nkeys = [\"owner.public\"]\n{more}",
            free_address()
        );
        self.folder.write(&format!("{name}.toml"), text)
    }

    /// A server process on loopback, at a free port.
    pub fn serve(&self, name: &str, more: &str) -> ServerProcess {
        let address = free_address();
        self.configure(name, address, more);
        ServerProcess::start(self, name, address, &[])
    }

    pub fn identity(&self) -> Identity {
        self.identity_of(&self.client)
    }

    pub fn identity_of(&self, certified: &Certified) -> Identity {
        Identity::from_pem(
            self.authority.pem.as_bytes(),
            certified.certificate.as_bytes(),
            certified.key.as_bytes(),
        )
        .unwrap()
    }

    /// Options of a client that gives up after ten seconds.
    pub fn options(&self, addresses: &[SocketAddr]) -> ClientOptions {
        let addresses = addresses.iter().map(SocketAddr::to_string);
        ClientOptions::new(addresses, self.identity()).deadline(Duration::from_secs(10))
    }

    pub fn connect(&self, addresses: &[SocketAddr]) -> Client {
        Client::connect(self.options(addresses)).unwrap()
    }
}

pub fn write_secret(path: &Path, text: &str) {
    smlp::paillier::secret_file::write(path, text.as_bytes()).unwrap();
}

/// An address on loopback that nobody uses.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// `smlp serve` as a process of its own, ended with the test.
pub struct ServerProcess {
    child: Child,
    pub address: SocketAddr,
    /// What to run it again with.
    name: String,
    prefix: Vec<String>,
    config: PathBuf,
    audit: PathBuf,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts the server of a configuration and waits until it listens. `prefix` goes before the command, as in
    /// `ip netns exec`.
    pub fn start(scene: &Scene, name: &str, address: SocketAddr, prefix: &[&str]) -> Self {
        let mut process = Self {
            child: Command::new("true").spawn().unwrap(),
            address,
            name: name.into(),
            prefix: prefix.iter().map(|word| (*word).to_owned()).collect(),
            config: scene.folder.path(&format!("{name}.toml")),
            audit: scene.folder.path(&format!("{name}.audit")),
            log: scene.folder.path(&format!("{name}.log")),
        };
        process.restart();
        process
    }

    /// Starts it (again), at the same address.
    pub fn restart(&mut self) {
        let _ = self.child.wait();
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let began = self.log().matches(" serving ").count();
        let mut command = self.prefix.clone();
        command.push(SMLP.into());
        self.child = Command::new(&command[0])
            .args(&command[1..])
            .args(["serve", "--allow-insecure", "--config"])
            .arg(&self.config)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        eventually(&format!("{} serves", self.name), || {
            self.log().matches(" serving ").count() > began
        });
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends SIGTERM and waits for the end; whether it was a good one.
    pub fn terminate(&mut self) -> bool {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().success()
    }

    /// The audit records so far.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&self.audit).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Resident memory in MiB.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    }

    /// What its metrics listener answers.
    pub fn get(&self, path: &str) -> String {
        let config = std::fs::read_to_string(&self.config).unwrap();
        let line = config
            .lines()
            .find(|line| line.starts_with("metrics"))
            .unwrap();
        let mut stream = TcpStream::connect(line.split('"').nth(1).unwrap()).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something to become true, at most 30 seconds.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
