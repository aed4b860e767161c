//! A record in a file: lines that only the data owner can read, each on disk before its call has an effect.
//!
//! Header, the public record key, then for each line its length (u32), the length's complement (u32), and the line,
//! sealed under its number. A process that dies while it writes leaves a piece of a line at the end, which never
//! counted: the next one that opens the file writes over it. A length that was damaged is told from that by its complement.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::key::{OVERHEAD, RecordKey, RecordPublicKey};
use super::{Line, Record, Recorder};
use crate::error::{Error, Result};
use crate::parallel::Process;
use crate::wire::{Kind, Reader, Writer};

/// The longest line: a batch of 2^24 rows.
const MAX_LINE_BYTES: usize = (8 << 24) + 128 + OVERHEAD;

/// A longer record is refused when it is read.
const MAX_FILE_BYTES: u64 = 8 << 30;

/// A file that a session's lines are appended to.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    key: RecordPublicKey,
    /// Who writes: a child that was forked would write over its parent's lines.
    process: Process,
    end: Mutex<End>,
}

#[derive(Debug)]
struct End {
    file: File,
    /// Bytes that count.
    length: u64,
    lines: u64,
}

impl RecordFile {
    /// Opens a record to go on with it, or begins one: a file that only its owner may read. It is locked as long as
    /// this value lives, where the file system has locks.
    ///
    /// # Errors
    /// [`Error::Io`], also while another process or session writes to it; [`Error::Malformed`] for another kind of
    /// file; [`Error::InvalidArgument`] for one that was begun with another key.
    pub fn append(path: &Path, key: RecordPublicKey) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let mut file = open(path).map_err(io)?;
        lock(&file).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let header = header(&key);
        let mut found = vec![0; header.len().min(length as usize)];
        file.read_exact(&mut found).map_err(io)?;
        let (length, lines) = match found.len() < header.len() && header.starts_with(&found) {
            // New, or begun by a process that died at once.
            true => {
                file.rewind().map_err(io)?;
                file.write_all(&header).map_err(io)?;
                file.sync_all().map_err(io)?;
                (header.len() as u64, 0)
            }
            false => {
                if read_header(&found)? != key {
                    return Err(Error::invalid(format!(
                        "{} was begun with another record key; name another file",
                        path.display()
                    )));
                }
                count(&mut file, path, length)?
            }
        };
        file.set_len(length).map_err(io)?;
        let end = Mutex::new(End {
            file,
            length,
            lines,
        });
        let path = path.to_owned();
        let process = Process::current();
        Ok(Self {
            path,
            key,
            process,
            end,
        })
    }

    /// Reads a record with the owner's key. A piece of a line at the end is passed over.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Limit`] above 8 GiB, [`Error::Malformed`], [`Error::InvalidArgument`] for another key's.
    pub fn read(path: &Path, key: &RecordKey) -> Result<Record> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
        if length > MAX_FILE_BYTES {
            return Err(Error::Limit {
                what: "bytes of a record",
                value: length,
                limit: MAX_FILE_BYTES,
            });
        }
        let mut bytes = Vec::with_capacity(length as usize);
        file.take(MAX_FILE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io(path, e))?;
        let public = key.public();
        let (head, mut rest) = bytes
            .split_at_checked(header(&public).len())
            .ok_or_else(|| Error::malformed("record", "it is shorter than its header"))?;
        if read_header(head)? != public {
            return Err(Error::invalid(format!(
                "{} was written for another record key",
                path.display()
            )));
        }
        let record = Record::new();
        for number in 0.. {
            let Some((line, after)) = split(rest, number)? else {
                break;
            };
            record.push(Line::from_bytes(&key.open(number, line)?)?);
            rest = after;
        }
        Ok(record)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lines in it.
    pub fn lines(&self) -> u64 {
        self.end.lock().unwrap_or_else(|e| e.into_inner()).lines
    }
}

