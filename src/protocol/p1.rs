//! P1, the compute server: starts calls on encrypted tensors.

use super::call::Call;
use super::masking::Masker;
use super::message::Operation;
use super::shared::gate::{Bits, Offered};
use super::shared::products::Product;
use super::shared::{Delivery, convert, gate, products};
use super::{bilinear, compare, divide};
use crate::error::{Error, Result};
use crate::fixed::RoundingStream;
use crate::paillier::{MAX_SIGMA, PublicKey};
use crate::random::Random;
use crate::tensor::{EncryptedTensor, Meta, Storage, broadcast_shapes, matmul_shape};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// σ when the caller does not choose, in bits.
pub const DEFAULT_SIGMA: u32 = 64;

/// The smallest σ; a mask of fewer bits hides nothing worth hiding.
pub const MIN_SIGMA: u32 = 40;

/// The party that holds the public key and all ciphertexts. Shareable between threads.
#[derive(Debug)]
pub struct P1 {
    key: PublicKey,
    sigma: u32,
    random: Random,
    rounding: RoundingStream,
    next_operation: AtomicU64,
    transfers: Mutex<Option<Arc<gate::Transfers>>>,
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
        Ok(Self {
            key,
            sigma,
            random,
            rounding: RoundingStream::from_seed(*seed),
            next_operation: AtomicU64::new(0),
            transfers: Mutex::new(None),
        })
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The statistical security σ, in bits.
    pub fn sigma(&self) -> u32 {
        self.sigma
    }

    /// The stream that rounds divisions without a stream of their own. Its seed is P1's secret;
    /// it is here to be compared with the clear twin.
    pub fn rounding(&self) -> &RoundingStream {
        &self.rounding
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
            let next = self.next_operation.fetch_add(1, Ordering::Relaxed);
            (&self.rounding, OWN_OPERATIONS | next)
        });
        stream.draw(number, divisor, count)
    }

    /// `max(x, 0)`, and 1 where x ≥ 0, else 0.
    ///
    /// # Errors
    /// As [`P1::multiply`].
    pub fn relu(&self, x: &EncryptedTensor) -> Result<Call> {
        self.check(&[x])?;
        if x.is_empty() {
            let (relu, derivative) = x.meta().relu();
            return self.empty(x, x.shape(), &[relu, derivative]);
        }
        Ok(Call::new(compare::ask_relu(&self.masker(), x)?))
    }

    /// `bits · x`, for bits that a comparison made and x of the same shape.
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
        Ok(Call::new(compare::ask_select(
            &self.masker(),
            bits,
            x,
            meta,
        )?))
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
        self.key.check_same(x.key())?;
        if x.is_empty() {
            return self.empty(x, x.shape(), &[x.meta()]);
        }
        Ok(Call::new(divide::ask_refresh(&self.masker(), x)?))
    }

    /// Shares values with P2, or has shared ones encrypted in other layouts; see
    /// [`super::shared`]. So for the operations below.
    pub(crate) fn share(&self, items: &[(&EncryptedTensor, Delivery)]) -> Result<Call> {
        for (tensor, _) in items {
            self.check_key(tensor)?;
        }
        Ok(Call::new(convert::ask(&self.masker(), items)?))
    }

    /// Products and sums of shared values, divided.
    pub(crate) fn products(&self, items: &[products::Item<'_>]) -> Result<Call<Vec<Product>>> {
        let transfers = self.transfers();
        let question = products::ask(&self.masker(), items, transfers.as_ref())?;
        Ok(Call::new(question))
    }

    /// The oblivious transfers that gates need, once.
    pub(crate) fn set_up(&self) -> Result<Option<Call<gate::Transfers>>> {
        match self.transfers() {
            Some(_) => Ok(None),
            None => Ok(Some(Call::new(gate::ask_setup(&self.masker())?))),
        }
    }

    /// Keeps what [`P1::set_up`] made.
    pub(crate) fn keep_transfers(&self, transfers: gate::Transfers) {
        *self.transfers.lock().unwrap_or_else(|e| e.into_inner()) = Some(Arc::new(transfers));
    }

    /// Puts offered values through a gate.
    pub(crate) fn gate(
        &self,
        offered: Offered,
        delivery: Delivery,
    ) -> Result<Call<(EncryptedTensor, Option<Bits>)>> {
        let transfers = self
            .transfers()
            .ok_or_else(|| Error::invalid("a gate needs transfers; set them up first"))?;
        let question = gate::ask(&self.masker(), offered, &transfers, delivery)?;
        Ok(Call::new(question))
    }

    fn transfers(&self) -> Option<Arc<gate::Transfers>> {
        self.transfers
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .clone()
    }

    fn masker(&self) -> Masker<'_> {
        Masker {
            key: &self.key,
            sigma: self.sigma,
            random: &self.random,
        }
    }

    fn check(&self, tensors: &[&EncryptedTensor]) -> Result<()> {
        for x in tensors {
            self.check_key(x)?;
            x.storage().singles("this operation of P1")?;
        }
        Ok(())
    }

    fn check_key(&self, x: &EncryptedTensor) -> Result<()> {
        self.key.check_same(x.key())?;
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
