//! Encrypting and decrypting a network, and its bytes: a checkpoint that training resumes from.

use super::config::MAX_LAYERS;
use super::{Activation, Mlp, MlpConfig};
use crate::error::{Error, Result};
use crate::paillier::{Encrypt, MAX_SIGMA, PrivateKey, PublicKey};
use crate::random::Random;
use crate::tensor::{Ciphertexts, EncryptedTensor, IntegerTensor, Integers, Storage, Tensor};
use crate::wire::{Kind, Reader, Writer};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// Checkpoints above this size are refused when they are read: 8 GiB.
const MAX_CHECKPOINT_BYTES: u64 = 8 << 30;

/// Elements whose networks can be written: those of both kinds.
pub trait Stored: Storage {
    /// What the header says.
    const NETWORK: Kind;

    /// The bytes of one parameter tensor.
    ///
    /// # Errors
    /// None that a user can cause.
    fn tensor_bytes(tensor: &Tensor<Self>) -> Result<Vec<u8>>;
}

impl Stored for Integers {
    const NETWORK: Kind = Kind::IntegerNetwork;

    fn tensor_bytes(tensor: &IntegerTensor) -> Result<Vec<u8>> {
        Ok(tensor.to_bytes())
    }
}

impl Stored for Ciphertexts {
    const NETWORK: Kind = Kind::EncryptedNetwork;

    fn tensor_bytes(tensor: &EncryptedTensor) -> Result<Vec<u8>> {
        tensor.to_bytes()
    }
}

impl<S: Stored> Mlp<S> {
    /// A checkpoint: header, layer sizes, activations, bits, steps, trainings, parameters. Those of a clear network
    /// are in clear; that of an encrypted one holds nothing secret.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        write(self)
    }
}

impl Mlp<Integers> {
    /// The same network with encrypted parameters: what the data owner hands to P1. Many parameters
    /// share a ciphertext, with room for masks of any P1.
    ///
    /// # Errors
    /// [`Error::Bound`] when the key is too small for the declared bounds.
    pub fn encrypt(&self, key: &impl Encrypt, random: &Random) -> Result<Mlp<Ciphertexts>> {
        self.map_tensors(|t| {
            match EncryptedTensor::encrypt_packed(t, key, MAX_SIGMA, random) {
                // A key of test size without room for such a slot.
                Err(Error::Bound { .. }) => EncryptedTensor::encrypt(t, key, random),
                packed => packed,
            }
        })
    }

    /// Reads [`Mlp::to_bytes`] of a clear network.
    ///
    /// # Errors
    /// [`Error::Malformed`] and those of [`Mlp::from_parts`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        read(bytes, Kind::IntegerNetwork, IntegerTensor::from_bytes)
    }
}

impl Mlp<Ciphertexts> {
    /// The clear network, at the same step.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`], [`Error::OutOfRange`] where a declared bound was broken.
    pub fn decrypt(&self, key: &PrivateKey) -> Result<Mlp<Integers>> {
        self.map_tensors(|t| t.decrypt(key))
    }

    /// The key that the parameters are encrypted under.
    pub fn key(&self) -> &PublicKey {
        self.layers()[0].weight.key()
    }

    /// Reads [`Mlp::to_bytes`] of an encrypted network.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::KeyMismatch`], and those of [`Mlp::from_parts`].
    pub fn from_bytes(bytes: &[u8], key: &PublicKey) -> Result<Self> {
        read(bytes, Kind::EncryptedNetwork, |b| {
            EncryptedTensor::from_bytes(b, key)
        })
    }
}

