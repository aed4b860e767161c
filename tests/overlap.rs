//! P1 and P2 at work at once: over a transport that allows it, P2 opens parts of products while P1
//! makes the rest. Everything stays as it is without, but the order of the messages.

mod common;

use common::Parties;
use sha2::{Digest, Sha256};
use smlp::protocol::{Operation, Summary, addressee};
use smlp::random::Random;
use smlp::{
    Arithmetic, Clear, Division, EncryptedMlp, Error, IntegerMlp, IntegerTensor, MlpConfig, P1, P2,
    Promise, PublicKey, Record, Result, Session, Transport,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A sealed part of the job's first products: 16 lines of two ciphertexts, four values of two limbs
/// each, and what sealing adds.
const PART: usize = 16 * 2 * 4 * 2 * 8 + 40;

/// Header, operation, key and P2's operations of a reply.
const REPLY_HEAD: usize = 4 + 2 + 2 + 2 + 32 + 8;

/// A request or a reply on the wire.
#[derive(Debug, Clone)]
struct Event {
    operation: Operation,
    is_reply: bool,
    bytes: usize,
    /// What P1 had computed by then.
    p1_operations: u64,
}

/// What ends a reply: a digest of request and reply.
const CHECK: usize = 32;

type Spoil = dyn Fn(usize, Vec<u8>) -> Result<Vec<u8>> + Send + Sync;

/// A reply that was changed by somebody who knows how it is bound to its request.
fn bound(request: &[u8], mut body: Vec<u8>) -> Vec<u8> {
    let check = Sha256::new_with_prefix(b"smlp reply v1")
        .chain_update((request.len() as u64).to_le_bytes())
        .chain_update(request)
        .chain_update(&body)
        .finalize();
    body.extend_from_slice(&check);
    body
}

/// P2 as if it were elsewhere.
struct Remote {
    key: PublicKey,
    p2: P2,
    events: Mutex<Vec<Event>>,
    values: AtomicUsize,
    /// Those of opened parts.
    ahead: AtomicUsize,
    under_way: AtomicUsize,
    opened: AtomicUsize,
    /// What becomes of the n-th reply about opened parts, which is bound to its request again afterwards.
    spoil: Box<Spoil>,
}

impl Remote {
    fn new(
        p: &Parties,
        spoil: impl Fn(usize, Vec<u8>) -> Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            // The ring counts for the key that P1 has.
            key: p.session.p1().key().clone(),
            p2: P2::new(p.key.clone()),
            events: Mutex::default(),
            values: AtomicUsize::new(0),
            ahead: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            spoil: Box::new(spoil),
        })
    }

    fn honest(p: &Parties) -> Arc<Self> {
        Self::new(p, |_, reply| Ok(reply))
    }

    fn log(&self, operation: Operation, is_reply: bool, bytes: usize) {
        let p1_operations = self.key.ring().operations();
        self.events.lock().unwrap().push(Event {
            operation,
            is_reply,
            bytes,
            p1_operations,
        });
    }

    fn answer(&self, operation: Operation, request: &[u8]) -> Result<Vec<u8>> {
        let reply = self.p2.answer(request);
        let reply = reply.map_err(|e| Error::Refused(e.to_string()))?;
        match operation {
            Operation::Open => {
                let body = reply[..reply.len() - CHECK].to_vec();
                let spoilt = (self.spoil)(self.opened.fetch_add(1, Ordering::SeqCst), body)?;
                Ok(bound(request, spoilt))
            }
            _ => Ok(reply),
        }
    }
}

impl Transport for Remote {
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        let (operation, _) = addressee(request)?;
        self.under_way.fetch_add(1, Ordering::SeqCst);
        self.log(operation, false, request.len());
        let values = Summary::of(request, &self.key)?.values() as usize;
        self.values.fetch_add(values, Ordering::SeqCst);
        if operation == Operation::Open {
            self.ahead.fetch_add(values, Ordering::SeqCst);
        }
        let reply = self.answer(operation, request);
        if let Ok(reply) = &reply {
            self.log(operation, true, reply.len());
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        reply
    }

    fn round_trip(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

/// How large parts are depends on the number of threads; one thread sends the smallest.
fn on_one_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
    pool.build().unwrap().install(work)
}

/// A network whose products have many ciphertexts, and a batch.
struct Job {
    net: EncryptedMlp,
    twin: IntegerMlp,
    batch: [IntegerTensor; 2],
}

impl Job {
    fn new(p: &Parties) -> Self {
        let config = MlpConfig::relu(&[20, 16, 9]).with_fraction_bits(10);
        let twin = IntegerMlp::draw(config, Some([5; 32])).unwrap();
        let batch = [20, 9].map(|columns| {
            let values: Vec<f64> = (0..16 * columns)
                .map(|i| (i * 37 % 29) as f64 / 29.0 - 0.4)
                .collect();
            IntegerTensor::from_f64(&[16, columns], &values, 10, None).unwrap()
        });
        Self {
            net: twin.encrypt(&p.key, &Random::os()).unwrap(),
            twin,
            batch,
        }
    }

