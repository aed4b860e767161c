//! The configuration file of `smlp serve`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use smlp::paillier::KeyId;
use smlp::transport::network::{Access, Fingerprint, Grant, Holder, Identity, Keys, Limits};
use smlp::{Error, Kind, PrivateKey, Result};

use crate::files::{self, KeyArguments};

/// What `smlp serve --example` prints.
pub const EXAMPLE: &str = include_str!("serve.example.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub metrics: Option<SocketAddr>,
    pub audit: Option<PathBuf>,
    private_keys: Vec<PathBuf>,
    certificate: PathBuf,
    certificate_key: PathBuf,
    client_authorities: PathBuf,
    #[serde(default)]
    clients: Vec<ClientConfig>,
    #[serde(default)]
    revoked: Vec<String>,
    #[serde(default)]
    limits: LimitsConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientConfig {
    name: String,
    certificate: Option<PathBuf>,
    fingerprint: Option<String>,
    dns_name: Option<String>,
    keys: Vec<String>,
}

/// As [`Limits`]; what is left out keeps its default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsConfig {
    request_bytes: Option<u64>,
    request_values: Option<u64>,
    reply_bytes: Option<u64>,
    working_bytes: Option<u64>,
    values_per_second: Option<u64>,
    calls_per_client: Option<usize>,
    computing: Option<usize>,
    waiting: Option<usize>,
    memory_bytes: Option<u64>,
    connections: Option<usize>,
    handshake_seconds: Option<f64>,
    idle_seconds: Option<f64>,
    intake_seconds: Option<f64>,
    drain_seconds: Option<f64>,
}