/// Writes a checkpoint so that a crash leaves either the old file or the new one, readable by its
/// owner only.
///
/// It is written to a sibling, `<name>.partial`, that then takes the place of the file. A process
/// killed meanwhile leaves that sibling, and the next save writes over it. Saves to one path, of
/// any processes and threads, wait for each other, where the file system has locks.
///
/// # Errors
/// [`Error::Io`]; a symbolic link in the sibling's place is not followed.
pub fn save(path: &Path, checkpoint: &[u8]) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let beside = Path::new(&beside);
    let mut file = open_locked(beside).map_err(|e| Error::io(path, e))?;
    let written = file
        .set_len(0)
        .and_then(|()| file.write_all(checkpoint))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(beside, path));
    written.map_err(|error| {
        // What was written is useless; that it cannot be removed would not help the caller. The
        // lock is still held, so that it is nobody else's.
        let _ = std::fs::remove_file(beside);
        Error::io(path, error)
    })
}

/// Opens the sibling for its owner alone, and waits until no other save has it.
fn open_locked(beside: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    loop {
        let file = options.open(beside)?;
        match file.lock() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Some file systems of clusters have no locks; one path has one writer there.
            Err(error) if error.kind() != ErrorKind::Unsupported => return Err(error),
            _ => {}
        }
        // Whoever had the lock before may have renamed or removed what was opened here.
        if is_still(&file, beside)? {
            #[cfg(unix)]
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            return Ok(file);
        }
    }
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let opened = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn is_still(_: &File, path: &Path) -> std::io::Result<bool> {
    path.try_exists()
}

/// Reads a checkpoint's bytes.
///
/// # Errors
/// [`Error::Io`], [`Error::Limit`] above 8 GiB.
pub fn load(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
    if length > MAX_CHECKPOINT_BYTES {
        return Err(Error::Limit {
            what: "bytes of a checkpoint",
            value: length,
            limit: MAX_CHECKPOINT_BYTES,
        });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize));
    file.take(MAX_CHECKPOINT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io(path, e))?;
    Ok(bytes)
}

fn write<S: Stored>(network: &Mlp<S>) -> Result<Zeroizing<Vec<u8>>> {
    let config = network.config();
    let mut w = Writer::new(S::NETWORK);
    w.u64(config.layers.len() as u64);
    config.layers.iter().for_each(|&size| w.u64(size as u64));
    for activation in &config.activations {
        w.u16(match activation {
            Activation::Linear => 0,
            Activation::Relu => 1,
        });
    }
    w.u32(config.fraction_bits);
    w.u32(config.weight_bits);
    w.u32(config.activation_bits);
    w.u64(network.step());
    w.u64(network.trainings());
    for layer in network.layers() {
        w.nested(&S::tensor_bytes(&layer.weight)?);
        w.nested(&S::tensor_bytes(&layer.bias)?);
    }
    Ok(Zeroizing::new(w.finish()))
}

fn read<S: Storage>(
    bytes: &[u8],
    kind: Kind,
    tensor: impl Fn(&[u8]) -> Result<Tensor<S>>,
) -> Result<Mlp<S>> {
    let mut r = Reader::new(kind, bytes)?;
    let sizes = r.size("layers of a network", 1 + MAX_LAYERS)?;
    let layers = (0..sizes)
        .map(|_| r.size("neurons of a layer", 1 << 24))
        .collect::<Result<Vec<_>>>()?;
    let activations = (1..sizes)
        .map(|_| match r.u16()? {
            0 => Ok(Activation::Linear),
            1 => Ok(Activation::Relu),
            other => Err(r.error(format!("activation {other} is unknown"))),
        })
        .collect::<Result<Vec<_>>>()?;
    let config = MlpConfig {
        layers,
        activations,
        fraction_bits: r.u32()?,
        weight_bits: r.u32()?,
        activation_bits: r.u32()?,
    };
    config.validate()?;
    let (steps, trainings) = (r.u64()?, r.u64()?);
    let parameters = (0..config.depth())
        .map(|_| Ok((tensor(r.nested()?)?, tensor(r.nested()?)?)))
        .collect::<Result<Vec<_>>>()?;
    r.finish()?;
    Mlp::from_parts(config, parameters, steps, trainings)
}
