//! Where the time of protocols goes, phase by phase, for benches and estimates: both parties of
//! this process, all sessions together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// P1: products of powers by masks.
    MultiExponentiation,
    /// P1: hiding random parts before ciphertexts are sent.
    Rerandomisation,
    /// P1: garbling.
    Garbling,
    /// P2: opening ciphertexts.
    Decryption,
    /// P2: making ciphertexts.
    Encryption,
    /// P2: evaluating garbled circuits.
    Evaluation,
}

const PHASES: [Phase; 6] = [
    Phase::MultiExponentiation,
    Phase::Rerandomisation,
    Phase::Garbling,
    Phase::Decryption,
    Phase::Encryption,
    Phase::Evaluation,
];

static NANOSECONDS: [AtomicU64; PHASES.len()] = [const { AtomicU64::new(0) }; PHASES.len()];
static ITEMS: [AtomicU64; PHASES.len()] = [const { AtomicU64::new(0) }; PHASES.len()];

/// What one phase has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Which.
    pub phase: Phase,
    /// Terms of a product of powers; ciphertexts; values of a gate.
    pub items: u64,
    /// Time of the threads that waited for it.
    pub time: Duration,
}

/// All phases since the process began. Take differences.
pub fn snapshot() -> Vec<Cost> {
    PHASES
        .iter()
        .map(|&phase| Cost {
            phase,
            items: ITEMS[phase as usize].load(Ordering::Relaxed),
            time: Duration::from_nanos(NANOSECONDS[phase as usize].load(Ordering::Relaxed)),
        })
        .collect()
}

/// Runs `work` on so many items and counts it.
pub(crate) fn measure<T>(phase: Phase, items: usize, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    let nanoseconds = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    NANOSECONDS[phase as usize].fetch_add(nanoseconds, Ordering::Relaxed);
    ITEMS[phase as usize].fetch_add(items as u64, Ordering::Relaxed);
    result
}
