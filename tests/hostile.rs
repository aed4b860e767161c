//! Hostile bytes at every boundary of the protocol: an error, never a panic, never a plaintext.

mod common;

use common::Parties;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use smlp::protocol::{Operation, REQUEST_HEADER_BYTES, addressee};
use smlp::random::Random;
use smlp::{
    Activation, Arithmetic, Division, Encrypt, Error, IntegerMlp, IntegerTensor, MlpConfig, P1, P2,
    Promise, Session, Step, Transport,
};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

struct Fixture {
    parties: Parties,
    p2: P2,
    /// The first request of every operation of P1 and the reply to it.
    exchanges: Vec<(Vec<u8>, Vec<u8>)>,
    /// All requests of a comparison, of a training step, and of a product opened in parts.
    requests: Vec<Vec<u8>>,
}

/// What a session sends when it compares and trains.
fn recorded(parties: &Parties) -> Vec<Vec<u8>> {
    let requests = Arc::new(Mutex::new(vec![]));
    let (p2, log) = (P2::new(parties.key.clone()), requests.clone());
    let wire = move |request: &[u8]| -> smlp::Result<Vec<u8>> {
        log.lock().unwrap().push(request.to_vec());
        p2.answer(request)
    };
    let p1 = P1::new(parties.key.public().clone(), Promise::insecure(40)).unwrap();
    let session = Session::new(Arc::new(p1), Arc::new(wire));
    let x = IntegerTensor::from_f64(&[2, 2], &[0.5, -0.5, 0.25, 1.0], 4, Some(7)).unwrap();
    let x = parties.encrypt(&x);
    let (_, bits) = session.relu(&x).unwrap();
    session.select(&bits, &x).unwrap();
    let config = MlpConfig::new(&[2, 2, 2], &[Activation::Relu; 2])
        .with_fraction_bits(4)
        .with_bits(7, 7);
    let net = IntegerMlp::draw(config, Some([3; 32])).unwrap();
    let mut net = net.encrypt(&parties.key, &Random::os()).unwrap();
    net.train_step(&session, &x, &x, 0.1).unwrap();
    overlapped(parties, &requests);
    requests.lock().unwrap().clone()
}

/// P2 as if it were elsewhere, so that parts of products are opened ahead.
struct Remote(P2, Arc<Mutex<Vec<Vec<u8>>>>);

impl Transport for Remote {
    fn exchange(&self, request: &[u8]) -> smlp::Result<Vec<u8>> {
        self.1.lock().unwrap().push(request.to_vec());
        self.0.answer(request)
    }

    fn round_trip(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

/// Adds what a session sends for a product, part of which P2 opens ahead.
fn overlapped(parties: &Parties, requests: &Arc<Mutex<Vec<Vec<u8>>>>) {
    let before = requests.lock().unwrap().len();
    let remote = Remote(P2::new(parties.key.clone()), requests.clone());
    let p1 = P1::new(parties.key.public().clone(), Promise::insecure(40)).unwrap();
    let session = Session::new(Arc::new(p1), Arc::new(remote));
    let [x, y] = [[8, 1], [1, 8]]
        .map(|shape| parties.encrypt(&IntegerTensor::from_i64(&shape, &[3; 8], Some(4)).unwrap()));
    let division = Division {
        divisor: 4,
        scale_drop: 0,
        rounding: None,
    };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1);
    one_thread
        .build()
        .unwrap()
        .install(|| session.matmul_divide(&x, &y, division).unwrap());
    let requests = requests.lock().unwrap();
    let open = |r: &Vec<u8>| addressee(r).unwrap().0 == Operation::Open;
    assert!(requests[before..].iter().any(open));
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let parties = Parties::new(256, 40);
        let p2 = P2::new(parties.key.clone());
        let x = IntegerTensor::from_i64(&[2, 2], &[1, -2, 3, -4], Some(8)).unwrap();
        let x = parties.encrypt(&x);
        let bits = IntegerTensor::from_i64(&[2, 2], &[1, 0, 0, 1], Some(1)).unwrap();
        let bits = parties.encrypt(&bits);
        let p1 = parties.session.p1();
        let exchanges = calls(p1, &x, &bits)
            .iter()
            .map(|call| {
                let request = call.request().unwrap().to_vec();
                let reply = p2.answer(&request).unwrap();
                (request, reply)
            })
            .collect();
        let requests = recorded(&parties);
        Fixture {
            parties,
            p2,
            exchanges,
            requests,
        }
    })
}

