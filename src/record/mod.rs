//! Records of rounding keys: what takes a clear twin to the same integers, and nothing else keeps.
//!
//! Every call that rounds (a training step, a prediction, a division) draws a fresh key and forgets it
//! ([`crate::fixed::RoundingKey`]). A session that is given a [`Recorder`] hands it a [`Line`] for each call
//! that was completed; a clear session that is given the [`Record`] draws the same roundings.
//!
//! Whoever has a record and P2's view of the calls learns every dividend modulo its divisor. So a
//! record in a file ([`RecordFile`]) is encrypted line by line to a [`RecordKey`] of the data owner, which
//! neither P1 nor P2 has. One in memory ([`Record`]) is for tests and for demonstrations in one process.
#![forbid(unsafe_code)]

mod file;
mod key;
mod line;
#[cfg(test)]
mod tests;

pub use file::RecordFile;
pub use key::{RecordKey, RecordPublicKey};
pub use line::{Line, RoundingCall};

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

/// Takes a line for each call that a session has completed.
pub trait Recorder: Send + Sync + fmt::Debug {
    /// Whether it takes lines in this process: asked before a call shows P2 anything.
    ///
    /// # Errors
    /// Why it does not.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Keeps the line. The call has no effect unless this succeeds.
    ///
    /// # Errors
    /// Those of where it is kept.
    fn record(&self, line: &Line) -> Result<()>;
}

/// A record in memory, of one network's training and of the other calls of a session.
///
/// A training step is found by its number: of a step that was repeated, after a crash or from an older
/// checkpoint, the last line counts. Predictions and divisions are found by the order in which they ended; which of two that
/// ran at the same time was first, it does not tell.
#[derive(Default)]
pub struct Record(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    all: Vec<Line>,
    /// Where the last line of each step is.
    steps: BTreeMap<u64, usize>,
    predictions: Vec<usize>,
    divisions: Vec<usize>,
}

impl Record {
    /// A record without lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// All lines, in the order of the calls' ends.
    pub fn lines(&self) -> Vec<Line> {
        self.lock().all.clone()
    }

    /// How many lines it has.
    pub fn len(&self) -> usize {
        self.lock().all.len()
    }

    /// Whether it has no lines.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&self, line: Line) {
        let mut lines = self.lock();
        let at = lines.all.len();
        match line.call {
            RoundingCall::Step { step, .. } => _ = lines.steps.insert(step, at),
            RoundingCall::Prediction { .. } => lines.predictions.push(at),
            RoundingCall::Division { .. } => lines.divisions.push(at),
        }
        lines.all.push(line);
    }

    /// The line of a call that is to be repeated in the clear: of its step, or of the prediction or
    /// division that comes after `before` others.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there is none, or one that was called with something else.
    pub(crate) fn line(&self, call: &RoundingCall, before: usize) -> Result<Line> {
        let lines = self.lock();
        let (at, what, known) = match call {
            RoundingCall::Step { step, .. } => {
                let known = lines.steps.last_key_value();
                let known = known.map_or("no step".into(), |(last, _)| {
                    format!("{} steps up to number {last}", lines.steps.len())
                });
                (lines.steps.get(step), format!("step {step}"), known)
            }
            RoundingCall::Prediction { .. } => {
                let known = format!("{} predictions", lines.predictions.len());
                (
                    lines.predictions.get(before),
                    format!("prediction {before}"),
                    known,
                )
            }
            RoundingCall::Division { .. } => {
                let known = format!("{} divisions", lines.divisions.len());
                (
                    lines.divisions.get(before),
                    format!("division {before}"),
                    known,
                )
            }
        };
        let line = at.map(|&at| &lines.all[at]).ok_or_else(|| {
            Error::invalid(format!("the record has no line of {what}; it has {known}"))
        })?;
        match line.call.agrees_with(call) {
            true => Ok(line.clone()),
            false => Err(Error::invalid(format!(
                "the record has {} as {what}, not {call}; repeat the calls that were recorded",
                line.call
            ))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Recorder for Record {
    fn record(&self, line: &Line) -> Result<()> {
        self.push(line.clone());
        Ok(())
    }
}

impl fmt::Debug for Record {
    /// No key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} lines)", self.len())
    }
}
