//! Files that hold secrets: created for their owner alone, and not read when others could read them too.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Writes a new file that only its owner may read (mode 0600). An existing one is not overwritten.
///
/// # Errors
/// [`Error::Io`].
pub fn write(path: &Path, secret: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| {
            file.write_all(secret)?;
            file.sync_all()
        })
        .map_err(|e| Error::io(path, e))
}

/// Reads at most `limit` bytes of a file that nobody but its owner may read.
///
/// # Errors
/// [`Error::Insecure`] for a file that group or others may read or write; [`Error::Io`]; [`Error::Limit`]
/// for a longer file.
pub fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    check_owner_only(path, &file)?;
    // A vector that grew would leave uncleared copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io(path, e))?;
    Error::check_limit("bytes of a file with a secret", bytes.len(), limit)?;
    Ok(bytes)
}

/// The open file is asked, not the path, so that nobody can exchange one for the other in between.
#[cfg(unix)]
fn check_owner_only(path: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(|e| Error::io(path, e))?;
    let mode = mode.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::Insecure(format!(
        "{} holds a secret, and its mode {mode:04o} lets others than its owner in; run: chmod 600 '{}'",
        path.display(),
        path.display()
    )))
}

#[cfg(not(unix))]
fn check_owner_only(_: &Path, _: &File) -> Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn others_keep_out() {
        let name = format!("smlp-secret-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let set = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        write(&path, b"secret").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(write(&path, b"again"), Err(Error::Io { .. })));
        assert_eq!(*read(&path, 6).unwrap(), b"secret");
        assert!(matches!(read(&path, 5), Err(Error::Limit { .. })));
        set(0o400);
        assert_eq!(*read(&path, 6).unwrap(), b"secret");
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644] {
            set(mode);
            let error = read(&path, 6).unwrap_err();
            assert!(matches!(&error, Error::Insecure(text) if text.contains("chmod 600")));
            assert!(
                error.to_string().contains(&format!("{mode:04o}")),
                "{error}"
            );
        }
        std::fs::remove_file(&path).unwrap();
    }
}