fn calls(p1: &P1, x: &smlp::EncryptedTensor, bits: &smlp::EncryptedTensor) -> Vec<smlp::Call> {
    vec![
        p1.multiply(x, x).unwrap(),
        p1.matmul(x, x).unwrap(),
        p1.divide(x, 3, 0, None).unwrap(),
        p1.relu(x).unwrap(),
        p1.select(bits, x).unwrap(),
        p1.refresh(x).unwrap(),
        p1.maximum(x, bits).unwrap(),
    ]
}

#[test]
fn every_truncation_of_a_request_is_refused() {
    let f = fixture();
    for (request, _) in &f.exchanges {
        for cut in 0..request.len() {
            assert!(f.p2.answer(&request[..cut]).is_err());
        }
        let mut longer = request.clone();
        longer.push(0);
        assert!(f.p2.answer(&longer).is_err());
    }
    assert!(f.requests.len() > 12);
    for request in &f.requests {
        for cut in (0..request.len()).step_by(1 + request.len() / 80) {
            assert!(f.p2.answer(&request[..cut]).is_err(), "{cut}");
        }
        assert!(f.p2.answer(&[&request[..], &[0]].concat()).is_err());
        f.p2.answer(request).unwrap();
    }
}

#[test]
fn requests_with_changed_bytes_are_refused_or_answered_but_never_panic() {
    let f = fixture();
    assert!(f.requests.iter().filter(|r| r.len() < 5000).count() > 5);
    for request in &f.requests {
        // Everything before the sealed halves and the ciphertexts is small numbers.
        for at in (0..request.len()).step_by(1 + request.len() / 120) {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = request.clone();
                bad[at] = value;
                let _ = f.p2.answer(&bad);
            }
        }
        // Counts of bits lie between them: none of anything, at any place of a short request.
        if request.len() < 5000 {
            for at in REQUEST_HEADER_BYTES..request.len() - 4 {
                let mut bad = request.clone();
                bad[at..at + 4].fill(0);
                let _ = f.p2.answer(&bad);
            }
        }
        for at in REQUEST_HEADER_BYTES..request.len().min(200) - 8 {
            for value in [0, u64::MAX, 1 << 63, 1 << 40, 1 << 24, 3] {
                let mut bad = request.clone();
                bad[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
                let _ = f.p2.answer(&bad);
            }
        }
    }
}

#[test]
fn what_one_key_sealed_another_does_not_open() {
    let f = fixture();
    let other = Parties::new(256, 40);
    let (own, foreign) = (&f.requests, recorded(&other));
    // Requests of one length: a sealed half of one put into the other, byte by byte the same place.
    for (request, foreign) in own.iter().zip(&foreign) {
        let half = request.len().min(foreign.len()) / 2;
        let mut mixed = request.clone();
        mixed[REQUEST_HEADER_BYTES..half].copy_from_slice(&foreign[REQUEST_HEADER_BYTES..half]);
        let _ = f.p2.answer(&mixed);
        assert!(matches!(
            P2::new(other.key.clone()).answer(request),
            Err(Error::KeyMismatch { .. })
        ));
    }
}

#[test]
fn a_bad_reply_ends_the_call_for_good_and_leaves_p1_as_it_was() {
    let f = fixture();
    let x = IntegerTensor::from_i64(&[2, 2], &[1, -2, 3, -4], Some(8)).unwrap();
    let bits = IntegerTensor::from_i64(&[2, 2], &[1, 0, 0, 1], Some(1)).unwrap();
    let (x, bits) = (f.parties.encrypt(&x), f.parties.encrypt(&bits));
    for (i, call) in calls(f.parties.session.p1(), &x, &bits)
        .iter_mut()
        .enumerate()
    {
        let reply = f.p2.answer(call.request().unwrap()).unwrap();
        let other = &f.exchanges[(i + 1) % 5].1;
        let bad = [&reply[..reply.len() / 2], &[], other][i % 3];
        assert!(call.resume(bad).is_err());
        assert!(matches!(call.resume(&reply), Err(Error::Finished(_))));
        assert!(call.request().is_err() && call.results().is_err());
    }
    for mut call in calls(f.parties.session.p1(), &x, &bits) {
        assert!(call.results().is_err());
        let mut reply = vec![];
        while call.step().unwrap() == Step::Send {
            reply = f.p2.answer(call.request().unwrap()).unwrap();
            call.resume(&reply).unwrap();
        }
        assert!(matches!(call.resume(&reply), Err(Error::Finished(_))));
        assert!(!call.results().unwrap().is_empty());
    }
}

