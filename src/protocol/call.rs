//! [`Call`]: one interactive operation from P1's side, driven by whoever owns the wire.

use super::message::{self, Operation};
use crate::error::{Error, Result};
use crate::modular::Residues;
use crate::paillier::PublicKey;
use crate::tensor::EncryptedTensor;
use std::fmt;

/// What P1 does next with P2's ciphertexts. It owns the masks and is consumed, with them, by
/// the reply.
type Resume = Box<dyn FnOnce(Residues) -> Result<Next> + Send>;

/// A question to P2 and what to do with its answer.
pub(super) struct Question {
    pub key: PublicKey,
    pub operation: Operation,
    pub request: Vec<u8>,
    /// Ciphertexts that the reply must hold.
    pub expected: usize,
    /// Values that P2 sees under a mask.
    pub masked: usize,
    pub resume: Resume,
}

pub(super) enum Next {
    /// Another round; for protocols that need several.
    #[allow(dead_code)]
    Ask(Question),
    Done(Vec<EncryptedTensor>),
}

/// An interactive operation in progress. Send [`Call::request`] to P2, hand its reply to
/// [`Call::resume`], until that says [`Step::Done`].
///
/// The first failure is final, and leaves P1 and its tensors as they were.
pub struct Call {
    state: State,
    masked: u64,
    peer_operations: u64,
}

enum State {
    Waiting(Question),
    Done(Vec<EncryptedTensor>),
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

impl Call {
    pub(super) fn new(question: Question) -> Self {
        Self {
            masked: question.masked as u64,
            state: State::Waiting(question),
            peer_operations: 0,
        }
    }

    /// A call that is done before it starts: nothing to ask about empty tensors.
    pub(super) fn finished(results: Vec<EncryptedTensor>) -> Self {
        Self {
            state: State::Done(results),
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
    /// [`Error::Finished`] when no reply is expected.
    pub fn resume(&mut self, reply: &[u8]) -> Result<Step> {
        let question = match std::mem::replace(&mut self.state, State::Failed) {
            State::Waiting(question) => question,
            other => {
                self.state = other;
                self.request()?;
                unreachable!("only waiting calls have a request");
            }
        };
        let Question {
            key,
            operation,
            expected,
            resume,
            ..
        } = question;
        let (operations, ciphertexts) = message::read_reply(reply, operation, &key, expected)?;
        self.peer_operations = self.peer_operations.saturating_add(operations);
        self.state = match resume(ciphertexts)? {
            Next::Ask(question) => {
                self.masked += question.masked as u64;
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
    pub fn results(&self) -> Result<&[EncryptedTensor]> {
        match &self.state {
            State::Done(results) => Ok(results),
            State::Waiting(_) => Err(Error::Finished(
                "the call still waits for a reply; its results come after resume".into(),
            )),
            State::Failed => Err(failed()),
        }
    }

    /// Values that P2 saw under a mask so far; with each, its advantage grows by 2^−σ at most.
    pub fn masked_values(&self) -> u64 {
        self.masked
    }

    /// Modular operations that P2 reports so far.
    pub fn peer_operations(&self) -> u64 {
        self.peer_operations
    }

    /// The same call with its results passed through `f`.
    pub(super) fn map(
        mut self,
        f: impl FnOnce(Vec<EncryptedTensor>) -> Result<Vec<EncryptedTensor>> + Send + 'static,
    ) -> Result<Self> {
        self.state = match self.state {
            State::Waiting(question) => State::Waiting(map_question(question, f)),
            State::Done(results) => State::Done(f(results)?),
            State::Failed => State::Failed,
        };
        Ok(self)
    }
}

fn map_question(
    mut question: Question,
    f: impl FnOnce(Vec<EncryptedTensor>) -> Result<Vec<EncryptedTensor>> + Send + 'static,
) -> Question {
    let resume = question.resume;
    question.resume = Box::new(move |reply| {
        Ok(match resume(reply)? {
            Next::Ask(question) => Next::Ask(map_question(question, f)),
            Next::Done(results) => Next::Done(f(results)?),
        })
    });
    question
}

fn failed() -> Error {
    Error::Finished("the call failed before; start it again".into())
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Waiting(q) => write!(f, "Call({:?}, waiting)", q.operation),
            State::Done(_) => f.write_str("Call(done)"),
            State::Failed => f.write_str("Call(failed)"),
        }
    }
}
