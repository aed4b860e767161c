//! P1, the compute server: starts calls on encrypted tensors.

use super::call::{Call, Next, Question};
use super::masking::{Masker, RandomPart};
use super::message::Operation;
use super::promise::{Budget, Promise};
use super::shared::ahead::Ahead;
use super::shared::gate::{Gated, Offered};
use super::shared::open::{self, Opened, Part};
use super::shared::outcome::{Outcome, Use};
use super::shared::setup::{self, SetUps, Transfers};
use super::shared::{self, Delivery, convert, gate, products};
use super::{bilinear, divide};
use crate::error::{Error, Result};
use crate::fixed::RoundingKey;
use crate::modular::Residues;
use crate::paillier::PublicKey;
use crate::random::Random;
use crate::tensor::{
    EncryptedTensor, JobLabel, Known, Meta, Storage, broadcast_shapes, matmul_shape,
};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use zeroize::Zeroizing;

/// The party that holds the public key and all ciphertexts. Shareable between threads.
///
/// Each one is a job of its own: what P2 seals for it no other P1 can use, nor the same one as another client of P2.
/// Cheap to clone; clones are the same P1.
#[derive(Debug, Clone)]
pub struct P1 {
    inner: Arc<Inner>,
    budget: Arc<Budget>,
}

#[derive(Debug)]
struct Inner {
    key: PublicKey,
    promise: Promise,
    random: Random,
    job: JobLabel,
    set_ups: SetUps,
}

/// Encrypted bits ⊕ coins of P1.
struct Flipped {
    bits: Residues,
    random: RandomPart,
    coins: Zeroizing<Vec<bool>>,
}

impl P1 {
    /// P1 for one key. From what it promises follows how wide its masks are.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]; also for a key of other software, whose P2 could not answer.
    pub fn new(key: PublicKey, promise: Promise) -> Result<Self> {
        Self::with_random(key, promise, Random::os())
    }

    /// As [`P1::new`] with reproducible masks: for statistical tests only.
    #[cfg(feature = "test-seed")]
    pub fn seeded(key: PublicKey, promise: Promise, seed: u64) -> Result<Self> {
        Self::with_random(key, promise, Random::seeded(seed))
    }

    fn with_random(key: PublicKey, promise: Promise, random: Random) -> Result<Self> {
        let budget = Arc::new(promise.serving()?);
        if key.is_foreign() {
            return Err(Error::invalid(format!(
                "key {} was made by other software: it can encrypt and add, but protocols need a key generated here",
                key.id()
            )));
        }
        let mut job = JobLabel::default();
        random.fill(&mut job)?;
        let inner = Arc::new(Inner {
            key,
            promise,
            random,
            job,
            set_ups: SetUps::default(),
        });
        Ok(Self { inner, budget })
    }

    /// The same P1 for a training that shows P2 at most so many values and ciphertexts, after `before` trainings of
    /// the same network: with masks as wide as that demands.
    ///
    /// # Errors
    /// [`Error::Insecure`] where the width was chosen and is too small, with both numbers.
    pub(crate) fn for_training(&self, values: u64, before: u64) -> Result<Self> {
        Ok(Self {
            inner: self.inner.clone(),
            budget: Arc::new(self.inner.promise.training(values, before)?),
        })
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.inner.key
    }

    /// The statistical security σ of masks outside of trainings, in bits. Trainings choose their own.
    pub fn sigma(&self) -> u32 {
        self.budget.sigma
    }

    /// What it promises.
    pub fn promise(&self) -> Promise {
        self.inner.promise
    }

    /// Element-wise product of shapes that broadcast.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Bound`], [`Error::KeyMismatch`]; [`Error::InvalidArgument`] for packed
    /// tensors. So for all operations.
    pub fn multiply(&self, a: &EncryptedTensor, b: &EncryptedTensor) -> Result<Call> {
        let limit = a.storage().max_bound();
        let meta = a.meta().multiply(b.meta(), limit)?;
        let output = broadcast_shapes(a.shape(), b.shape())?;
        self.product(Operation::Multiply, a, b, &output, meta)
    }

