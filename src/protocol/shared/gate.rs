//! Shared values where a bit is 1: ReLU, whose bit is the sign, and its derivative.
//!
//! P1 garbles, P2 evaluates ([`crate::protocol::garble`]); P2's labels come by oblivious transfer
//! ([`crate::protocol::transfer`]). P2 learns the result under a fresh mask of P1, and of the sign
//! one half, flipped by a coin of P1: nothing else, whatever the values are. P1 sees no answer that
//! depends on them.
//!
//! A gate is asked for with the sealed seeds of the set-up ([`super::setup`]; u64 length, bytes), the nonce of the
//! offer, P1's nonce of the garbling, u64 lines, u64 values in a line, u32 bits w of a value, u32 bits of the masks, u16 0
//! (where the value is not negative) or 1 (where a shared bit is 1), the garbled circuit (u64
//! length, bytes) and a *delivery*. The reply holds P2's halves of the signs, sealed, before the rest.

use super::outcome::{Awaited, read_sealed};
use super::setup::{self, Quoted, Transfers};
use super::{Answering, Delivery, Halves, Outbox, dimensions, read_bits, read_dimensions};
use crate::error::{Error, Result};
use crate::modular::exponentiation::choose;
use crate::modular::{Limbs, Residues};
use crate::paillier::{Encrypt, PublicKey};
use crate::protocol::call::Question;
use crate::protocol::garble::{Circuit, Nonces, Source};
use crate::protocol::masking::Masker;
use crate::protocol::message::{self, Operation};
use crate::protocol::p2::MAX_TERMS;
use crate::protocol::profile::{Phase, measure};
use crate::protocol::transfer::{Nonce, Seeds};
use crate::protocol::wide::{self, Wide};
use crate::tensor::{Ciphertexts, EncryptedTensor, JobLabel, Line, Meta, Share};
use crate::wire::{Reader, Writer};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bits that P1 and P2 share: b = P2's half ⊕ P1's.
#[derive(Clone)]
pub struct Bits {
    /// P1's halves are the masks.
    pub share: Share,
}

/// Values that P2 is ready to put through a gate.
pub struct Offered {
    /// Under which they were offered, and have to go through the gate.
    transfers: Arc<Transfers>,
    shape: Vec<usize>,
    meta: Meta,
    nonce: Nonce,
    /// Labels of 0 for what P2 puts in.
    labels: Zeroizing<Vec<u128>>,
    /// P1's masks of the values.
    masks: Limbs,
    bits: Option<Bits>,
}

impl Bits {
    /// P1's halves of bits, before P2 has sealed its own.
    pub fn own(halves: &[bool], job: JobLabel) -> Self {
        let masks = bit_rows(halves);
        let line = Line {
            sealed: vec![],
            masks,
        };
        let share = Share {
            job,
            per_line: halves.len(),
            mask_bits: 1,
            lines: vec![Arc::new(line)],
        };
        Self { share }
    }
}

fn bit_rows(bits: &[bool]) -> Limbs {
    let mut rows = Limbs::zeros(bits.len(), 1);
    for (i, &bit) in bits.iter().enumerate() {
        rows.row_mut(i)[0] = u64::from(bit);
    }
    rows
}

