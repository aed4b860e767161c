//! What a key server allows, and the meters that enforce it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::protocol::P2Limits;

/// Sizes, rates and times that a key server allows. Its memory stays below `memory_bytes` and `computing` times
/// `working_bytes`, beside what its keys take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request.
    pub request_bytes: u64,
    /// Masked values of a request. A reply has no more ciphertexts for most operations; for a matrix product it
    /// has as many as the product.
    pub request_values: u64,
    /// Bytes of a reply, of which a small request may ask for many: [`P2Limits::reply_bytes`].
    pub reply_bytes: u64,
    /// Bytes that the work on one request may take: [`P2Limits::working_bytes`].
    pub working_bytes: u64,
    /// Masked values a second for each client, in the long run; 0 for no limit.
    pub values_per_second: u64,
    /// Calls of one client at a time.
    pub calls_per_client: usize,
    /// Calls that are computed at a time. One uses all cores already.
    pub computing: usize,
    /// Calls that wait for that, all clients together.
    pub waiting: usize,
    /// Bytes of requests and replies in memory, all clients together.
    pub memory_bytes: u64,
    /// Connections at a time.
    pub connections: usize,
    /// For a connection's handshake.
    pub handshake: Duration,
    /// Between two chunks of a request, and for a client to take a chunk of a reply.
    pub idle: Duration,
    /// For a request to come in as a whole.
    pub intake: Duration,
    /// After a signal to stop, for calls that are under way.
    pub drain: Duration,
}

impl Limits {
    /// Those of a single request.
    pub(super) fn p2(&self) -> P2Limits {
        P2Limits {
            reply_bytes: self.reply_bytes,
            working_bytes: self.working_bytes,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let P2Limits {
            reply_bytes,
            working_bytes,
        } = P2Limits::default();
        Self {
            reply_bytes,
            working_bytes,
            request_bytes: 256 << 20,
            request_values: 1 << 22,
            values_per_second: 0,
            calls_per_client: 16,
            computing: 2,
            waiting: 256,
            memory_bytes: 4 << 30,
            connections: 1024,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(20),
            intake: Duration::from_secs(300),
            drain: Duration::from_secs(30),
        }
    }
}

/// Counts values against a rate. A request is let in as soon as all before it are paid for, whatever its own
/// size, so that a rate below the size of a request slows it down but never shuts it out.
#[derive(Debug)]
pub(super) struct Meter {
    per_second: u64,
    paid_at: Mutex<Instant>,
}

impl Meter {
    pub fn new(per_second: u64) -> Self {
        Self {
            per_second,
            paid_at: Mutex::new(Instant::now()),
        }
    }

    /// Lets `values` in, or says after what time to come again.
    pub fn admit(&self, values: u64, now: Instant) -> Result<(), Duration> {
        if self.per_second == 0 {
            return Ok(());
        }
        let mut paid_at = self.paid_at.lock().unwrap_or_else(|e| e.into_inner());
        if *paid_at > now {
            return Err(*paid_at - now);
        }
        let price = Duration::from_secs_f64(values as f64 / self.per_second as f64);
        *paid_at = now + price.min(Duration::from_secs(3600));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_lets_in_what_is_paid_for() {
        let meter = Meter::new(1000);
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(meter.admit(2000, at(1)), Ok(()));
        assert_eq!(meter.admit(1, at(501)), Err(Duration::from_millis(1500)));
        assert_eq!(meter.admit(1, at(2001)), Ok(()));
        assert_eq!(meter.admit(1, at(2001)), Err(Duration::from_millis(1)));
        assert_eq!(Meter::new(0).admit(u64::MAX, start), Ok(()));
    }
}
