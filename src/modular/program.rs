//! [`Program`]: square-and-multiply over tables, as a list of steps that are the same for every
//! output. Combs, multi-exponentiation, packing and choosing are all programs, so that a backend
//! that is better told everything at once need learn only this.

use super::exponentiation::{Exponents, power_table};
use super::{Block, Limbs, Residues, Ring, Selection};
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
    /// As listed, output after output; of [`EMPTY`] every digit is the program's `empty_digit`.
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

/// The tables that a program reads: powers 0 … 2^window − 1 of each base.
#[derive(Debug, Clone, Copy)]
pub enum Tables<'a> {
    /// Made ahead. A slot is the number of a table.
    Made(&'a Block),
    /// Each serves once, and is made where it is used, so that it is still in the cache. A slot is
    /// the number of a base. Only for rings that are not [`Ring::whole`].
    Own {
        /// The bases.
        bases: &'a Block,
        /// What the powers of each are multiplied by.
        start: Option<&'a Block>,
    },
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
    /// Where factors come from.
    pub tables: Tables<'a>,
    /// Which table each output reads in each column; the first one if there are none.
    pub slots: Option<Vec<usize>>,
    /// Where digits come from.
    pub exponents: &'a Exponents<'a>,
    /// Which exponent is whose.
    pub rows: Rows,
    /// The digits of an empty row.
    pub empty_digit: u64,
    /// A hint.
    pub reading: Reading,
}

impl Program<'_> {
    /// The table that output `k` reads in a column.
    fn slot(&self, column: usize, k: usize) -> usize {
        let slots = self.slots.as_ref();
        slots.map_or(0, |slots| slots[k * self.columns + column])
    }

    /// The digit of output `k`.
    fn digit(&self, step: &Step, k: usize) -> u64 {
        let row = match &self.rows {
            Rows::Output => k,
            Rows::Listed(rows) => rows[k * self.columns + step.column],
        };
        match row {
            EMPTY => self.empty_digit,
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
pub(super) fn evaluate(ring: &Arc<dyn Ring>, program: &Program<'_>) -> Residues {
    if let Some(block) = ring.evaluate(program) {
        return Residues::from_block(ring, program.outputs, block);
    }
    step_by_step(ring, program, program.tables)
}

/// As [`evaluate`], on pieces, with other tables of the same powers.
pub(super) fn step_by_step(
    ring: &Arc<dyn Ring>,
    program: &Program<'_>,
    tables: Tables<'_>,
) -> Residues {
    let grain = match program.reading {
        Reading::Own => ring.lanes().max(8),
        _ => ring.grain(),
    };
    let (window, entries) = (program.window, 1 << program.window);
    Residues::in_grains(ring, grain, program.outputs, |range| {
        let count = range.len();
        // The tables of the piece, column after column.
        let mut slots: Vec<_> = (0..program.columns)
            .flat_map(|column| range.clone().map(move |k| program.slot(column, k)))
            .collect();
        let made;
        let table = match tables {
            Tables::Made(table) => table,
            Tables::Own { bases, start } => {
                made = power_table(ring, bases, &slots, window, start);
                slots = (0..slots.len()).collect();
                &made
            }
        };
        let rows = |step: &Step| -> Vec<usize> {
            let slots = &slots[step.column * count..][..count];
            slots.iter().map(|s| (s << window) + step.first).collect()
        };
        let mut acc = ring.ones(count);
        let mut first = program.steps.first().map_or(vec![], rows);
        for (s, step) in program.steps.iter().enumerate() {
            let next = program.steps.get(s + 1).map(rows);
            let digits: Vec<_> = range.clone().map(|k| program.digit(step, k)).collect();
            let by = Selection {
                table,
                first: &first,
                digits: &digits,
                entries,
                ahead: match &next {
                    Some(next) if program.reading == Reading::Shared => next[0]..next[0] + entries,
                    _ => 0..0,
                },
            };
            ring.square_multiply_selected(&mut acc, step.squarings, &by);
            first = next.unwrap_or_default();
        }
        acc
    })
}

/// [`Residues::products`] for a ring that takes batches whole: up to sixteen factors at a time in one
/// program, so that only their product comes back from the device.
pub(super) fn products(numbers: &Residues, indices: &[usize], width: usize) -> Residues {
    let outputs = indices.len() / width;
    let (mut width, mut current) = (width, None::<Residues>);
    let mut indices = indices.to_vec();
    loop {
        let from = current.as_ref().unwrap_or(numbers);
        if width == 1 {
            return from.gather(&indices);
        }
        let columns = width.min(16);
        let (full, rest) = (width / columns, width % columns);
        let part = |start: usize, count: usize| -> Vec<usize> {
            let rows = indices.chunks_exact(width);
            rows.flat_map(|row| row[start..start + count].iter().copied())
                .collect()
        };
        let product = row_products(from, part(0, full * columns), columns);
        if rest == 0 {
            indices = (0..outputs * full).collect();
            (width, current) = (full, Some(product));
            continue;
        }
        let last = row_products(from, part(full * columns, rest), rest);
        let rows = (0..outputs).flat_map(|k| {
            (0..full)
                .map(move |f| k * full + f)
                .chain([outputs * full + k])
        });
        indices = rows.collect();
        (width, current) = (full + 1, Some(Residues::concatenate(&[&product, &last])));
    }
}

/// Products of rows of `columns` numbers, one factor after the other: digits of no bits.
fn row_products(numbers: &Residues, slots: Vec<usize>, columns: usize) -> Residues {
    let nothing = Limbs::zeros(1, 1);
    let steps = (0..columns).map(|column| Step {
        squarings: 0,
        column,
        first: 0,
        at: 0,
    });
    let program = Program {
        outputs: slots.len() / columns,
        columns,
        window: 0,
        steps: steps.collect(),
        tables: Tables::Made(numbers.block()),
        slots: Some(slots),
        exponents: &Exponents::new(&nothing, 0),
        rows: Rows::Output,
        empty_digit: 0,
        reading: Reading::Plain,
    };
    evaluate(numbers.ring(), &program)
}
