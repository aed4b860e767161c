//! Masked terms of products, opened part by part ahead of the request that they belong to: P2
//! decrypts what P1 has made while P1 makes the rest.
//!
//! A *term* (u or v of [`super::product`]) is a matrix in slots. A part of it are some of the
//! ciphertexts of every line. P2 seals what it opens for one place in one request, so that at any
//! other place, or in any other request, it is refused; P1 cannot read it and puts it where the
//! ciphertexts would have been.
//!
//! | name | bytes |
//! |---|---|
//! | *layout* | as of *masked* values: u64 lines, u64 values in a line, u32 bits a slot, u32 offset bits |
//! | *terms* | *layout*, and parts until the lines are full, each u32 ciphertexts of a line, u16 0 and the ciphertexts, or u16 1 and the opened values, sealed |
//! | request | u64 number of parts, for each the 16-byte label of the request to come, u32 item, u16 0 for u and 1 for v, *layout* of the whole, u32 first ciphertext of a line, u32 ciphertexts of a line, the ciphertexts |
//!
//! A reply holds what was sealed for each part. Values are two's complement, line by line.

use super::seal::{OVERHEAD, Purpose};
use super::{Answering, Halves, limbs_for, wide_from_bytes, wides_to_bytes};
use crate::error::{Error, Result};
use crate::paillier::{Encrypt, PublicKey, Slots};
use crate::protocol::call::Question;
use crate::protocol::masking::{self, Masker, Packed};
use crate::protocol::message::{self, Operation};
use crate::protocol::p2::{MAX_ITEMS, MAX_VALUES};
use crate::protocol::wide::Wide;
use crate::wire::{Reader, Writer};
use std::ops::Range;
use std::sync::atomic::Ordering;
use zeroize::Zeroizing;

/// Names a request that is still to come; random.
pub type Label = [u8; 16];

/// The terms of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Which {
    U = 0,
    V = 1,
}

/// Where a part belongs: the request, the item, the term, and the first of a line's ciphertexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub label: Label,
    pub item: u32,
    pub which: Which,
    pub first: u32,
}

impl Place {
    /// What P2 seals the values of `part` for.
    fn purpose(&self, part: &Slots) -> Purpose {
        Purpose::Opened {
            place: *self,
            dimensions: part.dimensions(),
            slot_bits: part.bits(),
        }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.bytes(&self.label);
        w.u32(self.item);
        w.u16(self.which as u16);
    }
}

/// Limbs of an opened value: a slot's bits, and a sign once the offset is off.
fn limbs(part: &Slots) -> usize {
    limbs_for(part.bits() as u32 + 1)
}

pub(super) fn sealed_bytes(part: &Slots) -> usize {
    OVERHEAD + 8 * limbs(part) * part.count()
}

/// A part on its way to P2, as bytes of a request.
pub struct Part {
    pub place: Place,
    pub values: usize,
    pub ciphertexts: usize,
    pub sealed_bytes: usize,
    pub bytes: Vec<u8>,
}

/// A part as P2 has opened and sealed it.
pub struct Opened {
    pub place: Place,
    pub sealed: Vec<u8>,
}

/// P1: asks P2 to open parts.
pub fn ask(masker: &Masker<'_>, parts: &[Part]) -> Result<Question<Vec<Opened>>> {
    let mut w = masker.request(Operation::Open);
    w.u64(parts.len() as u64);
    for part in parts {
        w.bytes(&part.bytes);
    }
    let values = parts.iter().map(|part| part.values).sum();
    let ciphertexts: usize = parts.iter().map(|part| part.ciphertexts).sum();
    masker
        .concealed
        .fetch_add(ciphertexts as u64, Ordering::Relaxed);
    let awaited: Vec<_> = parts.iter().map(|p| (p.place, p.sealed_bytes)).collect();
    Question::new(masker, Operation::Open, w.finish(), values, move |r| {
        let opened = awaited.into_iter().map(|(place, bytes)| {
            let sealed = r.take(bytes)?.to_vec();
            Ok(Opened { place, sealed })
        });
        opened.collect()
    })
}

/// P2: the label of a request whose terms were opened ahead, if they were.
pub fn read_label(r: &mut Reader<'_>) -> Result<Option<Label>> {
    match r.u16()? {
        0 => Ok(None),
        _ => Ok(Some(r.take(16)?.try_into().expect("16 bytes"))),
    }
}

/// The next part of a term whose lines have `first` ciphertexts already: which it holds, and
/// whether they are sealed values.
fn read_part(r: &mut Reader<'_>, slots: &Slots, first: usize) -> Result<(Range<usize>, bool)> {
    let blocks = read_blocks(r, slots, first)?;
    match r.u16()? {
        sealed @ (0 | 1) => Ok((blocks, sealed == 1)),
        other => Err(r.error(format!("kind {other} of a part of a term is unknown"))),
    }
}

fn read_blocks(r: &mut Reader<'_>, slots: &Slots, first: usize) -> Result<Range<usize>> {
    let (count, all) = (r.u32()? as usize, slots.packs_per_line());
    match count > 0 && first.saturating_add(count) <= all {
        true => Ok(first..first + count),
        false => Err(r.error(format!(
            "a part of {count} ciphertexts from {first} on, of {all} in a line"
        ))),
    }
}

/// P2: a term as a request holds it.
pub struct Received {
    slots: Slots,
    parts: Vec<(Range<usize>, Content)>,
}

enum Content {
    Masked(Packed),
    Opened(Zeroizing<Vec<Wide>>),
}

