//! P1, the compute server: starts calls on encrypted tensors.

use super::call::{Call, Next, Question};
use super::masking::Masker;
use super::message::Operation;
use super::shared::ahead::Ahead;
use super::shared::gate::{Gated, Offered, Transfers};
use super::shared::open::{self, Opened, Part};
use super::shared::outcome::{Outcome, Use};
use super::shared::{Delivery, convert, gate, products};
use super::{bilinear, divide};
use crate::error::{Error, Result};
use crate::fixed::RoundingStream;
use crate::modular::Residues;
use crate::paillier::{MAX_SIGMA, PublicKey};
use crate::random::Random;
use crate::tensor::{Ciphertexts, EncryptedTensor, Meta, Storage, broadcast_shapes, matmul_shape};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// σ when the caller does not choose, in bits.
pub const DEFAULT_SIGMA: u32 = 64;

/// The smallest σ; a mask of fewer bits hides nothing worth hiding.
pub const MIN_SIGMA: u32 = 40;

/// The party that holds the public key and all ciphertexts. Shareable between threads.
#[derive(Debug)]
pub struct P1(Arc<Inner>);

/// Calls of several rounds share it with P1.
#[derive(Debug)]
struct Inner {
    key: PublicKey,
    sigma: u32,
    random: Random,
    rounding: RoundingStream,
    next_operation: AtomicU64,
    transfers: Mutex<Option<Arc<Transfers>>>,
}

/// Operation numbers that P1 hands out itself have the top bit set; networks use the others.
const OWN_OPERATIONS: u64 = 1 << 63;

impl P1 {
    /// P1 for one key, with masks `sigma` bits wider than what they hide (40 to 128).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]; also for a key of other software, whose P2 could not answer.
    pub fn new(key: PublicKey, sigma: u32) -> Result<Self> {
        Self::with_random(key, sigma, Random::os())
    }

    /// As [`P1::new`] with reproducible masks: for statistical tests only.
    #[cfg(feature = "test-seed")]
    pub fn seeded(key: PublicKey, sigma: u32, seed: u64) -> Result<Self> {
        Self::with_random(key, sigma, Random::seeded(seed))
    }

    fn with_random(key: PublicKey, sigma: u32, random: Random) -> Result<Self> {
        if !(MIN_SIGMA..=MAX_SIGMA).contains(&sigma) {
            return Err(Error::invalid(format!(
                "a statistical security of {sigma} bits; {MIN_SIGMA} to {MAX_SIGMA} are supported, {DEFAULT_SIGMA} is the default"
            )));
        }
        if key.is_foreign() {
            return Err(Error::invalid(format!(
                "key {} was made by other software: it can encrypt and add, but protocols need a key generated here",
                key.id()
            )));
        }
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(&mut *seed)?;
        Ok(Self(Arc::new(Inner {
            key,
            sigma,
            random,
            rounding: RoundingStream::from_seed(*seed),
            next_operation: AtomicU64::new(0),
            transfers: Mutex::new(None),
        })))
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.0.key
    }

    /// The statistical security σ, in bits.
    pub fn sigma(&self) -> u32 {
        self.0.sigma
    }

    /// The stream that rounds divisions without a stream of their own. Its seed is P1's secret;
    /// it is here to be compared with the clear twin.
    pub fn rounding(&self) -> &RoundingStream {
        &self.0.rounding
    }

    /// Element-wise product of shapes that broadcast.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Bound`], [`Error::KeyMismatch`]; [`Error::InvalidArgument`] for
    /// ciphertexts that need [`P1::refresh`] first. So for all operations.
    pub fn multiply(&self, a: &EncryptedTensor, b: &EncryptedTensor) -> Result<Call> {
        let limit = a.storage().max_bound();
        let meta = a.meta().multiply(b.meta(), limit)?;
        self.product(Operation::Multiply, a, b, meta)
    }

    /// Matrix product; vectors are promoted as numpy does.
    ///
    /// # Errors
    /// As [`P1::multiply`].
    pub fn matmul(&self, a: &EncryptedTensor, b: &EncryptedTensor) -> Result<Call> {
        let shape = matmul_shape(a.shape(), b.shape())?;
        let limit = a.storage().max_bound();
        let meta = a.meta().matmul(b.meta(), shape.p, limit)?;
        self.product(Operation::Matmul, a, b, meta)
    }

    fn product(
        &self,
        operation: Operation,
        a: &EncryptedTensor,
        b: &EncryptedTensor,
        meta: Meta,
    ) -> Result<Call> {
        self.check(&[a, b])?;
        let (output, question) = bilinear::ask(&self.masker(), operation, a, b, meta)?;
        match output.contains(&0) {
            true => self.empty(a, &output, &[meta]),
            false => Ok(Call::new(question)),
        }
    }

