//! Looks for a plugin, once for the process, and remembers why there is none.
//!
//! `SMLP_PLUGIN` names its file; empty, it forbids plugins. Otherwise `libsmlp_cuda.so` is taken
//! from the folder of this library (or program), or from where the system's loader finds it. The
//! variable SMLP_BACKEND matters too: where it names a CPU backend, no plugin is loaded.

use super::Accelerator;
use super::handles::Plugin;
use super::table::{ABI, OPEN, OpenFunction, Table};
use libloading::Library;
use std::ffi::{CStr, OsStr, OsString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

const FILE: &str = "libsmlp_cuda.so";

/// What a child learns, whose work the CPU does.
const FORKED: &str = "cuda: not used: this process was forked from one that had opened the device already, which \
    no device survives; the CPU computes. Start processes with spawn, or fork before the first use of this library";

/// What went wrong after loading: the first failure, and how many batches found too little memory.
static FAILURE: Mutex<Option<String>> = Mutex::new(None);
static TOO_LARGE: AtomicU64 = AtomicU64::new(0);

/// The plugin, or why there is none.
pub fn loaded() -> &'static Result<Accelerator, String> {
    static LOADED: OnceLock<Result<Accelerator, String>> = OnceLock::new();
    LOADED.get_or_init(|| {
        let wanted = std::env::var_os("SMLP_BACKEND");
        if let Some(other) = wanted.filter(|name| name != "cuda") {
            return Err(format!(
                "SMLP_BACKEND is '{}', so no plugin was looked for",
                other.display()
            ));
        }
        open(&candidates(std::env::var_os("SMLP_PLUGIN"))?).map(Accelerator)
    })
}

/// Which accelerator is in use, or why none is: a text for people.
pub fn report() -> String {
    match loaded() {
        Err(reason) => format!("cuda: not used: {reason}"),
        Ok(accelerator) if accelerator.0.was_left_behind() => FORKED.to_owned(),
        Ok(accelerator) => {
            let failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
            let mut text = format!("cuda: {}", accelerator.0.describe());
            if let Some(failure) = &*failure {
                text += &format!("; gone over to the CPU: {failure}");
            }
            match TOO_LARGE.load(Ordering::Relaxed) {
                0 => text,
                n => text + &format!("; {n} batches computed on the CPU for want of memory"),
            }
        }
    }
}

/// Keeps a failure for [`report`].
pub fn remember(failure: &str, too_large: bool) {
    if too_large {
        TOO_LARGE.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let mut kept = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    kept.get_or_insert_with(|| failure.to_string());
}

/// Files to try, best first.
fn candidates(named: Option<OsString>) -> Result<Vec<PathBuf>, String> {
    match named {
        Some(name) if name.is_empty() => {
            Err("SMLP_PLUGIN is empty, which forbids plugins".to_string())
        }
        Some(name) => Ok(vec![name.into()]),
        None => {
            let beside = own_folder().map(|folder| folder.join(FILE));
            let beside = beside.filter(|file| file.exists());
            Ok(beside.into_iter().chain([FILE.into()]).collect())
        }
    }
}

/// The folder of the file that this code was loaded from.
fn own_folder() -> Option<PathBuf> {
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address is one of this code, the place is valid; the name, if there is one,
    // belongs to the loader and lives as long as this code.
    let name = unsafe {
        if libc::dladdr(own_folder as *const libc::c_void, found.as_mut_ptr()) == 0 {
            return None;
        }
        let name = found.assume_init().dli_fname;
        if name.is_null() {
            return None;
        }
        CStr::from_ptr(name)
    };
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    path.parent()
        .filter(|folder| folder.is_absolute())
        .map(Path::to_path_buf)
}

/// Opens the first file that is a plugin with a device. The reason of the last one counts.
fn open(files: &[PathBuf]) -> Result<Plugin, String> {
    let mut reason = format!("{FILE} was not found");
    for file in files {
        match open_file(file) {
            Ok(plugin) => return Ok(plugin),
            Err(why) => reason = format!("{}: {why}", file.display()),
        }
    }
    Err(reason)
}

fn open_file(file: &Path) -> Result<Plugin, String> {
    // SAFETY: a plugin's initialisers are made to be run by whoever loads it; whoever chose the
    // file vouches for it, as for any library.
    let library = unsafe { Library::new(file) }.map_err(|e| e.to_string())?;
    let mut message = [0 as c_char; 512];
    // SAFETY: a file that exports this name keeps the table's contract; the buffer has that room.
    let table = unsafe {
        let open = library
            .get::<OpenFunction>(OPEN)
            .map_err(|_| "it is not a plugin of smlp".to_string())?;
        open(ABI, message.as_mut_ptr(), message.len())
    };
    if table.is_null() {
        // SAFETY: the contract: a C string; the last byte was never given away.
        let text = unsafe { CStr::from_ptr(message.as_ptr()) };
        return Err(text.to_string_lossy().into_owned());
    }
    // SAFETY: the contract: a table starts with these two numbers.
    let (abi, size) = unsafe { ((*table).abi, (*table).size as usize) };
    if abi != ABI || size < size_of::<Table>() {
        return Err(format!(
            "its table has ABI {abi} and {size} bytes, wanted are ABI {ABI} and {} bytes",
            size_of::<Table>()
        ));
    }
    // Objects of the plugin may live until the process ends, and so must its code.
    std::mem::forget(library);
    // SAFETY: the contract: the table is as its size says, and lives as long as the library.
    Ok(Plugin::new(unsafe { &*table }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_name_forbids_and_any_other_is_the_only_candidate() {
        assert!(candidates(Some("".into())).unwrap_err().contains("forbids"));
        let only = candidates(Some("/x/y.so".into())).unwrap();
        assert_eq!(only, [PathBuf::from("/x/y.so")]);
        let usual = candidates(None).unwrap();
        assert_eq!(usual.last(), Some(&PathBuf::from(FILE)));
        assert!(own_folder().unwrap().is_absolute());
    }

    #[test]
    fn files_that_are_no_plugin_are_refused_by_name() {
        let missing = open(&["/nowhere/plugin.so".into()]).unwrap_err();
        assert!(missing.starts_with("/nowhere/plugin.so: "), "{missing}");
        let foreign = open(&["libc.so.6".into()]).unwrap_err();
        assert_eq!(foreign, "libc.so.6: it is not a plugin of smlp");
        assert!(open(&[]).unwrap_err().contains("not found"));
    }
}
