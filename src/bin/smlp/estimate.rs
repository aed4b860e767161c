//! `smlp estimate`.

use smlp::mlp::{Estimate, Job, StepCost};
use smlp::paillier::DEFAULT_KEY_BITS;
use smlp::{Promise, Result, Security};

use crate::init::NetworkArguments;
use crate::keygen::exponents;
use crate::outcome::Outcome;
use crate::train::rounded;

/// Tell what a training will cost, from two steps of it on random numbers under a throw-away key, both parties on this
/// machine. The wire is not in it: add the rounds times its delay, and the bytes over its rate.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  smlp estimate --layers 30,16,2 --rows 455 --epochs 5 --bits 2048")]
pub struct Arguments {
    #[command(flatten)]
    network: NetworkArguments,

    /// Rows of the data set.
    #[arg(long)]
    rows: usize,

    /// Passes over the rows.
    #[arg(long, default_value_t = 1)]
    epochs: u64,

    /// Rows of a step.
    #[arg(long, default_value_t = 32)]
    batch_size: usize,

    /// Bits of the key.
    #[arg(long, default_value_t = DEFAULT_KEY_BITS)]
    bits: u32,

    /// As for `smlp keygen`.
    #[arg(long)]
    short_exponents: bool,

    /// Promise that P2's advantage over guessing is at most 2^-BITS; from this follow the widths of masks.
    #[arg(long, value_name = "BITS", default_value_t = smlp::protocol::DEFAULT_SECURITY)]
    security: u32,

    /// Accept keys below 2048 bits.
    #[arg(long)]
    allow_insecure: bool,
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let job = Job {
        rows: arguments.rows,
        batch_size: arguments.batch_size,
        epochs: arguments.epochs,
        key_bits: arguments.bits,
        exponents: exponents(arguments.short_exponents),
        promise: Promise::of(arguments.security),
    };
    let security = match arguments.allow_insecure {
        true => Security::AllowInsecure,
        false => Security::Required,
    };
    let estimate = Estimate::measure(&arguments.network.config(), job, security)?;
    let (first, further) = (&estimate.first_step, &estimate.step);
    let total = |of: fn(&StepCost) -> u64| {
        of(first).saturating_add(of(further).saturating_mul(estimate.steps.saturating_sub(1)))
    };
    Ok(Outcome::default()
        .with("steps", estimate.steps)
        .with("data_ciphertexts", estimate.data_ciphertexts)
        .with("data_bytes", estimate.data_bytes)
        .with("first_step_seconds", rounded(first.time()))
        .with("step_seconds", rounded(further.time()))
        .with("seconds", rounded(estimate.time()))
        .with("rounds", total(|step| step.statistics.rounds))
        .with("bytes_sent", total(|step| step.statistics.bytes_sent))
        .with(
            "bytes_received",
            total(|step| step.statistics.bytes_received),
        )
        .with("masked_values", total(|step| step.statistics.masked_values))
        .with("sigma", estimate.sigma)
        .with("promised_bits", arguments.security)
        .with(
            "log2_of_p2s_advantage",
            (estimate.log2_advantage() * 10.0).round() / 10.0,
        ))
}
