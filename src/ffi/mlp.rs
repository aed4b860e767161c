//! `smlp_mlp`: a network, encrypted or clear. Life cycle, parameters, checkpoints;
//! `mlp_training.rs` has prediction and training.

use std::ffi::c_char;
use std::path::Path;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use super::arguments::{Out, borrow, borrow_optional, free, slice, string};
use super::failure::Outcome;
use super::{
    BytesHandle, Failure, MlpOptionsHandle, PrivateKeyHandle, PublicKeyHandle, Status,
    TensorHandle, guard,
};
use crate::error::Error;
use crate::mlp::{EncryptedMlp, IntegerMlp, Layer, Mlp, checkpoint, seed_from_number};
use crate::random::Random;
use crate::tensor::Storage;
use crate::wire::Kind;

/// A multilayer perceptron with encrypted parameters, or its clear twin.
///
/// While one call trains it, every other one on it fails with SMLP_INVALID_ARGUMENT, those of
/// its progress callback included.
#[derive(Debug)]
pub struct MlpHandle(RwLock<AnyMlp>);

#[derive(Debug)]
pub(super) enum AnyMlp {
    Encrypted(EncryptedMlp),
    Clear(IntegerMlp),
}

impl MlpHandle {
    fn new(network: AnyMlp) -> Self {
        Self(RwLock::new(network))
    }

    /// The network as it is.
    pub(super) fn read(&self) -> Outcome<RwLockReadGuard<'_, AnyMlp>> {
        self.0.try_read().map_err(unusable)
    }

    /// The network, to be changed.
    pub(super) fn write(&self) -> Outcome<RwLockWriteGuard<'_, AnyMlp>> {
        self.0.try_write().map_err(unusable)
    }
}

fn unusable<T>(error: TryLockError<T>) -> Failure {
    match error {
        TryLockError::WouldBlock => {
            Failure::invalid("another call is using the network; wait for its end")
        }
        TryLockError::Poisoned(_) => Failure::from(Error::Finished(
            "an internal error interrupted the network's training; load a checkpoint".into(),
        )),
    }
}

/// The same expression for both kinds of network.
macro_rules! each_network {
    ($network:expr, $mlp:ident => $body:expr) => {
        match $network {
            AnyMlp::Encrypted($mlp) => $body,
            AnyMlp::Clear($mlp) => $body,
        }
    };
}

/// Draws a clear network: normal weights of standard deviation sqrt(2 / inputs of the layer),
/// biases 0. The data owner does this, so that P1 never sees a clear network.
///
/// Errors: SMLP_INVALID_ARGUMENT, SMLP_BOUND for options that do not fit each other; SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_new(
    options: *const MlpOptionsHandle,
    out: *mut *mut MlpHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (options, out) = unsafe { (borrow(options, "options")?, Out::new(out, "out")?) };
        let seed = options.seed.map(seed_from_number);
        let network = IntegerMlp::draw(options.config.clone(), seed)?;
        out.object(MlpHandle::new(AnyMlp::Clear(network)));
        Ok(())
    })
}

/// The network with encrypted parameters, as P1 trains it.
///
/// Errors: SMLP_BOUND if the key is too small; SMLP_INVALID_ARGUMENT for an encrypted network.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_encrypt(
    mlp: *const MlpHandle,
    key: *const PublicKeyHandle,
    out: *mut *mut MlpHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let key = unsafe { borrow(key, "key")? };
        let encrypted = match &*mlp.read()? {
            AnyMlp::Clear(network) => network.encrypt(&key.0, &Random::os())?,
            AnyMlp::Encrypted(_) => return Err(Failure::invalid("the network is encrypted")),
        };
        out.object(MlpHandle::new(AnyMlp::Encrypted(encrypted)));
        Ok(())
    })
}

/// The clear twin, at the same step. In a clear session that repeats a record it trains to the same
/// integers.
///
/// Errors: SMLP_KEY_MISMATCH; SMLP_OUT_OF_RANGE if a declared bound was broken;
/// SMLP_INVALID_ARGUMENT for a clear network.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_decrypt(
    mlp: *const MlpHandle,
    key: *const PrivateKeyHandle,
    out: *mut *mut MlpHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let key = unsafe { borrow(key, "key")? };
        let clear = match &*mlp.read()? {
            AnyMlp::Encrypted(network) => network.decrypt(&key.0)?,
            AnyMlp::Clear(_) => return Err(Failure::invalid("the network is clear already")),
        };
        out.object(MlpHandle::new(AnyMlp::Clear(clear)));
        Ok(())
    })
}

/// The same network once more, to be trained or used by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_clone(mlp: *const MlpHandle, out: *mut *mut MlpHandle) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        let copy = match &*mlp.read()? {
            AnyMlp::Clear(network) => AnyMlp::Clear(network.clone()),
            AnyMlp::Encrypted(network) => AnyMlp::Encrypted(network.clone()),
        };
        out.object(MlpHandle::new(copy));
        Ok(())
    })
}

