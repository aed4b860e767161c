//! `smlp serve`.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use smlp::transport::network::{AUDIT_TARGET, Server, ServerOptions};
use smlp::{Error, Result};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::prelude::*;

use crate::config::{Config, EXAMPLE};
use crate::files::{self, KeyArguments};
use crate::outcome::Outcome;

/// Be P2: answer the masked questions of the clients that a configuration file lists.
///
/// SIGTERM and SIGINT end it gracefully; SIGHUP makes it read its clients and revoked certificates anew, and nothing else. It keeps no state, so several servers with the same keys are replicas.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smlp serve --example > p2.toml
  smlp serve --config p2.toml --check
  smlp serve --config p2.toml --passphrase-file /run/secrets/passphrase --log-json")]
pub struct Arguments {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", required_unless_present = "example")]
    config: Option<PathBuf>,

    /// Print an example of a configuration file, with every setting explained.
    #[arg(long, conflicts_with = "config")]
    example: bool,

    /// Check the configuration, the keys and the certificates, and end.
    #[arg(long)]
    check: bool,

    /// Listen here instead of where the file says.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// Log JSON. What is logged, RUST_LOG says (info by default).
    #[arg(long)]
    log_json: bool,

    #[command(flatten)]
    keys: KeyArguments,
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let Some(path) = &arguments.config else {
        print!("{EXAMPLE}");
        return Ok(Outcome::silent());
    };
    let config = Config::load(path)?;
    let keys = config.private_keys(&arguments.keys)?;
    let access = config.access(&arguments.keys)?;
    let ids: Vec<String> = keys
        .iter()
        .map(|key| smlp::Encrypt::public(key).id().to_hex())
        .collect();
    let mut options = ServerOptions::new(config.identity()?, keys, access)
        .limits(config.limits()?)
        .stop_on_signals();
    let (file, public) = (path.clone(), arguments.keys.clone());
    options = options.reload_on_hangup(move || Config::load(&file)?.access(&public));
    if let Some(address) = config.metrics {
        options = options.metrics(address);
    }
    if arguments.check {
        return Ok(Outcome::default()
            .with("configuration", path.display().to_string())
            .with("keys", ids.join(", ")));
    }
    log_to(arguments.log_json, config.audit.as_deref())?;
    let server = Server::bind(arguments.listen.unwrap_or(config.listen), options)?;
    tracing::info!(
        address = %server.address(),
        metrics = server.metrics_address().map(|address| address.to_string()),
        keys = ids.join(", "),
        "serving"
    );
    server.run()?;
    tracing::info!("stopped");
    Ok(Outcome::silent())
}

/// Logs go to standard error, audit records to their file if there is one, and to the log otherwise.
fn log_to(json: bool, audit: Option<&Path>) -> Result<()> {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let audit_file = audit.map(open).transpose()?;
    let elsewhere = audit_file.is_some();
    let for_log = filter_fn(move |event| !(elsewhere && event.target() == AUDIT_TARGET));
    let log = match json {
        true => layer().json().with_writer(std::io::stderr).boxed(),
        false => layer().with_writer(std::io::stderr).boxed(),
    };
    let log = log.with_filter(for_log).with_filter(wanted);
    let audit = audit_file.map(|file| {
        let only_audit = filter_fn(|event| event.target() == AUDIT_TARGET);
        layer()
            .json()
            .flatten_event(true)
            .with_writer(Mutex::new(file))
            .with_filter(only_audit)
    });
    tracing_subscriber::registry()
        .with(log)
        .with(audit)
        .try_init()
        .map_err(|e| Error::InvalidArgument(format!("no log: {e}")))
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| files::io(path, e))
}
