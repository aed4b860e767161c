//! Sending a reply: chunk by chunk, as fast as the client takes them, but not more slowly than allowed.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::CHUNK_BYTES;
use super::audit::Record;
use super::messages::Chunk;

/// The stream of a reply.
pub(super) type Outflow = ReceiverStream<Result<Chunk, Status>>;

/// Sends a reply and completes the record. `held` are the places and the memory that the call occupies; they are
/// free again when the client has taken everything, or has let `patience` pass without taking anything.
pub(super) fn send(
    reply: Vec<u8>,
    mut record: Record,
    held: impl Send + 'static,
    patience: Duration,
) -> Outflow {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let held = held;
        let reply = Bytes::from(reply);
        for start in (0..reply.len()).step_by(CHUNK_BYTES) {
            let data = reply.slice(start..reply.len().min(start + CHUNK_BYTES));
            let length = data.len() as u64;
            match tokio::time::timeout(patience, sender.send(Ok(Chunk { data }))).await {
                Ok(Ok(())) => record.bytes_out += length,
                Ok(Err(_)) => return, // the client is gone
                Err(_) => {
                    let status = Status::deadline_exceeded(format!(
                        "the client took nothing of the reply for {patience:?}"
                    ));
                    record.refused(&status);
                    return;
                }
            }
        }
        record.answered();
        drop(held);
    });
    ReceiverStream::new(receiver)
}