impl Recorder for RecordFile {
    fn check(&self) -> Result<()> {
        match self.process.is_current() {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "this process was forked since {} was opened, and its parent goes on with it; open another record here",
                self.path.display()
            ))),
        }
    }

    fn record(&self, line: &Line) -> Result<()> {
        self.check()?;
        let mut end = self.end.lock().unwrap_or_else(|e| e.into_inner());
        let sealed = self.key.seal(end.lines, &line.to_bytes())?;
        Error::check_limit("bytes of a line of a record", sealed.len(), MAX_LINE_BYTES)?;
        let mut w = Writer::default();
        write_length(&mut w, sealed.len() as u32);
        w.bytes(&sealed);
        let bytes = w.finish();
        let start = end.length;
        // What a write left that failed goes first: a shorter line would not cover it.
        let written = end
            .file
            .set_len(start)
            .and_then(|()| end.file.seek(SeekFrom::Start(start)))
            .and_then(|_| end.file.write_all(&bytes))
            .and_then(|()| end.file.sync_data());
        if let Err(error) = written {
            // A whole line would count, and the call has failed.
            let _ = end.file.set_len(start);
            return Err(Error::io(&self.path, error));
        }
        end.length += bytes.len() as u64;
        end.lines += 1;
        Ok(())
    }
}

impl Drop for RecordFile {
    /// Children that were forked hold the file, and with it the lock, as long as they live.
    fn drop(&mut self) {
        if self.process.is_current() {
            let end = self.end.get_mut().unwrap_or_else(|e| e.into_inner());
            let _ = end.file.unlock();
        }
    }
}

fn header(key: &RecordPublicKey) -> Vec<u8> {
    let mut w = Writer::new(Kind::Record);
    w.nested(&key.to_bytes());
    w.finish()
}

fn read_header(bytes: &[u8]) -> Result<RecordPublicKey> {
    let mut r = Reader::new(Kind::Record, bytes)?;
    let key = RecordPublicKey::from_bytes(r.nested()?)?;
    r.finish()?;
    Ok(key)
}

/// The first line of what follows the header, and the rest; nothing where no whole line is left.
fn split(bytes: &[u8], number: u64) -> Result<Option<(&[u8], &[u8])>> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    Ok(rest.split_at_checked(read_length(*length, number)? as usize))
}

/// Bytes of a line's length and its complement.
const LENGTH_BYTES: usize = 8;

fn write_length(w: &mut Writer, length: u32) {
    w.u32(length);
    w.u32(!length);
}

fn read_length(bytes: [u8; LENGTH_BYTES], number: u64) -> Result<u32> {
    let both = u64::from_le_bytes(bytes);
    let (length, complement) = (both as u32, (both >> 32) as u32);
    match length == !complement {
        true => Ok(length),
        false => Err(Error::malformed(
            "record",
            format!(
                "the length of line {number} was damaged; the lines before it can be read from a copy that ends there"
            ),
        )),
    }
}

/// Where the last whole line of an open file ends, and how many there are.
fn count(file: &mut File, path: &Path, length: u64) -> Result<(u64, u64)> {
    let io = |e| Error::io(path, e);
    let (mut at, mut lines) = (file.stream_position().map_err(io)?, 0);
    loop {
        let mut size = [0; LENGTH_BYTES];
        if length - at < size.len() as u64 {
            return Ok((at, lines));
        }
        file.read_exact(&mut size).map_err(io)?;
        let end = at + size.len() as u64 + u64::from(read_length(size, lines)?);
        if end > length {
            return Ok((at, lines));
        }
        file.seek(SeekFrom::Start(end)).map_err(io)?;
        (at, lines) = (end, lines + 1);
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn lock(file: &File) -> std::io::Result<()> {
    use std::fs::TryLockError;
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(std::io::Error::new(
            ErrorKind::ResourceBusy,
            "another session is writing this record, or a child that it forked is still alive; a record follows one training",
        )),
        // Some file systems of clusters have no locks; one path has one writer there.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