impl Offered {
    /// Reads P2's part of the transfer.
    pub fn read(
        r: &mut Reader<'_>,
        transfers: &Arc<Transfers>,
        awaited: Awaited,
        bits: Option<Bits>,
    ) -> Result<Self> {
        let Awaited {
            shape, meta, masks, ..
        } = awaited;
        let source = source(bits.is_some());
        // Masks of the result have no part in what P2 puts in.
        let circuit = Circuit::new(masks.rows(), meta.bound + 1, meta.bound + 2, source)?;
        let nonce = read_nonce(r)?;
        let matrix = r.nested()?;
        let labels = transfers
            .sender
            .zero_labels(&nonce, circuit.labels(), matrix)?;
        Ok(Self {
            transfers: transfers.clone(),
            shape,
            meta,
            nonce,
            labels,
            masks,
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

opaque!(Bits, Offered);

/// P2: offers values to a gate: the low `width` bits of each half, and its halves of bits where
/// the request quotes some.
pub fn offer(
    r: &mut Reader<'_>,
    p2: &Answering<'_>,
    reply: &mut Writer,
    seeds: &Seeds,
    values: &Halves,
    width: u32,
    before: Option<&Halves>,
) -> Result<()> {
    let low = |halves: &Halves| -> Vec<bool> {
        let bit = |x: &Wide| x.as_words()[0] & 1 == 1;
        halves.values.iter().map(bit).collect()
    };
    let bits = Zeroizing::new(match r.u16()? {
        0 => vec![],
        1 => low(&read_bits(r, p2)?),
        _ => low(before.ok_or_else(|| r.error("bits of an item before the first"))?),
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
    Error::check_limit("bits that go into a gate", circuit.labels(), MAX_TERMS)?;
    let mut nonce = Nonce::default();
    p2.random.fill(&mut nonce)?;
    reply.bytes(&nonce);
    reply.nested(&seeds.choose(&nonce, &circuit.choices(&values.values, &bits)));
    Ok(())
}

/// What comes through a gate.
#[derive(Debug)]
pub struct Gated {
    pub tensor: EncryptedTensor,
    /// Where the bit is the sign: the bits.
    pub bits: Option<Bits>,
    /// The same, encrypted, where that was asked for.
    pub encrypted_bits: Option<EncryptedTensor>,
}

/// P1: puts offered values through a gate; `encrypt_bits`: and wants the signs encrypted, too.
pub fn ask(
    masker: &Masker<'_>,
    offered: Offered,
    delivery: Delivery,
    encrypt_bits: bool,
) -> Result<Question<Gated>> {
    let Offered {
        transfers,
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
    let nonces = Nonces::draw(nonce, masker.random)?;
    let garbled = measure(Phase::Garbling, n, || {
        circuit.garble(delta, &nonces, &labels, &negated, &own_bits, &added)
    });
    let mut w = masker.request(Operation::Gate);
    setup::write(&mut w, &transfers);
    w.bytes(&nonces.transfer);
    w.bytes(&nonces.garbling);
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
        job: masker.job,
        masks: fresh,
        mask_bits,
        known: None,
    };
    awaited.delivery.write(&mut w);
    w.u16(u16::from(encrypt_bits));
    let (key, quoted) = (masker.key.clone(), Quoted::new(transfers));
    let resume = move |r: &mut Reader<'_>| {
        let own_bits = match bits {
            Some(_) => None,
            None => {
                let share = Share {
                    job: awaited.job,
                    per_line,
                    mask_bits: 1,
                    lines: vec![],
                };
                let own = bit_rows(&garbled.shares);
                let share = read_sealed(r, share, lines, 1, &own)?;
                Some(Bits { share })
            }
        };
        let share = awaited.read_sealed(r)?;
        let singles = if encrypt_bits { n } else { 0 };
        let all = message::read_answers(r, &key, singles + awaited.ciphertexts(&key)?)?;
        let (first, rest): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(|&i| i < singles);
        let encrypted_bits = match encrypt_bits {
            false => None,
            true => {
                let bits = flip(&key, &all.gather(&first), &garbled.shares)?;
                let storage = Arc::new(Ciphertexts::new(key.clone(), bits, true));
                Some(EncryptedTensor::from_parts(
                    storage,
                    &awaited.shape,
                    Meta::bit(),
                )?)
            }
        };
        let gated = Gated {
            tensor: awaited
                .operand(&key, share, &all.gather(&rest), None)?
                .tensor,
            bits: own_bits,
            encrypted_bits,
        };
        quoted.answered();
        Ok(gated)
    };
    let (operation, request) = (Operation::Gate, w.finish());
    Question::new(masker, operation, request, n, resume)
}

/// E[b ⊕ c] for encrypted bits b and secret coins c.
pub fn flip(key: &PublicKey, bits: &Residues, coins: &[bool]) -> Result<Residues> {
    let mut ones = Limbs::zeros(bits.len(), key.modulus().width());
    for i in 0..bits.len() {
        ones.row_mut(i)[0] = 1;
    }
    let complement = bits.invert()?.multiply(&key.embed(&ones));
    Ok(choose(bits, &complement, coins))
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
    let seeds = setup::read(&mut r, p2)?;
    let nonces = Nonces {
        transfer: read_nonce(&mut r)?,
        garbling: read_nonce(&mut r)?,
    };
    let (lines, per_line) = read_dimensions(&mut r)?;
    let (width, mask_bits) = (r.u32()?, r.u32()?);
    let by_bit = r.u16()? == 1;
    let message = r.nested()?;
    let delivery = Delivery::read(&mut r)?;
    let encrypt_bits = r.u16()? == 1;
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
        let labels = seeds.labels(&nonces.transfer, circuit.labels());
        circuit.evaluate(&nonces, &labels, message)
    })?;
    p2.see(&evaluated.values);
    let bits: Zeroizing<Vec<Wide>> = Zeroizing::new(
        evaluated
            .shares
            .iter()
            .map(|&b| Wide::from_u64(u64::from(b)))
            .collect(),
    );
    p2.see(&bits);
    let halves = |values| Halves {
        lines,
        per_line,
        values,
    };
    let mut outbox = Outbox::new(p2, reply);
    if encrypt_bits {
        let n = p2.key.public().modulus().limbs();
        outbox.plaintexts.push(wide::residues(bits.iter(), n));
    }
    if !by_bit {
        outbox.seal_bits(&halves(bits))?;
    }
    outbox.deliver(&halves(evaluated.values), delivery)?;
    reply = outbox.finish()?;
    Ok(reply)
}
