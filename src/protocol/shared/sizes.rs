//! Sizes of requests on shared values, without the private key: what [`crate::protocol::Summary`] says about
//! them. It follows the messages of [`super::convert`], [`super::products`], [`super::gate`] and [`super::open`], and
//! skips what they hold.

use super::seal::OVERHEAD;
use super::{Delivery, limbs_for, open, read_dimensions};
use crate::error::{Error, Result};
use crate::paillier::{PublicKey, Slots};
use crate::protocol::message::{self, Operation};
use crate::protocol::p2::{MAX_ITEMS, MAX_SLOT_BITS};
use crate::protocol::transfer::Nonce;
use crate::protocol::wide;
use crate::wire::Reader;

/// Bytes of a label, and of the transfer matrix for one bit that P2 puts into a gate.
const LABEL: u64 = 16;

/// What a request and its reply are made of.
#[derive(Debug, Default)]
pub struct Sizes {
    /// Lines and values a line of every operand, but not of terms that were opened, and counted, before.
    pub groups: Vec<[usize; 2]>,
    /// Ciphertexts of the request.
    pub masked: u64,
    /// Ciphertexts of the reply.
    pub ciphertexts: u64,
    /// Other bytes of the reply, at most.
    pub other_bytes: u64,
    /// Values that P2 computes, or opened before.
    pub results: u64,
    /// Pairs of values that meet in a product of single ciphertexts.
    pub terms: u64,
}

/// Reads a request of operation 8 to 12 from after its header to its end.
///
/// # Errors
/// [`Error::Malformed`], [`Error::Limit`].
pub fn sizes(operation: Operation, r: &mut Reader<'_>, key: &PublicKey) -> Result<Sizes> {
    let mut sizes = Sizes::default();
    match operation {
        Operation::Share => {
            skip_transfers(r)?;
            for _ in 0..r.size("items in a request", MAX_ITEMS)? {
                let [lines, per_line] = match r.u16()? {
                    0 => {
                        let (lines, per_line) = read_dimensions(r)?;
                        sizes.skip_masked(r, key)?;
                        [lines, per_line]
                    }
                    1 => sizes.skip_share(r)?,
                    other => {
                        return Err(r.error(format!("kind {other} of a shared item is unknown")));
                    }
                };
                sizes.deliver_and_offer(r, key, lines, per_line)?;
            }
        }
        Operation::Products => {
            skip_transfers(r)?;
            open::read_label(r)?;
            for _ in 0..r.size("items in a request", MAX_ITEMS)? {
                sizes.skip_product(r, key)?;
            }
        }
        Operation::Gate => {
            r.nested()?;
            r.take(2 * std::mem::size_of::<Nonce>())?;
            let (lines, per_line) = read_dimensions(r)?;
            sizes.groups.push([lines, per_line]);
            r.take(4 + 4 + 2)?; // widths, and which gate
            r.nested()?;
            // Signs are sealed as halves of one bit.
            sizes.sealed(lines, per_line, 1);
            sizes.deliver(r, key, lines, per_line)?;
            if r.u16()? == 1 {
                sizes.ciphertexts += (lines * per_line) as u64;
            }
        }
        Operation::Open => {
            for _ in 0..r.size("parts in a request", MAX_ITEMS)? {
                let (part, sealed) = open::skip_part(r, key)?;
                sizes.masked(&part);
                sizes.other_bytes += sealed;
            }
        }
        _ => {
            r.take(128 * 32)?;
            sizes.other_bytes += 1 << 13;
        }
    }
    Ok(sizes)
}

impl Sizes {
    fn skip_masked(&mut self, r: &mut Reader<'_>, key: &PublicKey) -> Result<()> {
        self.masked(&message::skip_packed(r, key)?);
        Ok(())
    }

    /// Counts a masked group.
    pub fn masked(&mut self, slots: &Slots) {
        self.groups.push(slots.dimensions());
        self.masked += slots.packs() as u64;
    }

    fn skip_share(&mut self, r: &mut Reader<'_>) -> Result<[usize; 2]> {
        let (lines, per_line) = read_dimensions(r)?;
        let limbs = r.u32()? as usize;
        if limbs > wide::LIMBS {
            return Err(r.error(format!("halves of {limbs} limbs")));
        }
        r.take(lines.saturating_mul(OVERHEAD + 8 * limbs * per_line))?;
        self.groups.push([lines, per_line]);
        Ok([lines, per_line])
    }

    fn skip_product(&mut self, r: &mut Reader<'_>, key: &PublicKey) -> Result<()> {
        let [lines, per_line] = match r.u16()? {
            0 => {
                for _ in 0..2 {
                    self.skip_share(r)?;
                    r.u16()?;
                }
                r.u64()?;
                let (u, masked) = open::skip_term(r, key)?;
                masked.iter().for_each(|part| self.masked(part));
                let (v, masked) = open::skip_term(r, key)?;
                masked.iter().for_each(|part| self.masked(part));
                self.results += (u.count() + v.count()) as u64;
                v.dimensions()
            }
            1 => {
                let [_, per_line] = self.skip_share(r)?;
                skip_corrections(r, per_line)?;
                r.u64()?;
                [1, per_line]
            }
            2 => {
                let [lines, per_line] = self.skip_share(r)?;
                self.skip_share(r)?;
                skip_corrections(r, lines * per_line)?;
                r.u64()?;
                [lines, per_line]
            }
            other => return Err(r.error(format!("kind {other} of a product is unknown"))),
        };
        if r.u16()? == 1 {
            self.skip_share(r)?;
        }
        self.deliver_and_offer(r, key, lines, per_line)
    }

    fn deliver_and_offer(
        &mut self,
        r: &mut Reader<'_>,
        key: &PublicKey,
        lines: usize,
        per_line: usize,
    ) -> Result<()> {
        self.deliver(r, key, lines, per_line)?;
        if r.u16()? != 0 {
            let width = r.u32()?;
            if width > MAX_SLOT_BITS {
                return Err(r.error(format!("a gate on values of {width} bits")));
            }
            if r.u16()? == 1 {
                self.skip_share(r)?;
            }
            // The bits of a value and one more, in whole blocks of 128.
            let labels = (lines * per_line) as u64 * (u64::from(width) + 1);
            self.other_bytes += (labels + 256) * LABEL;
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        r: &mut Reader<'_>,
        key: &PublicKey,
        lines: usize,
        per_line: usize,
    ) -> Result<()> {
        self.results = self.results.saturating_add((lines * per_line) as u64);
        let delivery = Delivery::read(r)?;
        if delivery.bits > 0 {
            self.sealed(lines, per_line, delivery.bits);
        }
        self.ciphertexts += delivery.ciphertexts(key, lines, per_line)? as u64;
        Ok(())
    }

    fn sealed(&mut self, lines: usize, per_line: usize, bits: u32) {
        let line = OVERHEAD + 8 * limbs_for(bits) * per_line;
        self.other_bytes += (lines * line) as u64;
    }
}

/// P2's sealed seeds, where there are any.
fn skip_transfers(r: &mut Reader<'_>) -> Result<()> {
    if r.u16()? != 0 {
        r.nested()?;
    }
    Ok(())
}

fn skip_corrections(r: &mut Reader<'_>, count: usize) -> Result<()> {
    let bits = r.u32()?;
    if bits > MAX_SLOT_BITS {
        return Err(Error::malformed(
            "request",
            format!("corrections of {bits} bits"),
        ));
    }
    r.take(count.saturating_mul(8 * limbs_for(bits)))?;
    Ok(())
}
