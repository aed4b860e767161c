//! A process forks while it is connected: the child gets an error at once and may connect anew; the parent notices
//! nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use smlp::fixed::RoundingKey;
use smlp::record::{Line, RoundingCall};
use smlp::{
    EncryptedTensor, Error, IntegerTensor, P1, RecordFile, RecordKey, Recorder, Transport,
    random::Random,
};

use crate::scene::Scene;

/// Runs `work` in a child process and waits for its good end.
fn in_a_child(work: impl FnOnce()) {
    // SAFETY: the child does nothing but `work`, which allocates and starts threads, as glibc allows, and ends.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: takes a number. A child that hangs is ended by the signal.
        unsafe { libc::alarm(120) };
        let outcome = catch_unwind(AssertUnwindSafe(work));
        // SAFETY: as above; the parent's destructors and buffers are not the child's to run.
        unsafe { libc::_exit(i32::from(outcome.is_err())) };
    }
    let mut status = -1;
    // SAFETY: the place is valid.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0));
}

#[test]
fn a_connection_stays_with_the_process_that_made_it() {
    let scene = Scene::local("forked");
    let server = scene.serve("p2", "");
    let client = scene.connect(&[server.address]);
    let tensor = IntegerTensor::from_i64(&[2], &[1, 2], Some(8)).unwrap();
    let tensor = EncryptedTensor::encrypt(&tensor, &scene.key, &Random::os()).unwrap();
    let p1 = P1::new(
        smlp::Encrypt::public(&scene.key).clone(),
        smlp::Promise::insecure(40),
    )
    .unwrap();
    let ask = || p1.refresh(&tensor).unwrap();
    let request = ask().request().unwrap().to_vec();
    client.exchange(&request).unwrap();

    let mut held = Some(client);
    in_a_child(|| {
        let client = held.take().unwrap();
        let began = Instant::now();
        for error in [
            client.exchange(&request).unwrap_err(),
            client.describe().unwrap_err(),
        ] {
            let Error::Transport(text) = error else {
                panic!("{error}");
            };
            assert!(text.contains("forked") && text.contains("connect anew"));
        }
        drop(client);
        assert!(began.elapsed() < Duration::from_secs(5));
        let own = scene.connect(&[server.address]);
        let mut call = ask();
        let reply = own.exchange(call.request().unwrap()).unwrap();
        call.resume(&reply).unwrap();
        let fresh = call.into_results().unwrap().remove(0);
        assert_eq!(fresh.decrypt(&scene.key).unwrap().values(), [1, 2]);
    });
    let client = held.unwrap();
    client.exchange(&request).unwrap();
    assert_eq!(client.statistics().failures, 0);
}

/// Two processes that wrote to one place would lose lines of both.
#[test]
fn a_record_stays_with_the_process_that_opened_it() {
    let name = format!("smlp-forked-record-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let key = RecordKey::generate().unwrap();
    let file = RecordFile::append(&path, key.public()).unwrap();
    let line = |rows| Line {
        call: RoundingCall::Prediction { rows },
        key: RoundingKey::fresh().unwrap(),
    };
    let [first, second] = [1, 2].map(line);
    file.record(&first).unwrap();
    in_a_child(|| {
        for refused in [file.check(), file.record(&line(3))] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("was forked since"), "{error}");
        }
    });
    file.record(&second).unwrap();
    // A child that lives on does not keep the record from the next session.
    // SAFETY: the child waits for its end.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: takes nothing, and a number.
        unsafe {
            libc::alarm(120);
            libc::pause();
        }
    }
    drop(file);
    let next = RecordFile::append(&path, key.public());
    // SAFETY: the child is ours and was not waited for; the place may be null.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    assert_eq!(next.unwrap().lines(), 2);
    let record = RecordFile::read(&path, &key).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(record.lines(), [first, second]);
}
