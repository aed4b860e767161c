//! [`Program`]: square-and-multiply over tables, as a list of steps that are the same for every
//! output. Combs, multi-exponentiation, packing and choosing are all programs, so that a backend
//! that is better told everything at once need learn only this.

use super::exponentiation::Exponents;
use super::{Block, Residues, Ring};
use std::fmt;
use std::sync::Arc;

/// One step: so many squarings, then a product with a table row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Squarings before the product.
    pub squarings: usize,
    /// Which of an output's slots and exponents.
    pub column: usize,
    /// Added to the number of the row.
    pub first: usize,
    /// The lowest bit of the digit in the exponent.
    pub at: usize,
}

/// Which exponent belongs to an output and a column.
#[derive(Debug)]
pub enum Rows {
    /// Every output has one.
    Output,
    /// As listed, output after output; [`EMPTY`] has only zero digits.
    Listed(Vec<usize>),
}

/// A row of no exponent.
pub const EMPTY: usize = usize::MAX;

/// How outputs read the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Neighbours read the same rows: what comes next is worth fetching.
    Shared,
    /// Each reads rows of its own, again and again, which had better stay in a cache.
    Own,
    /// In no special way.
    Plain,
}

/// `outputs` products: each starts from one and, step by step, is squared and multiplied by row
/// `slot·2^window + first + digit` of a table.
///
/// The digits are secret, everything else is public.
pub struct Program<'a> {
    /// Numbers that come out.
    pub outputs: usize,
    /// Slots, and listed rows, an output.
    pub columns: usize,
    /// Bits of a digit.
    pub window: usize,
    /// In order.
    pub steps: Vec<Step>,
    /// Which table each output reads in each column; the first one if there are none.
    pub slots: Option<Vec<usize>>,
    /// Where digits come from.
    pub exponents: &'a Exponents<'a>,
    /// Which exponent is whose.
    pub rows: Rows,
    /// A hint.
    pub reading: Reading,
}

impl Program<'_> {
    /// The first of the rows that output `k` reads.
    pub fn first(&self, step: &Step, k: usize) -> usize {
        let slot = |slots: &Vec<usize>| slots[k * self.columns + step.column] << self.window;
        self.slots.as_ref().map_or(0, slot) + step.first
    }

    /// Which of them it takes.
    fn digit(&self, step: &Step, k: usize) -> u64 {
        let row = match &self.rows {
            Rows::Output => k,
            Rows::Listed(rows) => rows[k * self.columns + step.column],
        };
        match row {
            EMPTY => 0,
            _ => self.exponents.digit(row, step.at, self.window),
        }
    }
}

impl fmt::Debug for Program<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Program({} outputs, {} steps)",
            self.outputs,
            self.steps.len()
        )
    }
}

/// Runs a program: in one go where the ring can, else step by step on pieces.
pub(super) fn evaluate(ring: &Arc<dyn Ring>, table: &Block, program: &Program<'_>) -> Residues {
    if let Some(block) = ring.evaluate(table, program) {
        return Residues::from_block(ring, program.outputs, block);
    }
    let grain = match program.reading {
        Reading::Own => ring.lanes().max(8),
        _ => ring.grain(),
    };
    let entries = 1 << program.window;
    Residues::in_grains(ring, grain, program.outputs, |range| {
        let mut acc = ring.ones(range.len());
        for (s, step) in program.steps.iter().enumerate() {
            if step.squarings > 0 {
                ring.square(&mut acc, step.squarings);
            }
            let first: Vec<_> = range.clone().map(|k| program.first(step, k)).collect();
            let digits: Vec<_> = range.clone().map(|k| program.digit(step, k)).collect();
            let ahead = match program.steps.get(s + 1) {
                Some(next) if program.reading == Reading::Shared => {
                    let next = program.first(next, range.start);
                    next..next + entries
                }
                _ => 0..0,
            };
            ring.multiply_selected(&mut acc, table, &first, &digits, entries, ahead);
        }
        acc
    })
}
