//! `smlp predict`.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use smlp::{EncryptedMlp, EncryptedTensor, Error, Result, Session};

use crate::files::{self, KeyArguments};
use crate::outcome::Outcome;
use crate::server::ServerArguments;
use crate::train::rounded;

/// Run an encrypted network on encrypted rows (P1). The outputs are encrypted too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  smlp predict --network network.trained --inputs query --key owner.public -o answer \\
      --server p2.example:7443 --authority ca.pem --certificate p1.pem --certificate-key p1.key")]
pub struct Arguments {
    /// The encrypted network.
    #[arg(long)]
    network: PathBuf,

    /// Encrypted inputs, rows × inputs of the network.
    #[arg(long)]
    inputs: PathBuf,

    /// The public key.
    #[arg(short, long)]
    key: PathBuf,

    /// Where to write the encrypted outputs.
    #[arg(short, long)]
    output: PathBuf,

    /// Rows that go through the network together.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,

    /// Batches under way at a time: P1 computes one while another waits for P2.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    in_flight: u32,

    #[command(flatten)]
    server: ServerArguments,

    #[command(flatten)]
    keys: KeyArguments,
}

pub fn run(arguments: Arguments) -> Result<Outcome> {
    let key = arguments.keys.public(&arguments.key)?;
    let network = files::network(&arguments.network, &key)?;
    let inputs = files::tensor(&arguments.inputs, &key)?;
    let connected = arguments.server.connect(&key, &arguments.keys)?;
    let began = Instant::now();
    let (batch, threads) = (arguments.batch_size as usize, arguments.in_flight as usize);
    let outputs = predict(&network, &connected.session, &inputs, batch, threads)?;
    let bytes = outputs.to_bytes()?;
    files::write(&arguments.output, &bytes)?;
    let statistics = connected.session.statistics();
    Ok(Outcome::default()
        .with("rows", outputs.shape()[0])
        .with("outputs", outputs.shape()[1])
        .with("seconds", rounded(began.elapsed()))
        .with("rounds", statistics.rounds)
        .with("bytes_sent", statistics.bytes_sent)
        .with("bytes_received", statistics.bytes_received)
        .with("masked_values", statistics.masked_values)
        .with("promised_bits", connected.session.p1().promise().security())
        .with("kept_bits", (statistics.kept_bits() * 10.0).round() / 10.0)
        .with("output", arguments.output.display().to_string()))
}

/// Predicts batch by batch, several of them at a time.
fn predict(
    network: &EncryptedMlp,
    session: &Session,
    inputs: &EncryptedTensor,
    batch: usize,
    threads: usize,
) -> Result<EncryptedTensor> {
    let rows = inputs.shape().first().copied().unwrap_or(0);
    if inputs.ndim() != 2 || rows == 0 {
        // The network says what is wrong with them.
        return network.predict(session, inputs);
    }
    let batches = rows.div_ceil(batch);
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<EncryptedTensor>>> = Mutex::new(vec![None; batches]);
    let work = || -> Result<()> {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= batches {
                return Ok(());
            }
            let chosen: Vec<usize> = (i * batch..rows.min((i + 1) * batch)).collect();
            let outputs = network.predict(session, &inputs.take(0, &chosen)?);
            if outputs.is_err() {
                // The others need not begin what is no longer wanted.
                next.store(batches, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(|e| e.into_inner())[i] = Some(outputs?);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(batches))
            .map(|_| scope.spawn(work))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| {
                Err(Error::Finished("a thread of the prediction failed".into()))
            })
        })
    })?;
    let results = results.into_inner().unwrap_or_else(|e| e.into_inner());
    let parts: Vec<&EncryptedTensor> = results.iter().flatten().collect();
    EncryptedTensor::concatenate(&parts, 0)
}
