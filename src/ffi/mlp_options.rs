//! `smlp_mlp_options`: what a new network looks like.

use super::arguments::{Out, borrow_mut, free, slice};
use super::{Failure, Status, guard};
use crate::mlp::{Activation as Function, MlpConfig};

/// What a new network looks like.
#[derive(Debug, Clone)]
pub struct MlpOptionsHandle {
    pub(super) config: MlpConfig,
    pub(super) seed: Option<u64>,
}

/// What a layer does to its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
#[allow(non_camel_case_types)] // the names are the C ones
pub enum Activation {
    /// z itself.
    SMLP_LINEAR = 0,
    /// max(z, 0).
    SMLP_RELU = 1,
}

/// An [`Activation`] that comes from C: any number. The header shows it as `smlp_activation`.
pub type ActivationNumber = i32;

/// Options of a network with ReLU in all hidden layers and a linear output.
///
/// Args: layers, len: sizes from input to output, e.g. {2, 10, 2}; two at least.
/// Errors: SMLP_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_options_new(
    layers: *const usize,
    len: usize,
    out: *mut *mut MlpOptionsHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (layers, out) = unsafe { (slice(layers, len, "layers")?, Out::new(out, "out")?) };
        let config = MlpConfig::relu(layers);
        config.validate()?;
        out.object(MlpOptionsHandle { config, seed: None });
        Ok(())
    })
}

/// Args: layer: 0 for what follows the first weights. activation: an enumerator of
/// smlp_activation.
/// Errors: SMLP_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_options_set_activation(
    options: *mut MlpOptionsHandle,
    layer: usize,
    activation: ActivationNumber,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let options = unsafe { borrow_mut(options, "options")? };
        const LINEAR: i32 = Activation::SMLP_LINEAR as i32;
        const RELU: i32 = Activation::SMLP_RELU as i32;
        let function = match activation {
            LINEAR => Function::Linear,
            RELU => Function::Relu,
            other => return Err(Failure::invalid(format!("activation {other}"))),
        };
        let depth = options.config.depth();
        let place = options.config.activations.get_mut(layer);
        *place.ok_or_else(|| {
            Failure::invalid(format!("layer {layer} of a network with {depth}"))
        })? = function;
        Ok(())
    })
}

/// Fraction bits of all numbers of the network; also sets both bounds to bits + 8. The tensors
/// that it is used with need the same scale.
///
/// Args: bits: 16 by default, at most 40; smlp_mlp_new() checks it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_options_set_fraction_bits(
    options: *mut MlpOptionsHandle,
    bits: u32,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let options = unsafe { borrow_mut(options, "options")? };
        options.config = options.config.clone().with_fraction_bits(bits);
        Ok(())
    })
}

/// Declared bound of weights and biases in bits, scale included: a promise that the clear twin
/// checks on every value and the encrypted network cannot. Fewer bits are faster.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_options_set_weight_bits(
    options: *mut MlpOptionsHandle,
    bits: u32,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        unsafe { borrow_mut(options, "options")? }
            .config
            .weight_bits = bits;
        Ok(())
    })
}

/// Declared bound of inputs, labels, activations and errors in bits, scale included; a promise as
/// smlp_mlp_options_set_weight_bits() makes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_options_set_activation_bits(
    options: *mut MlpOptionsHandle,
    bits: u32,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        unsafe { borrow_mut(options, "options")? }
            .config
            .activation_bits = bits;
        Ok(())
    })
}

/// Draws the initial weights from a number, to repeat experiments; without it, the operating
/// system's generator does. Whoever knows or guesses the number knows the initial network.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_options_set_seed(
    options: *mut MlpOptionsHandle,
    seed: u64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        unsafe { borrow_mut(options, "options")? }.seed = Some(seed);
        Ok(())
    })
}

/// Frees the options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_options_free(options: *mut MlpOptionsHandle) {
    // SAFETY: the contract.
    unsafe { free(options) }
}
