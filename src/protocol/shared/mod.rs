//! Operations on *shared* values: what training is made of.
//!
//! A value x is shared when P2 can read its half x + r and P1 knows the mask r. Products of shared
//! matrices need ciphertexts of packs only ([`products`]), sums and divisions need none, and signs
//! are compared under a garbled circuit ([`gate`]), so that P2 sees nothing but halves under fresh
//! masks. P2 keeps no state: it seals its halves ([`seal`]), and P1 quotes them. P1 looks once whether the values of a tensor
//! are shared already ([`known`]), and an operation works with what it found ([`Operand`]), whatever other
//! threads do meanwhile. It also seals what
//! it opens ahead of a request for products ([`open`]), so that both parties can work at once.
//!
//! # In messages
//!
//! | name | bytes |
//! |---|---|
//! | *share* | u64 lines, u64 values in a line, u32 limbs of a half, and for each line the sealed halves, of values or of bits |
//! | *delivery* | u32 bits of a half (0: not sealed), u32 bits of a slot along the lines, u32 across them (0: none), u16 1 for single ciphertexts too |
//!
//! A reply holds what was sealed for each item, then the ciphertexts of all items: for each the
//! packs along its lines, those across them, the single ones. Halves are two's complement.

pub mod ahead;
pub mod convert;
pub mod cross;
pub mod gate;
pub mod open;
pub mod outcome;
pub mod product;
pub mod products;
pub mod seal;
pub mod setup;
pub mod sizes;
#[cfg(test)]
mod tests;

use super::masking::{self, Masker};
use super::message;
use super::p2::{MAX_SLOT_BITS, MAX_VALUES};
use super::profile::{Phase, measure};
use super::transfer::Seeds;
use super::wide::{self, Wide};
use crate::error::{Error, Result};
use crate::modular::Limbs;
use crate::paillier::{Encrypt, PrivateKey, PublicKey, Slots};
use crate::random::Random;
use crate::tensor::{EncryptedTensor, Known, Share, Shared, Wanted, pack_signed_rows};
use crate::wire::{Reader, Writer};
use seal::{OVERHEAD, Purpose, Seals};
use setup::Transfers;
use std::sync::Arc;
use zeroize::Zeroizing;

/// P2, while it answers one request.
pub struct Answering<'a> {
    pub key: &'a PrivateKey,
    pub seals: Seals<'a>,
    pub random: &'a Random,
    /// What P2 got to see, group by group: for statistical tests of the masks.
    #[cfg(feature = "test-seed")]
    pub seen: std::cell::RefCell<Vec<Vec<Wide>>>,
}

impl Answering<'_> {
    fn see(&self, _values: &[Wide]) {
        #[cfg(feature = "test-seed")]
        self.seen.borrow_mut().push(_values.to_vec());
    }
}

/// P2's halves of some values.
pub struct Halves {
    pub lines: usize,
    pub per_line: usize,
    pub values: Zeroizing<Vec<Wide>>,
}

impl Halves {
    /// The same values, line and place exchanged.
    pub fn transposed(&self) -> Self {
        let (lines, per_line) = (self.per_line, self.lines);
        let values =
            (0..self.values.len()).map(|k| self.values[k % per_line * lines + k / per_line]);
        Self {
            lines,
            per_line,
            values: Zeroizing::new(values.collect()),
        }
    }

    fn at(&self, line: usize, place: usize) -> &Wide {
        &self.values[line * self.per_line + place]
    }
}

/// How results come back to P1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delivery {
    /// Bits of a sealed half; 0 where none is wanted.
    pub bits: u32,
    /// Bits of the slots of packs along the lines; 0: no such packs.
    pub rows: u32,
    /// The same across the lines.
    pub columns: u32,
    /// One ciphertext a value.
    pub singles: bool,
}

impl Delivery {
    /// Single ciphertexts.
    pub fn singles() -> Self {
        Self {
            singles: true,
            ..Self::default()
        }
    }

    fn write(&self, w: &mut Writer) {
        w.u32(self.bits);
        w.u32(self.rows);
        w.u32(self.columns);
        w.u16(u16::from(self.singles));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let delivery = Self {
            bits: r.u32()?,
            rows: r.u32()?,
            columns: r.u32()?,
            singles: r.u16()? == 1,
        };
        let widest = delivery.bits.max(delivery.rows).max(delivery.columns);
        match widest > MAX_SLOT_BITS {
            true => Err(r.error(format!(
                "{widest} bits a half or a slot; at most {MAX_SLOT_BITS} are supported"
            ))),
            false => Ok(delivery),
        }
    }

    /// How many ciphertexts it takes for so many lines of so many values.
    fn ciphertexts(&self, key: &PublicKey, lines: usize, per_line: usize) -> Result<usize> {
        let packs = self.slots(key, lines, per_line)?.into_iter().flatten();
        let singles = match self.singles {
            true => lines * per_line,
            false => 0,
        };
        Ok(packs.map(|slots| slots.packs()).sum::<usize>() + singles)
    }

