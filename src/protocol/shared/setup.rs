//! The set-up of the oblivious transfers that gates rest on ([`crate::protocol::transfer`]): one for a P1, owned by
//! whatever uses it.
//!
//! A call looks once which set-up it uses, and what was offered under one carries it until its gate is
//! done; so other calls may replace P1's meanwhile. A request that quotes a set-up and gets no proper answer makes
//! P1 forget it: the next call makes a new one.
//!
//! The request is 128 points of 32 bytes; the reply a point and P2's seeds, sealed (u64 length, bytes).

use super::Answering;
use super::seal::Purpose;
use crate::error::Result;
use crate::parallel::{self, Process};
use crate::protocol::call::Question;
use crate::protocol::masking::Masker;
use crate::protocol::message::Operation;
use crate::protocol::transfer::{Seeds, Sender, Setup, answer_setup};
use crate::wire::{Reader, Writer};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// P1's side of the oblivious transfers with one P2.
pub struct Transfers {
    pub sender: Sender,
    /// P2's seeds, sealed.
    pub ticket: Vec<u8>,
    /// A request that quoted them was not answered.
    failed: AtomicBool,
}

impl fmt::Debug for Transfers {
    /// No label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transfers")
    }
}

/// The set-up that new calls of a P1 use.
#[derive(Debug, Default)]
pub struct SetUps {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Transfers>>,
    /// A thread of this process makes one, and others wait for it.
    making: Option<(Process, Maker)>,
}

/// A thread, as long as it lives. One of std's ids would allocate on threads that C has started, and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Maker(usize);

impl Maker {
    fn current() -> Self {
        thread_local!(static HERE: u8 = const { 0 });
        Self(HERE.with(|here| std::ptr::from_ref(here).addr()))
    }
}

impl State {
    fn usable(&self) -> Option<Arc<Transfers>> {
        let current = self.current.as_ref();
        current
            .filter(|transfers| !transfers.failed.load(Ordering::Acquire))
            .cloned()
    }
}

impl SetUps {
    /// The set-up for a new call, if there is one.
    pub fn get(&self) -> Option<Arc<Transfers>> {
        self.lock().usable()
    }

    /// The set-up for a new call. Of threads that come at once, one makes it and the others wait; where it fails,
    /// the next one tries. A worker of a thread pool does not wait: whoever makes the set-up may need the
    /// pool, or be further down on the same stack; nor does the thread that makes it, whose transport may be a
    /// caller's that uses P1. They make one of their own.
    pub fn get_or_make(&self, make: impl FnOnce() -> Result<Transfers>) -> Result<Arc<Transfers>> {
        let (mut state, this_thread) = (self.lock(), Maker::current());
        loop {
            if let Some(transfers) = state.usable() {
                return Ok(transfers);
            }
            // A thread of the process that this one was forked from is not here.
            let Some((_, maker)) = state.making.filter(|(process, _)| process.is_current()) else {
                break;
            };
            if maker == this_thread || parallel::is_worker() {
                drop(state);
                return make().map(|transfers| self.keep(transfers));
            }
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        state.making = Some((Process::current(), this_thread));
        drop(state);
        let _turn = Turn(self);
        make().map(|transfers| self.keep(transfers))
    }

    /// Offers a set-up to later calls; the one to use from here on, since another may have been quicker.
    pub fn keep(&self, transfers: Transfers) -> Arc<Transfers> {
        let mut state = self.lock();
        let current = state.usable().unwrap_or_else(|| Arc::new(transfers));
        state.current = Some(current.clone());
        current
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Whoever makes a set-up; ends, whatever comes of it, even by a panic.
struct Turn<'a>(&'a SetUps);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().making = None;
        self.0.changed.notify_all();
    }
}

/// A set-up while a request that quotes it is on its way.
#[derive(Debug)]
pub struct Quoted {
    transfers: Arc<Transfers>,
    answered: bool,
}

impl Quoted {
    pub fn new(transfers: Arc<Transfers>) -> Self {
        Self {
            transfers,
            answered: false,
        }
    }

    pub fn transfers(&self) -> &Arc<Transfers> {
        &self.transfers
    }

    /// The answer came and was a proper one.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Quoted {
    fn drop(&mut self) {
        if !self.answered {
            self.transfers.failed.store(true, Ordering::Release);
        }
    }
}

