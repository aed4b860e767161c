//! [`Ring`] and [`Block`]: what the table's handles are, and its operations.

use crate::device::{Device, Memory, SIZES};
use crate::failure::{Failure, Result};
use crate::table::{Evaluation, NADIC, NO_PRODUCT, PLAIN, Step};
use cust::memory::{CopyDestination, DevicePointer};
use std::ffi::c_void;
use zeroize::Zeroizing;

/// Numbers in a ring's form on the device.
pub struct Block {
    memory: Memory,
    count: usize,
}

/// Arithmetic modulo one number.
pub struct Ring {
    /// Index into [`SIZES`].
    size: usize,
    form: &'static str,
    /// 32-bit words a number.
    words: usize,
    constants: Memory,
}

/// The smallest size that holds `bits` bits.
pub fn size_for(bits: u32) -> Option<usize> {
    SIZES.iter().position(|s| bits <= s.bits)
}

fn or_null(block: Option<&Block>) -> DevicePointer<u32> {
    block.map_or(DevicePointer::null(), |b| b.memory.pointer(0))
}

fn counted(what: &str, value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Failure::memory(format!("{value} {what}, the limit is 2^32")))
}

/// A kernel's arguments, as pointers to them.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => {
        &[$(&raw const $argument as *mut c_void),*]
    };
}

impl Ring {
    pub fn new(device: &mut Device, form: u32, bits: u32, constants: &[u32]) -> Result<Self> {
        let size = size_for(bits).ok_or_else(|| {
            Failure::argument(format!(
                "a modulus of {bits} bits is too large for the kernels"
            ))
        })?;
        let height = SIZES[size].height;
        let (form, digits) = match form {
            PLAIN => ("plain", 1),
            NADIC => ("nadic", 2),
            other => return Err(Failure::argument(format!("form {other} is not known"))),
        };
        let words = digits * height;
        let wanted = 2 * height + 3 * words + 1;
        if constants.len() != wanted || constants[0].is_multiple_of(2) {
            return Err(Failure::argument(format!(
                "{} words of constants for an odd modulus, {wanted} are wanted",
                constants.len()
            )));
        }
        device.load(size)?;
        // The last word is read as one of four.
        let mut padded = Zeroizing::new(constants.to_vec());
        padded.extend([0; 3]);
        Ok(Self {
            size,
            form,
            words,
            constants: Memory::upload(&padded)?,
        })
    }

    fn block(&self, count: usize) -> Result<Block> {
        let words = count
            .checked_mul(self.words)
            .ok_or_else(|| Failure::memory("a block's size overflows"))?;
        Ok(Block {
            memory: Memory::new(words)?,
            count,
        })
    }

    fn launch(
        &self,
        device: &Device,
        what: &str,
        count: usize,
        arguments: &[*mut c_void],
    ) -> Result<()> {
        let size = &SIZES[self.size];
        let kernel = format!("{}_{}_{what}", self.form, size.bits);
        // SAFETY: callers pass what kernels.h declares, sizes checked, and wait before they free.
        unsafe { device.launch(self.size, &kernel, count * size.threads as usize, arguments) }
    }

    pub fn enter(&self, device: &mut Device, canonical: &[u64], width: usize) -> Result<Block> {
        if width == 0 || 2 * width > self.words || !canonical.len().is_multiple_of(width) {
            return Err(Failure::argument(format!(
                "numbers of {width} limbs, at most {} fit",
                self.words / 2
            )));
        }
        let words = self.words;
        let out = self.block(canonical.len() / width)?;
        device.send(
            out.count,
            words,
            |first, pinned| {
                let numbers = canonical[first * width..].chunks_exact(width);
                for (row, number) in pinned.chunks_exact_mut(words).zip(numbers) {
                    row.fill(0);
                    for (pair, limb) in row.chunks_exact_mut(2).zip(number) {
                        pair.copy_from_slice(&[*limb as u32, (*limb >> 32) as u32]);
                    }
                }
            },
            |device, first, staged| {
                let count = staged.len() / words;
                let to = out.memory.pointer(first * words);
                let (constants, from) = (self.constants.pointer(0), staged.as_device_ptr());
                let number = count as u32;
                self.launch(
                    device,
                    "enter",
                    count,
                    arguments![constants, to, from, number],
                )
            },
        )?;
        Ok(out)
    }