impl Config {
    /// Reads the file. Paths in it are relative to its folder.
    pub fn load(path: &Path) -> Result<Self> {
        let text =
            String::from_utf8(files::read(path)?).map_err(|e| malformed(path, &e.to_string()))?;
        let mut config: Self =
            toml::from_str(&text).map_err(|e| malformed(path, &e.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let here = |path: &mut PathBuf| *path = folder.join(&*path);
        config.private_keys.iter_mut().for_each(here);
        config.audit.as_mut().map(here);
        here(&mut config.certificate);
        here(&mut config.certificate_key);
        here(&mut config.client_authorities);
        for certificate in &mut config.revoked {
            if certificate.parse::<Fingerprint>().is_err() {
                *certificate = folder.join(&*certificate).display().to_string();
            }
        }
        for client in &mut config.clients {
            client.certificate.as_mut().map(here);
            for key in &mut client.keys {
                if KeyId::from_hex(key).is_err() && key != "all" {
                    *key = folder.join(&*key).display().to_string();
                }
            }
        }
        Ok(config)
    }

    pub fn identity(&self) -> Result<Identity> {
        Identity::load(
            &self.client_authorities,
            &self.certificate,
            &self.certificate_key,
        )
    }

    pub fn private_keys(&self, keys: &KeyArguments) -> Result<Vec<PrivateKey>> {
        self.private_keys
            .iter()
            .map(|path| keys.private(path))
            .collect()
    }

    pub fn access(&self, keys: &KeyArguments) -> Result<Access> {
        let grants = self.clients.iter().map(|client| client.grant(keys));
        let access = Access::new(grants.collect::<Result<_>>()?)?;
        let revoked = self.revoked.iter().map(|text| revoked(text));
        Ok(access.revoke(revoked.collect::<Result<Vec<_>>>()?))
    }

    pub fn limits(&self) -> Result<Limits> {
        let (config, default) = (&self.limits, Limits::default());
        let time = |seconds: Option<f64>, default| match seconds {
            None => Ok(default),
            Some(seconds) => Duration::try_from_secs_f64(seconds)
                .ok()
                .filter(|time| !time.is_zero() && time.as_secs() <= 24 * 3600)
                .ok_or_else(|| {
                    Error::InvalidArgument(format!(
                        "a limit of {seconds} seconds; more than 0 and at most a day (86400)"
                    ))
                }),
        };
        Ok(Limits {
            request_bytes: config.request_bytes.unwrap_or(default.request_bytes),
            request_values: config.request_values.unwrap_or(default.request_values),
            reply_bytes: config.reply_bytes.unwrap_or(default.reply_bytes),
            working_bytes: config.working_bytes.unwrap_or(default.working_bytes),
            values_per_second: config
                .values_per_second
                .unwrap_or(default.values_per_second),
            calls_per_client: config.calls_per_client.unwrap_or(default.calls_per_client),
            computing: config.computing.unwrap_or(default.computing),
            waiting: config.waiting.unwrap_or(default.waiting),
            memory_bytes: config.memory_bytes.unwrap_or(default.memory_bytes),
            connections: config.connections.unwrap_or(default.connections),
            handshake: time(config.handshake_seconds, default.handshake)?,
            idle: time(config.idle_seconds, default.idle)?,
            intake: time(config.intake_seconds, default.intake)?,
            drain: time(config.drain_seconds, default.drain)?,
        })
    }
}

impl ClientConfig {
    fn grant(&self, keys: &KeyArguments) -> Result<Grant> {
        let holder = match (&self.certificate, &self.fingerprint, &self.dns_name) {
            (Some(path), None, None) => {
                let fingerprint = Fingerprint::of_pem(&files::read(path)?);
                Holder::Certificate(fingerprint.map_err(|e| files::in_file(path, e))?)
            }
            (None, Some(fingerprint), None) => Holder::Certificate(fingerprint.parse()?),
            (None, None, Some(name)) => Holder::Name(name.clone()),
            _ => {
                return Err(Error::InvalidArgument(format!(
                    "client '{}' needs exactly one of certificate, fingerprint and dns_name",
                    self.name
                )));
            }
        };
        if self.keys.is_empty() {
            return Err(Error::InvalidArgument(format!(
                "client '{}' may use no key; list key ids, public key files, or \"all\"",
                self.name
            )));
        }
        let keys = match self.keys.iter().any(|key| key == "all") {
            true => Keys::All,
            false => Keys::Only(
                self.keys
                    .iter()
                    .map(|key| key_id(key, keys))
                    .collect::<Result<HashSet<_>>>()?,
            ),
        };
        Ok(Grant {
            client: self.name.clone(),
            holder,
            keys,
        })
    }
}

/// A fingerprint, or the file of a certificate.
fn revoked(text: &str) -> Result<Fingerprint> {
    if let Ok(fingerprint) = text.parse() {
        return Ok(fingerprint);
    }
    let path = Path::new(text);
    Fingerprint::of_pem(&files::read(path)?).map_err(|e| files::in_file(path, e))
}

/// An id in hexadecimal, or the file of a public key.
fn key_id(text: &str, keys: &KeyArguments) -> Result<KeyId> {
    if let Ok(id) = KeyId::from_hex(text) {
        return Ok(id);
    }
    let path = Path::new(text);
    match Kind::of(&files::start(path)?) {
        Some(Kind::PublicKey) => match keys.public(path)? {
            key if key.is_foreign() => Err(Error::InvalidArgument(format!(
                "{text}: the key of other software, which is known by its modulus alone, is never asked for; list \
                 the public half of the private key that is served"
            ))),
            key => Ok(key.id()),
        },
        _ => Err(Error::Malformed {
            what: "public key",
            why: format!(
                "{text}: a key of a client is an id of 64 hexadecimal digits, a public key file, or \"all\""
            ),
        }),
    }
}

fn malformed(path: &Path, why: &str) -> Error {
    Error::Malformed {
        what: "configuration",
        why: format!("{}: {why}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_configuration() {
        let config: Config = toml::from_str(EXAMPLE).unwrap();
        assert_eq!(config.clients.len(), 2);
        // Its limits are the default ones.
        assert_eq!(config.limits().unwrap(), Limits::default());
    }

    #[test]
    fn mistakes_are_named() {
        let of = |from: &str, to: &str| {
            let text = EXAMPLE.replace(from, to);
            assert_ne!(text, EXAMPLE);
            toml::from_str::<Config>(&text)
        };
        let error = of("listen =", "listens =").unwrap_err().to_string();
        assert!(error.contains("listens"), "{error}");
        let config = of("idle_seconds = 20", "idle_seconds = -1").unwrap();
        let error = config.limits().unwrap_err().to_string();
        assert!(error.contains("-1 seconds"), "{error}");
    }

    #[test]
    fn a_key_that_no_request_names_is_refused() {
        let key = smlp::PrivateKey::generate(64, smlp::Security::AllowInsecure).unwrap();
        let public = smlp::Encrypt::public(&key);
        let modulus = public.modulus_bytes();
        let foreign = smlp::PublicKey::from_modulus(&modulus, smlp::Security::AllowInsecure);
        let path = std::env::temp_dir().join(format!("smlp-client-key-{}", std::process::id()));
        let keys = KeyArguments {
            allow_insecure: true,
            passphrase_file: None,
        };
        let read = |bytes: Vec<u8>| {
            std::fs::write(&path, bytes).unwrap();
            key_id(path.to_str().unwrap(), &keys)
        };
        assert_eq!(read(public.to_bytes()), Ok(public.id()));
        let error = read(foreign.unwrap().to_bytes()).unwrap_err().to_string();
        assert!(error.contains("other software"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}
