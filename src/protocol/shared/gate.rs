//! Shared values where a bit is 1: ReLU, whose bit is the sign, and its derivative.
//!
//! P1 garbles, P2 evaluates ([`crate::protocol::garble`]); P2's labels come by oblivious transfer
//! ([`crate::protocol::transfer`]). P2 learns the result under a fresh mask of P1, and of the sign
//! one half, flipped by a coin of P1: nothing else, whatever the values are. P1 sees no answer that
//! depends on them.
//!
//! The setup request is 128 points of 32 bytes; its reply a point and P2's seeds, sealed (u64
//! length, bytes). A gate is asked for with the sealed seeds (u64 length, bytes), the nonce of the
//! offer, u64 lines, u64 values in a line, u32 bits w of a value, u32 bits of the masks, u16 0
//! (where the value is not negative) or 1 (where a shared bit is 1), the garbled circuit (u64
//! length, bytes) and a *delivery*. The reply holds P2's halves of the signs, sealed, before the rest.

use super::{
    Answering, Awaited, Delivery, Halves, Outbox, dimensions, read_dimensions, read_sealed,
    read_share, read_tensors,
};
use crate::error::{Error, Result};
use crate::modular::Limbs;
use crate::protocol::call::Question;
use crate::protocol::garble::{Circuit, Source};
use crate::protocol::masking::Masker;
use crate::protocol::message::{self, Operation};
use crate::protocol::profile::{Phase, measure};
use crate::protocol::transfer::{Nonce, Seeds, Sender, Setup, answer_setup};
use crate::protocol::wide::{self, Wide};
use crate::tensor::{EncryptedTensor, Meta, Share};
use crate::wire::{Reader, Writer};
use std::fmt;
use zeroize::Zeroizing;

/// What P2's seeds are sealed for.
pub const TRANSFERS: &[u8] = b"transfer seeds";

/// P1's side of the oblivious transfers with one P2.
pub struct Transfers {
    sender: Sender,
    pub ticket: Vec<u8>,
}

/// Bits that P1 and P2 share: b = P2's half ⊕ P1's.
#[derive(Clone)]
pub struct Bits {
    /// P1's halves are the masks.
    pub share: Share,
}

/// Values that P2 is ready to put through a gate.
pub struct Offered {
    shape: Vec<usize>,
    meta: Meta,
    nonce: Nonce,
    /// Labels of 0 for what P2 puts in.
    labels: Zeroizing<Vec<u128>>,
    /// P1's masks of the values.
    masks: Limbs,
    bits: Option<Bits>,
}

impl Offered {
    /// Reads P2's part of the transfer.
    pub fn read(
        r: &mut Reader<'_>,
        transfers: &Transfers,
        shape: Vec<usize>,
        meta: Meta,
        masks: &Limbs,
        bits: Option<Bits>,
    ) -> Result<Self> {
        let source = source(bits.is_some());
        // Masks of the result have no part in what P2 puts in.
        let circuit = Circuit::new(masks.rows(), meta.bound + 1, meta.bound + 2, source)?;
        let nonce = read_nonce(r)?;
        let matrix = r.nested()?;
        let labels = transfers
            .sender
            .zero_labels(&nonce, circuit.labels(), matrix)?;
        Ok(Self {
            shape,
            meta,
            nonce,
            labels,
            masks: masks.clone(),
            bits,
        })
    }
}

fn source(by_bit: bool) -> Source {
    match by_bit {
        true => Source::Bit,
        false => Source::Sign,
    }
}

fn read_nonce(r: &mut Reader<'_>) -> Result<Nonce> {
    let bytes = r.take(std::mem::size_of::<Nonce>())?;
    Ok(bytes.try_into().expect("the bytes of a nonce"))
}