    /// Matrix product; vectors are promoted as numpy does.
    ///
    /// # Errors
    /// As [`P1::multiply`].
    pub fn matmul(&self, a: &EncryptedTensor, b: &EncryptedTensor) -> Result<Call> {
        let shape = matmul_shape(a.shape(), b.shape())?;
        let limit = a.storage().max_bound();
        let meta = a.meta().matmul(b.meta(), shape.p, limit)?;
        self.product(Operation::Matmul, a, b, &shape.output, meta)
    }

    fn product(
        &self,
        operation: Operation,
        a: &EncryptedTensor,
        b: &EncryptedTensor,
        output: &[usize],
        meta: Meta,
    ) -> Result<Call> {
        self.check(&[a, b])?;
        match output.contains(&0) {
            true => self.empty(a, output, &[meta]),
            false => Ok(Call::new(bilinear::ask(
                &self.masker(),
                operation,
                a,
                b,
                meta,
            )?)),
        }
    }

    /// `(x + r_lo) // divisor`, r_lo uniform in [0, divisor); the scale falls by `scale_drop`.
    /// `rounding` names the key that r_lo is drawn from and the place of the division in the key's call;
    /// otherwise the division draws a key of its own.
    ///
    /// # Errors
    /// As [`P1::multiply`]; [`Error::InvalidArgument`] for a divisor of 0.
    pub fn divide(
        &self,
        x: &EncryptedTensor,
        divisor: u64,
        scale_drop: u32,
        rounding: Option<(&RoundingKey, u64)>,
    ) -> Result<Call> {
        self.check(&[x])?;
        let meta = x
            .meta()
            .divide(divisor, scale_drop, x.storage().max_bound())?;
        if x.is_empty() {
            return self.empty(x, x.shape(), &[meta]);
        }
        let r_lo = match rounding {
            Some((key, place)) => key.draw(place, divisor, x.len()),
            None => RoundingKey::fresh()?.draw(0, divisor, x.len()),
        };
        Ok(Call::new(divide::ask(
            &self.masker(),
            x,
            divisor,
            &r_lo,
            meta,
        )?))
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
        let coins = self.inner.random.coins(x.len())?;
        let bits = bits.compact()?;
        let flipped = Flipped {
            bits: gate::flip(&self.inner.key, bits.storage().residues(), &coins)?,
            random: RandomPart::of(bits.storage()),
            coins,
        };
        self.gated(x.compact()?, Some(flipped))?
            .map(|gated| Ok(vec![gated.tensor]))
    }