    fn slots(&self, key: &PublicKey, lines: usize, per_line: usize) -> Result<[Option<Slots>; 2]> {
        let slots = |bits: u32, lines, per_line| match bits {
            0 => Ok(None),
            bits => Slots::new(key.bits(), bits, lines, per_line).map(Some),
        };
        Ok([
            slots(self.rows, lines, per_line)?,
            slots(self.columns, per_line, lines)?,
        ])
    }
}

fn limbs_for(bits: u32) -> usize {
    bits.div_ceil(64) as usize
}

/// P1: quotes sealed halves.
fn write_share(w: &mut Writer, share: &Share) {
    let bytes = share.lines.first().map_or(0, |l| l.sealed.len());
    let limbs = bytes.saturating_sub(OVERHEAD) / 8 / share.per_line.max(1);
    w.u64(share.lines.len() as u64);
    w.u64(share.per_line as u64);
    w.u32(limbs as u32);
    for line in &share.lines {
        w.bytes(&line.sealed);
    }
}

/// P2: the halves of values that P1 quotes.
fn read_halves(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<Halves> {
    Ok(read_halves_with_limbs(r, p2)?.0)
}

/// As [`read_halves`], and the limbs of a half, which are no secret.
fn read_halves_with_limbs(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<(Halves, usize)> {
    read_share(r, p2, |per_line, limbs| Purpose::Halves { per_line, limbs })
}

/// P2: the halves of bits that P1 quotes.
fn read_bits(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<Halves> {
    Ok(read_share(r, p2, |per_line, _| Purpose::Bits { per_line })?.0)
}

fn read_share(
    r: &mut Reader<'_>,
    p2: &Answering<'_>,
    purpose: impl Fn(usize, usize) -> Purpose,
) -> Result<(Halves, usize)> {
    let (lines, per_line) = read_dimensions(r)?;
    let limbs = r.u32()? as usize;
    if limbs > wide::LIMBS {
        return Err(r.error(format!("halves of {limbs} limbs")));
    }
    let purpose = purpose(per_line, limbs);
    let mut values = Zeroizing::new(Vec::with_capacity(lines * per_line));
    for _ in 0..lines {
        let plain = p2
            .seals
            .open(purpose, r.take(OVERHEAD + 8 * limbs * per_line)?)?;
        if limbs == 0 {
            return Err(r.error("halves without bits"));
        }
        values.extend(plain.chunks_exact(8 * limbs).map(wide_from_bytes));
    }
    let halves = Halves {
        lines,
        per_line,
        values,
    };
    Ok((halves, limbs))
}

fn read_dimensions(r: &mut Reader<'_>) -> Result<(usize, usize)> {
    let lines = r.size("lines of shared values", MAX_VALUES)?;
    let per_line = r.size("shared values in a line", MAX_VALUES)?;
    let count = lines.max(1).saturating_mul(per_line.max(1));
    Error::check_limit("shared values in a request", count, MAX_VALUES)?;
    Ok((lines, per_line))
}

/// What P2 seals: two's complement of whole limbs, one value after the other.
fn wides_to_bytes(values: &[Wide], limbs: usize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(8 * limbs * values.len()));
    for value in values {
        for word in &value.as_words()[..limbs] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
    bytes
}

/// Two's complement of whole limbs.
fn wide_from_bytes(bytes: &[u8]) -> Wide {
    let negative = bytes[bytes.len() - 1] >> 7 == 1;
    let mut words = [u64::from(negative).wrapping_neg(); wide::LIMBS];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    }
    Wide::from_words(words)
}

/// Appends values of either sign as whole limbs of two's complement.
fn write_wides<'a>(w: &mut Writer, values: impl Iterator<Item = &'a Wide>, bits: u32) {
    for value in values {
        w.limbs(&value.as_words()[..limbs_for(bits)]);
    }
}

fn read_wides(r: &mut Reader<'_>, count: usize, bits: u32) -> Result<Zeroizing<Vec<Wide>>> {
    let each = 8 * limbs_for(bits);
    let bytes = r.take(each.saturating_mul(count))?;
    Ok(Zeroizing::new(
        bytes
            .chunks_exact(each.max(1))
            .map(wide_from_bytes)
            .collect(),
    ))
}

/// P2: collects what goes back, so that all of it is encrypted at once.
struct Outbox<'a> {
    p2: &'a Answering<'a>,
    reply: Writer,
    plaintexts: Vec<Limbs>,
    values: usize,
}

impl<'a> Outbox<'a> {
    fn new(p2: &'a Answering<'a>, reply: Writer) -> Self {
        Self {
            p2,
            reply,
            plaintexts: vec![],
            values: 0,
        }
    }

