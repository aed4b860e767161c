//! Reading a request in: chunk by chunk, against the clock, with memory reserved before it is used.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, Streaming};

use super::audit::Record;
use super::limits::Limits;
use super::messages::{Chunk, RETRY_AFTER};
use super::metrics::Metrics;
use crate::paillier::KeyId;
use crate::protocol::{Operation, REQUEST_HEADER_BYTES, addressee};

/// Memory is counted in these.
const UNIT: u64 = 1 << 10;

/// The memory that all messages of a server share.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    units: Arc<Semaphore>,
    all: u64,
    metrics: Arc<Metrics>,
}

/// A part of it, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Memory {
    pub fn new(bytes: u64, metrics: Arc<Metrics>) -> Self {
        let all = (bytes / UNIT).min(u64::from(u32::MAX));
        Self {
            units: Arc::new(Semaphore::new(all as usize)),
            all,
            metrics,
        }
    }

    fn units_of(bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
    }

    /// So many bytes, now or not at all.
    pub fn try_reserve(&self, bytes: u64) -> Result<Reserved, Status> {
        let permit = Arc::clone(&self.units).try_acquire_many_owned(Self::units_of(bytes));
        let permit = permit.map_err(|_| busy("the server's memory for messages is taken", None))?;
        Ok(self.reserved(permit))
    }

    /// So many bytes, as soon as they are free.
    pub async fn reserve(&self, bytes: u64, patience: Duration) -> Result<Reserved, Status> {
        if bytes.div_ceil(UNIT) > self.all {
            return Err(Status::out_of_range(format!(
                "the reply would have {bytes} bytes, the server has {} for all; ask for less at a time",
                self.all * UNIT
            )));
        }
        let permit = Arc::clone(&self.units).acquire_many_owned(Self::units_of(bytes));
        match tokio::time::timeout(patience, permit).await {
            Ok(Ok(permit)) => Ok(self.reserved(permit)),
            _ => Err(busy("the server's memory for messages is taken", None)),
        }
    }

    fn reserved(&self, permit: OwnedSemaphorePermit) -> Reserved {
        let bytes = permit.num_permits() as u64 * UNIT;
        self.metrics.memory_bytes.add(bytes as i64);
        Reserved {
            permit,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let bytes = self.permit.num_permits() as u64 * UNIT;
        self.metrics.memory_bytes.sub(bytes as i64);
    }
}

/// "Not now", and perhaps when.
pub(super) fn busy(why: &str, retry_after: Option<Duration>) -> Status {
    let mut status = Status::resource_exhausted(format!("{why}; try again later"));
    if let Some(after) = retry_after {
        let milliseconds = after.as_millis().max(1).to_string();
        let value = milliseconds.parse().expect("digits are ASCII");
        status.metadata_mut().insert(RETRY_AFTER, value);
    }
    status
}

/// Reads a request. `judge` sees its operation and key as soon as they are there, before the rest is taken in.
pub(super) async fn read<T>(
    incoming: &mut Streaming<Chunk>,
    limits: &Limits,
    memory: &Memory,
    record: &mut Record,
    judge: impl FnOnce(Operation, KeyId) -> Result<T, Status>,
) -> Result<(Vec<u8>, Vec<Reserved>, T), Status> {
    let end = tokio::time::Instant::now() + limits.intake;
    let (mut bytes, mut reserved) = (Vec::new(), Vec::new());
    let mut judge = Some(judge);
    let mut judged = None;
    loop {
        let patience = end.min(tokio::time::Instant::now() + limits.idle);
        let chunk = match tokio::time::timeout_at(patience, incoming.message()).await {
            Ok(Ok(Some(chunk))) => chunk.data,
            Ok(Ok(None)) => break,
            Ok(Err(status)) => return Err(status),
            Err(_) => {
                return Err(Status::deadline_exceeded(format!(
                    "the request stopped coming in after {} bytes; {:?} between chunks and {:?} in all are allowed",
                    bytes.len(),
                    limits.idle,
                    limits.intake
                )));
            }
        };
        record.bytes_in += chunk.len() as u64;
        if record.bytes_in > limits.request_bytes {
            return Err(Status::out_of_range(format!(
                "the request has more than {} bytes, which is this server's limit; ask for less at a time",
                limits.request_bytes
            )));
        }
        // Twice, because a vector that grows is copied.
        reserved.push(memory.try_reserve(2 * chunk.len() as u64)?);
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= REQUEST_HEADER_BYTES
            && let Some(judge) = judge.take()
        {
            let (operation, key) = addressee(&bytes[..REQUEST_HEADER_BYTES]).map_err(malformed)?;
            (record.operation, record.key) = (Some(operation), Some(key));
            judged = Some(judge(operation, key)?);
        }
    }
    match judged {
        Some(judged) => Ok((bytes, reserved, judged)),
        None => Err(Status::invalid_argument(format!(
            "a request of {} bytes; its header alone has {REQUEST_HEADER_BYTES}",
            bytes.len()
        ))),
    }
}

/// The client's mistake.
pub(super) fn malformed(error: crate::Error) -> Status {
    Status::invalid_argument(error.to_string())
}
