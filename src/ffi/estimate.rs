//! `smlp_estimate`: what a training job will cost.

use super::arguments::{Out, borrow, free, key_flags};
use super::{BytesHandle, Failure, MlpOptionsHandle, Status, guard};
use crate::mlp::{Estimate, Job};
use crate::protocol::Promise;
use crate::protocol::profile::Phase;

/// What a training job will cost on this machine.
#[derive(Debug)]
pub struct EstimateHandle(Estimate);

/// What smlp_estimate_number() tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
#[allow(non_camel_case_types)] // the names are the C ones
pub enum EstimateItem {
    /// Steps of the job.
    SMLP_ESTIMATE_STEPS = 0,
    /// Seconds of the job, both parties on this machine.
    SMLP_ESTIMATE_SECONDS = 1,
    /// Ciphertexts of the packed data set, inputs and targets.
    SMLP_ESTIMATE_DATA_CIPHERTEXTS = 2,
    /// Their bytes.
    SMLP_ESTIMATE_DATA_BYTES = 3,
    /// Seconds of the first step, with what it sets up.
    SMLP_ESTIMATE_FIRST_STEP_SECONDS = 4,
    /// Seconds of every further step.
    SMLP_ESTIMATE_STEP_SECONDS = 5,
    /// Of these, P1's.
    SMLP_ESTIMATE_STEP_P1_SECONDS = 6,
    /// Round trips of a step.
    SMLP_ESTIMATE_STEP_ROUNDS = 7,
    /// Bytes that P1 sends a step.
    SMLP_ESTIMATE_STEP_BYTES_SENT = 8,
    /// Bytes that P1 gets a step.
    SMLP_ESTIMATE_STEP_BYTES_RECEIVED = 9,
    /// Terms of products by masks a step: a ciphertext to the power of a mask each.
    SMLP_ESTIMATE_STEP_TERMS = 10,
    /// Ciphertexts that P1 sends and P2 decrypts a step.
    SMLP_ESTIMATE_STEP_DECRYPTIONS = 11,
    /// Ciphertexts that P2 encrypts a step.
    SMLP_ESTIMATE_STEP_ENCRYPTIONS = 12,
    /// log2 of m · 2^-sigma: P2's advantage over guessing at the end of the job is at most that.
    SMLP_ESTIMATE_LOG2_ADVANTAGE = 13,
    /// sigma, the statistical security of the job's masks in bits, which follows from the promise.
    SMLP_ESTIMATE_SIGMA = 14,
}

/// An [`EstimateItem`] that comes from C: any number. The header shows it as
/// `smlp_estimate_item`.
pub type EstimateItemNumber = i32;

/// Measures two steps of a job on this machine: random numbers, a throw-away key, both parties in
/// this process. Takes as long as these steps and a key.
///
/// Args: options: the network. rows: of the data set. batch_size: rows a step. epochs: passes over
/// the data. key_bits: as for smlp_private_key_generate(). security: as for smlp_p1_new(). flags: as for
/// smlp_private_key_generate().
/// Errors: SMLP_INVALID_ARGUMENT, SMLP_INSECURE; SMLP_BOUND when the key is too small for the masks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_estimate_new(
    options: *const MlpOptionsHandle,
    rows: usize,
    batch_size: usize,
    epochs: u64,
    key_bits: u32,
    security: u32,
    flags: u32,
    out: *mut *mut EstimateHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (options, out) = unsafe { (borrow(options, "options")?, Out::new(out, "out")?) };
        let (exponents, key_security) = key_flags(flags)?;
        let job = Job {
            rows,
            batch_size,
            epochs,
            key_bits,
            exponents,
            promise: Promise::of(security),
        };
        let estimate = Estimate::measure(&options.config, job, key_security)?;
        out.object(EstimateHandle(estimate));
        Ok(())
    })
}

/// One number of an estimate.
///
/// Args: which: an enumerator of smlp_estimate_item.
/// Errors: SMLP_INVALID_ARGUMENT for other numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_estimate_number(
    estimate: *const EstimateHandle,
    which: EstimateItemNumber,
    out: *mut f64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (estimate, out) = unsafe { (borrow(estimate, "estimate")?, Out::new(out, "out")?) };
        let estimate = &estimate.0;
        let step = &estimate.step;
        let items = |phase| step.phase(phase).items as f64;
        let numbers = [
            estimate.steps as f64,
            estimate.time().as_secs_f64(),
            estimate.data_ciphertexts as f64,
            estimate.data_bytes as f64,
            estimate.first_step.time().as_secs_f64(),
            step.time().as_secs_f64(),
            step.statistics.p1_time.as_secs_f64(),
            step.statistics.rounds as f64,
            step.statistics.bytes_sent as f64,
            step.statistics.bytes_received as f64,
            items(Phase::MultiExponentiation),
            items(Phase::Decryption),
            items(Phase::Encryption),
            estimate.log2_advantage(),
            f64::from(estimate.sigma),
        ];
        let number = usize::try_from(which).ok().and_then(|i| numbers.get(i));
        out.set(*number.ok_or_else(|| Failure::invalid(format!("item {which} of an estimate")))?);
        Ok(())
    })
}

/// The estimate as text for people, some lines of UTF-8 with where the time goes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_estimate_text(
    estimate: *const EstimateHandle,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (estimate, out) = unsafe { (borrow(estimate, "estimate")?, Out::new(out, "out")?) };
        out.object(BytesHandle::new(estimate.0.to_string().into_bytes()));
        Ok(())
    })
}

/// Frees an estimate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_estimate_free(estimate: *mut EstimateHandle) {
    // SAFETY: the contract.
    unsafe { free(estimate) }
}