/// P2: reads a term; what is sealed has to be for this place.
pub fn read_term(
    r: &mut Reader<'_>,
    p2: &Answering<'_>,
    label: Option<Label>,
    item: usize,
    which: Which,
) -> Result<Received> {
    let key = p2.key.public();
    let (slots, offset_bits) = message::read_layout(r, key)?;
    let (mut parts, mut first) = (vec![], 0);
    while first < slots.packs_per_line() {
        let (blocks, sealed) = read_part(r, &slots, first)?;
        let part = slots.with_blocks(blocks.clone());
        let content = match sealed {
            false => Content::Masked(Packed {
                slots: part,
                offset_bits,
                ciphertexts: message::read_ciphertexts(r, key, part.packs())?,
            }),
            true => {
                let label = label.ok_or_else(|| r.error("opened terms without a label"))?;
                let place = Place {
                    label,
                    item: item as u32,
                    which,
                    first: first as u32,
                };
                let sealed = r.take(sealed_bytes(&part))?;
                let plain = p2.seals.open(place.purpose(&part), sealed)?;
                let values = plain.chunks_exact(8 * limbs(&part)).map(wide_from_bytes);
                Content::Opened(Zeroizing::new(values.collect()))
            }
        };
        first = blocks.end;
        parts.push((blocks, content));
    }
    Ok(Received { slots, parts })
}

/// P2: the values of terms; what is still encrypted is decrypted at once.
pub fn values_of<const N: usize>(terms: [&Received; N], p2: &Answering<'_>) -> Result<[Halves; N]> {
    let parts = || terms.iter().flat_map(|term| &term.parts);
    let masked: Vec<_> = parts()
        .filter_map(|(_, content)| match content {
            Content::Masked(packed) => Some(packed),
            Content::Opened(_) => None,
        })
        .collect();
    let mut fresh = masking::open_all(&masked, p2.key)?.into_iter();
    Ok(terms.map(|term| {
        let [lines, per_line] = term.slots.dimensions();
        let mut all = Zeroizing::new(vec![Wide::ZERO; lines * per_line]);
        for (blocks, content) in &term.parts {
            let decrypted;
            let values = match content {
                Content::Opened(values) => values,
                Content::Masked(_) => {
                    decrypted = fresh.next().expect("one for each");
                    p2.see(&decrypted);
                    &decrypted
                }
            };
            let start = blocks.start * term.slots.per_pack();
            let [_, width] = term.slots.with_blocks(blocks.clone()).dimensions();
            for (line, values) in values.chunks_exact(width).enumerate() {
                all[line * per_line + start..][..width].copy_from_slice(values);
            }
        }
        Halves {
            lines,
            per_line,
            values: all,
        }
    }))
}

impl Received {
    /// Lines, and values in each.
    pub fn dimensions(&self) -> [usize; 2] {
        self.slots.dimensions()
    }
}

/// P2: opens parts and seals what they hold.
pub fn answer(mut r: Reader<'_>, p2: &Answering<'_>, mut reply: Writer) -> Result<Writer> {
    let key = p2.key.public();
    let (mut parts, mut values) = (vec![], 0);
    for _ in 0..r.size("parts in a request", MAX_ITEMS)? {
        let (place, part, offset_bits) = read_head(&mut r, key)?;
        values += part.count();
        Error::check_limit("values in a request", values, MAX_VALUES)?;
        let ciphertexts = message::read_ciphertexts(&mut r, key, part.packs())?;
        let packed = Packed {
            slots: part,
            offset_bits,
            ciphertexts,
        };
        parts.push((place, packed));
    }
    r.finish()?;
    let groups: Vec<_> = parts.iter().map(|(_, packed)| packed).collect();
    let opened = masking::open_all(&groups, p2.key)?;
    for ((place, Packed { slots, .. }), values) in parts.iter().zip(opened) {
        p2.see(&values);
        let plain = wides_to_bytes(&values, limbs(slots));
        let sealed = p2.seals.seal(place.purpose(slots), &plain, p2.random)?;
        reply.bytes(&sealed);
    }
    Ok(reply)
}

/// What stands before the ciphertexts of a part: its place, its layout, its offset.
fn read_head(r: &mut Reader<'_>, key: &PublicKey) -> Result<(Place, Slots, u32)> {
    let label = r.take(16)?.try_into().expect("16 bytes");
    let item = r.u32()?;
    let which = match r.u16()? {
        0 => Which::U,
        1 => Which::V,
        other => return Err(r.error(format!("term {other} of a product is unknown"))),
    };
    let (slots, offset_bits) = message::read_layout(r, key)?;
    let first = r.u32()?;
    let blocks = read_blocks(r, &slots, first as usize)?;
    let place = Place {
        label,
        item,
        which,
        first,
    };
    Ok((place, slots.with_blocks(blocks), offset_bits))
}

/// Skips a part to be opened: its layout, and the bytes of the answer to it.
pub fn skip_part(r: &mut Reader<'_>, key: &PublicKey) -> Result<(Slots, u64)> {
    let (_, part, _) = read_head(r, key)?;
    message::skip_ciphertexts(r, key, &part)?;
    Ok((part, sealed_bytes(&part) as u64))
}

/// Skips a term: the layout of the whole, and of each part that is not opened yet.
pub fn skip_term(r: &mut Reader<'_>, key: &PublicKey) -> Result<(Slots, Vec<Slots>)> {
    let (slots, _) = message::read_layout(r, key)?;
    let (mut masked, mut first) = (vec![], 0);
    while first < slots.packs_per_line() {
        let (blocks, sealed) = read_part(r, &slots, first)?;
        first = blocks.end;
        let part = slots.with_blocks(blocks);
        match sealed {
            true => {
                r.take(sealed_bytes(&part))?;
            }
            false => {
                message::skip_ciphertexts(r, key, &part)?;
                masked.push(part);
            }
        }
    }
    Ok((slots, masked))
}
