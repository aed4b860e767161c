//! Training over many steps: which rows make which batch, checkpoints, progress, cancelling, going
//! on.
//!
//! Everything follows from the network's own step counter, so a network that was stopped, stored
//! and loaded goes on with the very next batch, as if nothing had happened.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::path::PathBuf;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::checkpoint::{Stored, save};
use super::{Mlp, seed_from_number};
use crate::error::{Error, Result};
use crate::session::Layers;
use crate::tensor::Tensor;

/// How long to train, counted from where the network stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainFor {
    /// So many passes over the data.
    Epochs(u64),
    /// So many steps.
    Steps(u64),
}

/// How to train. Resume with the same data, batch size and shuffling.
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// How long.
    pub duration: TrainFor,
    /// Rows a step; the last batch of a pass holds what is left.
    pub batch_size: usize,
    /// The learning rate, in (0, 2·rows of a batch].
    pub learning_rate: f64,
    /// Whether every pass visits the rows in an order of its own.
    pub shuffle: bool,
    /// What the orders are drawn from. Not a secret.
    pub shuffle_seed: u64,
    /// Where the network is saved while it trains; by default nowhere.
    pub checkpoint: Option<Checkpointing>,
}

/// A checkpoint on disk that follows the training, so that a killed process can be replaced.
///
/// It is written before the first step, after every step whose number (the network's own count)
/// is a multiple of `every_steps`, at the end, and when progress cancels. A training step that
/// fails writes nothing. Resumed from the file, with the same data and options, training goes on with the very
/// next batch; steps since the file are repeated as new attempts, with roundings of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpointing {
    /// The file, replaced in one step by [`save`](super::checkpoint::save()).
    pub path: PathBuf,
    /// Steps between two files.
    pub every_steps: NonZeroU64,
}

impl FitOptions {
    /// Shuffled training with seed 0.
    pub fn new(duration: TrainFor, batch_size: usize, learning_rate: f64) -> Self {
        Self {
            duration,
            batch_size,
            learning_rate,
            shuffle: true,
            shuffle_seed: 0,
            checkpoint: None,
        }
    }
}

/// Called after every step with the network as it is then, and the steps done and to do in this
/// call; `Break` cancels the rest.
pub type Progress<'a, S> = &'a mut dyn FnMut(&Mlp<S>, u64, u64) -> ControlFlow<()>;

impl<S: Stored> Mlp<S> {
    /// Trains on all rows of inputs (rows × inputs) and targets (rows × outputs).
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `progress` asked to stop before the end, and those of
    /// [`Mlp::train_step`]; [`Error::Io`] when a checkpoint cannot be written. The steps completed
    /// until then stay.
    pub fn fit<A>(
        &mut self,
        arith: &A,
        x: &Tensor<S>,
        y: &Tensor<S>,
        options: &FitOptions,
        progress: Progress<'_, S>,
    ) -> Result<()>
    where
        A: Layers<Elements = S> + ?Sized,
    {
        let [x, y] = self.checked_rows(x, y)?;
        let rows = x.shape()[0];
        if options.batch_size == 0 {
            return Err(Error::invalid("a batch size of 0"));
        }
        let steps_per_pass = rows.div_ceil(options.batch_size) as u64;
        let total = match options.duration {
            TrainFor::Steps(steps) => steps,
            TrainFor::Epochs(epochs) => epochs.checked_mul(steps_per_pass).ok_or(Error::Limit {
                what: "number of epochs",
                value: epochs,
                limit: u64::MAX / steps_per_pass,
            })?,
        };
        // Before anything is shown: every batch that is going to come, the last one of a pass being smaller.
        let largest = options.batch_size.min(rows);
        self.divisors(&x, largest, options.learning_rate)?;
        if (self.step() % steps_per_pass).saturating_add(total) >= steps_per_pass {
            let last = rows - (steps_per_pass as usize - 1) * largest;
            self.divisors(&x, last, options.learning_rate)?;
        }
        if total == 0 {
            // Nothing is shown, and no training counted.
            return self.checkpoint(options);
        }
        let exposure = self.config.exposure(rows, largest, total);
        let shown = self.shown(&x, &y);
        arith.train(&exposure, self.trainings, &shown, |arith| {
            self.begin_training();
            // A process that dies from here on has shown something, and the file knows it.
            self.checkpoint(options)?;
            self.fit_on(arith, &x, &y, options, total, progress)
        })
    }

    /// The steps of [`Mlp::fit`], on rows that were checked.
    fn fit_on<A>(
        &mut self,
        arith: &A,
        x: &Tensor<S>,
        y: &Tensor<S>,
        options: &FitOptions,
        total: u64,
        progress: Progress<'_, S>,
    ) -> Result<()>
    where
        A: Layers<Elements = S> + ?Sized,
    {
        let rows = x.shape()[0];
        let steps_per_pass = rows.div_ceil(options.batch_size) as u64;
        let (x, y) = (arith.prepare(x)?, arith.prepare(y)?);
        let mut order = Order::new(rows, options);
        for done in 1..=total {
            let (pass, batch) = (self.step() / steps_per_pass, self.step() % steps_per_pass);
            let first = batch as usize * options.batch_size;
            let last = rows.min(first.saturating_add(options.batch_size));
            let chosen = &order.of_pass(pass)[first..last];
            let (x, y) = (x.take(0, chosen)?, y.take(0, chosen)?);
            self.step_on(arith, &x, &y, options.learning_rate, chosen)?;
            let due = |saving: &Checkpointing| self.step() % saving.every_steps == 0;
            let saved = done == total || options.checkpoint.as_ref().is_some_and(due);
            if saved {
                self.checkpoint(options)?;
            }
            if progress(self, done, total).is_break() && done < total {
                if !saved {
                    self.checkpoint(options)?;
                }
                return Err(Error::Cancelled);
            }
        }
        Ok(())
    }

    /// Writes the file that the options ask for.
    fn checkpoint(&self, options: &FitOptions) -> Result<()> {
        match &options.checkpoint {
            Some(saving) => save(&saving.path, &self.to_bytes()?),
            None => Ok(()),
        }
    }
}

/// The order of the rows in the current pass.
struct Order<'a> {
    options: &'a FitOptions,
    pass: Option<u64>,
    rows: Vec<usize>,
}

impl<'a> Order<'a> {
    fn new(rows: usize, options: &'a FitOptions) -> Self {
        Self {
            options,
            pass: None,
            rows: (0..rows).collect(),
        }
    }

    fn of_pass(&mut self, pass: u64) -> &[usize] {
        if self.options.shuffle && self.pass != Some(pass) {
            let count = self.rows.len();
            self.rows = permutation(count, self.options.shuffle_seed, pass);
            self.pass = Some(pass);
        }
        &self.rows
    }
}

/// Fisher–Yates over ChaCha20, written out because checkpoints outlive library versions and
/// general-purpose shuffles reserve the right to change.
fn permutation(count: usize, seed: u64, pass: u64) -> Vec<usize> {
    let mut generator = ChaCha20Rng::from_seed(seed_from_number(seed));
    generator.set_stream(pass);
    let mut rows: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        // 64 bits for at most 2^28 rows: the bias of a plain remainder is below 2^-36.
        let j = generator.next_u64() % (i as u64 + 1);
        rows.swap(i, j as usize);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations() {
        let first = permutation(50, 1, 0);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..50));
        assert_eq!(first, permutation(50, 1, 0));
        assert_ne!(first, permutation(50, 1, 1));
        assert_ne!(first, permutation(50, 2, 0));
        assert_eq!(permutation(0, 0, 0), [0usize; 0]);
    }
}