    /// `(x + r_lo) // divisor`, r_lo uniform in [0, divisor); the scale falls by `scale_drop`.
    /// `rounding` names the stream and number that r_lo is drawn from; P1's own otherwise.
    ///
    /// # Errors
    /// As [`P1::multiply`]; [`Error::InvalidArgument`] for a divisor of 0.
    pub fn divide(
        &self,
        x: &EncryptedTensor,
        divisor: u64,
        scale_drop: u32,
        rounding: Option<(&RoundingStream, u64)>,
    ) -> Result<Call> {
        self.check(&[x])?;
        let meta = x
            .meta()
            .divide(divisor, scale_drop, x.storage().max_bound())?;
        if x.is_empty() {
            return self.empty(x, x.shape(), &[meta]);
        }
        let r_lo = self.draw(rounding, divisor, x.len());
        Ok(Call::new(divide::ask(
            &self.masker(),
            x,
            divisor,
            &r_lo,
            meta,
        )?))
    }

    /// r_lo for the elements of one division.
    pub(crate) fn draw(
        &self,
        rounding: Option<(&RoundingStream, u64)>,
        divisor: u64,
        count: usize,
    ) -> Zeroizing<Vec<u64>> {
        let (stream, number) = rounding.unwrap_or_else(|| {
            let next = self.0.next_operation.fetch_add(1, Ordering::Relaxed);
            (&self.0.rounding, OWN_OPERATIONS | next)
        });
        stream.draw(number, divisor, count)
    }

    /// `max(x, 0)`, and 1 where x ≥ 0, else 0. Two rounds; three the first time.
    ///
    /// # Errors
    /// As [`P1::multiply`].
    pub fn relu(&self, x: &EncryptedTensor) -> Result<Call> {
        self.check(&[x])?;
        if x.is_empty() {
            let (relu, derivative) = x.meta().relu();
            return self.empty(x, x.shape(), &[relu, derivative]);
        }
        self.gated(x.compact()?, None)?.map(|gated| {
            Ok([Some(gated.tensor), gated.encrypted_bits]
                .into_iter()
                .flatten()
                .collect())
        })
    }

    /// `bits · x`, for bits that a comparison made and x of the same shape. Two rounds; three the
    /// first time.
    ///
    /// # Errors
    /// As [`P1::multiply`].
    pub fn select(&self, bits: &EncryptedTensor, x: &EncryptedTensor) -> Result<Call> {
        self.check(&[bits, x])?;
        if bits.shape() != x.shape() {
            return Err(Error::shape(format!(
                "select with bits of shape {:?} from {:?}; shapes have to be equal",
                bits.shape(),
                x.shape()
            )));
        }
        let meta = bits.meta().select(x.meta())?;
        if x.is_empty() {
            return self.empty(x, x.shape(), &[meta]);
        }
        let coins = self.0.random.coins(x.len())?;
        let bits = bits.compact()?;
        let flipped = gate::flip(&self.0.key, bits.storage().residues(), &coins)?;
        self.gated(x.compact()?, Some((flipped, coins)))?
            .map(|gated| Ok(vec![gated.tensor]))
    }

    /// Puts x through a gate: of its own sign, which comes back encrypted, or of bits flipped by
    /// coins.
    fn gated(
        &self,
        x: EncryptedTensor,
        flipped: Option<(Residues, Zeroizing<Vec<bool>>)>,
    ) -> Result<Call<Gated>> {
        let inner = self.0.clone();
        let offer = move |transfers: Arc<Transfers>| -> Result<Question<Gated>> {
            let mut items = vec![convert::Item::Tensor(&x, Use::Offer(None))];
            if let Some((bits, coins)) = &flipped {
                items.insert(0, convert::Item::Flipped(bits, coins));
            }
            let question = convert::ask(&inner.masker(), &items, Some(&transfers))?;
            let by_sign = flipped.is_none();
            Ok(question.and_then(move |mut outcomes| {
                let (offered, delivery) = (outcomes.remove(0).offered(), Delivery::singles());
                gate::ask(&inner.masker(), offered, &transfers, delivery, by_sign).map(Next::Ask)
            }))
        };
        Ok(Call::new(match self.0.transfers() {
            Some(transfers) => offer(transfers)?,
            None => {
                let inner = self.0.clone();
                gate::ask_setup(&self.masker())?
                    .and_then(move |transfers| offer(inner.keep(transfers)).map(Next::Ask))
            }
        }))
    }

    /// Element-wise maximum of shapes that broadcast: `relu(a − b) + b`.
    ///
    /// # Errors
    /// As [`P1::multiply`].
    pub fn maximum(&self, a: &EncryptedTensor, b: &EncryptedTensor) -> Result<Call> {
        self.check(&[a, b])?;
        broadcast_shapes(a.shape(), b.shape())?;
        let bound = a.bound().max(b.bound());
        let b = b.clone();
        self.relu(&a.sub(&b)?)?
            .map(move |results| Ok(vec![results[0].add(&b)?.assume_bound(bound)?]))
    }

