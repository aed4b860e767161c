//! Lines and files of records: back and forth, torn, changed, moved, of other keys.

use super::*;
use crate::fixed::RoundingKey;
use std::path::PathBuf;

/// A file of this test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("smlp-record-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn step(step: u64, rows: &[u64]) -> RoundingCall {
    RoundingCall::Step {
        step,
        rows: rows.to_vec(),
        learning_rate: 0.25,
    }
}

fn line(call: RoundingCall) -> Line {
    let key = RoundingKey::fresh().unwrap();
    Line { call, key }
}

fn lines() -> Vec<Line> {
    let division = RoundingCall::Division {
        divisor: 7,
        elements: 3,
    };
    [
        step(0, &[5, 1]),
        step(1, &[]),
        RoundingCall::Prediction { rows: 9 },
        division,
    ]
    .map(line)
    .to_vec()
}

#[test]
fn lines_are_read_as_they_were_written() {
    for line in lines() {
        let bytes = line.to_bytes();
        assert_eq!(Line::from_bytes(&bytes), Ok(line));
        for cut in 0..bytes.len() {
            assert!(Line::from_bytes(&bytes[..cut]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Line::from_bytes(&longer).is_err());
    }
    let mut unknown = lines()[0].to_bytes();
    unknown[0] = 9;
    assert!(Line::from_bytes(&unknown).is_err());
}

#[test]
fn the_last_line_of_a_step_counts_and_other_calls_keep_their_order() {
    let record = Record::new();
    let all = [lines(), lines()].concat();
    all.iter().for_each(|line| record.record(line).unwrap());
    assert_eq!(record.lines(), all);
    assert_eq!(record.line(&step(0, &[]), 0), Ok(all[4].clone()));
    assert_eq!(record.line(&step(1, &[8]), 0), Ok(all[5].clone()));
    for (before, line) in [(0, &all[2]), (1, &all[6])] {
        assert_eq!(record.line(&line.call, before), Ok(line.clone()));
    }
    assert_eq!(record.line(&all[3].call, 1), Ok(all[7].clone()));
    // Other rows, another rate, another size; steps and predictions that are not there.
    let another_rate = RoundingCall::Step {
        step: 0,
        rows: vec![],
        learning_rate: 0.5,
    };
    let wrong = [
        (
            step(0, &[5, 2]),
            0,
            "step 0 with learning rate 0.25 on the rows [5, 1] of 2",
        ),
        (another_rate, 0, "not step 0 with learning rate 0.5"),
        (
            step(2, &[]),
            0,
            "no line of step 2; it has 2 steps up to number 1",
        ),
        (RoundingCall::Prediction { rows: 8 }, 0, "9 rows"),
        (RoundingCall::Prediction { rows: 9 }, 2, "2 predictions"),
    ];
    for (call, before, part) in wrong {
        let error = record.line(&call, before).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_file_goes_on_where_it_ended() {
    let (scratch, key, all) = (Scratch::new("on"), RecordKey::generate().unwrap(), lines());
    for part in all.chunks(2) {
        let file = RecordFile::append(&scratch.0, key.public()).unwrap();
        part.iter().for_each(|line| file.record(line).unwrap());
        // One writer at a time.
        let second = RecordFile::append(&scratch.0, key.public()).unwrap_err();
        assert!(second.to_string().contains("another session"), "{second}");
    }
    assert_eq!(RecordFile::read(&scratch.0, &key).unwrap().lines(), all);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&scratch.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // No key of a line is in the file.
    let bytes = std::fs::read(&scratch.0).unwrap();
    for line in &all {
        assert!(!bytes.windows(8).any(|w| w == &line.key.as_bytes()[..8]));
    }
    let other = RecordKey::generate().unwrap();
    let error = RecordFile::append(&scratch.0, other.public()).unwrap_err();
    assert!(error.to_string().contains("another record key"), "{error}");
    let error = RecordFile::read(&scratch.0, &other).unwrap_err();
    assert!(error.to_string().contains("another record key"), "{error}");
}

/// What `kill -9` leaves in the middle of a line, wherever it strikes.
#[test]
fn a_piece_of_a_line_is_written_over() {
    let (scratch, key, all) = (
        Scratch::new("torn"),
        RecordKey::generate().unwrap(),
        lines(),
    );
    let whole = {
        let file = RecordFile::append(&scratch.0, key.public()).unwrap();
        all.iter().for_each(|line| file.record(line).unwrap());
        std::fs::read(&scratch.0).unwrap()
    };
    for cut in 0..whole.len() {
        std::fs::write(&scratch.0, &whole[..cut]).unwrap();
        let before = RecordFile::read(&scratch.0, &key).map(|record| record.lines());
        let file = RecordFile::append(&scratch.0, key.public()).unwrap();
        file.record(&all[0]).unwrap();
        drop(file);
        let after = RecordFile::read(&scratch.0, &key).unwrap().lines();
        let before = before.unwrap_or_default();
        assert!(all.starts_with(&before), "cut at {cut}");
        assert_eq!(after, [&before[..], &all[..1]].concat(), "cut at {cut}");
    }
}

/// Also one that is shorter than a record's header, such as the owner's key.
#[test]
fn another_kind_of_file_is_left_as_it_is() {
    let (scratch, key) = (Scratch::new("kind"), RecordKey::generate().unwrap());
    for other in [
        &b"x"[..],
        &key.to_bytes(),
        &key.public().to_bytes(),
        &[7; 500],
    ] {
        std::fs::write(&scratch.0, other).unwrap();
        let error = RecordFile::append(&scratch.0, key.public()).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert_eq!(std::fs::read(&scratch.0).unwrap(), other);
    }
}

#[test]
fn changed_and_moved_lines_are_refused() {
    let (scratch, key) = (Scratch::new("changed"), RecordKey::generate().unwrap());
    let all = [line(step(0, &[1])), line(step(1, &[1]))];
    {
        let file = RecordFile::append(&scratch.0, key.public()).unwrap();
        all.iter().for_each(|line| file.record(line).unwrap());
    }
    let whole = std::fs::read(&scratch.0).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&scratch.0, &changed).unwrap();
        let error = RecordFile::read(&scratch.0, &key).unwrap_err();
        assert!(!error.to_string().is_empty());
        // Whoever goes on with it does not lose what stands behind the damage.
        drop(RecordFile::append(&scratch.0, key.public()));
        assert_eq!(std::fs::read(&scratch.0).unwrap(), changed, "byte {at}");
    }
    let half = (whole.len() - 48 - 8) / 2;
    let (head, lines) = whole.split_at(whole.len() - 2 * half);
    let moved = [head, &lines[half..], &lines[..half]].concat();
    std::fs::write(&scratch.0, moved).unwrap();
    let error = RecordFile::read(&scratch.0, &key).unwrap_err();
    assert!(error.to_string().contains("line 0 was changed"), "{error}");
}

#[test]
fn record_keys_are_read_as_they_were_written() {
    let key = RecordKey::generate().unwrap();
    let again = RecordKey::from_bytes(&key.to_bytes()).unwrap();
    assert_eq!(again.public(), key.public());
    let public = key.public().to_bytes();
    assert_eq!(RecordPublicKey::from_bytes(&public), Ok(key.public()));
    assert!(RecordKey::from_bytes(&public).is_err());
    assert!(RecordPublicKey::from_bytes(&key.to_bytes()).is_err());
    assert!(RecordPublicKey::from_bytes(&public[..20]).is_err());
    assert_eq!(format!("{key:?}"), "RecordKey(secret)");
    assert_ne!(RecordKey::generate().unwrap().public(), key.public());
}
