//! Who is who: certificates and keys in PEM, fingerprints, and the TLS configurations of both sides.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, version};
use tonic::transport::ClientTlsConfig;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::paillier::secret_file;

/// Files of certificates are small.
const MAX_PEM_BYTES: usize = 1 << 20;

/// SHA-256 of a certificate (DER), written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of the first certificate in a PEM text.
    ///
    /// # Errors
    /// [`Error::Malformed`] when there is none.
    pub fn of_pem(pem: &[u8]) -> Result<Self> {
        Ok(Self::of(&certificates("certificate", pem)?[0]))
    }

    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate.as_ref()).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    /// With or without `sha256:`, with or without colons, in either case, as OpenSSL and others print it.
    fn from_str(text: &str) -> Result<Self> {
        let digits = text.trim();
        let digits = digits
            .strip_prefix("sha256:")
            .unwrap_or(digits)
            .replace(':', "");
        match crate::paillier::KeyId::from_hex(&digits) {
            Ok(bytes) => Ok(Self(bytes.0)),
            Err(_) => Err(Error::invalid(format!(
                "'{text}' is no SHA-256 fingerprint: it has 64 hexadecimal digits \
                 (openssl x509 -noout -fingerprint -sha256 -in certificate.pem)"
            ))),
        }
    }
}

/// A certificate, its private key, and the authorities whose certificates the other side may show: all
/// that one side of mutual TLS needs.
#[derive(Clone)]
pub struct Identity {
    authorities: Vec<u8>,
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Identity {
    /// From PEM texts: the certificates of the authorities that the other side's certificate must come from; our
    /// certificate, followed by intermediate ones if there are any; its private key (PKCS #8, PKCS #1 or SEC 1).
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the text that is not what it should be.
    pub fn from_pem(authorities: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self> {
        certificates("certificate of the authority", authorities)?;
        certificates("certificate", certificate)?;
        private_key(key)?;
        Ok(Self {
            authorities: authorities.to_vec(),
            certificate: certificate.to_vec(),
            key: Zeroizing::new(key.to_vec()),
        })
    }

    /// From files in PEM.
    ///
    /// # Errors
    /// As [`Identity::from_pem`]; [`Error::Io`]; [`Error::Insecure`] for a key that others may read.
    pub fn load(authorities: &Path, certificate: &Path, key: &Path) -> Result<Self> {
        Self::from_pem(
            &read(authorities)?,
            &read(certificate)?,
            &secret_file::read(key, MAX_PEM_BYTES)?,
        )
    }

    /// Of our own certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_pem(&self.certificate).expect("checked when it was made")
    }

    /// What a key server accepts connections with: TLS 1.3, and a certificate of the other side, always.
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in certificates("certificate of the authority", &self.authorities)? {
            roots
                .add(authority)
                .map_err(|e| Error::malformed("certificate of the authority", e.to_string()))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .map_err(|e| Error::malformed("certificate of the authority", e.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .and_then(|builder| {
                builder
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(
                        certificates("certificate", &self.certificate)
                            .expect("checked when it was made"),
                        private_key(&self.key).expect("checked when it was made"),
                    )
            })
            .map_err(|e| Error::malformed("certificate", e.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// What a client connects with. `server_name` is what the server's certificate must be for; by default the
    /// host of the address.
    pub(super) fn client_config(&self, server_name: Option<&str>) -> ClientTlsConfig {
        let authority = tonic::transport::Certificate::from_pem(&self.authorities);
        let identity = tonic::transport::Identity::from_pem(&self.certificate, &*self.key);
        let config = ClientTlsConfig::new()
            .ca_certificate(authority)
            .identity(identity);
        match server_name {
            Some(name) => config.domain_name(name),
            None => config,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}

/// Whether a certificate says that it is for a DNS name (in its subject alternative names).
pub(super) fn certificate_is_for(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else {
        return false;
    };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    Error::check_limit(
        "bytes of a file of certificates",
        bytes.len(),
        MAX_PEM_BYTES,
    )?;
    Ok(bytes)
}

/// At least one certificate.
fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|e| Error::malformed(what, format!("it is not PEM: {e}")))?;
    match found.is_empty() {
        true => Err(Error::malformed(
            what,
            "there is no '-----BEGIN CERTIFICATE-----' in it; a certificate in PEM is needed",
        )),
        false => Ok(found),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|e| {
        let why = format!("it is not an unencrypted private key in PEM: {e}");
        Error::malformed("private key of the certificate", why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_tools_print_them() {
        let plain = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        let colons: Vec<String> = plain
            .as_bytes()
            .chunks(2)
            .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
            .collect();
        let fingerprint: Fingerprint = plain.parse().unwrap();
        assert_eq!(fingerprint.to_string(), format!("sha256:{plain}"));
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!(colons.join(":").parse(), Ok(fingerprint));
        for wrong in ["", "sha256:", "00:11", "sha1:00112233"] {
            let error = wrong.parse::<Fingerprint>().unwrap_err();
            assert!(error.to_string().contains("64 hexadecimal"), "{error}");
        }
    }

    #[test]
    fn texts_that_are_not_pem_are_named() {
        let error = Identity::from_pem(b"hello", b"", b"").unwrap_err();
        assert!(error.to_string().contains("authority"), "{error}");
        assert!(Fingerprint::of_pem(b"").is_err());
    }
}
