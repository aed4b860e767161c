//! `smlp train`.

use std::io::IsTerminal;
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use smlp::{
    Checkpointing, EncryptedMlp, Error, FitOptions, RecordFile, RecordPublicKey, Result, Session,
    TrainFor,
};

use crate::files::{self, KeyArguments};
use crate::interrupt::Interrupt;
use crate::outcome::Outcome;
use crate::server::{Connected, ServerArguments};

/// Train an encrypted network on encrypted data (P1).
///
/// OUTPUT is the checkpoint: it is written before the first step and every few steps, whole or not at all. After a
/// crash, the same command with --resume goes on where it stands.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smlp train --network network.initial --inputs x.train --targets y.train --key owner.public \\
      --epochs 5 --batch-size 32 --learning-rate 0.1 -o network.trained \\
      --server p2.example:7443 --authority ca.pem --certificate p1.pem --certificate-key p1.key
  smlp train --network n --inputs x --targets y --key owner.public --steps 10 -o out --p2-key owner.private")]
pub struct Arguments {
    /// The encrypted network to start from.
    #[arg(long)]
    network: PathBuf,

    /// Encrypted inputs, rows × inputs of the network.
    #[arg(long)]
    inputs: PathBuf,

    /// Encrypted targets, rows × outputs of the network.
    #[arg(long)]
    targets: PathBuf,

    /// The public key.
    #[arg(short, long)]
    key: PathBuf,

    /// Where to write the trained network, and it on the way there.
    #[arg(short, long)]
    output: PathBuf,

    /// Passes over the rows.
    #[arg(long, required_unless_present = "steps", conflicts_with = "steps")]
    epochs: Option<u64>,

    /// Steps, one batch each.
    #[arg(long)]
    steps: Option<u64>,

    /// Rows of a step.
    #[arg(long, default_value_t = 32)]
    batch_size: usize,

    /// The learning rate.
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f64,

    /// Take the rows in their order instead of a new one for each pass.
    #[arg(long)]
    no_shuffle: bool,

    /// What the orders are drawn from; no secret.
    #[arg(long, default_value_t = 0)]
    shuffle_seed: u64,

    /// Write a checkpoint every so many steps.
    #[arg(long, value_name = "STEPS", default_value = "10")]
    checkpoint_every: NonZeroU64,

    /// Go on from OUTPUT, if it exists, with the same other arguments.
    #[arg(long)]
    resume: bool,

    /// Append to this file what each step rounded with, so that the owner can repeat the training in the clear.
    #[arg(long, value_name = "FILE", requires = "record_key")]
    record: Option<PathBuf>,

    /// The owner's public record key (NAME.record.public), which the record is encrypted to.
    #[arg(long, value_name = "FILE", requires = "record")]
    record_key: Option<PathBuf>,

    #[command(flatten)]
    server: ServerArguments,

    #[command(flatten)]
    keys: KeyArguments,
}

/// What has to be the same when a training is resumed. It is kept beside the checkpoint.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    batch_size: usize,
    learning_rate: f64,
    shuffle: bool,
    shuffle_seed: u64,
    rows: usize,
    key: String,
}

