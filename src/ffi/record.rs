//! `smlp_record`: the rounding keys of a session's calls, for a clear session that computes the same integers.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;

use super::arguments::{Out, borrow, free, slice, string};
use super::{BytesHandle, Failure, Status, guard};
use crate::record::{Record, RecordFile, RecordKey, RecordPublicKey, Recorder};

/// What the calls of a session rounded with. Whoever has it and P2's view of the calls learns x mod d of every
/// division: in memory it is for tests, in a file it is encrypted to a key of the data owner.
#[derive(Debug)]
pub enum RecordHandle {
    /// In memory.
    Memory(Arc<Record>),
    /// In a file that is written here and read by its owner.
    File(Arc<RecordFile>),
}

impl RecordHandle {
    pub(super) fn recorder(&self) -> Arc<dyn Recorder> {
        match self {
            Self::Memory(record) => record.clone(),
            Self::File(file) => file.clone(),
        }
    }

    pub(super) fn memory(&self) -> Result<&Arc<Record>, Failure> {
        match self {
            Self::Memory(record) => Ok(record),
            Self::File(file) => Err(Failure::invalid(format!(
                "{} is being written and can be read by its owner only; use smlp_record_read()",
                file.path().display()
            ))),
        }
    }
}

/// The data owner's key to records in files. Neither P1 nor P2 may have it.
#[derive(Debug)]
pub struct RecordKeyHandle(RecordKey);

/// A record in memory, without lines: for tests, and for both parties in one process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_new(out: *mut *mut RecordHandle) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(RecordHandle::Memory(Arc::default()));
        Ok(())
    })
}

/// A record that is appended to a file, line by line, each encrypted to the data owner's record key. A new file is made
/// for its owner alone (mode 0600). While the record lives, no other one writes to the file.
///
/// Args: path: UTF-8. public_key, len: what smlp_record_key_public() gave.
/// Errors: SMLP_IO, also while another session writes to the file; SMLP_MALFORMED for another kind of file;
/// SMLP_INVALID_ARGUMENT for a record of another key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_append(
    path: *const c_char,
    public_key: *const u8,
    len: usize,
    out: *mut *mut RecordHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (path, out) = unsafe { (string(path, "path")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let key = unsafe { slice(public_key, len, "public_key")? };
        let file = RecordFile::append(Path::new(path), RecordPublicKey::from_bytes(key)?)?;
        out.object(RecordHandle::File(Arc::new(file)));
        Ok(())
    })
}

/// Reads the record in a file into memory, with the owner's key.
///
/// Args: path: UTF-8.
/// Errors: SMLP_IO, SMLP_LIMIT above 8 GiB, SMLP_MALFORMED; SMLP_INVALID_ARGUMENT for a record of another key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_read(
    path: *const c_char,
    key: *const RecordKeyHandle,
    out: *mut *mut RecordHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (path, out) = unsafe { (string(path, "path")?, Out::new(out, "out")?) };
        // SAFETY: the contract.
        let key = unsafe { borrow(key, "key")? };
        let record = RecordFile::read(Path::new(path), &key.0)?;
        out.object(RecordHandle::Memory(Arc::new(record)));
        Ok(())
    })
}

/// Lines in a record: calls that were completed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_lines(record: *const RecordHandle, out: *mut u64) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (record, out) = unsafe { (borrow(record, "record")?, Out::new(out, "out")?) };
        out.set(match record {
            RecordHandle::Memory(record) => record.len() as u64,
            RecordHandle::File(file) => file.lines(),
        });
        Ok(())
    })
}

/// Frees a record. Sessions keep what they need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_free(record: *mut RecordHandle) {
    // SAFETY: the contract.
    unsafe { free(record) }
}

/// Draws a record key from the operating system's generator.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_key_generate(out: *mut *mut RecordKeyHandle) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(RecordKeyHandle(RecordKey::generate()?));
        Ok(())
    })
}

/// The half of a record key that P1 writes with, as bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_key_public(
    key: *const RecordKeyHandle,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, out) = unsafe { (borrow(key, "key")?, Out::new(out, "out")?) };
        out.object(BytesHandle::new(key.0.public().to_bytes()));
        Ok(())
    })
}

/// Writes a record key to a new file that only its owner may read (mode 0600).
///
/// Args: path: UTF-8; the file may not exist yet.
/// Errors: SMLP_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_key_save(
    key: *const RecordKeyHandle,
    path: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (key, path) = unsafe { (borrow(key, "key")?, string(path, "path")?) };
        Ok(key.0.save(Path::new(path))?)
    })
}

/// Reads a file that smlp_record_key_save() wrote.
///
/// Args: path: UTF-8.
/// Errors: SMLP_IO, SMLP_MALFORMED, SMLP_INSECURE for a file that others than its owner may read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_key_load(
    path: *const c_char,
    out: *mut *mut RecordKeyHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (path, out) = unsafe { (string(path, "path")?, Out::new(out, "out")?) };
        out.object(RecordKeyHandle(RecordKey::load(Path::new(path))?));
        Ok(())
    })
}

/// Frees a record key; its secret is cleared.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_record_key_free(key: *mut RecordKeyHandle) {
    // SAFETY: the contract.
    unsafe { free(key) }
}
