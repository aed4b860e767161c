//! Which of several key servers is asked next, and when.
//!
//! Among those that work, the one with the fewest calls in flight, in the order in which they were named: one
//! caller stays with the first, many spread over all. One that failed rests, longer after each failure in
//! a row, with jitter so that many clients do not come back at the same instant.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tonic::transport::Channel;

use crate::random::Random;

/// The rest after the first failure.
const FIRST_REST: Duration = Duration::from_millis(100);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// One key server.
#[derive(Debug)]
pub(super) struct Replica {
    pub address: String,
    pub channel: Channel,
    in_flight: AtomicUsize,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failures_in_a_row: u32,
    resting_until: Option<Instant>,
}

/// A call to a replica, counted while it lasts.
#[derive(Debug)]
pub(super) struct Lease<'a>(&'a Replica);

impl Replica {
    pub fn new(address: String, channel: Channel) -> Self {
        Self {
            address,
            channel,
            in_flight: AtomicUsize::new(0),
            health: Mutex::default(),
        }
    }

    /// Counts a call that begins.
    pub fn lease(&self) -> Lease<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Lease(self)
    }

    /// It answered.
    pub fn succeeded(&self) {
        *self.lock() = Health::default();
    }

    /// It did not. It rests for a while, at least as long as it asked for itself.
    pub fn failed(&self, asked_for: Option<Duration>) {
        let jitter = Random::os().below(1 << 10).unwrap_or(0) as f64 / 1024.0;
        let mut health = self.lock();
        let rest = rest_after(health.failures_in_a_row, jitter).max(asked_for.unwrap_or_default());
        health.failures_in_a_row = health.failures_in_a_row.saturating_add(1);
        health.resting_until = Some(Instant::now() + rest.min(Duration::from_secs(60)));
    }

    fn resting_until(&self) -> Option<Instant> {
        self.lock().resting_until
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The n-th rest in a row: doubling up to the longest, between half of that and all of it.
fn rest_after(failures: u32, jitter: f64) -> Duration {
    let full = FIRST_REST
        .saturating_mul(1 << failures.min(16))
        .min(LONGEST_REST);
    full.mul_f64(0.5 + jitter / 2.0)
}

/// The replica to ask next, and from when on it may be asked; `None` when every one is `hopeless`.
pub(super) fn choose<'a>(
    replicas: &'a [Replica],
    hopeless: &[bool],
    now: Instant,
) -> Option<(usize, &'a Replica, Instant)> {
    let candidates = replicas.iter().enumerate().zip(hopeless);
    candidates
        .filter(|(_, hopeless)| !**hopeless)
        .map(|((i, replica), _)| {
            let from = replica.resting_until().unwrap_or(now).max(now);
            (i, replica, from)
        })
        .min_by_key(|(i, replica, from)| (*from, replica.in_flight.load(Ordering::Relaxed), *i))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(count: usize) -> Vec<Replica> {
        (0..count)
            .map(|i| {
                let channel =
                    tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
                Replica::new(format!("replica {i}"), channel)
            })
            .collect()
    }

    #[tokio::test]
    async fn the_free_and_the_working_come_first() {
        let replicas = replicas(3);
        let next = |hopeless: [bool; 3]| {
            let now = Instant::now();
            choose(&replicas, &hopeless, now).map(|(i, _, from)| (i, from > now))
        };
        assert_eq!(next([false; 3]), Some((0, false)));
        let first = replicas[0].lease();
        assert_eq!(next([false; 3]), Some((1, false)));
        let second = replicas[1].lease();
        let third = replicas[2].lease();
        assert_eq!(next([false; 3]), Some((0, false)));
        drop((first, second, third));

        replicas[0].failed(None);
        assert_eq!(next([false; 3]), Some((1, false)));
        replicas[1].failed(Some(Duration::from_secs(20)));
        replicas[2].failed(Some(Duration::from_secs(10)));
        assert_eq!(next([false; 3]), Some((0, true)));
        assert_eq!(next([true, false, false]), Some((2, true)));
        assert_eq!(next([true; 3]), None);
        replicas[1].succeeded();
        assert_eq!(next([false; 3]), Some((1, false)));
    }

    #[test]
    fn rests_grow_to_a_limit() {
        assert_eq!(rest_after(0, 0.0), Duration::from_millis(50));
        assert_eq!(rest_after(0, 1.0), Duration::from_millis(100));
        assert_eq!(rest_after(3, 1.0), Duration::from_millis(800));
        assert_eq!(rest_after(u32::MAX, 1.0), LONGEST_REST);
    }
}
