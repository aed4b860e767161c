//! P1 while it makes the terms of one request: what goes to P2 ahead of it ([`super::open`]), and
//! what stays.

use super::open::{Label, Opened, Part, Place, Which, sealed_bytes};
use crate::error::{Error, Result};
use crate::modular::Residues;
use crate::paillier::Slots;
use crate::protocol::masking::Masker;
use crate::protocol::message;
use crate::random::Random;
use crate::wire::Writer;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Takes parts to P2 while P1 goes on; whoever has threads and a clock implements it.
pub trait Ahead {
    /// Whether a part sent now comes back early enough, when so much of a call's work is done and
    /// so much is left.
    fn pays(&self, done: u64, left: u64) -> bool;

    /// Sends a part, at once or together with later ones.
    ///
    /// # Errors
    /// Where an earlier part has failed, its error.
    fn send(&self, part: Part) -> Result<()>;

    /// Waits until everything sent has come back, in any order.
    ///
    /// # Errors
    /// Those of the transport and of P2.
    fn collect(&self) -> Result<Vec<Opened>>;
}

/// P1, while it writes one request: its terms, and the places kept free for what P2 opens ahead.
pub struct Composer<'a> {
    ahead: Option<&'a dyn Ahead>,
    label: Label,
    /// Work done and left.
    work: [u64; 2],
    free: Vec<(Place, Range<usize>)>,
    /// Values that P2 gets to see in the request itself.
    pub masked: usize,
}

/// A term as P1 makes it: some ciphertexts of every line at a time, `None` for those sent ahead.
pub struct Term {
    pub item: usize,
    pub which: Which,
    pub slots: Slots,
    pub offset_bits: u32,
    pub parts: Vec<(Range<usize>, Option<Residues>)>,
}

impl<'a> Composer<'a> {
    /// For a request that takes so much work. Begins to write it.
    pub fn new(
        ahead: Option<&'a dyn Ahead>,
        random: &Random,
        work: u64,
        w: &mut Writer,
    ) -> Result<Self> {
        let mut label = Label::default();
        w.u16(u16::from(ahead.is_some()));
        if ahead.is_some() {
            random.fill(&mut label)?;
            w.bytes(&label);
        }
        Ok(Self {
            ahead,
            label,
            work: [0, work],
            free: vec![],
            masked: 0,
        })
    }

    /// Whether parts may be sent ahead at all, so that it makes sense to cut terms.
    pub fn cuts(&self) -> bool {
        self.ahead.is_some()
    }

    /// Takes the part that was just made, after so much work: sends it, where `may_go` and where
    /// that pays, or keeps it in the term.
    pub fn take(
        &mut self,
        masker: &Masker<'_>,
        term: &mut Term,
        blocks: Range<usize>,
        ciphertexts: Residues,
        work: u64,
        may_go: bool,
    ) -> Result<()> {
        let [done, left] = &mut self.work;
        *done += work;
        *left = left.saturating_sub(work);
        let part = term.slots.with_blocks(blocks.clone());
        let ahead = self.ahead.filter(|a| may_go && a.pays(*done, *left));
        let Some(ahead) = ahead else {
            self.masked += part.count();
            term.parts.push((blocks, Some(ciphertexts)));
            return Ok(());
        };
        let place = self.place(term, blocks.start);
        let mut w = Writer::default();
        place.write(&mut w);
        message::write_layout(&mut w, &term.slots, term.offset_bits);
        w.u32(place.first);
        w.u32(blocks.len() as u32);
        w.limbs(ciphertexts.limbs());
        term.parts.push((blocks, None));
        // They count with the request that takes them to P2.
        let count = ciphertexts.len();
        masker.concealed.fetch_sub(count as u64, Ordering::Relaxed);
        ahead.send(Part {
            place,
            values: part.count(),
            ciphertexts: count,
            sealed_bytes: sealed_bytes(&part),
            bytes: w.finish(),
        })
    }

    fn place(&self, term: &Term, first: usize) -> Place {
        Place {
            label: self.label,
            item: term.item as u32,
            which: term.which,
            first: first as u32,
        }
    }

    /// Writes a term, with room where parts are still on their way.
    pub fn write(&mut self, w: &mut Writer, term: &Term) {
        message::write_layout(w, &term.slots, term.offset_bits);
        for (blocks, ciphertexts) in &term.parts {
            w.u32(blocks.len() as u32);
            w.u16(u16::from(ciphertexts.is_none()));
            match ciphertexts {
                Some(ciphertexts) => w.limbs(ciphertexts.limbs()),
                None => {
                    let room = w.room(sealed_bytes(&term.slots.with_blocks(blocks.clone())));
                    let place = self.place(term, blocks.start);
                    self.free.push((place, room));
                }
            }
        }
    }

    /// Waits for what was sent ahead and fills it in.
    pub fn finish(self, w: &mut Writer) -> Result<()> {
        let Some(ahead) = self.ahead.filter(|_| !self.free.is_empty()) else {
            return Ok(());
        };
        let mut opened = ahead.collect()?;
        for (place, room) in self.free {
            let found = opened.iter().position(|o| o.place == place);
            let found = found.ok_or_else(|| {
                Error::Transport("a part that was sent ahead has not come back".into())
            })?;
            w.fill(room, &opened.swap_remove(found).sealed);
        }
        Ok(())
    }
}
