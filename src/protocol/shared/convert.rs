//! From ciphertexts to shared values, and from shared values to ciphertexts in other layouts.
//!
//! | item of a request | after its u16 kind |
//! |---|---|
//! | 0 | u64 lines, u64 values in a line, *masked* values (in the order of the lines), *delivery* |
//! | 1 | *share*, *delivery* |
//!
//! The request begins with the u64 number of items.

use super::{
    Answering, Awaited, Delivery, Halves, Outbox, dimensions, read_dimensions, read_share,
    read_tensors, write_share,
};
use crate::error::{Error, Result};
use crate::modular::Limbs;
use crate::paillier::Encrypt;
use crate::protocol::call::Question;
use crate::protocol::masking::{self, Masker};
use crate::protocol::message::{self, Operation};
use crate::protocol::p2::MAX_ITEMS;
use crate::tensor::EncryptedTensor;
use crate::wire::{Reader, Writer};

/// P1: asks that tensors be shared, where they are not, and for ciphertexts as their deliveries
/// say (`Delivery::bits` is chosen here). What comes back are the same tensors, knowing more, or
/// single ciphertexts where a delivery names these.
pub fn ask(masker: &Masker<'_>, items: &[(&EncryptedTensor, Delivery)]) -> Result<Question> {
    let key = masker.key;
    let mut w = message::request(Operation::Share, key);
    w.u64(items.len() as u64);
    let mut awaited = Vec::with_capacity(items.len());
    let mut masked = 0;
    for &(tensor, delivery) in items {
        let waiting = write_tensor(masker, &mut w, tensor, delivery)?;
        masked += match waiting.known {
            Some(_) => 0,
            None => waiting.count(),
        };
        waiting.delivery.write(&mut w);
        awaited.push((waiting, tensor.clone()));
    }
    let own_key = key.clone();
    Ok(Question {
        key: key.clone(),
        operation: Operation::Share,
        request: w.finish(),
        masked,
        resume: Box::new(move |r| {
            let awaited = awaited
                .into_iter()
                .map(|(a, tensor)| {
                    let share = a.read_sealed(r)?;
                    Ok((a, share, Some(tensor)))
                })
                .collect::<Result<_>>()?;
            read_tensors(r, &own_key, awaited)
        }),
    })
}

fn write_tensor(
    masker: &Masker<'_>,
    w: &mut Writer,
    tensor: &EncryptedTensor,
    delivery: Delivery,
) -> Result<Awaited> {
    let (lines, per_line) = dimensions(tensor.shape());
    let mut awaited = Awaited {
        shape: tensor.shape().to_vec(),
        meta: tensor.meta(),
        lines,
        per_line,
        delivery,
        masks: Limbs::zeros(0, 1),
        mask_bits: masker.mask_bits(tensor.bound()),
        known: None,
    };
    if let Some(shared) = tensor.storage().shared() {
        w.u16(1);
        write_share(w, &shared.share);
        awaited.masks = shared.share.masks();
        awaited.known = Some(shared.share.clone());
        return Ok(awaited);
    }
    awaited.delivery.bits = awaited.mask_bits + 2;
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

/// P2: opens and delivers.
pub fn answer(mut r: Reader<'_>, p2: &Answering<'_>, reply: Writer) -> Result<Writer> {
    let items = r.size("items in a request", MAX_ITEMS)?;
    let mut outbox = Outbox::new(p2, reply);
    for _ in 0..items {
        let halves = read_item(&mut r, p2)?;
        let delivery = Delivery::read(&mut r)?;
        outbox.deliver(&halves, delivery)?;
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