macro_rules! opaque {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            /// No label, no bit, no mask.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

opaque!(Transfers, Bits, Offered);

/// P1: asks P2 to set up oblivious transfers.
pub fn ask_setup(masker: &Masker<'_>) -> Result<Question<Transfers>> {
    let (setup, points) = Setup::new(masker.random)?;
    let mut w = message::request(Operation::Setup, masker.key);
    w.bytes(&points);
    Ok(Question {
        key: masker.key.clone(),
        operation: Operation::Setup,
        request: w.finish(),
        masked: 0,
        resume: Box::new(move |r| {
            let sender = setup.finish(r.take(32)?)?;
            let ticket = r.nested()?.to_vec();
            Ok(Transfers { sender, ticket })
        }),
    })
}

/// P2: its part of the base transfers.
pub fn answer_setup_request(
    mut r: Reader<'_>,
    p2: &Answering<'_>,
    mut reply: Writer,
) -> Result<Writer> {
    let points = r.take(128 * 32)?;
    r.finish()?;
    let (point, seeds) = answer_setup(points, p2.random)?;
    reply.bytes(&point);
    reply.nested(&p2.sealer.seal(TRANSFERS, &seeds.to_bytes(), p2.random)?);
    Ok(reply)
}

/// P2: offers values to a gate: the low `width` bits of each half, and its halves of bits where
/// the request quotes some.
pub fn offer(
    r: &mut Reader<'_>,
    p2: &Answering<'_>,
    reply: &mut Writer,
    seeds: &Seeds,
    values: &Halves,
    width: u32,
) -> Result<()> {
    let bits: Zeroizing<Vec<bool>> = Zeroizing::new(match r.u16()? {
        0 => vec![],
        _ => {
            let halves = read_share(r, p2.sealer)?;
            let bit = |x: &Wide| x.as_words()[0] & 1 == 1;
            halves.values.iter().map(bit).collect()
        }
    });
    let count = values.values.len();
    if !bits.is_empty() && bits.len() != count {
        return Err(r.error(format!("{} bits for {count} values", bits.len())));
    }
    let circuit = Circuit::new(
        count,
        width,
        width.saturating_add(1),
        source(!bits.is_empty()),
    )?;
    let mut nonce = Nonce::default();
    p2.random.fill(&mut nonce)?;
    reply.bytes(&nonce);
    reply.nested(&seeds.choose(&nonce, &circuit.choices(&values.values, &bits)));
    Ok(())
}

/// P1: puts offered values through a gate. The result is the gated tensor and, where the bit is
/// the sign, the bits.
pub fn ask(
    masker: &Masker<'_>,
    offered: Offered,
    transfers: &Transfers,
    delivery: Delivery,
) -> Result<Question<(EncryptedTensor, Option<Bits>)>> {
    let Offered {
        shape,
        meta,
        nonce,
        labels,
        masks,
        bits,
    } = offered;
    let (lines, per_line) = dimensions(&shape);
    let (n, width) = (lines * per_line, meta.bound + 1);
    let mask_bits = masker.mask_bits(meta.bound);
    let fresh = offset_masks(masker, n, meta.bound, mask_bits)?;
    // The circuit adds masks to b·z + 2^(w−1).
    let half = wide::power_of_two(width - 1);
    let added: Zeroizing<Vec<Wide>> = Zeroizing::new(
        (0..n)
            .map(|i| wide::from_row(fresh.row(i)).wrapping_sub(&half))
            .collect(),
    );
    let negated: Zeroizing<Vec<Wide>> = Zeroizing::new(
        (0..n)
            .map(|i| Wide::ZERO.wrapping_sub(&wide::from_row(masks.row(i))))
            .collect(),
    );
    let own_bits: Zeroizing<Vec<bool>> = Zeroizing::new(match &bits {
        None => vec![],
        Some(bits) => {
            let halves = bits.share.masks();
            (0..n).map(|i| halves.row(i)[0] & 1 == 1).collect()
        }
    });
    let circuit = Circuit::new(n, width, mask_bits, source(bits.is_some()))?;
    let delta = transfers.sender.delta();
    let garbled = measure(Phase::Garbling, n, || {
        circuit.garble(delta, &nonce, &labels, &negated, &own_bits, &added)
    });
    let mut w = message::request(Operation::Gate, masker.key);
    w.nested(&transfers.ticket);
    w.bytes(&nonce);
    w.u64(lines as u64);
    w.u64(per_line as u64);
    w.u32(width);
    w.u32(mask_bits);
    w.u16(u16::from(bits.is_some()));
    w.nested(&garbled.message);
    let awaited = Awaited {
        shape,
        meta,
        lines,
        per_line,
        delivery: Delivery {
            bits: mask_bits + 2,
            ..delivery
        },
        masks: fresh,
        mask_bits,
        known: None,
    };
    awaited.delivery.write(&mut w);
    let key = masker.key.clone();
    Ok(Question {
        key: key.clone(),
        operation: Operation::Gate,
        request: w.finish(),
        masked: n,
        resume: Box::new(move |r| {
            let bits = match bits {
                Some(_) => None,
                None => {
                    let mut own = Limbs::zeros(n, 1);
                    for (i, &bit) in garbled.shares.iter().enumerate() {
                        own.row_mut(i)[0] = u64::from(bit);
                    }
                    let share = read_sealed(r, lines, per_line, 1, &own, 1)?;
                    Some(Bits { share })
                }
            };
            let share = awaited.read_sealed(r)?;
            let mut tensors = read_tensors(r, &key, vec![(awaited, share, None)])?;
            Ok((tensors.remove(0), bits))
        }),
    })
}

/// Masks of `mask_bits` bits, not below 2^bound: what is drawn below is drawn again, which
/// happens once in 2^(σ+1) times.
fn offset_masks(masker: &Masker<'_>, n: usize, bound: u32, mask_bits: u32) -> Result<Limbs> {
    let least = wide::power_of_two(bound);
    let mut masks = masker.random.limbs(n, mask_bits as usize)?;
    for i in 0..n {
        while wide::is_negative(&wide::from_row(masks.row(i)).wrapping_sub(&least)) {
            let again = masker.random.limbs(1, mask_bits as usize)?;
            masks.row_mut(i).copy_from_slice(again.row(0));
        }
    }
    Ok(masks)
}

/// P2: evaluates.
pub fn answer(mut r: Reader<'_>, p2: &Answering<'_>, mut reply: Writer) -> Result<Writer> {
    let seeds = Seeds::from_bytes(&p2.sealer.open(TRANSFERS, r.nested()?)?)?;
    let nonce = read_nonce(&mut r)?;
    let (lines, per_line) = read_dimensions(&mut r)?;
    let (width, mask_bits) = (r.u32()?, r.u32()?);
    let by_bit = r.u16()? == 1;
    let message = r.nested()?;
    let delivery = Delivery::read(&mut r)?;
    r.finish()?;
    let circuit = Circuit::new(lines * per_line, width, mask_bits, source(by_bit))?;
    if message.len() != circuit.message_len() {
        return Err(Error::malformed(
            "request",
            format!(
                "a garbled circuit of {} bytes; {} are expected",
                message.len(),
                circuit.message_len()
            ),
        ));
    }
    let evaluated = measure(Phase::Evaluation, lines * per_line, || {
        let labels = seeds.labels(&nonce, circuit.labels());
        circuit.evaluate(&nonce, &labels, message)
    })?;
    p2.see(&evaluated.values);
    let halves = |values| Halves {
        lines,
        per_line,
        values,
    };
    let mut outbox = Outbox::new(p2, reply);
    if !by_bit {
        let bits = evaluated
            .shares
            .iter()
            .map(|&b| Wide::from_u64(u64::from(b)));
        outbox.seal(&halves(Zeroizing::new(bits.collect())), 1)?;
    }
    outbox.deliver(&halves(evaluated.values), delivery)?;
    reply = outbox.finish()?;
    Ok(reply)
}
