//! [`Session`]: drives P1's calls over a transport and counts what they cost.

use super::arithmetic::rounded;
use super::{Arithmetic, Division, Exposure};
use crate::error::Result;
use crate::fixed::RoundingKey;
use crate::protocol::{Call, MAX_SLOT_BITS, P1, Step};
use crate::record::{Line, Recorder, RoundingCall};
use crate::tensor::{Ciphertexts, EncryptedTensor, matmul_shape};
use crate::transport::Transport;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// [`Arithmetic`] on encrypted tensors: P1 here, P2 behind the transport. Shareable between
/// threads.
pub struct Session {
    p1: Arc<P1>,
    pub(super) transport: Arc<dyn Transport>,
    recorder: Option<Arc<dyn Recorder>>,
    statistics: Arc<Mutex<Statistics>>,
}

/// What the calls of a session have cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// Requests that were answered: those that P1 waited for one after the other, and those that
    /// it sent ahead of one of them while it worked (see [`Transport::round_trip`]).
    pub rounds: u64,
    /// Bytes of requests, P1 to P2.
    pub bytes_sent: u64,
    /// Bytes of replies, P2 to P1.
    pub bytes_received: u64,
    /// Modular multiplications and squarings by P1 in calls.
    pub p1_operations: u64,
    /// The same by P2, in its smaller rings, as it reports them.
    pub p2_operations: u64,
    /// Time that P1 computed.
    pub p1_time: Duration,
    /// Time that P1 waited for P2 and the wire. Where both work at once, P2's work that P1 did not
    /// wait for is not in it.
    pub exchange_time: Duration,
    /// Values that P2 saw under a mask, and ciphertexts that P1 re-randomised for it; of failed calls, too.
    pub masked_values: u64,
    /// P2's advantage over guessing is at most this: 2^−σ for each of them.
    pub advantage: f64,
}

impl Session {
    /// A session of `p1` with the P2 behind `transport`.
    pub fn new(p1: Arc<P1>, transport: Arc<dyn Transport>) -> Self {
        Self {
            p1,
            transport,
            recorder: None,
            statistics: Arc::default(),
        }
    }

    /// What a training shows P2 at most under the key of this session, in values and ciphertexts.
    pub(crate) fn shown(&self, exposure: &Exposure) -> u64 {
        let per_ciphertext = (self.p1.key().bits() / MAX_SLOT_BITS).max(1);
        exposure.total(per_ciphertext.into())
    }

    /// The same session for a training that shows P2 so much, after `before` trainings of the same network.
    pub(super) fn for_training(&self, exposure: &Exposure, before: u64) -> Result<Self> {
        Ok(Self {
            p1: Arc::new(self.p1.for_training(self.shown(exposure), before)?),
            transport: self.transport.clone(),
            recorder: self.recorder.clone(),
            statistics: self.statistics.clone(),
        })
    }

    /// The same session, which keeps a record of what its calls rounded with: for a clear session that
    /// computes the same integers. Without one, nothing is kept.
    pub fn recording(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Whether the record, if one is kept, takes lines: before P2 is shown anything.
    pub(super) fn check_recorder(&self) -> Result<()> {
        match &self.recorder {
            Some(recorder) => recorder.check(),
            None => Ok(()),
        }
    }

    /// P1.
    pub fn p1(&self) -> &P1 {
        &self.p1
    }

    /// What it has cost so far.
    pub fn statistics(&self) -> Statistics {
        *self.statistics.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Counts from zero again.
    pub fn reset_statistics(&self) {
        *self.statistics.lock().unwrap_or_else(|e| e.into_inner()) = Statistics::default();
    }

    /// Fresh ciphertexts of the same values, packed where they were.
    ///
    /// # Errors
    /// Those of [`P1::refresh`] and of the transport.
    pub fn refresh(&self, x: &EncryptedTensor) -> Result<EncryptedTensor> {
        self.one(|| self.p1.refresh(x))
    }

    /// Starts a call and drives it to its end. P1's operations are those of the key's ring while
    /// the call ran, so calls that overlap in time share theirs between them.
    pub(super) fn drive<T: 'static>(&self, start: impl FnOnce() -> Result<Call<T>>) -> Result<T> {
        self.drive_counting(|_| start())
    }

    /// As [`Session::drive`], for a start that has costs of its own.
    pub(super) fn drive_counting<T: 'static>(
        &self,
        start: impl FnOnce(&mut Statistics) -> Result<Call<T>>,
    ) -> Result<T> {
        let ring = self.p1.key().ring();
        let (began, before) = (Instant::now(), ring.operations());
        let mut cost = Statistics::default();
        let outcome = start(&mut cost).and_then(|call| self.carry(call, &mut cost));
        cost.p1_operations = ring.operations() - before;
        cost.p1_time = began.elapsed().saturating_sub(cost.exchange_time);
        let mut total = self.statistics.lock().unwrap_or_else(|e| e.into_inner());
        *total = total.plus(&cost);
        outcome
    }

