//! [`Call`]: one interactive operation from P1's side, driven by whoever owns the wire.

use super::masking::Masker;
use super::message::{self, Operation};
use crate::error::{Error, Result};
use crate::modular::Residues;
use crate::paillier::PublicKey;
use crate::parallel::Process;
use crate::tensor::EncryptedTensor;
use crate::wire::Reader;
use std::fmt;
use std::sync::atomic::Ordering;

/// What P1 makes of P2's answer. It owns the masks and is consumed, with them, by the reply.
type Resume<T> = Box<dyn FnOnce(&mut Reader<'_>) -> Result<Next<T>> + Send>;

/// What follows a reply.
pub(crate) enum Next<T> {
    /// Another round.
    Ask(Question<T>),
    Done(T),
}

/// A question to P2 and what to do with its answer.
pub(crate) struct Question<T = Vec<EncryptedTensor>> {
    pub key: PublicKey,
    pub operation: Operation,
    pub request: Vec<u8>,
    /// Values that P2 sees under a mask, and ciphertexts that were re-randomised for it.
    pub masked: u64,
    resume: Resume<T>,
}

impl<T: 'static> Question<T> {
    /// A question whose answer ends the call. It shows P2 so many values.
    ///
    /// # Errors
    /// [`Error::Insecure`] where that is more than the promise of P1 allows.
    pub fn new(
        masker: &Masker<'_>,
        operation: Operation,
        request: Vec<u8>,
        values: usize,
        resume: impl FnOnce(&mut Reader<'_>) -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let values = values as u64;
        masker.budget.spend(values)?;
        Ok(Self {
            key: masker.key.clone(),
            operation,
            request,
            masked: values + masker.concealed.load(Ordering::Relaxed),
            resume: Box::new(move |r| resume(r).map(Next::Done)),
        })
    }

    /// The same question; `f` takes what comes of it further.
    pub fn and_then<U: 'static>(
        self,
        f: impl FnOnce(T) -> Result<Next<U>> + Send + 'static,
    ) -> Question<U> {
        let resume = self.resume;
        Question {
            key: self.key,
            operation: self.operation,
            request: self.request,
            masked: self.masked,
            resume: Box::new(move |r| match resume(r)? {
                Next::Ask(question) => Ok(Next::Ask(question.and_then(f))),
                Next::Done(results) => f(results),
            }),
        }
    }
}

impl Question {
    /// A question whose answer is `count` ciphertexts.
    pub fn for_ciphertexts(
        masker: &Masker<'_>,
        operation: Operation,
        request: Vec<u8>,
        values: usize,
        count: usize,
        resume: impl FnOnce(Residues) -> Result<Vec<EncryptedTensor>> + Send + 'static,
    ) -> Result<Self> {
        let key = masker.key.clone();
        Self::new(masker, operation, request, values, move |r| {
            resume(message::read_answers(r, &key, count)?)
        })
    }
}

/// An interactive operation in progress. Send [`Call::request`] to P2, hand its reply to
/// [`Call::resume`], until that says [`Step::Done`].
///
/// The first failure is final, and leaves P1 and its tensors as they were.
///
/// A call belongs to the process that began it. If that process forks, a reply is taken there and refused in the
/// child: two processes that both went on would use the same masks and garble the same circuit twice.
pub struct Call<T = Vec<EncryptedTensor>> {
    state: State<T>,
    process: Process,
    masked: u64,
    peer_operations: u64,
}

enum State<T> {
    Waiting(Question<T>),
    Done(T),
    Failed,
}

/// What a call needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send [`Call::request`] to P2.
    Send,
    /// Take [`Call::results`].
    Done,
}

