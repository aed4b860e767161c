//! The file that follows the training: when it is written, and what it holds after a failure.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use smlp::mlp::{checkpoint, seed_from_number};
use smlp::session::Clear;
use smlp::{Checkpointing, Error, FitOptions, IntegerMlp, IntegerTensor, MlpConfig, TrainFor};

/// A folder of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("smlp-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("net.smlp")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn clear() -> Clear {
    Clear::new()
}

fn network(config: MlpConfig) -> IntegerMlp {
    IntegerMlp::draw(config, Some(seed_from_number(1))).unwrap()
}

fn xor_network() -> MlpConfig {
    MlpConfig::relu(&[2, 10, 2]).with_fraction_bits(10)
}

/// Ten rows of the truth table of XOR.
fn xor() -> (IntegerTensor, IntegerTensor) {
    let bits = |i: usize| (i & 1, i >> 1 & 1);
    let x: Vec<f64> = (0..10)
        .flat_map(|i| [bits(i).0 as f64, bits(i).1 as f64])
        .collect();
    let y: Vec<f64> = (0..10)
        .flat_map(|i| {
            let label = bits(i).0 ^ bits(i).1;
            [1.0 - label as f64, label as f64]
        })
        .collect();
    let tensor = |values: &[f64]| IntegerTensor::from_f64(&[10, 2], values, 10, None).unwrap();
    (tensor(&x), tensor(&y))
}

fn options(steps: u64, path: &Path, every: u64) -> FitOptions {
    let mut options = FitOptions::new(TrainFor::Steps(steps), 4, 0.25);
    options.checkpoint = Some(Checkpointing {
        path: path.into(),
        every_steps: NonZeroU64::new(every).unwrap(),
    });
    options
}

fn load(path: &Path) -> IntegerMlp {
    IntegerMlp::from_bytes(&checkpoint::load(path).unwrap()).unwrap()
}

fn bytes(network: &IntegerMlp) -> Vec<u8> {
    network.to_bytes().unwrap().to_vec()
}

#[test]
fn the_file_is_written_at_multiples_of_the_networks_own_steps() {
    let folder = Folder::new("multiples");
    let (path, (x, y)) = (folder.file(), xor());
    let mut net = network(xor_network());
    let mut seen = Vec::new();
    for steps in [2, 6] {
        net.fit(
            &clear(),
            &x,
            &y,
            &options(steps, &path, 3),
            &mut |n, _, _| {
                seen.push((n.step(), load(&path).step()));
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    }
    // At 0, the start; 2, the end of the first call and the start of the second; 3 and 6; 8.
    let expected = [
        (1, 0),
        (2, 2),
        (3, 3),
        (4, 3),
        (5, 3),
        (6, 6),
        (7, 6),
        (8, 8),
    ];
    assert_eq!(seen, expected);
    assert_eq!(bytes(&load(&path)), bytes(&net));
}

#[test]
fn the_file_holds_what_was_done_when_training_is_cancelled() {
    let folder = Folder::new("cancelled");
    let (path, (x, y)) = (folder.file(), xor());
    let mut net = network(xor_network());
    let result = net.fit(
        &clear(),
        &x,
        &y,
        &options(9, &path, 100),
        &mut |_, done, _| match done {
            4 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        },
    );
    assert_eq!(result, Err(Error::Cancelled));
    assert_eq!(load(&path).step(), 4);
    assert_eq!(bytes(&load(&path)), bytes(&net));
}

#[test]
fn a_file_that_cannot_be_written_ends_training() {
    let folder = Folder::new("unwritable");
    let (path, (x, y)) = (folder.file(), xor());
    let nowhere = folder.0.join("missing").join("net.smlp");
    let mut net = network(xor_network());
    let go_on = &mut |_: &IntegerMlp, _, _| ControlFlow::Continue(());
    let error = net
        .fit(&clear(), &x, &y, &options(5, &nowhere, 2), go_on)
        .unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(net.step(), 0);

    let error = net
        .fit(&clear(), &x, &y, &options(5, &path, 2), &mut |_, _, _| {
            let _ = std::fs::remove_dir_all(&folder.0);
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(net.step(), 2);
}

#[test]
fn a_failed_step_writes_nothing() {
    let folder = Folder::new("failed");
    let (path, (x, y)) = (folder.file(), xor());
    // A rate far too large for these bounds.
    let mut net = network(xor_network().with_bits(14, 12));
    let options = |steps| FitOptions {
        learning_rate: 8.0,
        batch_size: 10,
        ..options(steps, &path, 1)
    };
    let go_on = &mut |_: &IntegerMlp, _, _| ControlFlow::Continue(());
    let error = net
        .fit(&clear(), &x, &y, &options(1000), go_on)
        .unwrap_err();
    assert!(matches!(error, Error::OutOfRange { .. }), "{error}");
    // The network and the file stand at the last step that was completed, and training goes on from either.
    assert_eq!(bytes(&load(&path)), bytes(&net));
    let again = load(&path)
        .fit(&clear(), &x, &y, &options(1000), go_on)
        .unwrap_err();
    assert!(matches!(again, Error::OutOfRange { .. }), "{again}");
}

/// What `kill -9` leaves in the middle of a save.
#[test]
fn a_save_writes_over_what_a_killed_one_left() {
    let folder = Folder::new("stale");
    let path = folder.file();
    let stale = folder.0.join("net.smlp.partial");
    std::fs::write(&stale, [7; 1000]).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&stale, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    checkpoint::save(&path, b"whole").unwrap();
    assert_eq!(*checkpoint::load(&path).unwrap(), b"whole");
    assert_eq!(names(&folder), ["net.smlp"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // A link in its place leads nowhere.
        let other = folder.0.join("other");
        std::fs::write(&other, b"untouched").unwrap();
        std::os::unix::fs::symlink(&other, &stale).unwrap();
        let error = checkpoint::save(&path, b"new").unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert_eq!(std::fs::read(&other).unwrap(), b"untouched");
    }
}

#[test]
fn saves_at_the_same_time_leave_one_of_them_whole() {
    let folder = Folder::new("together");
    let path = folder.file();
    std::thread::scope(|scope| {
        for writer in 1..=4u8 {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..25 {
                    // Of different lengths: a mixture of two would show.
                    checkpoint::save(path, &vec![writer; 1000 * usize::from(writer)]).unwrap();
                    let read = checkpoint::load(path).unwrap();
                    let by = read[0];
                    assert_eq!(*read, vec![by; 1000 * usize::from(by)]);
                }
            });
        }
    });
    assert_eq!(names(&folder), ["net.smlp"]);
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(&folder.0).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
