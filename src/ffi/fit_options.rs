//! `smlp_fit_options`: how to train.

use std::ffi::c_char;
use std::num::NonZeroU64;

use super::arguments::{Out, borrow_mut, free, string};
use super::{Failure, Status, guard};
use crate::mlp::{Checkpointing, FitOptions, TrainFor};

/// How to train. To go on after a pause, use the same data, batch size and shuffling.
#[derive(Debug, Clone)]
pub struct FitOptionsHandle(pub(super) FitOptions);

/// A boolean that comes from C: any number of its size, so not yet a `bool`. The header shows it
/// as `bool`, whose one byte it is.
pub type CBool = u8;

/// One shuffled pass over the data in batches of 32 with a learning rate of 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_fit_options_new(out: *mut *mut FitOptionsHandle) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(FitOptionsHandle(FitOptions::new(
            TrainFor::Epochs(1),
            32,
            0.1,
        )));
        Ok(())
    })
}

/// How many more passes over the data; 1 by default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_fit_options_set_epochs(
    options: *mut FitOptionsHandle,
    epochs: usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let options = unsafe { borrow_mut(options, "options")? };
        options.0.duration = TrainFor::Epochs(epochs as u64);
        Ok(())
    })
}

/// Instead of passes: exactly so many more steps, one a batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_fit_options_set_steps(
    options: *mut FitOptionsHandle,
    steps: u64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        unsafe { borrow_mut(options, "options")? }.0.duration = TrainFor::Steps(steps);
        Ok(())
    })
}

/// Rows a step, 32 by default; the last batch of a pass holds what is left.
///
/// Errors: SMLP_INVALID_ARGUMENT for 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_fit_options_set_batch_size(
    options: *mut FitOptionsHandle,
    batch_size: usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let options = unsafe { borrow_mut(options, "options")? };
        if batch_size == 0 {
            return Err(Failure::invalid("a batch size of 0"));
        }
        options.0.batch_size = batch_size;
        Ok(())
    })
}

/// The learning rate, 0.1 by default; in (0, 2 · rows of a batch], which training checks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_fit_options_set_learning_rate(
    options: *mut FitOptionsHandle,
    learning_rate: f64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        unsafe { borrow_mut(options, "options")? }.0.learning_rate = learning_rate;
        Ok(())
    })
}

/// Whether every pass visits the rows in an order of its own, drawn from a seed; true and 0 by
/// default. The orders are no secret.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_fit_options_set_shuffle(
    options: *mut FitOptionsHandle,
    shuffle: CBool,
    seed: u64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let options = unsafe { borrow_mut(options, "options")? };
        options.0.shuffle = shuffle != 0;
        options.0.shuffle_seed = seed;
        Ok(())
    })
}

/// Saves the network to a file while it trains, as smlp_mlp_save() does: before the first step,
/// after every step whose number (smlp_mlp_step()) is a multiple of every_steps, at the end, and
/// when progress cancels. By default it is not saved.
///
/// After a crash, load the file and train on with the same data and options: training goes on with the
/// very next batch, and steps since the file are done anew. A step that fails saves nothing.
///
/// Args: path: UTF-8; copied.
/// Errors: SMLP_INVALID_ARGUMENT for 0 steps, or a path that is empty or not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_fit_options_set_checkpoint(
    options: *mut FitOptionsHandle,
    path: *const c_char,
    every_steps: u64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (options, path) = unsafe { (borrow_mut(options, "options")?, string(path, "path")?) };
        if path.is_empty() {
            return Err(Failure::invalid("an empty path for checkpoints"));
        }
        let every_steps = NonZeroU64::new(every_steps)
            .ok_or_else(|| Failure::invalid("a checkpoint every 0 steps; at least 1"))?;
        options.0.checkpoint = Some(Checkpointing {
            path: path.into(),
            every_steps,
        });
        Ok(())
    })
}

/// Frees the options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_fit_options_free(options: *mut FitOptionsHandle) {
    // SAFETY: the contract.
    unsafe { free(options) }
}
