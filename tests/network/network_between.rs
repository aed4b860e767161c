//! The network between the two hosts of a test: two namespaces and a cable, or loopback; and its faults.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::hosts::say;
use crate::scene::free_address;

/// Addresses of the two ends of the cable, inside the namespaces only.
const CLIENT: &str = "10.203.7.1";
const SERVER: &str = "10.203.7.2";

/// Where client and server of a test run.
pub enum Between {
    Namespaces { client: String, server: String },
    Loopback(SocketAddr),
}

impl Between {
    pub fn new(test: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("smlp-{}-{count}-{side}", std::process::id());
        let (client, server) = (name("p1"), name("p2"));
        let hosts = Self::Namespaces {
            client: client.clone(),
            server: server.clone(),
        };
        match connect(&client, &server) {
            Ok(()) => {
                say(&format!("{test}: two network namespaces with veth"));
                hosts
            }
            Err(why) => {
                drop(hosts);
                say(&format!("{test}: two processes on loopback ({why})"));
                Self::Loopback(free_address())
            }
        }
    }

    pub fn server_host(&self) -> String {
        self.server_address().ip().to_string()
    }

    pub fn server_address(&self) -> SocketAddr {
        match self {
            Self::Namespaces { .. } => format!("{SERVER}:7443").parse().unwrap(),
            Self::Loopback(address) => *address,
        }
    }

    pub fn on_client(&self) -> Vec<String> {
        match self {
            Self::Namespaces { client, .. } => inside(client),
            Self::Loopback(_) => Vec::new(),
        }
    }

    pub fn on_server(&self) -> Vec<String> {
        match self {
            Self::Namespaces { server, .. } => inside(server),
            Self::Loopback(_) => Vec::new(),
        }
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        if let Self::Namespaces { client, server } = self {
            // With a namespace, its end of the cable goes, and with that the other end.
            for name in [client, server] {
                let _ = ip(&format!("netns delete {name}"));
            }
        }
    }
}

fn inside(name: &str) -> Vec<String> {
    ["ip", "netns", "exec", name].map(str::to_owned).to_vec()
}

fn connect(client: &str, server: &str) -> Result<(), String> {
    ip(&format!("netns add {client}"))?;
    ip(&format!("netns add {server}"))?;
    ip(&format!(
        "-netns {client} link add cable type veth peer name cable netns {server}"
    ))?;
    for (name, address) in [(client, CLIENT), (server, SERVER)] {
        ip(&format!("-netns {name} address add {address}/24 dev cable"))?;
        ip(&format!("-netns {name} link set cable up"))?;
        ip(&format!("-netns {name} link set lo up"))?;
    }
    Ok(())
}

fn ip(arguments: &str) -> Result<(), String> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &str) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// A connection with delay and loss: the kernel's (tc netem), or a relay that imitates what TCP makes of both.
pub enum Lossy {
    Netem(SocketAddr),
    Relay(Child, SocketAddr),
}

impl Lossy {
    /// `delay` for a round trip, `loss` of the segments.
    pub fn new(hosts: &Between, server: SocketAddr, delay: Duration, loss: f64) -> Self {
        let netem = match hosts {
            Between::Loopback(_) => Err("there are no namespaces".to_owned()),
            Between::Namespaces { client, .. } => run(
                "tc",
                &format!(
                    "-netns {client} qdisc add dev cable root netem delay {}ms loss {}%",
                    delay.as_millis(),
                    100.0 * loss
                ),
            ),
        };
        match netem {
            Ok(()) => Self::Netem(server),
            Err(why) => {
                say(&format!("no tc netem: {why}"));
                let (process, address) = relay(hosts, server, delay / 2, loss);
                Self::Relay(process, address)
            }
        }
    }

    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Netem(address) | Self::Relay(_, address) => *address,
        }
    }

    pub fn how(&self) -> &'static str {
        match self {
            Self::Netem(_) => "tc netem",
            Self::Relay(..) => "a relay that delays, and repeats lost segments 200 ms later",
        }
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        if let Self::Relay(process, _) = self {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// `relay.py` on the client's host.
fn relay(hosts: &Between, server: SocketAddr, delay: Duration, loss: f64) -> (Child, SocketAddr) {
    let mut command = hosts.on_client();
    command.push("python3".into());
    let mut process = Command::new(&command[0])
        .args(&command[1..])
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/network/relay.py"
        ))
        .arg(server.ip().to_string())
        .arg(server.port().to_string())
        .arg(delay.as_millis().to_string())
        .arg(loss.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();
    (process, ([127, 0, 0, 1], port).into())
}