/// Frees a network.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_free(mlp: *mut MlpHandle) {
    // SAFETY: the contract.
    unsafe { free(mlp) }
}

/// Whether the parameters are encrypted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_is_encrypted(mlp: *const MlpHandle, out: *mut bool) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        out.set(matches!(&*mlp.read()?, AnyMlp::Encrypted(_)));
        Ok(())
    })
}

/// Number of weight matrices.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_layers(mlp: *const MlpHandle, out: *mut usize) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        out.set(each_network!(&*mlp.read()?, mlp => mlp.layers().len()));
        Ok(())
    })
}

/// Training steps done so far, those before a checkpoint included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_step(mlp: *const MlpHandle, out: *mut u64) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        out.set(each_network!(&*mlp.read()?, mlp => mlp.step()));
        Ok(())
    })
}

/// Fraction bits of all numbers of the network, and of the tensors that it takes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_fraction_bits(mlp: *const MlpHandle, out: *mut u32) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        out.set(each_network!(&*mlp.read()?, mlp => mlp.config().fraction_bits));
        Ok(())
    })
}

fn layer<S: Storage>(network: &Mlp<S>, layer: usize) -> Outcome<&Layer<S>> {
    let layers = network.layers();
    layers.get(layer).ok_or_else(|| {
        Failure::invalid(format!("layer {layer} of a network with {}", layers.len()))
    })
}

/// The weights of a layer, inputs × outputs, encrypted if the network is.
///
/// Errors: SMLP_INVALID_ARGUMENT for a layer that it does not have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_weight(
    mlp: *const MlpHandle,
    layer: usize,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        let network = mlp.read()?;
        out.object(each_network!(&*network, mlp => self::layer(mlp, layer)?.weight.clone().into()));
        Ok(())
    })
}

/// The biases of a layer, encrypted if the network is.
///
/// Errors: SMLP_INVALID_ARGUMENT for a layer that it does not have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_bias(
    mlp: *const MlpHandle,
    layer: usize,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        let network = mlp.read()?;
        out.object(each_network!(&*network, mlp => self::layer(mlp, layer)?.bias.clone().into()));
        Ok(())
    })
}

/// A checkpoint as bytes: parameters and step. Training goes on from it where it stood, as often as
/// one likes. That of an encrypted network holds nothing secret, that of a clear one the clear parameters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_to_bytes(
    mlp: *const MlpHandle,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, out) = unsafe { (borrow(mlp, "mlp")?, Out::new(out, "out")?) };
        let bytes = each_network!(&*mlp.read()?, mlp => mlp.to_bytes()?);
        out.object(BytesHandle::new(bytes));
        Ok(())
    })
}

/// Reads what smlp_mlp_to_bytes() wrote.
///
/// Args: key_or_null: the key of an encrypted network; not looked at for a clear one.
/// Errors: SMLP_MALFORMED, SMLP_LIMIT, SMLP_KEY_MISMATCH; SMLP_NULL_POINTER if the network is
/// encrypted and there is no key; what smlp_mlp_new() refuses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_from_bytes(
    data: *const u8,
    len: usize,
    key_or_null: *const PublicKeyHandle,
    out: *mut *mut MlpHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (data, out) = unsafe { (slice(data, len, "data")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let key = unsafe { borrow_optional(key_or_null) };
        out.object(MlpHandle::new(read(data, key)?));
        Ok(())
    })
}

fn read(data: &[u8], key: Option<&PublicKeyHandle>) -> Outcome<AnyMlp> {
    match (Kind::of(data), key) {
        (Some(Kind::EncryptedNetwork), None) => Err(Failure::null("key_or_null")),
        (Some(Kind::EncryptedNetwork), Some(key)) => {
            Ok(AnyMlp::Encrypted(EncryptedMlp::from_bytes(data, &key.0)?))
        }
        _ => Ok(AnyMlp::Clear(IntegerMlp::from_bytes(data)?)),
    }
}

/// Writes a checkpoint to a file that only its owner may read (mode 0600), replacing an old one in
/// one step: a crash leaves either of them.
///
/// Args: path: UTF-8.
/// Errors: SMLP_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_save(mlp: *const MlpHandle, path: *const c_char) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, path) = unsafe { (borrow(mlp, "mlp")?, string(path, "path")?) };
        let bytes = each_network!(&*mlp.read()?, mlp => mlp.to_bytes()?);
        Ok(checkpoint::save(Path::new(path), &bytes)?)
    })
}

/// Reads a file that smlp_mlp_save() wrote. Args and errors as smlp_mlp_from_bytes(); SMLP_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_load(
    path: *const c_char,
    key_or_null: *const PublicKeyHandle,
    out: *mut *mut MlpHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (path, out) = unsafe { (string(path, "path")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let key = unsafe { borrow_optional(key_or_null) };
        out.object(MlpHandle::new(read(
            &checkpoint::load(Path::new(path))?,
            key,
        )?));
        Ok(())
    })
}
