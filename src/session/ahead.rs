//! P1 and P2 at work at once: threads that take parts of a request to P2 while P1 makes the rest.
//!
//! P1 is asked to send a part ahead only if what is left to do takes longer than a question to P2
//! and back. Then the answer is there when it is needed, as far as the wire is concerned; so the
//! last part, after which nothing is left, always stays in the request itself, and no round trip is
//! added to those that P1 waits for.

use super::{Session, Statistics};
use crate::error::{Error, Result};
use crate::protocol::Call;
use crate::protocol::shared::ahead::Ahead;
use crate::protocol::shared::open::{Opened, Part};
use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Exchanges of one call at a time: P2 is to have work while answers and questions travel, and a
/// key server lets a client have so many calls at once only. Parts that are made meanwhile wait and go
/// together.
const AT_ONCE: usize = 3;

/// What the threads share.
#[derive(Default)]
struct State {
    waiting: Vec<Part>,
    threads: usize,
    opened: Vec<Opened>,
    failure: Option<Error>,
    cost: Statistics,
}

/// Takes parts of one call to P2.
struct Threads<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    session: &'env Session,
    state: &'env Mutex<State>,
    handles: RefCell<Vec<ScopedJoinHandle<'scope, ()>>>,
    round_trip: Duration,
    began: Instant,
}

impl Session {
    /// As [`Session::drive`], for a call that can have parts of itself taken ahead, if the
    /// transport allows it.
    pub(super) fn drive_ahead<T: 'static>(
        &self,
        start: impl FnOnce(Option<&dyn Ahead>) -> Result<Call<T>>,
    ) -> Result<T> {
        let Some(round_trip) = self.transport.round_trip() else {
            return self.drive(|| start(None));
        };
        let state = Mutex::default();
        self.drive_counting(|cost| {
            let call = std::thread::scope(|scope| {
                let threads = Threads {
                    scope,
                    session: self,
                    state: &state,
                    handles: RefCell::default(),
                    round_trip,
                    began: Instant::now(),
                };
                let call = start(Some(&threads));
                // After a failure, some may still be under way.
                threads.join();
                call
            });
            *cost = cost.plus(&lock(&state).cost);
            call
        })
    }
}

impl Threads<'_, '_> {
    /// Waits until all threads are done. P1 has nothing else to do meanwhile.
    fn join(&self) {
        let began = Instant::now();
        for handle in self.handles.take() {
            if let Err(panic) = handle.join() {
                std::panic::resume_unwind(panic);
            }
        }
        lock(self.state).cost.exchange_time += began.elapsed();
    }
}

impl Ahead for Threads<'_, '_> {
    fn pays(&self, done: u64, left: u64) -> bool {
        let ratio = left as f64 / done.max(1) as f64;
        self.began.elapsed().as_secs_f64() * ratio > self.round_trip.as_secs_f64()
    }

    fn send(&self, part: Part) -> Result<()> {
        let mut state = lock(self.state);
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        state.waiting.push(part);
        if state.threads == AT_ONCE {
            return Ok(());
        }
        let (session, shared) = (self.session, self.state);
        let thread = Builder::new()
            .name("smlp-ahead".into())
            .spawn_scoped(self.scope, move || work(session, shared))
            .map_err(|e| Error::Transport(format!("no thread for an exchange: {e}")))?;
        state.threads += 1;
        self.handles.borrow_mut().push(thread);
        Ok(())
    }

    fn collect(&self) -> Result<Vec<Opened>> {
        self.join();
        let mut state = lock(self.state);
        match state.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut state.opened)),
        }
    }
}

/// One thread: takes to P2 whatever waits, until nothing does or something has failed.
fn work(session: &Session, shared: &Mutex<State>) {
    loop {
        let parts = {
            let mut state = lock(shared);
            if state.waiting.is_empty() || state.failure.is_some() {
                state.threads -= 1;
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        let mut cost = Statistics::default();
        let call = session.p1().open(&parts);
        let outcome = call.and_then(|call| session.carry(call, &mut cost));
        // P1 does not wait for it here.
        cost.exchange_time = Duration::ZERO;
        let mut state = lock(shared);
        state.cost = state.cost.plus(&cost);
        match outcome {
            Ok(opened) => state.opened.extend(opened),
            Err(error) => {
                state.failure.get_or_insert(error);
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|e| e.into_inner())
}