    /// Puts x through a gate: of its own sign, which comes back encrypted, or of bits flipped by
    /// coins.
    fn gated(&self, x: EncryptedTensor, flipped: Option<Flipped>) -> Result<Call<Gated>> {
        let p1 = self.clone();
        let offer = move |transfers: Arc<Transfers>| -> Result<Question<Gated>> {
            let known = shared::known(&p1.masker(), &x).share;
            let mut items = vec![convert::Item::Tensor(&x, known, Use::Offer(None))];
            if let Some(flipped) = &flipped {
                let Flipped {
                    bits,
                    random,
                    coins,
                } = flipped;
                items.insert(0, convert::Item::Flipped(bits, *random, coins));
            }
            let question = convert::ask(&p1.masker(), &items, Some(&transfers))?;
            let by_sign = flipped.is_none();
            Ok(question.and_then(move |mut outcomes| {
                let (offered, delivery) = (outcomes.remove(0).offered(), Delivery::singles());
                gate::ask(&p1.masker(), offered, delivery, by_sign).map(Next::Ask)
            }))
        };
        // Whoever drives a call may abandon it: none waits for the set-up of another.
        Ok(Call::new(match self.inner.set_ups.get() {
            Some(transfers) => offer(transfers)?,
            None => {
                let inner = self.inner.clone();
                setup::ask(&self.masker())?
                    .and_then(move |transfers| offer(inner.set_ups.keep(transfers)).map(Next::Ask))
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

    /// The same values in fresh ciphertexts of P2, packed where they were.
    ///
    /// # Errors
    /// [`Error::Bound`], [`Error::KeyMismatch`].
    pub fn refresh(&self, x: &EncryptedTensor) -> Result<Call> {
        let x = &x.taken_by(&self.inner.key)?;
        if x.is_empty() {
            return self.empty(x, x.shape(), &[x.meta()]);
        }
        let Some(slots) = x.storage().slots() else {
            return Ok(Call::new(divide::ask_refresh(&self.masker(), x)?));
        };
        let x = x.compact()?;
        let packs = Delivery {
            rows: slots.bits() as u32,
            ..Delivery::default()
        };
        let item = convert::Item::Tensor(&x, None, Use::Replace(packs));
        let question = convert::ask(&self.masker(), &[item], None)?;
        Call::new(question).map(|mut outcomes| Ok(vec![outcomes.remove(0).tensor()]))
    }

    /// Whether masks of this P1 fit into the slots of a packed tensor.
    pub(crate) fn check_room(&self, x: &EncryptedTensor) -> Result<()> {
        self.masker().check_room(x)
    }

    /// What is known of a tensor's values besides its ciphertexts.
    pub(crate) fn known(&self, x: &EncryptedTensor) -> Known {
        shared::known(&self.masker(), x)
    }

    /// Shares values with P2, or has shared ones encrypted in other layouts; see
    /// [`super::shared`]. So for the operations below.
    pub(crate) fn share(&self, items: &[convert::Item<'_>]) -> Result<Call<Vec<Outcome>>> {
        for item in items {
            if let convert::Item::Tensor(tensor, ..) = item {
                self.inner.key.check_same(tensor.key())?;
            }
        }
        Ok(Call::new(convert::ask(&self.masker(), items, None)?))
    }

    /// Products and sums of shared values, divided; `transfers` are for those that go into a gate. Where there is
    /// somebody to take parts of the products `ahead`, P2 has opened most of them when the call is there.
    pub(crate) fn products(
        &self,
        items: &[products::Item<'_>],
        transfers: Option<&Arc<Transfers>>,
        ahead: Option<&dyn Ahead>,
    ) -> Result<Call<Vec<Outcome>>> {
        let question = products::ask(&self.masker(), items, transfers, ahead)?;
        Ok(Call::new(question))
    }

    /// Has parts of products opened ahead of the request for these.
    pub(crate) fn open(&self, parts: &[Part]) -> Result<Call<Vec<Opened>>> {
        Ok(Call::new(open::ask(&self.masker(), parts)?))
    }

    /// The oblivious transfers that offers need. Of threads that come at once before there are any, one has `drive`
    /// carry the call that sets them up, and the others wait for it.
    pub(crate) fn transfers(
        &self,
        drive: impl FnOnce(Call<Transfers>) -> Result<Transfers>,
    ) -> Result<Arc<Transfers>> {
        self.inner
            .set_ups
            .get_or_make(|| drive(Call::new(setup::ask(&self.masker())?)))
    }

    /// Puts offered values through a gate.
    pub(crate) fn gate(&self, offered: Offered, delivery: Delivery) -> Result<Call<Gated>> {
        let question = gate::ask(&self.masker(), offered, delivery, false)?;
        Ok(Call::new(question))
    }

    fn masker(&self) -> Masker<'_> {
        Masker {
            key: &self.inner.key,
            budget: &self.budget,
            random: &self.inner.random,
            job: self.inner.job,
            concealed: AtomicU64::new(0),
        }
    }

    fn check(&self, tensors: &[&EncryptedTensor]) -> Result<()> {
        for x in tensors {
            let key = &self.inner.key;
            if *key != *x.key() && key.check_takes(x.key().id()).is_ok() {
                return Err(Error::invalid(
                    "these ciphertexts were made with the modulus of P1's key alone; refresh them first",
                ));
            }
            key.check_same(x.key())?;
            x.storage().singles("this operation of P1")?;
        }
        Ok(())
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
