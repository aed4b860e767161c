//! What P1 waits for: results that come back as tensors, or that P2 offers to a gate.

use super::gate::{Bits, Offered};
use super::seal::OVERHEAD;
use super::setup::Quoted;
use super::{Delivery, Halves, Operand, limbs_for, write_share};
use crate::error::{Error, Result};
use crate::modular::{Limbs, Residues};
use crate::paillier::{PublicKey, Slots};
use crate::protocol::wide::{self, Wide};
use crate::protocol::{masking, message};
use crate::tensor::{
    Ciphertexts, EncryptedTensor, JobLabel, Line, Meta, Packs, Share, Shared, pack_signed_rows,
};
use crate::wire::{Reader, Writer};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What becomes of a result.
#[derive(Debug, Clone, Copy)]
pub enum Use<'a> {
    /// It comes back as a tensor, with the ciphertexts that there are already if there are some.
    Deliver(Delivery),
    /// It comes back as a tensor of the delivered ciphertexts.
    Replace(Delivery),
    /// It is offered to a gate, with the bits that the gate will use where it has some already.
    Offer(Option<&'a Bits>),
}

/// A result.
#[derive(Debug)]
pub enum Outcome {
    Tensor(Operand),
    Offered(Offered),
}

impl Outcome {
    /// The tensor that was asked for.
    pub fn tensor(self) -> EncryptedTensor {
        self.operand().tensor
    }

    /// The same, with what is known of its shared values.
    pub fn operand(self) -> Operand {
        match self {
            Outcome::Tensor(operand) => operand,
            Outcome::Offered(_) => unreachable!("a tensor was asked for"),
        }
    }

    /// What was to be offered.
    pub fn offered(self) -> Offered {
        match self {
            Outcome::Offered(offered) => offered,
            Outcome::Tensor(_) => unreachable!("an offer was asked for"),
        }
    }
}

/// A result that is awaited, of either kind.
pub enum Waiting {
    /// With ciphertexts that P1 has already, if it has some.
    Tensor(Awaited, Option<EncryptedTensor>),
    Offer(Awaited, Option<Bits>),
}

impl Waiting {
    /// Tells P2 whether the result goes into a gate. `before` are bits that P2 finds in the item
    /// before.
    pub fn new(
        w: &mut Writer,
        awaited: Awaited,
        result: &Use<'_>,
        fallback: Option<EncryptedTensor>,
        before: Option<Bits>,
    ) -> Self {
        let bits = match result {
            Use::Deliver(_) => {
                w.u16(0);
                return Waiting::Tensor(awaited, fallback);
            }
            Use::Replace(_) => {
                w.u16(0);
                return Waiting::Tensor(awaited, None);
            }
            Use::Offer(bits) => *bits,
        };
        w.u16(1);
        w.u32(awaited.meta.bound + 1);
        match (bits, before) {
            (Some(bits), _) => {
                w.u16(1);
                write_share(w, &bits.share);
                Waiting::Offer(awaited, Some(bits.clone()))
            }
            (None, Some(before)) => {
                w.u16(2);
                Waiting::Offer(awaited, Some(before))
            }
            (None, None) => {
                w.u16(0);
                Waiting::Offer(awaited, None)
            }
        }
    }
}

/// Reads all results of a reply: what is sealed and offered for each, then the ciphertexts of all. `quoted` is the
/// set-up that the request named for gates.
pub fn read_outcomes(
    r: &mut Reader<'_>,
    key: &PublicKey,
    quoted: Option<Quoted>,
    waiting: Vec<Waiting>,
) -> Result<Vec<Outcome>> {
    enum Place {
        Tensor(Awaited, Share, Option<EncryptedTensor>),
        Offered(Offered),
    }
    let mut places = Vec::with_capacity(waiting.len());
    let mut count = 0;
    for item in waiting {
        places.push(match item {
            Waiting::Tensor(awaited, fallback) => {
                let share = awaited.read_sealed(r)?;
                count += awaited.ciphertexts(key)?;
                Place::Tensor(awaited, share, fallback)
            }
            Waiting::Offer(awaited, bits) => {
                let quoted = quoted
                    .as_ref()
                    .ok_or_else(|| Error::invalid("a gate needs transfers; set them up first"))?;
                Place::Offered(Offered::read(r, quoted.transfers(), awaited, bits)?)
            }
        });
    }
    let all = message::read_answers(r, key, count)?;
    let mut at = 0;
    let outcomes: Result<_> = places
        .into_iter()
        .map(|place| match place {
            Place::Offered(offered) => Ok(Outcome::Offered(offered)),
            Place::Tensor(awaited, share, fallback) => {
                let count = awaited.ciphertexts(key)?;
                let own = all.gather(&(at..at + count).collect::<Vec<_>>());
                at += count;
                let operand = awaited.operand(key, share, &own, fallback.as_ref())?;
                Ok(Outcome::Tensor(operand))
            }
        })
        .collect();
    if let (Ok(_), Some(quoted)) = (&outcomes, quoted) {
        quoted.answered();
    }
    outcomes
}