    /// Carries the messages of a call, and counts all but P1's work.
    pub(super) fn carry<T: 'static>(&self, mut call: Call<T>, cost: &mut Statistics) -> Result<T> {
        let outcome = self.exchange(&mut call, cost);
        // Failed calls have shown something, too.
        cost.masked_values += call.masked_values();
        cost.advantage += call.masked_values() as f64 * (-f64::from(self.p1.sigma())).exp2();
        cost.p2_operations += call.peer_operations();
        outcome.and_then(|()| call.into_results())
    }

    fn exchange<T: 'static>(&self, call: &mut Call<T>, cost: &mut Statistics) -> Result<()> {
        while call.step()? == Step::Send {
            let request = call.request()?;
            let sent = Instant::now();
            let reply = self.transport.exchange(request)?;
            cost.exchange_time += sent.elapsed();
            cost.rounds += 1;
            cost.bytes_sent += request.len() as u64;
            cost.bytes_received += reply.len() as u64;
            call.resume(&reply)?;
        }
        Ok(())
    }

    pub(super) fn one(&self, start: impl FnOnce() -> Result<Call>) -> Result<EncryptedTensor> {
        Ok(self.drive(start)?.remove(0))
    }

    /// One ciphertext a value, for an operation that takes values through a gate: what it rests on is there, too.
    fn gateable(&self, x: &EncryptedTensor) -> Result<EncryptedTensor> {
        self.p1.key().check_takes(x.key().id())?;
        if !x.is_empty() {
            self.transfers()?;
        }
        self.unpack(x)
    }
}

impl Statistics {
    /// P2's advantage over guessing is at most 2^−bits; infinity where it saw nothing.
    pub fn kept_bits(&self) -> f64 {
        -self.advantage.log2()
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            rounds: self.rounds + other.rounds,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            bytes_received: self.bytes_received + other.bytes_received,
            p1_operations: self.p1_operations + other.p1_operations,
            p2_operations: self.p2_operations + other.p2_operations,
            p1_time: self.p1_time + other.p1_time,
            exchange_time: self.exchange_time + other.exchange_time,
            masked_values: self.masked_values + other.masked_values,
            advantage: self.advantage + other.advantage,
        }
    }
}

impl Arithmetic for Session {
    type Elements = Ciphertexts;

    fn begin(&self, _call: &RoundingCall) -> Result<RoundingKey> {
        self.check_recorder()?;
        RoundingKey::fresh()
    }

    fn complete(&self, call: RoundingCall, key: RoundingKey) -> Result<()> {
        match &self.recorder {
            Some(recorder) => recorder.record(&Line { call, key }),
            None => Ok(()),
        }
    }

    fn multiply(&self, a: &EncryptedTensor, b: &EncryptedTensor) -> Result<EncryptedTensor> {
        let (a, b) = (self.unpack(a)?, self.unpack(b)?);
        self.one(|| self.p1.multiply(&a, &b))
    }

    fn matmul(&self, a: &EncryptedTensor, b: &EncryptedTensor) -> Result<EncryptedTensor> {
        let (a, b) = (self.unpack(a)?, self.unpack(b)?);
        self.one(|| self.p1.matmul(&a, &b))
    }

    fn divide(&self, x: &EncryptedTensor, division: Division<'_>) -> Result<EncryptedTensor> {
        let x = self.unpack(x)?;
        rounded(self, division, x.len(), |rounding| {
            let (divisor, drop) = (division.divisor, division.scale_drop);
            self.one(|| self.p1.divide(&x, divisor, drop, Some(rounding)))
        })
    }

    fn matmul_divide(
        &self,
        a: &EncryptedTensor,
        b: &EncryptedTensor,
        division: Division<'_>,
    ) -> Result<EncryptedTensor> {
        let shape = matmul_shape(a.shape(), b.shape())?;
        rounded(self, division, shape.m * shape.q, |rounding| {
            let rounding = Some(rounding);
            self.fused_matmul_divide(
                a,
                b,
                Division {
                    rounding,
                    ..division
                },
            )
        })
    }

    fn relu(&self, x: &EncryptedTensor) -> Result<(EncryptedTensor, EncryptedTensor)> {
        let x = self.gateable(x)?;
        let mut results = self.drive(|| self.p1.relu(&x))?;
        let derivative = results.remove(1);
        Ok((results.remove(0), derivative))
    }

    fn select(&self, bits: &EncryptedTensor, x: &EncryptedTensor) -> Result<EncryptedTensor> {
        let (bits, x) = (self.unpack(bits)?, self.gateable(x)?);
        self.one(|| self.p1.select(&bits, &x))
    }

    fn maximum(&self, a: &EncryptedTensor, b: &EncryptedTensor) -> Result<EncryptedTensor> {
        let (a, b) = (self.gateable(a)?, self.gateable(b)?);
        self.one(|| self.p1.maximum(&a, &b))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?}, {:?})", self.p1.key(), self.statistics())
    }
}
