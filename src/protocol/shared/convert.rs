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

use super::gate::{Bits, Transfers};
use super::outcome::{Awaited, Outcome, Use, Waiting, read_outcomes};
use super::{
    Answering, Delivery, Halves, Outbox, dimensions, read_dimensions, read_share, read_transfers,
    write_share, write_transfers,
};
use crate::error::{Error, Result};
use crate::modular::{Limbs, Residues};
use crate::paillier::Encrypt;
use crate::protocol::call::Question;
use crate::protocol::masking::{self, Masker};
use crate::protocol::message::{self, Operation};
use crate::protocol::p2::MAX_ITEMS;
use crate::protocol::wide::Wide;
use crate::tensor::EncryptedTensor;
use crate::wire::{Reader, Writer};
use std::sync::Arc;

/// What P1 asks for.
#[derive(Debug)]
pub enum Item<'a> {
    /// The values of a tensor, shared if they are not yet, for this use.
    Tensor(&'a EncryptedTensor, Use<'a>),
    /// Bits that P1 has flipped by coins: P2 gets to know the flipped ones, for the gate of the
    /// item that follows.
    Flipped(&'a Residues, &'a [bool]),
}

/// P1: asks that values be shared, where they are not, and for ciphertexts as deliveries say
/// (`Delivery::bits` is chosen here). What comes back are the same tensors, knowing more, single
/// ciphertexts where a delivery names these, or what a gate takes.
pub fn ask(
    masker: &Masker<'_>,
    items: &[Item<'_>],
    transfers: Option<&Arc<Transfers>>,
) -> Result<Question<Vec<Outcome>>> {
    let mut w = message::request(Operation::Share, masker.key);
    write_transfers(&mut w, transfers);
    w.u64(items.len() as u64);
    let mut waiting = Vec::with_capacity(items.len());
    let (mut masked, mut flipped) = (0, None);
    for item in items {
        match item {
            Item::Tensor(tensor, result) => {
                let awaited = write_tensor(masker, &mut w, tensor, result)?;
                masked += match awaited.known {
                    Some(_) => 0,
                    None => awaited.count(),
                };
                awaited.delivery.write(&mut w);
                let bits = flipped.take();
                let fallback = Some((*tensor).clone());
                waiting.push(Waiting::new(&mut w, awaited, result, fallback, bits));
            }
            Item::Flipped(bits, coins) => {
                write_flipped(masker, &mut w, bits)?;
                masked += coins.len();
                Delivery::default().write(&mut w);
                w.u16(0);
                flipped = Some(Bits::own(coins));
            }
        }
    }
    let (key, transfers) = (masker.key.clone(), transfers.cloned());
    Ok(Question::new(
        masker.key,
        Operation::Share,
        w.finish(),
        masked,
        move |r| read_outcomes(r, &key, transfers.as_deref(), waiting),
    ))
}

/// A flipped bit is uniform: it needs no mask and a slot of one bit.
fn write_flipped(masker: &Masker<'_>, w: &mut Writer, bits: &Residues) -> Result<()> {
    let n = bits.len();
    let slots = masker.slots(1, 1, n)?;
    let packs = masking::gather_packs(bits, None, &slots);
    let packed = masker.conceal(&packs, slots, &vec![Wide::ZERO; n], 0)?;
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
    result: &Use<'_>,
) -> Result<Awaited> {
    let (lines, per_line) = dimensions(tensor.shape());
    let mut awaited = Awaited {
        shape: tensor.shape().to_vec(),
        meta: tensor.meta(),
        lines,
        per_line,
        delivery: match result {
            Use::Deliver(delivery) => *delivery,
            Use::Offer(_) => Delivery::default(),
        },
        masks: Limbs::zeros(0, 1),
        mask_bits: masker.mask_bits(tensor.bound()),
        known: None,
    };
    let shares = tensor.storage().shares();
    if let Some(shared) = shares.get(lines, per_line, awaited.mask_bits) {
        w.u16(1);
        write_share(w, &shared.share);
        awaited.masks = shared.share.masks();
        awaited.known = Some(shared.share.clone());
        return Ok(awaited);
    }
    if matches!(result, Use::Deliver(_)) {
        awaited.delivery.bits = awaited.mask_bits + 2;
    }
    awaited.masks = masker.masks(tensor.len(), tensor.bound())?;
    let bound = tensor.bound();
    let packed = match tensor.storage().slots() {
        None => masker.mask(tensor.storage().residues(), bound, &awaited.masks)?,
        Some(&slots) => {
            let needed = bound + masker.sigma + 2;
            if (slots.bits() as u32) < needed {
                return Err(Error::Bound {
                    what: "a masked value in a slot of this packed tensor",
                    needed,
                    limit: slots.bits() as u32,
                });
            }
            let packs = tensor.storage().residues();
            masker.mask_packs(packs, slots, bound, &awaited.masks)?
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
        1 => read_share(r, p2.sealer),
        other => Err(r.error(format!("kind {other} of a shared item is unknown"))),
    }
}
