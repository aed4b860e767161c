//! How `train` and `predict` reach P2.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smlp::transport::network::{Client, ClientOptions, Identity};
use smlp::{Error, InProcess, P1, P2, Promise, PublicKey, Result, Session, Transport};

use crate::files::KeyArguments;

/// The key server, and as whom to ask it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Key server")]
pub struct ServerArguments {
    /// Key server, HOST:PORT; several times, or comma-separated, for replicas.
    #[arg(
        short,
        long = "server",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        required_unless_present = "p2_key",
        requires_all = ["authority", "certificate", "certificate_key"]
    )]
    servers: Vec<String>,

    /// Certificate (PEM) of the authority that the server's certificate comes from.
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,

    /// Our certificate (PEM), which the server has listed.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// Its private key (PEM).
    #[arg(long, value_name = "FILE")]
    certificate_key: Option<PathBuf>,

    /// What the server's certificate is for, if not for the host of its address.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,

    /// Seconds that one exchange may take, with all its repetitions; longer than a restart of the server.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    deadline: u64,

    /// Be P2 too, with this private key: for trying things out. Whoever holds both parties holds everything.
    #[arg(long, value_name = "FILE", conflicts_with = "servers")]
    p2_key: Option<PathBuf>,

    /// Promise that P2's advantage over guessing is at most 2^-BITS: over all trainings of a network, and over the
    /// other calls of this command. From this follow the widths of masks.
    #[arg(long, value_name = "BITS", default_value_t = smlp::protocol::DEFAULT_SECURITY, conflicts_with = "sigma")]
    security: u32,

    /// Masks of exactly so many bits of statistical security. What they are too narrow for, to keep a promise of 2^-40,
    /// is refused; with --allow-insecure nothing is promised.
    #[arg(long, value_name = "BITS")]
    sigma: Option<u32>,

    /// Values and ciphertexts that predictions may show the key server, about 200 a row and layer of ten.
    #[arg(long, value_name = "NUMBER", default_value_t = smlp::protocol::DEFAULT_VALUES, conflicts_with = "sigma")]
    values: u64,
}

/// A session, and the client beneath it if P2 is elsewhere.
pub struct Connected {
    pub session: Session,
    pub client: Option<Arc<Client>>,
}

impl ServerArguments {
    /// A session with the key server, which has been reached once and has the key.
    pub fn connect(&self, key: &PublicKey, keys: &KeyArguments) -> Result<Connected> {
        let p1 = Arc::new(P1::new(key.clone(), self.promise(keys))?);
        let (transport, client): (Arc<dyn Transport>, _) = match &self.p2_key {
            Some(path) => {
                let p2 = P2::new(keys.private(path)?);
                (Arc::new(InProcess::new(Arc::new(p2))), None)
            }
            None => {
                let client = Arc::new(self.client(key)?);
                (client.clone(), Some(client))
            }
        };
        let session = Session::new(p1, transport);
        Ok(Connected { session, client })
    }

    fn promise(&self, keys: &KeyArguments) -> Promise {
        match self.sigma {
            None => Promise::of(self.security).values(self.values),
            Some(sigma) if keys.allow_insecure => Promise::insecure(sigma),
            Some(sigma) => Promise::default().with_sigma(sigma),
        }
    }

    fn client(&self, key: &PublicKey) -> Result<Client> {
        let file = |path: &Option<PathBuf>| path.clone().unwrap_or_default(); // clap requires all three
        let identity = Identity::load(
            &file(&self.authority),
            &file(&self.certificate),
            &file(&self.certificate_key),
        )?;
        let mut options = ClientOptions::new(self.servers.clone(), identity)
            .deadline(Duration::from_secs(self.deadline));
        if let Some(name) = &self.server_name {
            options = options.server_name(name.clone());
        }
        let client = Client::connect(options)?;
        let served = client.describe()?.keys;
        match served.iter().any(|served| served.id == key.id().0) {
            true => Ok(client),
            false => Err(Error::Refused(format!(
                "key {} is not served to us; ask the operator to list our certificate for it. Served are: {}",
                key.id(),
                match served.is_empty() {
                    true => "none".into(),
                    false => served
                        .iter()
                        .map(|key| hex(&key.id))
                        .collect::<Vec<_>>()
                        .join(", "),
                }
            ))),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(8).map(|b| format!("{b:02x}")).collect()
}
