//! From ciphertexts to shared values, and from shared values to ciphertexts in other layouts.
//!
//! | item of a request | after its u16 kind |
//! |---|---|
//! | 0 | u64 lines, u64 values in a line, *masked* values (in the order of the lines) |
//! | 1 | *share* |
//!
//! Then the *delivery*, and what [`super::products`] says of results that go into a gate; the bits
//! of that gate may also be the item before (u16 2). The request begins like those of
//! [`super::products`].

use super::gate::Bits;
use super::outcome::{Awaited, Outcome, Use, Waiting, read_outcomes};
use super::setup::{Quoted, Transfers};
use super::{
    Answering, Delivery, Halves, Outbox, dimensions, read_dimensions, read_halves, read_transfers,
    write_share, write_transfers,
};
use crate::error::Result;
use crate::modular::{Limbs, Residues};
use crate::paillier::Encrypt;
use crate::protocol::call::Question;
use crate::protocol::masking::{self, Masker, RandomPart};
use crate::protocol::message::{self, Operation};
use crate::protocol::p2::MAX_ITEMS;
use crate::protocol::wide::Wide;
use crate::tensor::{EncryptedTensor, Share};
use crate::wire::{Reader, Writer};
use std::sync::Arc;

/// What P1 asks for.
pub enum Item<'a> {
    /// The values of a tensor, for this use. They are shared unless a share of them is known.
    Tensor(&'a EncryptedTensor, Option<Share>, Use<'a>),
    /// Bits that P1 has flipped by coins: P2 gets to know the flipped ones, for the gate of the
    /// item that follows.
    Flipped(&'a Residues, RandomPart, &'a [bool]),
}

/// P1: asks that values be shared, where they are not, and for ciphertexts as deliveries say
/// (`Delivery::bits` is chosen here). What comes back are the same tensors, knowing more, single
/// ciphertexts where a delivery names these, or what a gate takes.
pub fn ask(
    masker: &Masker<'_>,
    items: &[Item<'_>],
    transfers: Option<&Arc<Transfers>>,
) -> Result<Question<Vec<Outcome>>> {
    let mut w = masker.request(Operation::Share);
    write_transfers(&mut w, transfers);
    w.u64(items.len() as u64);
    let mut waiting = Vec::with_capacity(items.len());
    let (mut masked, mut flipped) = (0, None);
    for item in items {
        match item {
            Item::Tensor(tensor, known, result) => {
                let awaited = write_tensor(masker, &mut w, tensor, known.as_ref(), result)?;
                masked += match awaited.known {
                    Some(_) => 0,
                    None => awaited.count(),
                };
                awaited.delivery.write(&mut w);
                let bits = flipped.take();
                let fallback = Some((*tensor).clone());
                waiting.push(Waiting::new(&mut w, awaited, result, fallback, bits));
            }
            Item::Flipped(bits, random, coins) => {
                write_flipped(masker, &mut w, bits, *random)?;
                masked += coins.len();
                Delivery::default().write(&mut w);
                w.u16(0);
                flipped = Some(Bits::own(coins, masker.job));
            }
        }
    }
    let (key, quoted) = (masker.key.clone(), transfers.cloned().map(Quoted::new));
    Question::new(masker, Operation::Share, w.finish(), masked, move |r| {
        read_outcomes(r, &key, quoted, waiting)
    })
}

/// A flipped bit is uniform: it needs no mask and a slot of one bit.
fn write_flipped(
    masker: &Masker<'_>,
    w: &mut Writer,
    bits: &Residues,
    random: RandomPart,
) -> Result<()> {
    let n = bits.len();
    let slots = masker.slots(1, 1, n)?;
    let packs = masking::gather_packs(bits, None, &slots);
    let packed = masker.conceal(&packs, slots, &vec![Wide::ZERO; n], 0, random)?;
    w.u16(0);
    w.u64(1);
    w.u64(n as u64);
    message::write_packed(w, &packed);
    Ok(())
}

fn write_tensor(
    masker: &Masker<'_>,
    w: &mut Writer,
    tensor: &EncryptedTensor,
    known: Option<&Share>,
    result: &Use<'_>,
) -> Result<Awaited> {
    let (lines, per_line) = dimensions(tensor.shape());
    let mut awaited = Awaited {
        shape: tensor.shape().to_vec(),
        meta: tensor.meta(),
        lines,
        per_line,
        delivery: match result {
            Use::Deliver(delivery) | Use::Replace(delivery) => *delivery,
            Use::Offer(_) => Delivery::default(),
        },
        job: masker.job,
        masks: Limbs::zeros(0, 1),
        mask_bits: masker.mask_bits(tensor.bound()),
        known: None,
    };
    if let Some(share) = known {
        w.u16(1);
        write_share(w, share);
        awaited.masks = share.masks();
        awaited.known = Some(share.clone());
        return Ok(awaited);
    }
    if !matches!(result, Use::Offer(_)) {
        awaited.delivery.bits = awaited.mask_bits + 2;
    }
    awaited.masks = masker.masks(tensor.len(), tensor.bound())?;
    let bound = tensor.bound();
    let packed = match tensor.storage().slots() {
        None => masker.mask(tensor.storage(), bound, &awaited.masks)?,
        Some(&slots) => {
            masker.check_room(tensor)?;
            let packs = tensor.storage().residues();
            let random = RandomPart::of(tensor.storage());
            masker.mask_packs(packs, slots, bound, &awaited.masks, random)?
        }
    };
    w.u16(0);
    w.u64(lines as u64);
    w.u64(per_line as u64);
    message::write_packed(w, &packed);
    Ok(awaited)
}

/// P2: opens, delivers and offers.
pub fn answer(mut r: Reader<'_>, p2: &Answering<'_>, reply: Writer) -> Result<Writer> {
    let seeds = read_transfers(&mut r, p2)?;
    let items = r.size("items in a request", MAX_ITEMS)?;
    let mut outbox = Outbox::new(p2, reply);
    let mut before = None;
    for _ in 0..items {
        let halves = read_item(&mut r, p2)?;
        outbox.deliver_and_offer(&mut r, &halves, seeds.as_ref(), before.as_ref())?;
        before = Some(halves);
    }
    r.finish()?;
    outbox.finish()
}

/// One item's halves.
fn read_item(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<Halves> {
    match r.u16()? {
        0 => {
            let (lines, per_line) = read_dimensions(r)?;
            let packed = message::read_packed(r, p2.key.public())?;
            if packed.slots.count() != lines * per_line {
                return Err(r.error(format!(
                    "{} masked values for {lines} lines of {per_line}",
                    packed.slots.count()
                )));
            }
            let values = masking::open(&packed, p2.key)?;
            p2.see(&values);
            Ok(Halves {
                lines,
                per_line,
                values,
            })
        }
        1 => read_halves(r, p2),
        other => Err(r.error(format!("kind {other} of a shared item is unknown"))),
    }
}
