//! `smlp certificate`: a small authority of one's own, for those who have none.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use smlp::paillier::secret_file;
use smlp::transport::network::Fingerprint;
use smlp::{Error, Result};

use crate::files;
use crate::outcome::Outcome;

/// Keys of an authority are small.
const MAX_KEY_BYTES: usize = 1 << 14;
/// Certificates are valid from a day before they are made: clocks differ.
const EARLIER: Duration = Duration::from_secs(24 * 3600);

/// Make the certificates with which client and server recognise each other.
///
/// For a test, or for two organisations without a certificate authority. Others use their own: any X.509 certificates
/// in PEM will do, the server's with its host among the subject alternative names.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make an authority: NAME.pem, to be given to everybody, and NAME.key, to be kept.
    #[command(after_help = "Example:\n  smlp certificate authority ca")]
    Authority {
        /// Where to write, without the endings.
        name: PathBuf,
        /// Days that it is valid.
        #[arg(long, default_value_t = 3650)]
        days: u32,
    },
    /// Issue a certificate: NAME.pem and its private key NAME.key.
    #[command(after_help = "\
Examples:
  smlp certificate issue --authority ca --host p2.example p2
  smlp certificate issue --authority ca --host 10.0.0.2 --host p2 p2
  smlp certificate issue --authority ca --host p1.example p1")]
    Issue {
        /// Where to write, without the endings.
        name: PathBuf,
        /// The authority, as it was named when it was made.
        #[arg(long, value_name = "NAME")]
        authority: PathBuf,
        /// A DNS name or an IP address that it is for; several times for several.
        #[arg(long = "host", required = true, value_name = "HOST")]
        hosts: Vec<String>,
        /// Days that it is valid.
        #[arg(long, default_value_t = 365)]
        days: u32,
    },
    /// Print the fingerprint of a certificate, for the list of clients of `smlp serve`.
    #[command(after_help = "Example:\n  smlp certificate fingerprint p1.pem")]
    Fingerprint {
        /// The certificate in PEM.
        file: PathBuf,
    },
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    match arguments.command {
        Command::Authority { name, days } => authority(&name, days),
        Command::Issue {
            name,
            authority,
            hosts,
            days,
        } => issue(&name, &authority, &hosts, days),
        Command::Fingerprint { file } => {
            let fingerprint = Fingerprint::of_pem(&files::read(&file)?)
                .map_err(|error| files::in_file(&file, error))?;
            Ok(Outcome::default().with("fingerprint", fingerprint.to_string()))
        }
    }
}

fn authority(name: &Path, days: u32) -> Result<Outcome> {
    let mut parameters = parameters(name, &[], days)?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    write(name, &certificate.pem(), &key)
}

fn issue(name: &Path, authority: &Path, hosts: &[String], days: u32) -> Result<Outcome> {
    let (certificate, key) = (ending(authority, "pem"), ending(authority, "key"));
    let pem = |path: &Path, bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| unusable(path, "it is not PEM"))
    };
    let secret = pem(&key, &secret_file::read(&key, MAX_KEY_BYTES)?)?;
    let authority_key = KeyPair::from_pem(&secret).map_err(|e| unusable(&key, &e.to_string()))?;
    let authority_pem = pem(&certificate, &files::read(&certificate)?)?;
    let issuer = Issuer::from_ca_cert_pem(&authority_pem, authority_key)
        .map_err(|e| unusable(&certificate, &e.to_string()))?;
    let mut parameters = parameters(name, hosts, days)?;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = parameters.signed_by(&key, &issuer).map_err(failed)?;
    write(name, &certificate.pem(), &key)
}

fn parameters(name: &Path, hosts: &[String], days: u32) -> Result<CertificateParams> {
    for host in hosts {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '*');
        if host.parse::<IpAddr>().is_err() && (host.is_empty() || !host.chars().all(letters)) {
            return Err(Error::InvalidArgument(format!(
                "'{host}' is neither a DNS name nor an IP address (no port, no scheme)"
            )));
        }
    }
    let mut parameters = CertificateParams::new(hosts.to_vec()).map_err(failed)?;
    let title = match (hosts.first(), name.file_name()) {
        (Some(host), _) => host.clone(),
        (None, Some(name)) => name.to_string_lossy().into_owned(),
        (None, None) => "smlp".into(),
    };
    parameters
        .distinguished_name
        .push(DnType::CommonName, title);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_err(|_| failed("the clock stands before 1970"))?;
    let start = date_time_ymd(1970, 1, 1) + (now - EARLIER);
    parameters.not_before = start;
    parameters.not_after = start + EARLIER + Duration::from_secs(24 * 3600) * days;
    Ok(parameters)
}

fn write(name: &Path, certificate: &str, key: &KeyPair) -> Result<Outcome> {
    let (certificate_file, key_file) = (ending(name, "pem"), ending(name, "key"));
    files::must_be_new(&certificate_file)?;
    secret_file::write(&key_file, key.serialize_pem().as_bytes())?;
    files::write(&certificate_file, certificate.as_bytes())?;
    Ok(Outcome::default()
        .with("certificate", certificate_file.display().to_string())
        .with("key", key_file.display().to_string())
        .with(
            "fingerprint",
            Fingerprint::of_pem(certificate.as_bytes())?.to_string(),
        ))
}

fn ending(name: &Path, ending: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::Malformed {
        what: "certificate or key of the authority",
        why: format!("{}: {why}", path.display()),
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::InvalidArgument(format!("no certificate could be made: {error}"))
}