/// P1: asks P2 to set up oblivious transfers.
pub fn ask(masker: &Masker<'_>) -> Result<Question<Transfers>> {
    let (setup, points) = Setup::new(masker.random)?;
    let mut w = masker.request(Operation::Setup);
    w.bytes(&points);
    let resume = move |r: &mut Reader<'_>| {
        Ok(Transfers {
            sender: setup.finish(r.take(32)?)?,
            ticket: r.nested()?.to_vec(),
            failed: AtomicBool::new(false),
        })
    };
    let (operation, request) = (Operation::Setup, w.finish());
    Question::new(masker, operation, request, 0, resume)
}

/// P2: its part of the base transfers.
pub fn answer(mut r: Reader<'_>, p2: &Answering<'_>, mut reply: Writer) -> Result<Writer> {
    let points = r.take(128 * 32)?;
    r.finish()?;
    let (point, seeds) = answer_setup(points, p2.random)?;
    reply.bytes(&point);
    reply.nested(
        &p2.seals
            .seal(Purpose::Seeds, &seeds.to_bytes(), p2.random)?,
    );
    Ok(reply)
}

/// P1: quotes a set-up.
pub fn write(w: &mut Writer, transfers: &Transfers) {
    w.nested(&transfers.ticket);
}

/// P2: its seeds, as P1 quotes them.
pub fn read(r: &mut Reader<'_>, p2: &Answering<'_>) -> Result<Seeds> {
    Seeds::from_bytes(&p2.seals.open(Purpose::Seeds, r.nested()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::random::Random;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    fn transfers() -> Transfers {
        let random = Random::os();
        let (setup, points) = Setup::new(&random).unwrap();
        let (point, _) = answer_setup(&points, &random).unwrap();
        Transfers {
            sender: setup.finish(&point).unwrap(),
            ticket: vec![],
            failed: AtomicBool::new(false),
        }
    }

    fn failure() -> Error {
        Error::Transport("a failure of a test".into())
    }

    #[test]
    fn threads_that_start_together_get_one_set_up_even_after_failures() {
        let (set_ups, made) = (SetUps::default(), AtomicUsize::new(0));
        let start = std::sync::Barrier::new(8);
        let make = || {
            std::thread::sleep(Duration::from_millis(20));
            // The first two fail, one of them by a panic.
            match made.fetch_add(1, Ordering::Relaxed) {
                0 => Err(failure()),
                1 => panic!("a panic of a test"),
                _ => Ok(transfers()),
            }
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        set_ups.get_or_make(make)
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join()).collect()
        });
        assert_eq!(made.load(Ordering::Relaxed), 3);
        assert_eq!(results.iter().filter(|r| r.is_err()).count(), 1, "a panic");
        let results: Vec<_> = results.into_iter().flatten().collect();
        assert_eq!(results.iter().filter(|r| r.is_err()).count(), 1);
        let current = set_ups.get().unwrap();
        assert!(results.iter().flatten().all(|t| Arc::ptr_eq(t, &current)));
    }

    #[test]
    fn workers_of_a_pool_do_not_wait() {
        let set_ups = SetUps::default();
        // Whoever makes the set-up waits for a worker that wants one, too.
        let made = set_ups.get_or_make(|| {
            let inner = parallel::alone(|| set_ups.get_or_make(|| Ok(transfers())));
            assert!(Arc::ptr_eq(&inner?, &set_ups.get().unwrap()));
            Ok(transfers())
        });
        assert!(Arc::ptr_eq(&made.unwrap(), &set_ups.get().unwrap()));
    }

    #[test]
    fn a_thread_does_not_wait_for_itself() {
        let set_ups = SetUps::default();
        let made = set_ups.get_or_make(|| {
            set_ups.get_or_make(|| Ok(transfers()))?;
            Ok(transfers())
        });
        assert!(Arc::ptr_eq(&made.unwrap(), &set_ups.get().unwrap()));
    }

    #[test]
    fn what_is_quoted_without_an_answer_is_forgotten_by_new_calls_only() {
        let set_ups = SetUps::default();
        let first = set_ups.keep(transfers());
        Quoted::new(first.clone()).answered();
        assert!(Arc::ptr_eq(&set_ups.get().unwrap(), &first));
        drop(Quoted::new(first.clone()));
        assert!(set_ups.get().is_none());
        let second = set_ups.keep(transfers());
        assert!(!Arc::ptr_eq(&first, &second));
        // The failure of the first says nothing about the second.
        drop(Quoted::new(first));
        assert!(Arc::ptr_eq(&set_ups.get().unwrap(), &second));
    }
}