#[test]
fn another_keys_messages_are_refused_by_name() {
    let f = fixture();
    let other = P2::new(Parties::new(256, 40).key);
    let error = other.answer(&f.exchanges[0].0).unwrap_err();
    assert!(matches!(error, Error::KeyMismatch { .. }), "{error}");
}

#[test]
fn absurd_sizes_are_refused_before_anything_is_allocated() {
    let f = fixture();
    for (request, _) in &f.exchanges {
        // Every aligned u64 in turn becomes enormous.
        for at in REQUEST_HEADER_BYTES..request.len().min(120) - 8 {
            for value in [u64::MAX, 1 << 63, 1 << 40] {
                let mut bad = request.clone();
                bad[at..at + 8].copy_from_slice(&value.to_le_bytes());
                let _ = f.p2.answer(&bad);
            }
        }
    }
}

#[test]
fn ciphertexts_that_are_none_are_refused() {
    let f = fixture();
    let width = f.p2.key().ring().modulus().width() * 8;
    let (request, _) = &f.exchanges[5];
    let start = request.len() - width;
    for bad in [vec![0; width], vec![255; width], {
        let mut n: Vec<u8> =
            f.p2.key()
                .modulus()
                .limbs()
                .iter()
                .flat_map(|l| l.to_le_bytes())
                .collect();
        n.resize(width, 0);
        n
    }] {
        let mut hostile = request.clone();
        hostile[start..].copy_from_slice(&bad);
        let error = f.p2.answer(&hostile).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_requests_never_panic(which in 0usize..7, at: prop::sample::Index, byte: u8, also: prop::sample::Index) {
        let f = fixture();
        let mut bad = f.exchanges[which].0.clone();
        let (at, also) = (at.index(bad.len()), also.index(bad.len().min(140)));
        bad[at] ^= byte;
        bad[also] = bad[also].wrapping_add(byte | 1);
        let _ = f.p2.answer(&bad);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), header: bool) {
        let f = fixture();
        let mut all = if header { f.exchanges[0].0[..REQUEST_HEADER_BYTES].to_vec() } else { vec![] };
        all.extend(bytes);
        prop_assert!(f.p2.answer(&all).is_err());
    }

    #[test]
    fn damaged_replies_never_panic(which in 0usize..7, at: prop::sample::Index, byte: u8) {
        let f = fixture();
        let x = IntegerTensor::from_i64(&[2, 2], &[1, -2, 3, -4], Some(8)).unwrap();
        let bits = IntegerTensor::from_i64(&[2, 2], &[1, 0, 0, 1], Some(1)).unwrap();
        let (x, bits) = (f.parties.encrypt(&x), f.parties.encrypt(&bits));
        let mut call = calls(f.parties.session.p1(), &x, &bits).swap_remove(which);
        let mut bad = f.exchanges[which].1.clone();
        bad.truncate(bad.len() - 32);
        let at = at.index(bad.len());
        bad[at] ^= byte;
        // As if P2 had meant it: what follows the check is to be tested, too.
        let request = call.request().unwrap();
        let check = Sha256::new_with_prefix(b"smlp reply v1")
            .chain_update((request.len() as u64).to_le_bytes())
            .chain_update(request)
            .chain_update(&bad)
            .finalize();
        bad.extend_from_slice(&check);
        match call.resume(&bad) {
            Ok(_) => {}
            Err(error) => prop_assert!(!error.to_string().contains("does not answer this request")),
        }
    }
}
