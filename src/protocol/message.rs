//! What the messages look like: headers, masked groups, lists of ciphertexts. See the table in
//! [`super`].

use super::masking::Packed;
use super::p2::{MAX_SLOT_BITS, MAX_VALUES};
use crate::error::{Error, Result};
use crate::modular::Residues;
use crate::paillier::{KeyId, PublicKey, Slots};
use crate::wire::{Kind, Reader, Writer};

/// What a request asks for. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Operation {
    /// Element-wise product.
    Multiply = 1,
    /// Matrix product.
    Matmul = 2,
    /// Division by a public integer.
    Divide = 3,
    /// Comparison with zero, and the product with its outcome.
    Relu = 4,
    /// Product with an encrypted bit.
    Select = 5,
    /// Fresh encryptions of the same values.
    Refresh = 6,
    /// Matrix product divided by a public integer.
    MatmulDivide = 7,
}

impl Operation {
    fn from_number(number: u16) -> Option<Self> {
        use Operation::*;
        [
            Multiply,
            Matmul,
            Divide,
            Relu,
            Select,
            Refresh,
            MatmulDivide,
        ]
        .into_iter()
        .find(|&o| o as u16 == number)
    }
}

/// Starts a request.
pub fn request(operation: Operation, key: &PublicKey) -> Writer {
    let mut w = Writer::new(Kind::Request);
    w.u16(operation as u16);
    w.key_id(key.id());
    w
}

/// Appends a masked group.
pub fn write_packed(w: &mut Writer, packed: &Packed) {
    let [lines, per_line] = packed.slots.dimensions();
    w.u64(lines as u64);
    w.u64(per_line as u64);
    w.u32(packed.slots.bits() as u32);
    w.u32(packed.offset_bits);
    w.limbs(packed.ciphertexts.limbs());
}

/// Opens a request: what it asks for, and what follows.
pub fn read_request<'a>(bytes: &'a [u8], key: &PublicKey) -> Result<(Operation, Reader<'a>)> {
    let mut r = Reader::new(Kind::Request, bytes)?;
    let number = r.u16()?;
    let operation = Operation::from_number(number)
        .ok_or_else(|| r.error(format!("operation {number} is unknown")))?;
    check_key(r.key_id()?, key)?;
    Ok((operation, r))
}

/// Reads a masked group.
pub fn read_packed(r: &mut Reader<'_>, key: &PublicKey) -> Result<Packed> {
    let lines = r.size("lines of masked values", MAX_VALUES)?;
    let per_line = r.size("masked values in a line", MAX_VALUES)?;
    let count = lines.max(1).saturating_mul(per_line.max(1));
    Error::check_limit("values in a request", count, MAX_VALUES)?;
    let (bits, offset_bits) = (r.u32()?, r.u32()?);
    if bits == 0 || bits > MAX_SLOT_BITS || offset_bits >= bits {
        return Err(r.error(format!(
            "slots of {bits} bits with an offset of 2^{offset_bits}; slots have 1 to {MAX_SLOT_BITS} bits, offsets fewer"
        )));
    }
    let slots = Slots::new(key.bits(), bits, lines, per_line)?;
    let ciphertexts = read_ciphertexts(r, key, slots.packs())?;
    Ok(Packed {
        slots,
        offset_bits,
        ciphertexts,
    })
}

fn read_ciphertexts(r: &mut Reader<'_>, key: &PublicKey, count: usize) -> Result<Residues> {
    let limbs = r.limbs(count.saturating_mul(key.ring().modulus().width()))?;
    let residues = Residues::from_limbs(key.ring(), limbs)?;
    residues.check_units()?;
    Ok(residues)
}

/// A reply of single ciphertexts.
pub fn reply(
    operation: Operation,
    key: &PublicKey,
    operations: u64,
    ciphertexts: &Residues,
) -> Vec<u8> {
    let mut w = Writer::new(Kind::Reply);
    w.u16(operation as u16);
    w.key_id(key.id());
    w.u64(operations);
    w.u64(ciphertexts.len() as u64);
    w.limbs(ciphertexts.limbs());
    w.finish()
}

/// Reads a reply to `operation` that must hold `count` ciphertexts; P2's operations come first.
pub fn read_reply(
    bytes: &[u8],
    operation: Operation,
    key: &PublicKey,
    count: usize,
) -> Result<(u64, Residues)> {
    let mut r = Reader::new(Kind::Reply, bytes)?;
    let number = r.u16()?;
    if number != operation as u16 {
        return Err(r.error(format!(
            "it answers operation {number}, operation {} was asked",
            operation as u16
        )));
    }
    check_key(r.key_id()?, key)?;
    let operations = r.u64()?;
    let found = r.size("ciphertexts in a reply", 2 * MAX_VALUES)?;
    if found != count {
        return Err(r.error(format!("{found} ciphertexts came, {count} were expected")));
    }
    let ciphertexts = read_ciphertexts(&mut r, key, count)?;
    r.finish()?;
    Ok((operations, ciphertexts))
}

fn check_key(id: KeyId, key: &PublicKey) -> Result<()> {
    match id == key.id() {
        true => Ok(()),
        false => Err(Error::KeyMismatch {
            left: id,
            right: key.id(),
        }),
    }
}