/// P1: a result that it waits for.
pub struct Awaited {
    pub shape: Vec<usize>,
    pub meta: Meta,
    pub lines: usize,
    pub per_line: usize,
    pub delivery: Delivery,
    pub job: JobLabel,
    /// P1's halves of the values.
    pub masks: Limbs,
    pub mask_bits: u32,
    /// Sealed halves that P1 has already, where none are delivered.
    pub known: Option<Share>,
}

impl Awaited {
    pub fn count(&self) -> usize {
        self.lines * self.per_line
    }

    /// The halves that come sealed.
    pub fn read_sealed(&self, r: &mut Reader<'_>) -> Result<Share> {
        if let Some(known) = &self.known {
            return Ok(known.clone());
        }
        let share = Share {
            job: self.job,
            per_line: self.per_line,
            mask_bits: self.mask_bits,
            lines: vec![],
        };
        read_sealed(r, share, self.lines, self.delivery.bits, &self.masks)
    }

    pub fn ciphertexts(&self, key: &PublicKey) -> Result<usize> {
        self.delivery.ciphertexts(key, self.lines, self.per_line)
    }

    /// The tensor, from its share and ciphertexts of P2's halves. `fallback` are ciphertexts that
    /// P1 has already, where none are delivered that could stand for the tensor. What is known of it is kept
    /// beside its ciphertexts, too.
    pub fn operand(
        self,
        key: &PublicKey,
        share: Share,
        halves: &Residues,
        fallback: Option<&EncryptedTensor>,
    ) -> Result<Operand> {
        let [rows, columns] = self.delivery.slots(key, self.lines, self.per_line)?;
        let negative = Zeroizing::new(
            (0..self.masks.rows())
                .map(|i| Wide::ZERO.wrapping_sub(&wide::from_row(self.masks.row(i))))
                .collect::<Vec<_>>(),
        );
        let mut at = 0;
        let mut take = |count: usize, plain: &Limbs| {
            let indices: Vec<usize> = (at..at + count).collect();
            at += count;
            halves.gather(&indices).multiply(&key.embed(plain))
        };
        let mut unmask = |slots: Slots, transposed: bool| {
            let masks = Halves {
                lines: self.lines,
                per_line: self.per_line,
                values: negative.clone(),
            };
            let masks = if transposed {
                masks.transposed()
            } else {
                masks
            };
            let all = masking::rows(&masks.values);
            let residues = take(slots.packs(), &pack_signed_rows(key, &slots, &all));
            Arc::new(Packs { slots, residues })
        };
        let rows = rows.map(|slots| unmask(slots, false));
        let columns = columns.map(|slots| unmask(slots, true));
        let singles = self.delivery.singles.then(|| {
            let plain = wide::residues(negative.iter(), key.modulus().limbs());
            take(self.count(), &plain)
        });
        let tensor = match (singles, &rows, fallback) {
            (Some(singles), _, _) => {
                let storage = Ciphertexts::new(key.clone(), singles, true);
                EncryptedTensor::from_parts(Arc::new(storage), &self.shape, self.meta)?
            }
            (None, _, Some(tensor)) => tensor.clone(),
            (None, Some(rows), None) => {
                let storage = Ciphertexts::packed(key.clone(), rows.clone(), true);
                EncryptedTensor::from_parts(Arc::new(storage), &self.shape, self.meta)?
            }
            (None, None, None) => unreachable!("results come with ciphertexts"),
        };
        let shared = Shared {
            share,
            rows,
            columns,
        };
        tensor.storage().shares().put(shared.clone());
        let shared = Arc::new(shared);
        Ok(Operand { tensor, shared })
    }
}

/// Sealed halves of one bit or more, and P1's masks of them: the lines of a share that has none yet.
pub fn read_sealed(
    r: &mut Reader<'_>,
    share: Share,
    lines: usize,
    bits: u32,
    masks: &Limbs,
) -> Result<Share> {
    let per_line = share.per_line;
    let bytes = OVERHEAD + 8 * limbs_for(bits) * per_line;
    let lines = (0..lines)
        .map(|i| {
            let mut own = Limbs::zeros(per_line, masks.width());
            for j in 0..per_line {
                own.row_mut(j).copy_from_slice(masks.row(i * per_line + j));
            }
            Ok(Arc::new(Line {
                sealed: r.take(bytes)?.to_vec(),
                masks: own,
            }))
        })
        .collect::<Result<_>>()?;
    Ok(Share { lines, ..share })
}
