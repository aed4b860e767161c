//! What the messages look like: headers, masked groups, lists of ciphertexts. See the table in
//! [`super`].

use super::masking::Packed;
use super::p2::{MAX_SLOT_BITS, MAX_VALUES};
use crate::error::{Error, Result};
use crate::modular::Residues;
use crate::paillier::{KeyId, PublicKey, Slots};
use crate::tensor::JobLabel;
use crate::wire::{Kind, Reader, Writer};
use sha2::{Digest, Sha256};

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
    /// Fresh encryptions of the same values.
    Refresh = 6,
    /// Values to be shared, and shared values to be encrypted in other layouts. (4, 5 and 7 were
    /// comparisons and a product of earlier versions.)
    Share = 8,
    /// Products and sums of shared values, divided by public integers.
    Products = 9,
    /// Shared values where a bit is 1, or where they are not negative.
    Gate = 10,
    /// The oblivious transfers that gates rest on.
    Setup = 11,
    /// Masked terms of products, opened before the products are asked for.
    Open = 12,
}

impl Operation {
    pub(super) fn from_number(number: u16) -> Option<Self> {
        use Operation::*;
        [
            Multiply, Matmul, Divide, Refresh, Share, Products, Gate, Setup, Open,
        ]
        .into_iter()
        .find(|&o| o as u16 == number)
    }
}

/// Bytes of what a reply ends with, see [`check_of`].
pub const CHECK_BYTES: usize = 32;

/// What a request begins with.
pub struct Head {
    pub operation: Operation,
    pub key: KeyId,
    pub job: JobLabel,
}

impl Head {
    pub fn write(&self) -> Writer {
        let mut w = Writer::new(Kind::Request);
        w.u16(self.operation as u16);
        w.key_id(self.key);
        w.bytes(&self.job);
        w
    }

    /// Of a request, or of its first bytes; and what follows.
    pub fn read(bytes: &[u8]) -> Result<(Self, Reader<'_>)> {
        let mut r = Reader::new(Kind::Request, bytes)?;
        let number = r.u16()?;
        let operation = Operation::from_number(number)
            .ok_or_else(|| r.error(format!("operation {number} is unknown")))?;
        let head = Self {
            operation,
            key: r.key_id()?,
            job: r.take(16)?.try_into().expect("16 bytes"),
        };
        Ok((head, r))
    }
}

/// Appends a masked group.
pub fn write_packed(w: &mut Writer, packed: &Packed) {
    write_layout(w, &packed.slots, packed.offset_bits);
    w.limbs(packed.ciphertexts.limbs());
}

/// How a masked group is laid out.
pub fn write_layout(w: &mut Writer, slots: &Slots, offset_bits: u32) {
    let [lines, per_line] = slots.dimensions();
    w.u64(lines as u64);
    w.u64(per_line as u64);
    w.u32(slots.bits() as u32);
    w.u32(offset_bits);
}

/// Opens a request under this key: what it begins with, and what follows.
pub fn read_request<'a>(bytes: &'a [u8], key: &PublicKey) -> Result<(Head, Reader<'a>)> {
    let (head, r) = Head::read(bytes)?;
    check_key(head.key, key)?;
    Ok((head, r))
}

/// Reads how a masked group is laid out: slots and offset bits. Its ciphertexts follow.
pub fn read_layout(r: &mut Reader<'_>, key: &PublicKey) -> Result<(Slots, u32)> {
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
    Ok((Slots::new(key.bits(), bits, lines, per_line)?, offset_bits))
}

/// Reads a masked group.
pub fn read_packed(r: &mut Reader<'_>, key: &PublicKey) -> Result<Packed> {
    let (slots, offset_bits) = read_layout(r, key)?;
    let ciphertexts = read_ciphertexts(r, key, slots.packs())?;
    Ok(Packed {
        slots,
        offset_bits,
        ciphertexts,
    })
}

/// Skips a masked group: its layout.
pub fn skip_packed(r: &mut Reader<'_>, key: &PublicKey) -> Result<Slots> {
    let (slots, _) = read_layout(r, key)?;
    skip_ciphertexts(r, key, &slots)?;
    Ok(slots)
}

/// Skips the ciphertexts of a group.
pub fn skip_ciphertexts(r: &mut Reader<'_>, key: &PublicKey, slots: &Slots) -> Result<()> {
    let width = key.ring().modulus().width();
    r.take(slots.packs().saturating_mul(width).saturating_mul(8))?;
    Ok(())
}

/// Reads `count` ciphertexts, each a unit below N².
pub fn read_ciphertexts(r: &mut Reader<'_>, key: &PublicKey, count: usize) -> Result<Residues> {
    let limbs = r.limbs(count.saturating_mul(key.ring().modulus().width()))?;
    let residues = Residues::from_limbs(key.ring(), limbs)?;
    residues.check_units()?;
    Ok(residues)
}

/// The reply to a request: its header, P2's operations, what the operation answers, and the check.
pub fn reply(
    request: &[u8],
    operation: Operation,
    key: &PublicKey,
    operations: u64,
    body: &Writer,
) -> Vec<u8> {
    let mut w = Writer::new(Kind::Reply);
    w.u16(operation as u16);
    w.key_id(key.id());
    w.u64(operations);
    w.append(body);
    let mut reply = w.finish();
    reply.extend_from_slice(&check_of(request, &reply));
    reply
}

/// Binds a reply to the request as P2 received it, so that P1 notices what changed on the way in either direction,
/// and answers to other questions, before anything of them is kept. All of it was sent, so it tells nobody
/// anything. It is no authentication: that is the transport's.
pub fn check_of(request: &[u8], reply: &[u8]) -> [u8; CHECK_BYTES] {
    Sha256::new_with_prefix(b"smlp reply v1")
        .chain_update((request.len() as u64).to_le_bytes())
        .chain_update(request)
        .chain_update(reply)
        .finalize()
        .into()
}

/// Appends the answer that is a list of ciphertexts.
pub fn write_answers(w: &mut Writer, ciphertexts: &Residues) {
    w.u64(ciphertexts.len() as u64);
    w.limbs(ciphertexts.limbs());
}

/// Opens the reply to a request for `operation`: P2's operations, and what follows.
pub fn read_reply<'a>(
    bytes: &'a [u8],
    request: &[u8],
    operation: Operation,
    key: &PublicKey,
) -> Result<(u64, Reader<'a>)> {
    let (bytes, check) = bytes
        .split_last_chunk::<CHECK_BYTES>()
        .unwrap_or((bytes, &[0; CHECK_BYTES]));
    let mut r = Reader::new(Kind::Reply, bytes)?;
    let number = r.u16()?;
    if number != operation as u16 {
        return Err(r.error(format!(
            "it answers operation {number}, operation {} was asked",
            operation as u16
        )));
    }
    check_key(r.key_id()?, key)?;
    if *check != check_of(request, bytes) {
        return Err(r.error(
            "it does not answer this request, or one of them was changed on the way; ask again",
        ));
    }
    Ok((r.u64()?, r))
}

/// Reads an answer that must be a list of `count` ciphertexts.
pub fn read_answers(r: &mut Reader<'_>, key: &PublicKey, count: usize) -> Result<Residues> {
    let found = r.size("ciphertexts in a reply", 2 * MAX_VALUES)?;
    if found != count {
        return Err(r.error(format!("{found} ciphertexts came, {count} were expected")));
    }
    read_ciphertexts(r, key, count)
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
