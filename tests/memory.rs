//! How much memory P2 takes for a request: never more than its sizes announce, and nothing at all where that is more
//! than P2's limits.

use smlp::protocol::{P2Limits, Summary};
use smlp::random::Random;
use smlp::{
    Arithmetic, Division, Encrypt, EncryptedTensor, Error, IntegerMlp, IntegerTensor, MlpConfig,
    P1, P2, PrivateKey, Result, Security, Session, Transport,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The system's allocator, counting: what is taken now, and the most that was taken since [`Counting::measure`] began.
struct Counting {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[global_allocator]
static COUNTING: Counting = Counting {
    now: AtomicUsize::new(0),
    most: AtomicUsize::new(0),
};

impl Counting {
    /// Bytes that were taken at once by `work`, beside those that were taken before. One at a time.
    fn measure<T>(&self, work: impl FnOnce() -> T) -> (u64, T) {
        let before = self.now.load(Ordering::SeqCst);
        self.most.store(before, Ordering::SeqCst);
        let out = work();
        ((self.most.load(Ordering::SeqCst) - before) as u64, out)
    }
}

// SAFETY: the system's allocator does the work. Reallocation is left to the trait, which takes the new block before it
// returns the old one.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = self.now.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        self.most.fetch_max(now, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.now.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

/// One test measures at a time.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// P2, and every request that it has answered.
struct Recording {
    p2: P2,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    round_trip: Option<Duration>,
}

impl Transport for Recording {
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        self.requests.lock().unwrap().push(request.to_vec());
        self.p2.answer(request)
    }

    fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

fn encrypt(key: &PrivateKey, shape: &[usize]) -> EncryptedTensor {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|i| (i % 7) as f64 / 8.0 - 0.25).collect();
    let clear = IntegerTensor::from_f64(shape, &values, 8, Some(14)).unwrap();
    EncryptedTensor::encrypt(&clear, key, &Random::os()).unwrap()
}

/// The operations of a session, a training step and a prediction.
fn everything(session: &Session, key: &PrivateKey, size: usize) {
    let column = encrypt(key, &[size * 8]);
    let [x, y] = [[size, 8], [8, size]].map(|shape| encrypt(key, &shape));
    let [a, b] = [[size * 4, 1], [1, size]].map(|shape| encrypt(key, &shape));
    session.multiply(&a, &b).unwrap();
    session.matmul(&x, &y).unwrap();
    session.refresh(&column).unwrap();
    session.relu(&column).unwrap();
    session.maximum(&column, &column).unwrap();
    let division = Division {
        divisor: 5,
        scale_drop: 0,
        rounding: None,
    };
    session.divide(&column, division).unwrap();
    let config = MlpConfig::relu(&[8, size, 6]).with_fraction_bits(8);
    let network = IntegerMlp::draw(config, None).unwrap();
    let mut network = network.encrypt(key, &Random::os()).unwrap();
    let targets = encrypt(key, &[size, 6]);
    network.train_step(session, &x, &targets, 0.1).unwrap();
    network.predict(session, &x).unwrap();
}

#[test]
fn no_answer_takes_more_than_its_sizes_announce() {
    let _turn = turn();
    let mut seen = BTreeSet::new();
    for (bits, sizes) in [(256, [1, 40]), (512, [16, 90]), (2048, [2, 24])] {
        let key = PrivateKey::generate(bits, Security::AllowInsecure).unwrap();
        for (size, round_trip) in sizes.into_iter().zip([None, Some(Duration::ZERO)]) {
            let requests = Arc::new(Mutex::new(vec![]));
            let transport = Recording {
                p2: P2::new(key.clone()),
                requests: requests.clone(),
                round_trip,
            };
            let p1 = Arc::new(P1::new(key.public().clone(), smlp::Promise::insecure(40)).unwrap());
            everything(&Session::new(p1, Arc::new(transport)), &key, size);
            let p2 = P2::new(key.clone());
            for request in &*requests.lock().unwrap() {
                seen.insert(check(&p2, request));
            }
        }
    }
    let all = [
        "divide", "gate", "matmul", "multiply", "open", "products", "refresh", "setup", "share",
    ];
    assert_eq!(seen, BTreeSet::from(all));
}

/// The name of what was asked for. Its answer takes no more than is announced; and of large answers the announcement is
/// no wild guess.
fn check(p2: &P2, request: &[u8]) -> &'static str {
    let Summary {
        operation,
        reply_bytes,
        working_bytes,
        ..
    } = Summary::of(request, p2.key()).unwrap();
    let (taken, reply) = COUNTING.measure(|| p2.answer(request).unwrap());
    let name = operation.name();
    assert!(reply.len() as u64 <= reply_bytes, "{name}");
    assert!(
        taken <= working_bytes,
        "{name} took {taken} bytes, {working_bytes} were announced"
    );
    assert!(
        working_bytes <= 4 * taken + (16 << 20),
        "{name} took {taken} bytes, as many as {working_bytes} were announced"
    );
    name
}

/// P1's request for an outer product of vectors of so many values.
fn outer_product(key: &PrivateKey, size: usize, matmul: bool) -> Vec<u8> {
    let [a, b] = [[size, 1], [1, size]].map(|shape| encrypt(key, &shape));
    let p1 = P1::new(key.public().clone(), smlp::Promise::insecure(40)).unwrap();
    let call = match matmul {
        true => p1.matmul(&a, &b),
        false => p1.multiply(&a, &b),
    };
    call.unwrap().request().unwrap().to_vec()
}

#[test]
fn outer_products_beyond_the_limits_are_refused_before_any_work() {
    let _turn = turn();
    let key = PrivateKey::generate(512, Security::AllowInsecure).unwrap();
    let p2 = P2::new(key.clone());
    p2.answer(&outer_product(&key, 2, true)).unwrap();
    for matmul in [true, false] {
        let request = outer_product(&key, 2000, matmul);
        assert!(request.len() < 1 << 17);
        let operations = key.operations();
        let (taken, outcome) = COUNTING.measure(|| p2.answer(&request));
        let Err(Error::Limit { what, value, limit }) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(what.contains("reply_bytes") && what.contains("smaller batches"));
        assert_eq!((value, limit), (2000 * 2000 * 128 + 90, 256 << 20));
        assert!(taken < 1 << 12, "{taken} bytes for a refusal");
        assert_eq!(key.operations(), operations);
    }
}

#[test]
fn limits_are_exact_and_the_operators() {
    let _turn = turn();
    let key = PrivateKey::generate(256, Security::AllowInsecure).unwrap();
    let request = outer_product(&key, 30, false);
    let Summary {
        reply_bytes,
        working_bytes,
        ..
    } = Summary::of(&request, key.public()).unwrap();
    let limits = |reply_bytes, working_bytes| P2Limits {
        reply_bytes,
        working_bytes,
    };
    let answer = |limits| P2::with_limits(key.clone(), limits).answer(&request);
    answer(limits(reply_bytes, working_bytes)).unwrap();
    for (less, setting) in [
        (limits(reply_bytes - 1, working_bytes), "reply_bytes"),
        (limits(reply_bytes, working_bytes - 1), "working_bytes"),
    ] {
        let error = answer(less).unwrap_err();
        assert!(error.to_string().contains(setting), "{error}");
        assert!(matches!(error, Error::Limit { value, limit, .. } if value == limit + 1));
    }
}
