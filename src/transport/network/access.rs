//! Who may use which key: the lists that the operator of a key server keeps, of clients and of revoked certificates.
//! They can be replaced while the server works; every call is judged by those of its moment.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::pki_types::CertificateDer;

use super::identity::{Fingerprint, certificate_is_for};
use crate::error::{Error, Result};
use crate::paillier::KeyId;

/// How a client is recognised. Its certificate comes from an accepted authority in either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// This certificate and no other. A renewed one has to be listed anew.
    Certificate(Fingerprint),
    /// Any certificate for this DNS name (in its subject alternative names): as good as the authority's care.
    Name(String),
}

/// Keys of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// All that the server has.
    All,
    /// These.
    Only(HashSet<KeyId>),
}

/// One client and what it may use.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its name in logs and metrics.
    pub client: String,
    /// How it is recognised.
    pub holder: Holder,
    /// What it may use.
    pub keys: Keys,
}

impl Grant {
    pub(super) fn allows(&self, key: KeyId) -> bool {
        match &self.keys {
            Keys::All => true,
            Keys::Only(keys) => keys.contains(&key),
        }
    }

    fn fits(&self, certificate: &CertificateDer<'_>) -> bool {
        match &self.holder {
            Holder::Certificate(fingerprint) => *fingerprint == Fingerprint::of(certificate),
            Holder::Name(name) => certificate_is_for(certificate, name),
        }
    }
}

/// All grants of a server, and the certificates that it does not accept any more. Whoever is in no grant may use
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct Access {
    grants: Vec<Grant>,
    revoked: HashSet<Fingerprint>,
}

impl Access {
    /// The list.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for two clients of the same name or with the same certificate.
    pub fn new(grants: Vec<Grant>) -> Result<Self> {
        for (i, grant) in grants.iter().enumerate() {
            let before = &grants[..i];
            if let Some(other) = before
                .iter()
                .find(|g| g.client == grant.client || g.holder == grant.holder)
            {
                return Err(Error::invalid(format!(
                    "clients '{}' and '{}' have the same name or certificate; list each once, with all its keys",
                    other.client, grant.client
                )));
            }
        }
        let revoked = HashSet::new();
        Ok(Self { grants, revoked })
    }

    /// The same list without these certificates, whoever may hold them: lost ones, stolen ones, and those of
    /// which another one for the same name remains good.
    pub fn revoke(mut self, certificates: impl IntoIterator<Item = Fingerprint>) -> Self {
        self.revoked.extend(certificates);
        self
    }

    /// Clients, and revoked certificates.
    pub fn sizes(&self) -> [usize; 2] {
        [self.grants.len(), self.revoked.len()]
    }

    /// The first grant for a certificate.
    ///
    /// # Errors
    /// Why there is none, for whoever shows the certificate.
    fn of(&self, certificate: &CertificateDer<'_>) -> std::result::Result<&Grant, String> {
        let fingerprint = Fingerprint::of(certificate);
        if self.revoked.contains(&fingerprint) {
            return Err(format!(
                "certificate {fingerprint} is revoked here; ask the operator of the key server to list a new one"
            ));
        }
        let grant = self.grants.iter().find(|grant| grant.fits(certificate));
        grant.ok_or_else(|| {
            format!(
                "certificate {fingerprint} is not listed here; ask the operator of the key server to list it"
            )
        })
    }
}

/// The list that is in force, shared by all connections.
#[derive(Debug)]
pub(super) struct InForce(RwLock<Arc<Access>>);

impl InForce {
    pub fn new(access: Access) -> Self {
        Self(RwLock::new(Arc::new(access)))
    }

    /// From the next call on.
    pub fn replace(&self, access: Access) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    /// What a certificate may use now.
    ///
    /// # Errors
    /// As [`Access::of`].
    pub fn grant(&self, certificate: &CertificateDer<'_>) -> std::result::Result<Grant, String> {
        let access = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        access.of(certificate).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(client: &str, digit: char, keys: Keys) -> Grant {
        let fingerprint = digit.to_string().repeat(64).parse().unwrap();
        Grant {
            client: client.into(),
            holder: Holder::Certificate(fingerprint),
            keys,
        }
    }

    #[test]
    fn grants_name_their_keys() {
        let (a, b) = (KeyId([1; 32]), KeyId([2; 32]));
        assert!(grant("x", '0', Keys::All).allows(a));
        let only = grant("x", '0', Keys::Only([a].into()));
        assert!(only.allows(a) && !only.allows(b));
    }

    #[test]
    fn double_entries_are_refused() {
        let new = |grants: &[Grant]| Access::new(grants.to_vec());
        let (x, y) = (grant("x", '0', Keys::All), grant("y", '1', Keys::All));
        assert!(new(&[x.clone(), y.clone()]).is_ok());
        let same_name = grant("x", '1', Keys::All);
        let same_certificate = grant("y", '0', Keys::All);
        for other in [same_name, same_certificate] {
            let error = new(&[x.clone(), other]).unwrap_err();
            assert!(error.to_string().contains("once"), "{error}");
        }
    }
}