    fn seal_halves(&mut self, halves: &Halves, bits: u32) -> Result<()> {
        let (per_line, limbs) = (halves.per_line, limbs_for(bits));
        self.seal(halves, limbs, Purpose::Halves { per_line, limbs })
    }

    fn seal_bits(&mut self, bits: &Halves) -> Result<()> {
        let per_line = bits.per_line;
        self.seal(bits, 1, Purpose::Bits { per_line })
    }

    fn seal(&mut self, halves: &Halves, limbs: usize, purpose: Purpose) -> Result<()> {
        for line in halves.values.chunks_exact(halves.per_line.max(1)) {
            let plain = wides_to_bytes(line, limbs);
            let sealed = self.p2.seals.seal(purpose, &plain, self.p2.random)?;
            self.reply.bytes(&sealed);
        }
        Ok(())
    }

    fn deliver(&mut self, halves: &Halves, delivery: Delivery) -> Result<()> {
        let key = self.p2.key.public();
        self.values += halves.values.len();
        Error::check_limit("values in a reply", self.values, MAX_VALUES)?;
        if delivery.bits > 0 {
            self.seal_halves(halves, delivery.bits)?;
        }
        let [rows, columns] = delivery.slots(key, halves.lines, halves.per_line)?;
        if let Some(slots) = rows {
            self.pack(&slots, halves);
        }
        if let Some(slots) = columns {
            self.pack(&slots, &halves.transposed());
        }
        if delivery.singles {
            let n = key.modulus().limbs();
            self.plaintexts
                .push(wide::residues(halves.values.iter(), n));
        }
        Ok(())
    }

    /// What the request says of a result: how it comes back, and whether it goes into a gate.
    fn deliver_and_offer(
        &mut self,
        r: &mut Reader<'_>,
        halves: &Halves,
        seeds: Option<&Seeds>,
        before: Option<&Halves>,
    ) -> Result<()> {
        let delivery = Delivery::read(r)?;
        self.deliver(halves, delivery)?;
        if r.u16()? == 0 {
            return Ok(());
        }
        let seeds = seeds.ok_or_else(|| r.error("a gate without transfer seeds"))?;
        let width = r.u32()?;
        gate::offer(r, self.p2, &mut self.reply, seeds, halves, width, before)
    }

    fn pack(&mut self, slots: &Slots, halves: &Halves) {
        let key = self.p2.key.public();
        let rows = masking::rows(&halves.values);
        self.plaintexts.push(pack_signed_rows(key, slots, &rows));
    }

    fn finish(mut self) -> Result<Writer> {
        let width = self.p2.key.public().modulus().width();
        // At once as large as it gets: a vector that grows leaves copies behind.
        let mut all = Limbs::zeros(self.plaintexts.iter().map(Limbs::rows).sum(), width);
        let plaintexts = (self.plaintexts.iter()).flat_map(|p| (0..p.rows()).map(|i| p.row(i)));
        for (i, row) in plaintexts.enumerate() {
            all.row_mut(i).copy_from_slice(row);
        }
        let ciphertexts = measure(Phase::Encryption, all.rows(), || {
            self.p2.key.encrypt(&all, self.p2.random)
        })?;
        message::write_answers(&mut self.reply, &ciphertexts);
        Ok(self.reply)
    }
}

/// P1: quotes the seeds that P2 sealed when transfers were set up, where there are some.
fn write_transfers(w: &mut Writer, transfers: Option<&Arc<Transfers>>) {
    match transfers {
        None => w.u16(0),
        Some(transfers) => {
            w.u16(1);
            setup::write(w, transfers);
        }
    }
}

fn read_transfers(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<Option<Seeds>> {
    match r.u16()? {
        0 => Ok(None),
        _ => setup::read(r, p2).map(Some),
    }
}

/// Lines and values in each of a tensor: a line is the last axis.
pub fn dimensions(shape: &[usize]) -> (usize, usize) {
    let per_line = shape.last().copied().unwrap_or(1);
    let count: usize = shape.iter().product();
    (count.checked_div(per_line).unwrap_or(0), per_line)
}

/// A tensor whose values are shared with P2, and what P1 found or made of that: one look, used throughout.
#[derive(Debug, Clone)]
pub struct Operand {
    pub tensor: EncryptedTensor,
    pub shared: Arc<Shared>,
}

/// What P1 knows of a tensor's values besides its ciphertexts. Other threads may share them anew meanwhile:
/// masks, halves and packs have to come from one look.
pub fn known(masker: &Masker<'_>, tensor: &EncryptedTensor) -> Known {
    let (lines, per_line) = dimensions(tensor.shape());
    tensor.storage().shares().known(&Wanted {
        job: masker.job,
        lines,
        per_line,
        mask_bits: masker.mask_bits(tensor.bound()),
    })
}