    fn step(&mut self, p: &Parties, session: &Session) -> Result<()> {
        let [x, y] = self.batch.each_ref().map(|t| p.encrypt(t));
        self.net.train_step(session, &x, &y, 0.2)
    }

    fn twin_step(&mut self, record: &Arc<Record>) {
        let clear = Clear::repeating(record.clone());
        let [x, y] = &self.batch;
        self.twin.train_step(&clear, x, y, 0.2).unwrap();
    }

    #[track_caller]
    fn assert_same(&self, p: &Parties) {
        for (a, b) in self.net.layers().iter().zip(self.twin.layers()) {
            p.same(&a.weight, &b.weight);
            p.same(&a.bias, &b.bias);
        }
    }
}

fn session(p: &Parties, wire: Arc<dyn Transport>) -> Session {
    let p1 = P1::new(p.session.p1().key().clone(), Promise::insecure(40)).unwrap();
    Session::new(Arc::new(p1), wire)
}

#[test]
fn training_gives_the_integers_of_the_twin_and_costs_what_it_did() {
    on_one_thread(|| {
        let p = Parties::new(512, 40);
        let remote = Remote::honest(&p);
        let record = Arc::new(Record::new());
        let over = session(&p, Arc::new(remote.clone())).recording(record.clone());
        let mut job = Job::new(&p);
        for _ in 0..3 {
            job.step(&p, &over).unwrap();
            job.twin_step(&record);
            job.assert_same(&p);
        }
        let (events, cost) = (remote.events.lock().unwrap(), over.statistics());
        let sums = |is_reply| {
            let all = events.iter().filter(|e| e.is_reply == is_reply);
            all.fold((0, 0), |(n, bytes), e| (n + 1, bytes + e.bytes as u64))
        };
        assert_eq!(sums(false), (cost.rounds, cost.bytes_sent));
        assert_eq!(sums(true), (cost.rounds, cost.bytes_received));

        // The same with a P2 that waits for whole requests: P2 sees as many values, and a key
        // server counts as many.
        let values = Arc::new(AtomicUsize::new(0));
        let (p2, counted, key) = (P2::new(p.key.clone()), values.clone(), remote.key.clone());
        let waiting = session(
            &p,
            Arc::new(move |request: &[u8]| {
                assert_ne!(addressee(request)?.0, Operation::Open);
                let summary = Summary::of(request, &key)?;
                counted.fetch_add(summary.values() as usize, Ordering::SeqCst);
                p2.answer(request)
            }),
        );
        let mut again = Job::new(&p);
        for _ in 0..3 {
            again.step(&p, &waiting).unwrap();
        }
        assert_eq!(cost.masked_values, waiting.statistics().masked_values);
        assert!(cost.rounds > waiting.statistics().rounds);
        let values = values.load(Ordering::SeqCst);
        assert_eq!(remote.values.load(Ordering::SeqCst), values);
    });
}

#[test]
fn parts_are_sent_while_p1_works_and_the_last_one_goes_with_the_request() {
    on_one_thread(|| {
        let p = Parties::new(512, 40);
        let remote = Remote::honest(&p);
        let over = session(&p, Arc::new(remote.clone()));
        Job::new(&p).step(&p, &over).unwrap();
        let events = remote.events.lock().unwrap();
        let mut with_parts = 0;
        for (at, request) in events.iter().enumerate() {
            if request.operation != Operation::Products || request.is_reply {
                continue;
            }
            // What went ahead: everything since the last answer about something else.
            let ahead = events[..at].iter().rev();
            let ahead: Vec<_> = ahead
                .take_while(|e| e.operation == Operation::Open)
                .collect();
            let Some(first) = ahead.last() else { continue };
            with_parts += 1;
            // All has come back, and P1 has gone on after the first part, and after the last one.
            assert!(ahead[0].is_reply && !first.is_reply);
            let [asked, answered] = [false, true].map(|is_reply| {
                let of = ahead.iter().filter(|e| e.is_reply == is_reply);
                of.count()
            });
            assert_eq!(asked, answered);
            assert!(first.p1_operations < request.p1_operations);
            // The request does hold ciphertexts: the last part.
            assert!(request.bytes > 16 * 128);
        }
        // Forward and backward, but not where terms are small.
        assert!(with_parts >= 2, "{with_parts}");
        assert_eq!(remote.under_way.load(Ordering::SeqCst), 0);
    });
}

/// A step over a wire that does this to replies about opened parts; then one over an honest wire.
#[track_caller]
fn fails_and_goes_on(
    spoil: impl Fn(usize, Vec<u8>) -> Result<Vec<u8>> + Send + Sync + 'static,
) -> Error {
    let (spoil, p) = (Arc::new(spoil), Parties::new(512, 40));
    on_one_thread(move || {
        let remote = Remote::new(&p, move |number, reply| spoil(number, reply));
        let record = Arc::new(Record::new());
        let recording = |wire| session(&p, wire).recording(record.clone());
        let over = recording(Arc::new(remote.clone()));
        let mut job = Job::new(&p);
        let error = job.step(&p, &over).unwrap_err();
        // Nobody is left behind, and nothing has changed.
        assert_eq!(remote.under_way.load(Ordering::SeqCst), 0);
        assert!(record.is_empty());
        job.assert_same(&p);
        job.twin = job.net.decrypt(&p.key).unwrap();
        job.step(&p, &recording(Remote::honest(&p))).unwrap();
        job.twin_step(&record);
        job.assert_same(&p);
        error
    })
}

#[test]
fn an_exchange_that_fails_ahead_fails_the_call() {
    for nth in [0, 3] {
        let broken = Error::Transport(format!("the wire broke at {nth}"));
        let expected = broken.clone();
        let error = fails_and_goes_on(move |number, reply| match number == nth {
            true => Err(broken.clone()),
            false => Ok(reply),
        });
        assert_eq!(error, expected);
    }
}

/// What went ahead was seen, and counts, though the call ended before its own request was made.
#[test]
fn parts_of_a_failed_call_count_with_their_ciphertexts() {
    let p = Parties::new(512, 40);
    on_one_thread(move || {
        let remote = Remote::new(&p, |_, _| Err(Error::Transport("gone".into())));
        let over = session(&p, Arc::new(remote.clone()));
        let [x, w] = [[32, 20], [20, 32]].map(|shape| {
            let values: Vec<i64> = (0..640).collect();
            p.encrypt(&IntegerTensor::from_i64(&shape, &values, Some(10)).unwrap())
        });
        let by = Division {
            divisor: 7,
            scale_drop: 0,
            rounding: None,
        };
        over.matmul_divide(&x, &w, by).unwrap_err();
        let events = remote.events.lock().unwrap();
        let asked = events.iter().filter(|e| !e.is_reply);
        let (ahead, rest): (Vec<_>, Vec<_>) = asked.partition(|e| e.operation == Operation::Open);
        assert!(!ahead.is_empty() && rest.len() == 1, "{rest:?}");
        // Both operands were shared, in ciphertexts of 128 bytes, but for the heads; of cross terms, whose slots have more
        // than 102 bits, a ciphertext holds four at most.
        let ahead = remote.ahead.load(Ordering::SeqCst);
        let values = 1280 + ahead;
        let ciphertexts = (rest[0].bytes - 300) / 128 + ahead / 4;
        let counted = over.statistics().masked_values as usize;
        assert!(
            counted >= values + ciphertexts,
            "{counted}: {values}, {ciphertexts}"
        );
    });
}

#[test]
fn opened_parts_that_were_changed_or_cut_are_refused() {
    for at in [0, 24, 100] {
        let error = fails_and_goes_on(move |_, mut reply| {
            reply[REPLY_HEAD + at] ^= 1;
            Ok(reply)
        });
        assert!(
            matches!(&error, Error::Refused(text) if text.contains("was changed")),
            "{error}"
        );
    }
    let error = fails_and_goes_on(|_, mut reply| {
        reply.pop();
        Ok(reply)
    });
    assert!(matches!(&error, Error::Malformed { .. }), "{error}");
}

#[test]
fn opened_parts_are_refused_where_they_do_not_belong() {
    // Layers as wide as the batch: parts of both terms have one size. Each is replaced by the one
    // before it, from the same reply or from an earlier one.
    let before: Mutex<Option<Vec<u8>>> = Mutex::default();
    let replaced = Arc::new(AtomicUsize::new(0));
    let count = replaced.clone();
    let error = fails_and_goes_on(move |_, mut reply| {
        let mut before = before.lock().unwrap();
        if !(reply.len() - REPLY_HEAD).is_multiple_of(PART) {
            return Ok(reply);
        }
        for part in reply[REPLY_HEAD..].chunks_exact_mut(PART) {
            if let Some(before) = before.replace(part.to_vec()) {
                part.copy_from_slice(&before);
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok(reply)
    });
    assert!(replaced.load(Ordering::SeqCst) > 0, "nothing was replaced");
    assert!(
        matches!(&error, Error::Refused(text) if text.contains("for another use")),
        "{error}"
    );
}
