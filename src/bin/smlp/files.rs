//! Reading and writing what the command works on. Every error names the file.

use std::path::{Path, PathBuf};

use smlp::mlp::checkpoint;
use smlp::random::Random;
use smlp::{
    Encrypt, EncryptedMlp, EncryptedTensor, Error, Kind, PrivateKey, PublicKey, Result, Security,
};

use crate::sealed::{self, Passphrase};

/// A public key, or a private one, which encrypts faster.
#[derive(Debug)]
pub enum AnyKey {
    Public(PublicKey),
    Private(PrivateKey),
}

impl AnyKey {
    pub fn public(&self) -> &PublicKey {
        match self {
            AnyKey::Public(key) => key,
            AnyKey::Private(key) => key.public(),
        }
    }

    /// Encrypts, many values a ciphertext if `packed_for` says for how wide masks (σ of P1).
    pub fn encrypt(
        &self,
        tensor: &smlp::IntegerTensor,
        packed_for: Option<u32>,
    ) -> Result<EncryptedTensor> {
        fn with(
            tensor: &smlp::IntegerTensor,
            packed_for: Option<u32>,
            key: &impl Encrypt,
        ) -> Result<EncryptedTensor> {
            match packed_for {
                Some(sigma) => EncryptedTensor::encrypt_packed(tensor, key, sigma, &Random::os()),
                None => EncryptedTensor::encrypt(tensor, key, &Random::os()),
            }
        }
        match self {
            AnyKey::Public(key) => with(tensor, packed_for, key),
            AnyKey::Private(key) => with(tensor, packed_for, key),
        }
    }
}

/// How keys are read.
#[derive(Debug, Clone, clap::Args)]
pub struct KeyArguments {
    /// Accept keys below 2048 bits: for tests and teaching, never for data.
    #[arg(long, global = true)]
    pub allow_insecure: bool,

    /// File with the passphrase of a sealed private key, in its first line; asked for otherwise.
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

impl KeyArguments {
    pub fn security(&self) -> Security {
        match self.allow_insecure {
            true => Security::AllowInsecure,
            false => Security::Required,
        }
    }

    pub fn passphrase(&self) -> Passphrase {
        Passphrase::new(self.passphrase_file.clone())
    }

    pub fn public(&self, path: &Path) -> Result<PublicKey> {
        PublicKey::from_bytes(&read(path)?, self.security()).map_err(|e| in_file(path, e))
    }

    pub fn private(&self, path: &Path) -> Result<PrivateKey> {
        sealed::load(path, &self.passphrase(), self.security()).map_err(|e| in_file(path, e))
    }

    pub fn any(&self, path: &Path) -> Result<AnyKey> {
        match Kind::of(&start(path)?) {
            Some(Kind::PublicKey) => Ok(AnyKey::Public(self.public(path)?)),
            _ => Ok(AnyKey::Private(self.private(path)?)),
        }
    }
}

/// The whole of a file that holds no secret.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| io(path, e))
}

/// The first bytes of a file: what it says it is.
pub fn start(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| io(path, e))?;
    file.take(64)
        .read_to_end(&mut bytes)
        .map_err(|e| io(path, e))?;
    Ok(bytes)
}

pub fn tensor(path: &Path, key: &PublicKey) -> Result<EncryptedTensor> {
    EncryptedTensor::from_bytes(&read(path)?, key).map_err(|e| in_file(path, e))
}

pub fn network(path: &Path, key: &PublicKey) -> Result<EncryptedMlp> {
    let bytes = checkpoint::load(path)?;
    EncryptedMlp::from_bytes(&bytes, key).map_err(|e| in_file(path, e))
}

/// Writes a file of P1 or the owner that nobody else needs (mode 0600): whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    checkpoint::save(path, bytes)
}

/// Writes a file that may be seen.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| io(path, e))
}

/// Refuses to overwrite.
pub fn must_be_new(path: &Path) -> Result<()> {
    match path.exists() {
        true => Err(Error::Io {
            path: path.display().to_string(),
            message: "it exists already; remove it or choose another name".into(),
        }),
        false => Ok(()),
    }
}

pub fn io(path: &Path, error: std::io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        message: error.to_string(),
    }
}

/// Names the file in errors about its content; the others name it already.
pub fn in_file(path: &Path, error: Error) -> Error {
    let name = path.display();
    match error {
        Error::Malformed { what, why } => Error::Malformed {
            what,
            why: format!("{name}: {why}"),
        },
        Error::Insecure(text) if !text.contains(&*name.to_string()) => {
            Error::Insecure(format!("{name}: {text}"))
        }
        Error::InvalidArgument(text) => Error::InvalidArgument(format!("{name}: {text}")),
        Error::Shape(text) => Error::Shape(format!("{name}: {text}")),
        other => other,
    }
}