    pub fn leave(
        &self,
        device: &mut Device,
        block: &Block,
        canonical: &mut [u64],
        width: usize,
    ) -> Result<()> {
        if 2 * width > self.words || canonical.len() != block.count * width {
            return Err(Failure::argument(format!(
                "room for {} limbs, {} numbers of {width} limbs come",
                canonical.len(),
                block.count
            )));
        }
        let words = self.words;
        device.fetch(
            block.count,
            words,
            |device, first, staged| {
                let count = staged.len() / words;
                let from = block.memory.pointer(first * words);
                let (constants, to) = (self.constants.pointer(0), staged.as_device_ptr());
                let number = count as u32;
                self.launch(
                    device,
                    "leave",
                    count,
                    arguments![constants, to, from, number],
                )
            },
            |first, pinned| {
                let numbers = canonical[first * width..].chunks_exact_mut(width);
                for (row, number) in pinned.chunks_exact(words).zip(numbers) {
                    for (pair, limb) in row.chunks_exact(2).zip(number) {
                        *limb = u64::from(pair[0]) | u64::from(pair[1]) << 32;
                    }
                }
            },
        )
    }

    pub fn gather(&self, device: &mut Device, source: &Block, indices: &[u32]) -> Result<Block> {
        if let Some(i) = indices.iter().find(|&&i| i as usize >= source.count) {
            return Err(Failure::argument(format!(
                "index {i} of {} numbers",
                source.count
            )));
        }
        let out = self.block(indices.len())?;
        if !indices.is_empty() {
            let places = Memory::upload(indices)?;
            let (count, words) = (counted("indices", indices.len())?, self.words as u32);
            let (to, from, at) = (
                out.memory.pointer(0),
                source.memory.pointer(0),
                places.pointer(0),
            );
            let kernel = format!("any_{}_gather", SIZES[self.size].bits);
            let threads = indices.len() * self.words / 4;
            // SAFETY: indices are checked above, the output has their number; finish() waits.
            unsafe {
                device.launch(
                    self.size,
                    &kernel,
                    threads,
                    arguments![to, from, at, words, count],
                )?;
            }
            device.finish()?;
        }
        Ok(out)
    }

    pub fn join(&self, device: &mut Device, parts: &[&Block]) -> Result<Block> {
        let out = self.block(parts.iter().map(|p| p.count).sum())?;
        let mut at = 0;
        for part in parts.iter().filter(|p| p.count > 0) {
            let end = at + part.count * self.words;
            let mut target = out.memory.slice(at..end);
            target.copy_from(&part.memory.slice(0..end - at))?;
            at = end;
        }
        device.finish()?;
        Ok(out)
    }

    pub fn multiply(&self, device: &mut Device, a: &Block, b: &Block) -> Result<Block> {
        if a.count != b.count {
            return Err(Failure::argument(format!(
                "{} numbers times {}",
                a.count, b.count
            )));
        }
        let out = self.block(a.count)?;
        if a.count > 0 {
            let (constants, to) = (self.constants.pointer(0), out.memory.pointer(0));
            let (x, y) = (a.memory.pointer(0), b.memory.pointer(0));
            let count = counted("numbers", a.count)?;
            self.launch(
                device,
                "multiply",
                a.count,
                arguments![constants, to, x, y, count],
            )?;
            device.finish()?;
        }
        Ok(out)
    }

    pub fn tables(
        &self,
        device: &mut Device,
        bases: &Block,
        start: Option<&Block>,
        window: u32,
    ) -> Result<Block> {
        if window > 16 || start.is_some_and(|s| s.count != bases.count) {
            return Err(Failure::argument(
                "a window above 16 bits, or a start of another length",
            ));
        }
        let out = self.block(bases.count << window)?;
        if bases.count > 0 {
            let (constants, to) = (self.constants.pointer(0), out.memory.pointer(0));
            let (from, first) = (bases.memory.pointer(0), or_null(start));
            let count = counted("numbers", bases.count)?;
            let arguments = arguments![constants, to, from, first, window, count];
            self.launch(device, "tables", bases.count, arguments)?;
            device.finish()?;
        }
        Ok(out)
    }

