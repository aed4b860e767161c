//! What training a network will cost, before anything of it runs.
//!
//! Two steps on random numbers under a throw-away key of the size in question, both parties in this
//! process: the first shows what setting up costs, the second what every further step costs. So
//! an estimate takes as long as two steps and a key, and is as exact as the machine is steady.

use super::{Mlp, MlpConfig, seed_from_number};
use crate::error::{Error, Result};
use crate::paillier::{Encrypt, ExponentLength, PrivateKey, Security};
use crate::protocol::profile::{self, Cost, Phase};
use crate::protocol::{P1, P2, Promise};
use crate::random::Random;
use crate::session::{Layers, Session, Statistics};
use crate::tensor::{EncryptedTensor, IntegerTensor, UPLOAD_SIGMA};
use crate::transport::InProcess;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A training job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Rows of the data set.
    pub rows: usize,
    /// Rows a step.
    pub batch_size: usize,
    /// Passes over the data.
    pub epochs: u64,
    /// Bits of the key.
    pub key_bits: u32,
    /// Of the key.
    pub exponents: ExponentLength,
    /// What P1 promises of its masks.
    pub promise: Promise,
}

/// What one step costs.
#[derive(Debug, Clone)]
pub struct StepCost {
    /// Rounds, bytes, operations, times of both parties, masked values.
    pub statistics: Statistics,
    /// Where the time goes.
    pub phases: Vec<Cost>,
}

/// What a job costs on this machine.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// The job.
    pub job: Job,
    /// Statistical security of its masks, in bits: what the promise demands.
    pub sigma: u32,
    /// Values and ciphertexts that it may show P2 at most, from which that follows.
    pub values: u64,
    /// Steps of the job.
    pub steps: u64,
    /// Ciphertexts of the data set, inputs and targets, packed.
    pub data_ciphertexts: u64,
    /// Their bytes.
    pub data_bytes: u64,
    /// The first step, with what it sets up.
    pub first_step: StepCost,
    /// Every further step.
    pub step: StepCost,
}

impl Estimate {
    /// Measures two steps of the job on this machine, with the backend in use.
    ///
    /// # Errors
    /// Those of [`MlpConfig::validate`], of the key size and of σ; [`Error::InvalidArgument`] for a
    /// job without rows or batches; [`Error::Bound`] when the key is too small for the masks.
    pub fn measure(config: &MlpConfig, job: Job, security: Security) -> Result<Self> {
        if job.rows == 0 || job.batch_size == 0 {
            return Err(Error::invalid(format!(
                "a job of {} rows in batches of {}; both are at least 1",
                job.rows, job.batch_size
            )));
        }
        config.validate()?;
        let key = PrivateKey::generate_as(job.key_bits, job.exponents, security)?;
        let random = Random::os();
        let mut net =
            Mlp::draw(config.clone(), Some(seed_from_number(0)))?.encrypt(&key, &random)?;
        let batch = job.batch_size.min(job.rows);
        let (inputs, outputs) = (config.layers[0], config.layers[config.depth()]);
        // A batch for each of two steps.
        let x = zeros(config, 2 * batch, inputs, &key)?;
        let y = zeros(config, 2 * batch, outputs, &key)?;
        let packs = |x: &EncryptedTensor| {
            let packs = x.storage().slots().map_or(0, |s| s.packs_per_line());
            (packs as u64).saturating_mul(job.rows as u64)
        };
        let data_ciphertexts = packs(&x).saturating_add(packs(&y));
        let steps = (job.epochs).saturating_mul(job.rows.div_ceil(job.batch_size) as u64);
        let p1 = P1::new(key.public().clone(), job.promise)?;
        let p2 = InProcess::new(Arc::new(P2::new(key.clone())));
        let session = Session::new(Arc::new(p1), Arc::new(p2));
        let exposure = config.exposure(job.rows, batch, steps);
        let values = session.shown(&exposure);
        let (sigma, first_step, step) = session.train(&exposure, 0, &[], |session| {
            session.reset_statistics();
            let before = profile::snapshot();
            let (x, y) = (session.prepare(&x)?, session.prepare(&y)?);
            let mut step = |first: usize, before| -> Result<StepCost> {
                let rows: Vec<usize> = (first..first + batch).collect();
                net.step_on(session, &x.take(0, &rows)?, &y.take(0, &rows)?, 0.1, &[])?;
                Ok(StepCost::since(before, session))
            };
            // With what it sets up, and the sharing of its rows and of the next ones.
            let first_step = step(0, before)?;
            session.reset_statistics();
            let step = step(batch, profile::snapshot())?;
            Ok((session.p1().sigma(), first_step, step))
        })?;
        Ok(Self {
            job,
            sigma,
            values,
            steps,
            data_ciphertexts,
            data_bytes: data_ciphertexts
                .saturating_mul(8 * key.public().ring().modulus().width() as u64),
            first_step,
            step,
        })
    }

    /// Time of the whole job, both parties on this machine.
    pub fn time(&self) -> Duration {
        let steps = u32::try_from(self.steps.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_step.time() + self.step.time() * steps
    }

    /// P2's advantage over guessing at the end, as a power of two: log2 of m·2^−σ.
    pub fn log2_advantage(&self) -> f64 {
        (self.values.max(1) as f64).log2() - f64::from(self.sigma)
    }
}

impl StepCost {
    /// What was done since then, in a session that began to count then.
    fn since(before: Vec<Cost>, session: &Session) -> Self {
        let phases = profile::snapshot()
            .into_iter()
            .zip(before)
            .map(|(after, before)| Cost {
                phase: after.phase,
                items: after.items - before.items,
                time: after.time - before.time,
            })
            .collect();
        Self {
            statistics: session.statistics(),
            phases,
        }
    }

