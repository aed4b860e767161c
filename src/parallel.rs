//! The library's threads: one pool for the process, made when it is first needed, as large as
//! RAYON_NUM_THREADS says or else as the machine. All parallel loops of the crate run here, and no
//! other module names rayon.
//!
//! A process that forks takes no threads along, so work handed to the old pool would wait for ever
//! in the child. The pool therefore belongs to a process id: the child makes its own. The
//! one of the parent is forgotten, never dropped, since its threads cannot be told to end. No lock is
//! involved that another thread could hold while the process forks. Callers that are on a thread of
//! a pool of their own stay there.
//!
//! What cannot work in a child, because it lives on threads or devices of the parent, asks
//! [`Process`] whether it still is where it was made.

use rayon::iter::plumbing::{Producer, ProducerCallback};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder, iter};
use std::marker::PhantomData;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A process, to be recognised later: a child that was forked from it is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// The one that runs this.
    pub fn current() -> Self {
        Self(std::process::id())
    }

    /// Whether it is the one that runs this.
    pub fn is_current(self) -> bool {
        self == Self::current()
    }
}

/// The threads of one process.
struct Pool {
    owner: Process,
    threads: ThreadPool,
}

/// The pool that was made last, by this process or by one that it was forked from.
static LATEST: AtomicPtr<Pool> = AtomicPtr::new(null_mut());

/// The pool of this process.
fn pool() -> &'static ThreadPool {
    let owner = Process::current();
    let latest = LATEST.load(Ordering::Acquire);
    if let Some(pool) = get(latest)
        && pool.owner == owner
    {
        return &pool.threads;
    }
    let threads = ThreadPoolBuilder::new()
        .thread_name(|i| format!("smlp-{i}"))
        .build()
        .unwrap_or_else(|e| panic!("the system starts no threads: {e}"));
    let made = Box::into_raw(Box::new(Pool { owner, threads }));
    match LATEST.compare_exchange(latest, made, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => &get(made).expect("made above").threads,
        // Another thread was faster: its pool is for all.
        Err(theirs) => {
            discard(made);
            &get(theirs).expect("made by another thread").threads
        }
    }
}

#[allow(unsafe_code)]
fn get(pool: *mut Pool) -> Option<&'static Pool> {
    // SAFETY: null, or from a box that is never dropped once it has been in `LATEST`.
    unsafe { pool.as_ref() }
}

#[allow(unsafe_code)]
fn discard(pool: *mut Pool) {
    // SAFETY: from a box that nobody else has seen.
    drop(unsafe { Box::from_raw(pool) });
}

/// Runs `work` on a thread of the pool; here, if this thread is one of a pool.
fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match rayon::current_thread_index() {
        Some(_) => work(),
        None => pool().install(work),
    }
}

/// Whether this thread is a worker of a pool, ours or a caller's.
pub(crate) fn is_worker() -> bool {
    rayon::current_thread_index().is_some()
}

/// How many threads share the work.
pub(crate) fn threads() -> usize {
    match rayon::current_thread_index() {
        Some(_) => rayon::current_num_threads(),
        None => pool().current_num_threads(),
    }
}

/// Both, at once if a thread is free.
pub(crate) fn join<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    run(|| rayon::join(a, b))
}

/// Work for all threads, in order. It is not an iterator of rayon's, which would run in rayon's own pool.
#[must_use]
pub(crate) struct Parallel<I>(I);

/// Over everything in a vector or a range.
pub(crate) fn over<I: IntoParallelIterator>(items: I) -> Parallel<I::Iter> {
    Parallel(items.into_par_iter())
}

/// Over pieces of `size` elements; the last may be shorter.
pub(crate) fn chunks<T: Sync>(slice: &[T], size: usize) -> Parallel<rayon::slice::Chunks<'_, T>> {
    Parallel(slice.par_chunks(size))
}

/// As [`chunks`], to be changed.
pub(crate) fn chunks_mut<T: Send>(
    slice: &mut [T],
    size: usize,
) -> Parallel<rayon::slice::ChunksMut<'_, T>> {
    Parallel(slice.par_chunks_mut(size))
}

impl<I: IndexedParallelIterator> Parallel<I> {
    pub fn zip<J: IndexedParallelIterator>(self, other: Parallel<J>) -> Parallel<iter::Zip<I, J>> {
        Parallel(self.0.zip(other.0))
    }

    pub fn enumerate(self) -> Parallel<iter::Enumerate<I>> {
        Parallel(self.0.enumerate())
    }

    pub fn map<T: Send, F: Fn(I::Item) -> T + Sync + Send>(
        self,
        each: F,
    ) -> Parallel<iter::Map<I, F>> {
        Parallel(self.0.map(each))
    }

    pub fn for_each(self, each: impl Fn(I::Item) + Sync + Send) {
        self.map(each).collect()
    }

    pub fn collect<C>(self) -> C
    where
        C: FromParallelIterator<I::Item> + FromIterator<I::Item> + Send,
    {
        match self.0.len() {
            // To wake another thread for it would take longer than most work on a single piece.
            0 | 1 => self.0.with_producer(Here(PhantomData)),
            _ => run(|| self.0.collect()),
        }
    }
}

/// Collects on this thread.
struct Here<C>(PhantomData<C>);

impl<T, C: FromIterator<T>> ProducerCallback<T> for Here<C> {
    type Output = C;

    fn callback<P: Producer<Item = T>>(self, producer: P) -> C {
        producer.into_iter().collect()
    }
}

/// Runs `work` with a single thread, for tests whose results depend on the number.
#[cfg(test)]
pub(crate) fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let one_thread = ThreadPoolBuilder::new().num_threads(1).build();
    one_thread.expect("a thread").install(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_in_the_pool_of_the_process_and_nowhere_else() {
        let names = || -> Vec<String> {
            over(0..64)
                .map(|_| std::thread::current().name().unwrap_or("").to_owned())
                .collect()
        };
        assert!(names().iter().all(|name| name.starts_with("smlp-")));
        assert_eq!(threads(), pool().current_num_threads());
        let elsewhere = alone(|| (threads(), names()));
        assert_eq!(elsewhere.0, 1);
        assert!(elsewhere.1.iter().all(|name| !name.starts_with("smlp-")));
        // From many threads at once there is still one pool.
        let pools: Vec<usize> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| std::ptr::from_ref(pool()) as usize))
                .collect();
            handles.into_iter().map(|h| h.join().unwrap()).collect()
        });
        assert!(pools.iter().all(|&p| p == pools[0]), "{pools:?}");
    }

    #[test]
    fn results_come_in_order() {
        let mut numbers: Vec<usize> = (0..100).collect();
        chunks_mut(&mut numbers, 7)
            .enumerate()
            .for_each(|(i, piece)| piece.iter_mut().for_each(|x| *x += i));
        let sums: Vec<usize> = chunks(&numbers, 7)
            .zip(over(0..15))
            .map(|(piece, i)| piece.iter().map(|x| x - i).sum())
            .collect();
        assert_eq!(sums.iter().sum::<usize>(), (0..100).sum::<usize>());
        assert_eq!(sums[0], 21);
        assert_eq!(join(|| 1, || 2), (1, 2));
        let here = || std::thread::current().id();
        let single: Vec<_> = over(vec![()]).map(|()| here()).collect();
        assert_eq!(single, [here()]);
        let refused: Result<Vec<usize>, usize> = over(0..9).map(Err).collect();
        assert!(refused.is_err());
        assert!(over(0..0).map(|x: usize| x).collect::<Vec<_>>().is_empty());
    }
}