    /// The same values in fresh ciphertexts of ours: for ciphertexts of other software, and the
    /// only operation that takes them.
    ///
    /// # Errors
    /// [`Error::Bound`], [`Error::KeyMismatch`].
    pub fn refresh(&self, x: &EncryptedTensor) -> Result<Call> {
        self.0.key.check_takes(x.key().id())?;
        if x.is_empty() {
            let nothing = Residues::ones(self.0.key.ring(), 0);
            let nothing = Ciphertexts::new(self.0.key.clone(), nothing, true);
            let nothing = EncryptedTensor::from_parts(Arc::new(nothing), x.shape(), x.meta())?;
            return Ok(Call::finished(vec![nothing]));
        }
        Ok(Call::new(divide::ask_refresh(&self.masker(), x)?))
    }

    /// Shares values with P2, or has shared ones encrypted in other layouts; see
    /// [`super::shared`]. So for the operations below.
    pub(crate) fn share(&self, items: &[convert::Item<'_>]) -> Result<Call<Vec<Outcome>>> {
        for item in items {
            if let convert::Item::Tensor(tensor, _) = item {
                self.check_key(tensor)?;
            }
        }
        let transfers = self.0.transfers();
        let question = convert::ask(&self.masker(), items, transfers.as_ref())?;
        Ok(Call::new(question))
    }

    /// Products and sums of shared values, divided. Where there is somebody to take parts of the
    /// products `ahead`, P2 has opened most of them when the call is there.
    pub(crate) fn products(
        &self,
        items: &[products::Item<'_>],
        ahead: Option<&dyn Ahead>,
    ) -> Result<Call<Vec<Outcome>>> {
        let transfers = self.0.transfers();
        let question = products::ask(&self.masker(), items, transfers.as_ref(), ahead)?;
        Ok(Call::new(question))
    }

    /// Has parts of products opened ahead of the request for these.
    pub(crate) fn open(&self, parts: &[Part]) -> Call<Vec<Opened>> {
        Call::new(open::ask(&self.0.key, parts))
    }

    /// Sets up the oblivious transfers that offers need, if that has not been done.
    pub(crate) fn set_up(&self) -> Result<Option<Call<()>>> {
        if self.0.transfers().is_some() {
            return Ok(None);
        }
        let inner = self.0.clone();
        let question = gate::ask_setup(&self.masker())?.and_then(move |transfers| {
            inner.keep(transfers);
            Ok(Next::Done(()))
        });
        Ok(Some(Call::new(question)))
    }

    /// Puts offered values through a gate.
    pub(crate) fn gate(&self, offered: Offered, delivery: Delivery) -> Result<Call<Gated>> {
        let transfers = self
            .0
            .transfers()
            .ok_or_else(|| Error::invalid("a gate needs transfers; set them up first"))?;
        let question = gate::ask(&self.masker(), offered, &transfers, delivery, false)?;
        Ok(Call::new(question))
    }

    fn masker(&self) -> Masker<'_> {
        self.0.masker()
    }

    fn check(&self, tensors: &[&EncryptedTensor]) -> Result<()> {
        for x in tensors {
            self.check_key(x)?;
            x.storage().singles("this operation of P1")?;
        }
        Ok(())
    }

    fn check_key(&self, x: &EncryptedTensor) -> Result<()> {
        self.0.key.check_takes(x.key().id())?;
        match x.storage().is_refreshed() {
            true => Ok(()),
            false => Err(Error::invalid(
                "these ciphertexts come from other software; refresh them first",
            )),
        }
    }

    /// Results without elements: there is nothing to ask.
    fn empty(&self, like: &EncryptedTensor, shape: &[usize], metas: &[Meta]) -> Result<Call> {
        let results = metas.iter().map(|&meta| {
            let nothing = Arc::new(like.storage().gather(&[])?);
            EncryptedTensor::from_parts(nothing, shape, meta)
        });
        Ok(Call::finished(results.collect::<Result<_>>()?))
    }
}

impl Inner {
    fn masker(&self) -> Masker<'_> {
        Masker {
            key: &self.key,
            sigma: self.sigma,
            random: &self.random,
        }
    }

    fn transfers(&self) -> Option<Arc<Transfers>> {
        self.transfers
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .clone()
    }

    fn keep(&self, transfers: Transfers) -> Arc<Transfers> {
        let transfers = Arc::new(transfers);
        *self.transfers.lock().unwrap_or_else(|e| e.into_inner()) = Some(transfers.clone());
        transfers
    }
}
