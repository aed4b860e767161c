//! What P1 keeps of answers of P2, and what becomes of it when something goes wrong: set-ups of transfers that were
//! changed on the way, refused or abandoned; sealed halves of other jobs and clients.

mod common;

use common::Parties;
use smlp::protocol::{Operation, addressee};
use smlp::{
    Arithmetic, Call, Encrypt, EncryptedTensor, Error, IntegerTensor, P1, P2, Promise, Session,
    Step,
};
use std::sync::Arc;

const VALUES: [i64; 3] = [5, -6, 7];
const RELU: [i128; 3] = [5, 0, 7];

struct Scene {
    parties: Parties,
    p2: P2,
    x: EncryptedTensor,
}

fn scene() -> Scene {
    let parties = Parties::new(256, 40);
    let x = IntegerTensor::from_i64(&[3], &VALUES, Some(8)).unwrap();
    Scene {
        p2: P2::new(parties.key.clone()),
        x: parties.encrypt(&x),
        parties,
    }
}

impl Scene {
    fn p1(&self) -> P1 {
        P1::new(self.parties.key.public().clone(), Promise::insecure(40)).unwrap()
    }

    fn answer(&self, call: &Call) -> smlp::Result<Vec<u8>> {
        self.p2.answer(call.request()?)
    }

    /// Drives a call to its end.
    fn finish(&self, mut call: Call) -> EncryptedTensor {
        while call.step().unwrap() == Step::Send {
            let reply = self.answer(&call).unwrap();
            call.resume(&reply).unwrap();
        }
        call.into_results().unwrap().remove(0)
    }

    #[track_caller]
    fn is_relu(&self, tensor: &EncryptedTensor) {
        let clear = tensor.decrypt(&self.parties.key).unwrap();
        assert_eq!(clear.values(), RELU);
    }
}

fn asks_for(call: &Call) -> Operation {
    addressee(call.request().unwrap()).unwrap().0
}

#[test]
fn every_changed_byte_of_a_set_up_is_noticed_and_p1_goes_on() {
    let s = scene();
    let length = s.answer(&s.p1().relu(&s.x).unwrap()).unwrap().len();
    assert!(length > 4096 + 32);
    // Everything before the sealed seeds, some of these, and the end.
    let places = (0..100)
        .chain((100..length).step_by(397))
        .chain(length - 40..length);
    let p1 = s.p1();
    for at in places {
        let mut call = p1.relu(&s.x).unwrap();
        assert_eq!(asks_for(&call), Operation::Setup);
        let mut reply = s.answer(&call).unwrap();
        reply[at] ^= 1;
        let error = call.resume(&reply).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. } | Error::KeyMismatch { .. }),
            "byte {at}: {error}"
        );
    }
    s.is_relu(&s.finish(p1.relu(&s.x).unwrap()));
}

#[test]
fn a_request_that_changed_on_its_way_is_noticed() {
    let s = scene();
    let p1 = s.p1();
    let (mut refused, mut noticed) = (0, 0);
    let request = p1.relu(&s.x).unwrap().request().unwrap().to_vec();
    for at in (42..request.len()).step_by(111) {
        let mut call = p1.relu(&s.x).unwrap();
        let mut request = call.request().unwrap().to_vec();
        request[at] ^= 2;
        match s.p2.answer(&request) {
            Err(_) => refused += 1,
            Ok(reply) => {
                let error = call.resume(&reply).unwrap_err().to_string();
                assert!(error.contains("does not answer this request"), "{error}");
                noticed += 1;
            }
        }
    }
    // Some changed points are none, some are others.
    assert!(refused > 0 && noticed > 0, "{refused} and {noticed}");
    // An answer to the same question, asked by another call.
    let calls = [p1.multiply(&s.x, &s.x), p1.multiply(&s.x, &s.x)].map(Result::unwrap);
    let replies = [0, 1].map(|i| s.answer(&calls[i]).unwrap());
    let [mut first, _] = calls;
    assert!(first.resume(&replies[1]).is_err());
    s.is_relu(&s.finish(p1.relu(&s.x).unwrap()));
}

#[test]
fn what_p2_refuses_is_forgotten() {
    let s = scene();
    let p1 = s.p1();
    let mut call = p1.relu(&s.x).unwrap();
    let reply = s.p2.answer_for(b"a client", call.request().unwrap());
    call.resume(&reply.unwrap()).unwrap();
    // The same P1 by another name.
    let error = s.p2.answer_for(b"another", call.request().unwrap());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("transfer seeds"), "{error}");
    drop(call);
    let call = p1.relu(&s.x).unwrap();
    assert_eq!(asks_for(&call), Operation::Setup);
    s.is_relu(&s.finish(call));
    // What is answered stays.
    assert_eq!(asks_for(&p1.relu(&s.x).unwrap()), Operation::Share);
}