impl<T: 'static> Call<T> {
    pub(super) fn new(question: Question<T>) -> Self {
        Self {
            masked: question.masked,
            state: State::Waiting(question),
            process: Process::current(),
            peer_operations: 0,
        }
    }

    /// A call that is done before it starts: nothing to ask about empty tensors.
    pub(super) fn finished(results: T) -> Self {
        Self {
            state: State::Done(results),
            process: Process::current(),
            masked: 0,
            peer_operations: 0,
        }
    }

    /// What is needed now.
    ///
    /// # Errors
    /// [`Error::Finished`] after a failure.
    pub fn step(&self) -> Result<Step> {
        match self.state {
            State::Waiting(_) => Ok(Step::Send),
            State::Done(_) => Ok(Step::Done),
            State::Failed => Err(failed()),
        }
    }

    /// The bytes for P2; the same until the call is resumed.
    ///
    /// # Errors
    /// [`Error::Finished`] when the call is done or has failed.
    pub fn request(&self) -> Result<&[u8]> {
        match &self.state {
            State::Waiting(question) => Ok(&question.request),
            State::Done(_) => Err(Error::Finished("the call is done; take its results".into())),
            State::Failed => Err(failed()),
        }
    }

    /// Goes on with P2's reply.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::KeyMismatch`] for a reply that does not fit;
    /// [`Error::Finished`] when no reply is expected, or in a process that was forked since the call began.
    pub fn resume(&mut self, reply: &[u8]) -> Result<Step> {
        let question = match std::mem::replace(&mut self.state, State::Failed) {
            State::Waiting(question) => question,
            other => {
                self.state = other;
                self.request()?;
                unreachable!("only waiting calls have a request");
            }
        };
        if !self.process.is_current() {
            return Err(Error::Finished(
                "this process was forked while the call waited for its reply; the parent goes on with it, \
                 start the operation again here"
                    .into(),
            ));
        }
        let (operations, mut reader) =
            message::read_reply(reply, &question.request, question.operation, &question.key)?;
        self.peer_operations = self.peer_operations.saturating_add(operations);
        let next = (question.resume)(&mut reader)?;
        reader.finish()?;
        self.state = match next {
            Next::Ask(question) => {
                self.masked += question.masked;
                State::Waiting(question)
            }
            Next::Done(results) => State::Done(results),
        };
        self.step()
    }

    /// What the operation computed.
    ///
    /// # Errors
    /// [`Error::Finished`] before the call is done or after it failed.
    pub fn results(&self) -> Result<&T> {
        match &self.state {
            State::Done(results) => Ok(results),
            State::Waiting(_) => Err(Error::Finished(
                "the call still waits for a reply; its results come after resume".into(),
            )),
            State::Failed => Err(failed()),
        }
    }

    /// As [`Call::results`], for good.
    ///
    /// # Errors
    /// As [`Call::results`].
    pub fn into_results(self) -> Result<T> {
        self.results()?;
        match self.state {
            State::Done(results) => Ok(results),
            _ => unreachable!("there are results"),
        }
    }

    /// Values that P2 saw under a mask so far, and ciphertexts that were re-randomised for it; with each, its
    /// advantage grows by 2^−σ at most.
    pub fn masked_values(&self) -> u64 {
        self.masked
    }

    /// Modular operations that P2 reports so far: all under the key while it answered, other requests' included.
    pub fn peer_operations(&self) -> u64 {
        self.peer_operations
    }

    /// The same call with its results passed through `f`.
    pub(super) fn map<U: 'static>(
        self,
        f: impl FnOnce(T) -> Result<U> + Send + 'static,
    ) -> Result<Call<U>> {
        let state = match self.state {
            State::Waiting(question) => {
                State::Waiting(question.and_then(|results| f(results).map(Next::Done)))
            }
            State::Done(results) => State::Done(f(results)?),
            State::Failed => State::Failed,
        };
        Ok(Call {
            state,
            process: self.process,
            masked: self.masked,
            peer_operations: self.peer_operations,
        })
    }
}

fn failed() -> Error {
    Error::Finished("the call failed before; start it again".into())
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Waiting(q) => write!(f, "Call({:?}, waiting)", q.operation),
            State::Done(_) => f.write_str("Call(done)"),
            State::Failed => f.write_str("Call(failed)"),
        }
    }
}