    /// Time of the step, both parties.
    pub fn time(&self) -> Duration {
        self.statistics.p1_time + self.statistics.exchange_time
    }

    /// What one phase cost.
    pub fn phase(&self, phase: Phase) -> Cost {
        let found = self.phases.iter().find(|c| c.phase == phase);
        *found.expect("all phases are there")
    }
}

fn zeros(
    config: &MlpConfig,
    rows: usize,
    columns: usize,
    key: &PrivateKey,
) -> Result<EncryptedTensor> {
    let bits = config.activation_bits;
    let values = vec![0.0; rows * columns];
    let clear =
        IntegerTensor::from_f64(&[rows, columns], &values, config.fraction_bits, Some(bits))?;
    EncryptedTensor::encrypt_packed(&clear, key, UPLOAD_SIGMA, &Random::os())
}

impl fmt::Display for StepCost {
    /// The split of a step, a line a phase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = &self.statistics;
        writeln!(
            f,
            "{:.3} s (P1 {:.3} s, P2 and wire {:.3} s), {} rounds, {} kB sent, {} kB received, {} masked values",
            self.time().as_secs_f64(),
            s.p1_time.as_secs_f64(),
            s.exchange_time.as_secs_f64(),
            s.rounds,
            s.bytes_sent / 1000,
            s.bytes_received / 1000,
            s.masked_values
        )?;
        let mut rest = self.time();
        for cost in &self.phases {
            let (name, unit) = match cost.phase {
                Phase::MultiExponentiation => ("P1 multi-exponentiation", "terms"),
                Phase::Rerandomisation => ("P1 re-randomisation", "ciphertexts"),
                Phase::Garbling => ("P1 garbling", "values"),
                Phase::Decryption => ("P2 decryption", "ciphertexts"),
                Phase::Encryption => ("P2 encryption", "ciphertexts"),
                Phase::Evaluation => ("P2 evaluation", "values"),
            };
            rest = rest.saturating_sub(cost.time);
            writeln!(
                f,
                "  {name:<24} {:>8.1} ms  {:>7} {unit}",
                cost.time.as_secs_f64() * 1e3,
                cost.items
            )?;
        }
        write!(
            f,
            "  {:<24} {:>8.1} ms",
            "packing, bytes, the rest",
            rest.as_secs_f64() * 1e3
        )
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Job {
            rows,
            key_bits,
            exponents,
            ..
        } = self.job;
        let kind = match exponents {
            ExponentLength::Half => "",
            ExponentLength::Short => " with short exponents",
        };
        writeln!(
            f,
            "data: {rows} rows in {} ciphertexts of {key_bits}-bit keys{kind}, {:.1} MB",
            self.data_ciphertexts,
            self.data_bytes as f64 / 1e6
        )?;
        writeln!(f, "first step: {}", self.first_step)?;
        writeln!(f, "every further step: {}", self.step)?;
        write!(
            f,
            "all {} steps: {:.0} s, {:.1} MB on the wire; masks of {} bits, P2's advantage at most 2^{:.1}",
            self.steps,
            self.time().as_secs_f64(),
            (self.step.statistics.bytes_sent + self.step.statistics.bytes_received) as f64
                * self.steps as f64
                / 1e6,
            self.sigma,
            self.log2_advantage()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_a_step() {
        let config = MlpConfig::relu(&[3, 4, 2])
            .with_fraction_bits(8)
            .with_bits(12, 12);
        let job = Job {
            rows: 10,
            batch_size: 4,
            epochs: 3,
            key_bits: 512,
            exponents: ExponentLength::Half,
            promise: Promise::insecure(40),
        };
        let estimate = Estimate::measure(&config, job, Security::AllowInsecure).unwrap();
        assert_eq!(estimate.steps, 9);
        // Slots of 54 bits: 9 values a ciphertext, so each row takes one for each of x and y.
        assert_eq!(estimate.data_ciphertexts, 20);
        assert_eq!(estimate.data_bytes, 20 * 128);
        assert_eq!(estimate.step.statistics.rounds, 8);
        assert!(estimate.first_step.statistics.rounds > 8);
        assert_eq!(estimate.step.phase(Phase::Garbling).items, 2 * 4 * 4);
        // The length of exponents changes times alone.
        let short = Job {
            exponents: ExponentLength::Short,
            ..job
        };
        let short = Estimate::measure(&config, short, Security::AllowInsecure).unwrap();
        let counts = |e: &Estimate| {
            let s = e.step.statistics;
            (s.rounds, s.bytes_sent, s.bytes_received, s.masked_values)
        };
        assert_eq!(counts(&short), counts(&estimate));
        assert!(short.step.statistics.p2_operations < estimate.step.statistics.p2_operations);
        let text = estimate.to_string();
        assert!(text.contains("all 9 steps"), "{text}");
        for bad in [
            Job { rows: 0, ..job },
            Job {
                batch_size: 0,
                ..job
            },
        ] {
            assert!(Estimate::measure(&config, bad, Security::AllowInsecure).is_err());
        }
        let insecure = Estimate::measure(&config, job, Security::Required);
        assert!(matches!(insecure, Err(Error::Insecure(_))));
    }
}
