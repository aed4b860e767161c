//! P2, the key server: answers requests, one at a time or many at once, and remembers nothing.

use super::limits::P2Limits;
use super::message::{self, Operation};
use super::shared::seal::{Sealer, Seals};
use super::shared::{Answering, convert, gate, open, products, setup};
use super::summary::Summary;
use super::{bilinear, divide};
use crate::error::Result;
use crate::paillier::{Encrypt, PrivateKey, PublicKey};
use crate::random::Random;
use crate::tensor::JobLabel;
use crate::wire::{Reader, Writer};

/// The widest slot, that of a packed product: a bound of 126 bits, twice 128 of σ, 4 more.
pub(crate) const MAX_SLOT_BITS: u32 = 386;

/// Values and answers of one request: what P2 allocates stays in proportion.
pub(super) const MAX_VALUES: usize = 1 << 24;

/// Terms of one matrix product.
pub(super) const MAX_TERMS: usize = 1 << 26;

/// Items of one request on shared values.
pub(super) const MAX_ITEMS: usize = 1 << 10;

/// The longest product of masked values, so that sums of them fit the integers that P2 uses.
pub(super) const MAX_PRODUCT_BITS: usize = 500;

/// The party that holds the private key. It keeps no state between requests, so any replica with
/// the same key can answer. Shareable between threads.
#[derive(Debug)]
pub struct P2 {
    key: PrivateKey,
    sealer: Sealer,
    random: Random,
    limits: P2Limits,
}

impl P2 {
    /// P2 for one key, within the usual limits.
    pub fn new(key: PrivateKey) -> Self {
        Self::with_limits(key, P2Limits::default())
    }

    /// P2 for one key. A request that would take more than `limits` is refused before any work is done.
    pub fn with_limits(key: PrivateKey, limits: P2Limits) -> Self {
        Self {
            sealer: Sealer::new(&key),
            key,
            random: Random::os(),
            limits,
        }
    }

    /// What a request may take.
    pub fn limits(&self) -> P2Limits {
        self.limits
    }

    /// The public half of its key.
    pub fn key(&self) -> &PublicKey {
        self.key.public()
    }

    /// The reply to a request of a P1 in the same hands: [`P2::answer_for`] with an empty name.
    ///
    /// # Errors
    /// Those of [`P2::answer_for`].
    pub fn answer(&self, request: &[u8]) -> Result<Vec<u8>> {
        self.answer_for(b"", request)
    }

    /// The reply to a request of P1. No plaintext leaves, and no error depends on one: a slot
    /// that overflows, because P1's bounds are wrong, garbles its neighbours in silence.
    ///
    /// `client` names who asks, as the caller has authenticated it, and is the same whenever and however it
    /// connects: what P2 seals for P1's keeping is for this client, and refused where another one quotes it.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] for bytes that are no request; [`crate::Error::Limit`] for these, and for a
    /// request that takes more than the [`P2Limits`]; [`crate::Error::KeyMismatch`] for another key's.
    pub fn answer_for(&self, client: &[u8], request: &[u8]) -> Result<Vec<u8>> {
        self.limits.check(&Summary::of(request, self.key())?)?;
        let before = self.key.operations();
        let (head, reader) = message::read_request(request, self.key())?;
        let operation = head.operation;
        let (key, random) = (&self.key, &self.random);
        let ciphertexts = match operation {
            Operation::Multiply | Operation::Matmul => {
                bilinear::answer(operation, reader, key, random)?
            }
            Operation::Divide | Operation::Refresh => {
                divide::answer(operation, reader, key, random)?
            }
            shared => {
                let answering = self.answering(head.job, client);
                let body = self.answer_shared(shared, reader, &answering)?;
                let operations = self.key.operations() - before;
                return Ok(message::reply(
                    request,
                    shared,
                    self.key(),
                    operations,
                    &body,
                ));
            }
        };
        let mut body = Writer::default();
        message::write_answers(&mut body, &ciphertexts);
        let operations = self.key.operations() - before;
        Ok(message::reply(
            request,
            operation,
            self.key(),
            operations,
            &body,
        ))
    }

    fn answering<'a>(&'a self, job: JobLabel, client: &'a [u8]) -> Answering<'a> {
        Answering {
            key: &self.key,
            seals: Seals {
                sealer: &self.sealer,
                job,
                client,
            },
            random: &self.random,
            #[cfg(feature = "test-seed")]
            seen: Default::default(),
        }
    }

    fn answer_shared(
        &self,
        operation: Operation,
        reader: Reader<'_>,
        answering: &Answering<'_>,
    ) -> Result<Writer> {
        let body = Writer::default();
        match operation {
            Operation::Share => convert::answer(reader, answering, body),
            Operation::Products => products::answer(reader, answering, body),
            Operation::Gate => gate::answer(reader, answering, body),
            Operation::Open => open::answer(reader, answering, body),
            _ => setup::answer(reader, answering, body),
        }
    }

    /// What P2 sees when it opens a request: the masked values of each group, as decimal text.
    /// For statistical tests of the masks only.
    #[cfg(feature = "test-seed")]
    pub fn view(&self, request: &[u8]) -> Result<Vec<Vec<rug::Integer>>> {
        use super::masking;
        let (head, mut r) = message::read_request(request, self.key())?;
        let operation = head.operation;
        let groups = match operation {
            Operation::Multiply | Operation::Matmul => {
                r.shape()?;
                r.shape()?;
                2
            }
            Operation::Divide => {
                r.u64()?;
                1
            }
            Operation::Refresh => 1,
            _ => {
                let answering = self.answering(head.job, b"");
                self.answer_shared(operation, r, &answering)?;
                let seen = answering.seen.into_inner();
                return Ok(seen.iter().map(|group| integers(group)).collect());
            }
        };
        (0..groups)
            .map(|_| {
                let packed = message::read_packed(&mut r, self.key())?;
                Ok(integers(&masking::open(&packed, &self.key)?))
            })
            .collect()
    }
}

#[cfg(feature = "test-seed")]
fn integers(values: &[super::wide::Wide]) -> Vec<rug::Integer> {
    use super::wide;
    let integer = |x: &wide::Wide| {
        let negative = wide::is_negative(x);
        let magnitude = wide::negate_if(x, negative);
        let value = crate::modular::integer_from_limbs(magnitude.as_words());
        if negative { -value } else { value }
    };
    values.iter().map(integer).collect()
}