pub fn run(arguments: Arguments, json: bool) -> Result<Outcome> {
    let key = arguments.keys.public(&arguments.key)?;
    let inputs = files::tensor(&arguments.inputs, &key)?;
    let targets = files::tensor(&arguments.targets, &key)?;
    let job = Job {
        batch_size: arguments.batch_size,
        learning_rate: arguments.learning_rate,
        shuffle: !arguments.no_shuffle,
        shuffle_seed: arguments.shuffle_seed,
        rows: inputs.shape().first().copied().unwrap_or(0),
        key: key.id().to_hex(),
    };
    let resumed = arguments.resume && arguments.output.exists();
    let start = match resumed {
        true => {
            job.check(&arguments.output)?;
            &arguments.output
        }
        false => {
            if arguments.output.exists() {
                return Err(Error::Io {
                    path: arguments.output.display().to_string(),
                    message: "it exists already; go on with --resume, or choose another name"
                        .into(),
                });
            }
            job.save(&arguments.output)?;
            &arguments.network
        }
    };
    let mut network = files::network(start, &key)?;
    let total = match (arguments.steps, arguments.epochs) {
        (Some(steps), _) => steps,
        (_, epochs) => {
            let pass = job.rows.div_ceil(job.batch_size.max(1)) as u64;
            epochs.unwrap_or(0).saturating_mul(pass)
        }
    };
    let interrupt = Interrupt::watch()?;
    let mut connected = arguments.server.connect(&key, &arguments.keys)?;
    if let (Some(path), Some(key)) = (&arguments.record, &arguments.record_key) {
        let public = RecordPublicKey::from_bytes(&files::read(key)?);
        let public = public.map_err(|e| files::in_file(key, e))?;
        let record = RecordFile::append(path, public)?;
        connected.session = connected.session.recording(Arc::new(record));
    }
    let began = Instant::now();
    let first = network.step().min(total);
    let options = FitOptions {
        shuffle: job.shuffle,
        shuffle_seed: job.shuffle_seed,
        checkpoint: Some(Checkpointing {
            path: arguments.output.clone(),
            every_steps: arguments.checkpoint_every,
        }),
        ..FitOptions::new(
            TrainFor::Steps(total - first),
            job.batch_size,
            job.learning_rate,
        )
    };
    let report = Report::new(first, total, json);
    let mut progress = |_: &EncryptedMlp, done, _| {
        report.step(first + done, &connected.session);
        match interrupt.wished() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let outcome = network.fit(
        &connected.session,
        &inputs,
        &targets,
        &options,
        &mut progress,
    );
    report.finish();
    outcome?;
    Ok(summary(&network, &connected, began.elapsed())
        .with("output", arguments.output.display().to_string()))
}

impl Job {
    fn path(output: &Path) -> PathBuf {
        let mut path = output.as_os_str().to_owned();
        path.push(".job");
        path.into()
    }

    fn save(&self, output: &Path) -> Result<()> {
        let text = serde_json::to_string(self).expect("numbers and text are JSON");
        files::write_private(&Self::path(output), (text + "\n").as_bytes())
    }

    fn check(&self, output: &Path) -> Result<()> {
        let path = Self::path(output);
        let before: Self =
            serde_json::from_slice(&files::read(&path)?).map_err(|e| Error::Malformed {
                what: "training job",
                why: format!("{}: {e}", path.display()),
            })?;
        match before == *self {
            true => Ok(()),
            false => Err(Error::InvalidArgument(format!(
                "the training that wrote {} was begun as {before:?}, not as {self:?}; resume it with the same arguments",
                output.display()
            ))),
        }
    }
}

/// Progress: a bar for people, lines for programs.
struct Report {
    bar: ProgressBar,
    json: bool,
    total: u64,
    began: Instant,
}

impl Report {
    fn new(done: u64, total: u64, json: bool) -> Self {
        let bar = match !json && std::io::stderr().is_terminal() {
            true => ProgressBar::new(total),
            false => ProgressBar::hidden(),
        };
        let style =
            ProgressStyle::with_template("{bar:30} step {pos} of {len}  {per_sec}  {eta} to go");
        bar.set_style(style.expect("the template is well-formed"));
        bar.set_position(done);
        bar.reset_eta();
        Self {
            bar,
            json,
            total,
            began: Instant::now(),
        }
    }

    fn step(&self, done: u64, session: &Session) {
        self.bar.set_position(done);
        if self.json {
            let statistics = session.statistics();
            let line = Outcome::default()
                .with("step", done)
                .with("of", self.total)
                .with("seconds", rounded(self.began.elapsed()))
                .with("waiting_seconds", rounded(statistics.exchange_time))
                .with("rounds", statistics.rounds)
                .with("bytes_sent", statistics.bytes_sent)
                .with("bytes_received", statistics.bytes_received);
            println!("{}", line.to_json());
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn summary(network: &EncryptedMlp, connected: &Connected, took: Duration) -> Outcome {
    let statistics = connected.session.statistics();
    let outcome = Outcome::default()
        .with("steps", network.step())
        .with("seconds", rounded(took))
        .with("waiting_seconds", rounded(statistics.exchange_time))
        .with("rounds", statistics.rounds)
        .with("bytes_sent", statistics.bytes_sent)
        .with("bytes_received", statistics.bytes_received)
        .with("masked_values", statistics.masked_values)
        .with("promised_bits", connected.session.p1().promise().security())
        .with("kept_bits", (statistics.kept_bits() * 10.0).round() / 10.0);
    match &connected.client {
        Some(client) => outcome.with("failed_attempts", client.statistics().failures),
        None => outcome,
    }
}

pub fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