#[test]
fn calls_side_by_side_and_abandoned_ones_do_not_disturb_each_other() {
    let s = scene();
    let p1 = s.p1();
    // One is abandoned before its answer, one after it, one in its last round.
    for rounds in 0..3 {
        let mut calls: Vec<Call> = (0..3).map(|_| p1.relu(&s.x).unwrap()).collect();
        let mut abandoned = calls.pop().unwrap();
        for _ in 0..rounds {
            let reply = s.answer(&abandoned).unwrap();
            abandoned.resume(&reply).unwrap();
        }
        drop(abandoned);
        // In turns, so that both make a set-up where there is none.
        while calls.iter().any(|c| c.step().unwrap() == Step::Send) {
            for call in &mut calls {
                if call.step().unwrap() == Step::Send {
                    let reply = s.answer(call).unwrap();
                    call.resume(&reply).unwrap();
                }
            }
        }
        for call in calls {
            s.is_relu(&call.into_results().unwrap()[0]);
        }
    }
}

#[test]
fn what_was_sealed_for_another_job_or_client_is_refused() {
    let s = scene();
    let (own, other) = (s.p1(), s.p1());
    let job_of = |p1: &P1| {
        let call = p1.refresh(&s.x).unwrap();
        call.request().unwrap()[42..58].to_vec()
    };
    assert_ne!(job_of(&own), job_of(&other));
    // The result is shared, so that a second comparison quotes halves; a first one has quoted seeds.
    let result = s.finish(own.relu(&s.x).unwrap());
    let mut call = own.relu(&result).unwrap();
    let quoting_both = call.request().unwrap().to_vec();
    let mut relabelled = quoting_both.clone();
    relabelled[42..58].copy_from_slice(&job_of(&other));
    for refused in [
        s.p2.answer(&relabelled),
        s.p2.answer_for(b"somebody", &quoting_both),
    ] {
        let error = refused.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Malformed { .. }), "{text}");
        assert!(text.contains("for another job or client"), "{text}");
    }
    let reply = s.answer(&call).unwrap();
    call.resume(&reply).unwrap();
    s.is_relu(&s.finish(call));
    // Another P1 does not quote what is not its own: it shares the values itself.
    s.is_relu(&s.finish(other.relu(&result).unwrap()));
    s.is_relu(&s.finish(own.relu(&result).unwrap()));
}

#[test]
fn refreshing_keeps_packs() {
    let s = scene();
    let parties = Parties::new(512, 40);
    let clear = IntegerTensor::from_i64(&[2, 5], &(-5..5).collect::<Vec<_>>(), Some(9)).unwrap();
    let random = smlp::random::Random::os();
    let packed = EncryptedTensor::encrypt_packed(&clear, &parties.key, 40, &random).unwrap();
    let key = parties.session.p1().key();
    let theirs = EncryptedTensor::from_bytes(&packed.to_bytes().unwrap(), key).unwrap();
    // Shared before: P2 packs what it knows.
    let shared = EncryptedTensor::from_bytes(&packed.to_bytes().unwrap(), key).unwrap();
    parties.session.unpack(&shared).unwrap();
    for x in [&packed, &theirs, &shared] {
        let fresh = parties.session.refresh(x).unwrap();
        assert_eq!(
            fresh.values_per_ciphertext(),
            packed.values_per_ciphertext()
        );
        parties.same(&fresh, &clear);
        assert_ne!(fresh.to_bytes().unwrap(), x.to_bytes().unwrap());
        let relu = parties.clear.relu(&clear).unwrap().0;
        parties.same(&parties.session.relu(&fresh).unwrap().0, &relu);
    }
    let by_hand = parties.session.p1().refresh(&packed).unwrap();
    let p2 = P2::new(parties.key.clone());
    let mut by_hand = by_hand;
    let reply = p2.answer(by_hand.request().unwrap()).unwrap();
    assert_eq!(by_hand.resume(&reply), Ok(Step::Done));
    parties.same(&by_hand.results().unwrap()[0], &clear);
    // Slots too narrow for masks of this P1: an error by numbers, not garbage.
    let wide = P1::new(key.clone(), Promise::insecure(64)).unwrap();
    let error = wide.refresh(&packed).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Bound {
                needed: 75,
                limit: 51,
                ..
            }
        ),
        "{error}"
    );
    // A view that cuts through ciphertexts says what to do.
    let error = s.p1().refresh(&packed.transpose()).unwrap_err();
    assert!(matches!(error, Error::KeyMismatch { .. }), "{error}");
    let error = parties.session.refresh(&packed.transpose()).unwrap_err();
    assert!(error.to_string().contains("unpack"), "{error}");
}

#[test]
fn a_session_outlives_a_set_up_that_fails() {
    let s = scene();
    let p2 = P2::new(s.parties.key.clone());
    let failures = std::sync::atomic::AtomicI32::new(2);
    let transport = move |request: &[u8]| -> smlp::Result<Vec<u8>> {
        let set_up = addressee(request)?.0 == Operation::Setup;
        let mut reply = p2.answer(request)?;
        if set_up && failures.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) > 0 {
            reply[80] ^= 1;
        }
        Ok(reply)
    };
    let session = Session::new(Arc::new(s.p1()), Arc::new(transport));
    for _ in 0..2 {
        assert!(session.relu(&s.x).is_err());
    }
    s.is_relu(&session.relu(&s.x).unwrap().0);
}