    /// All that an evaluation reads is checked first: a kernel cannot.
    pub fn evaluate(&self, device: &mut Device, wanted: &Checked<'_>) -> Result<Block> {
        let out = self.block(wanted.outputs)?;
        if wanted.outputs == 0 {
            return Ok(out);
        }
        let flat: Vec<u32> = wanted
            .steps
            .iter()
            .flat_map(|s| [s.squarings, s.column, s.first, s.at])
            .collect();
        let steps = Memory::upload(&flat)?;
        let slots = wanted.slots.map(Memory::upload).transpose()?;
        let exponents = Memory::upload(wanted.exponents)?;
        let (constants, to) = (self.constants.pointer(0), out.memory.pointer(0));
        let (start, table) = (or_null(wanted.start), or_null(wanted.table));
        let (steps, step_count) = (steps.pointer(0), counted("steps", wanted.steps.len())?);
        let slots = slots
            .as_ref()
            .map_or(DevicePointer::null(), |s| s.pointer(0));
        let (columns, words) = (wanted.columns as u32, wanted.exponent_words as u32);
        let digits = exponents.pointer(0);
        let (by_output, by_column) = (wanted.output_stride as u32, wanted.column_stride as u32);
        let (window, count) = (wanted.window, counted("outputs", wanted.outputs)?);
        let done = self
            .launch(
                device,
                "evaluate",
                wanted.outputs,
                arguments![
                    constants, to, start, table, steps, step_count, slots, columns, digits, words,
                    by_output, by_column, window, count,
                ],
            )
            .and_then(|()| device.finish());
        done.map(|()| out)
    }
}

/// An [`Evaluation`] with slices in place of pointers, in which every access is within bounds.
pub struct Checked<'a> {
    outputs: usize,
    start: Option<&'a Block>,
    table: Option<&'a Block>,
    steps: &'a [Step],
    slots: Option<&'a [u32]>,
    columns: usize,
    exponents: &'a [u32],
    exponent_words: usize,
    output_stride: usize,
    column_stride: usize,
    window: u32,
}

impl<'a> Checked<'a> {
    /// # Safety
    /// Pointers are NULL where the table allows it, or valid for `'a` with the lengths given.
    pub unsafe fn new(e: &'a Evaluation) -> Result<Self> {
        let slice = |from: *const u32, length: Option<usize>| -> Result<&'a [u32]> {
            let length = length.ok_or_else(|| Failure::argument("a length overflows"))?;
            // SAFETY: the contract.
            unsafe { crate::slice(from, length) }
        };
        let slots = match e.slots.is_null() {
            true => None,
            false => Some(slice(e.slots, e.outputs.checked_mul(e.columns))?),
        };
        let exponents = slice(e.exponents, e.exponent_count.checked_mul(e.exponent_words))?;
        // SAFETY: the contract.
        let (start, table, steps) = unsafe {
            (
                e.start.cast::<Block>().as_ref(),
                e.table.cast::<Block>().as_ref(),
                crate::slice(e.steps, e.step_count)?,
            )
        };
        let checked = Self {
            outputs: e.outputs,
            start,
            table,
            steps,
            slots,
            columns: e.columns,
            exponents,
            exponent_words: e.exponent_words,
            output_stride: e.output_stride,
            column_stride: e.column_stride,
            window: e.window,
        };
        match checked.within_bounds(e.exponent_count) {
            true => Ok(checked),
            false => Err(Failure::argument(
                "an evaluation reads outside its operands",
            )),
        }
    }

    fn within_bounds(&self, exponent_count: usize) -> bool {
        if self.outputs == 0 {
            return true;
        }
        let rows = 1usize << self.window.min(16);
        let largest_slot = self
            .slots
            .map_or(0, |s| s.iter().copied().max().unwrap_or(0));
        let last_exponent = (self.outputs - 1)
            .checked_mul(self.output_stride)
            .and_then(|o| {
                o.checked_add(
                    self.columns
                        .max(1)
                        .checked_sub(1)?
                        .checked_mul(self.column_stride)?,
                )
            });
        let small = |n: usize| u32::try_from(n).is_ok();
        self.window <= 16
            && self.start.is_none_or(|s| s.count == self.outputs)
            && [
                self.columns,
                self.exponent_words,
                self.output_stride,
                self.column_stride,
            ]
            .into_iter()
            .all(small)
            && small(self.exponents.len())
            && (self.window == 0 || last_exponent.is_some_and(|l| l < exponent_count))
            && self.steps.iter().filter(|s| s.at != NO_PRODUCT).all(|s| {
                let last = largest_slot as usize * rows + s.first as usize + rows;
                (s.column as usize) < self.columns.max(1)
                    && self.table.is_some_and(|t| last <= t.count)
                    && (self.window == 0
                        || (s.at as usize) < 32 * self.exponent_words.saturating_sub(1))
            })
    }
}
