//! The CUDA plugin of smlp: `libsmlp_cuda.so`, which the library loads at run time.
//!
//! | file | owns |
//! |---|---|
//! | `table` | the C table, shared with the library |
//! | `ring` | numbers on the device and what is done with them |
//! | `device` | the GPU: context, streams, transfers, kernels |
//! | `driver` | the CUDA driver, found at run time |
//! | `failure` | codes and texts |
//!
//! The kernels are in `kernels/`, compiled ahead into `ptx/`. All computing is there; this crate
//! checks, transfers and launches.

mod device;
mod driver;
mod failure;
mod ring;
#[path = "../../src/modular/plugin/table.rs"]
#[allow(dead_code)] // the host's side
mod table;

use device::{Device, SIZES};
use failure::{Failure, Result, copy_last, copy_text, guard};
use ring::{Block, Checked, Ring, size_for};
use std::ffi::{c_char, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};
use table::{Evaluation, Table};

/// The device, and how it failed if it did.
struct Shared {
    device: Device,
    failed: Option<String>,
}

static SHARED: OnceLock<std::result::Result<Mutex<Shared>, String>> = OnceLock::new();

fn shared() -> std::result::Result<&'static Mutex<Shared>, &'static str> {
    SHARED
        .get_or_init(|| {
            let opened = Device::open().map_err(|f| f.text)?;
            let (device, failed) = (opened, None);
            Ok(Mutex::new(Shared { device, failed }))
        })
        .as_ref()
        .map_err(String::as_str)
}

/// Runs `body` with the device, alone, its context current. After the first failure of the device
/// every call fails alike.
fn with_device<T>(body: impl FnOnce(&mut Device) -> Result<T>) -> Result<T> {
    let shared = shared().map_err(Failure::argument)?;
    // A panic while the lock was held left nothing that the next call counts on.
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(text) = &shared.failed {
        let (code, text) = (table::DEVICE_FAILED, text.clone());
        return Err(Failure { code, text });
    }
    shared.device.enter_thread()?;
    let result = body(&mut shared.device);
    if let Err(failure) = &result {
        if failure.code == table::DEVICE_FAILED {
            shared.failed = Some(failure.text.clone());
        } else {
            // What was launched before must not run into what comes next.
            if let Err(worse) = shared.device.finish() {
                shared.failed = Some(worse.text);
            }
        }
    }
    result
}

/// A slice from a pointer that may be NULL if the length is zero.
///
/// # Safety
/// `from` is valid for `length` elements during `'a`.
unsafe fn slice<'a, T>(from: *const T, length: usize) -> Result<&'a [T]> {
    match (from.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Failure::argument("NULL where an array is wanted")),
        // SAFETY: the contract.
        _ => Ok(unsafe { std::slice::from_raw_parts(from, length) }),
    }
}

/// # Safety
/// `handle` is NULL or a live object of that type, made by this plugin.
unsafe fn object<'a, T>(handle: *const c_void) -> Result<&'a T> {
    // SAFETY: the contract.
    unsafe { handle.cast::<T>().as_ref() }.ok_or_else(|| Failure::argument("NULL handle"))
}

/// Runs an operation on a ring and hands out the block that it makes.
///
/// # Safety
/// `ring` and `out` are as the table says.
unsafe fn make_block(
    ring: *const c_void,
    out: *mut *mut c_void,
    body: impl FnOnce(&mut Device, &Ring) -> Result<Block>,
) -> i32 {
    guard(|| {
        // SAFETY: the contract.
        let ring = unsafe { object::<Ring>(ring)? };
        let block = with_device(|device| body(device, ring))?;
        // SAFETY: the contract.
        unsafe { *out = Box::into_raw(Box::new(block)).cast() };
        Ok(())
    })
}

/// Drops an object with the context current, whatever state the device is in.
///
/// # Safety
/// `handle` is NULL or was made by `Box::into_raw` and is not used again.
unsafe fn free<T>(handle: *mut c_void) {
    guard(|| {
        if handle.is_null() {
            return Ok(());
        }
        // SAFETY: the contract.
        let object = unsafe { Box::from_raw(handle.cast::<T>()) };
        let shared = shared().map_err(Failure::argument)?;
        let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let current = shared.device.enter_thread();
        drop(object);
        current
    });
}

unsafe extern "C" fn describe(buffer: *mut c_char, capacity: usize) -> usize {
    let text = match shared() {
        Ok(shared) => {
            let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.device.describe()
        }
        Err(reason) => reason.to_string(),
    };
    // SAFETY: the contract.
    unsafe { copy_text(&text, buffer, capacity) }
}

unsafe extern "C" fn last_error(buffer: *mut c_char, capacity: usize) -> usize {
    // SAFETY: the contract.
    unsafe { copy_last(buffer, capacity) }
}

unsafe extern "C" fn multiprocessors() -> u32 {
    shared().map_or(0, |shared| {
        let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.device.multiprocessors
    })
}

unsafe extern "C" fn height(root_bits: u32) -> u32 {
    size_for(root_bits).map_or(0, |size| SIZES[size].height as u32)
}

unsafe extern "C" fn ring_new(
    form: u32,
    root_bits: u32,
    constants: *const u32,
    words: usize,
    out: *mut *mut c_void,
) -> i32 {
    guard(|| {
        // SAFETY: the contract.
        let constants = unsafe { slice(constants, words)? };
        let ring = with_device(|device| Ring::new(device, form, root_bits, constants))?;
        // SAFETY: the contract.
        unsafe { *out = Box::into_raw(Box::new(ring)).cast() };
        Ok(())
    })
}

unsafe extern "C" fn ring_free(ring: *mut c_void) {
    // SAFETY: the contract.
    unsafe { free::<Ring>(ring) }
}

unsafe extern "C" fn block_free(block: *mut c_void) {
    // SAFETY: the contract.
    unsafe { free::<Block>(block) }
}

unsafe extern "C" fn enter(
    ring: *const c_void,
    canonical: *const u64,
    count: usize,
    width: usize,
    out: *mut *mut c_void,
) -> i32 {
    // SAFETY: the contract.
    unsafe {
        make_block(ring, out, |device, ring| {
            let length = count.checked_mul(width);
            let length = length.ok_or_else(|| Failure::argument("a length overflows"))?;
            ring.enter(device, slice(canonical, length)?, width)
        })
    }
}

unsafe extern "C" fn leave(
    ring: *const c_void,
    block: *const c_void,
    canonical: *mut u64,
    count: usize,
    width: usize,
) -> i32 {
    guard(|| {
        let length = count.checked_mul(width);
        let length = length.ok_or_else(|| Failure::argument("a length overflows"))?;
        if canonical.is_null() && length > 0 {
            return Err(Failure::argument("NULL where an array is wanted"));
        }
        // SAFETY: the contract; nothing else refers to the memory.
        unsafe {
            let (ring, block) = (object::<Ring>(ring)?, object::<Block>(block)?);
            let out = match length {
                0 => &mut [][..],
                _ => std::slice::from_raw_parts_mut(canonical, length),
            };
            with_device(|device| ring.leave(device, block, out, width))
        }
    })
}

unsafe extern "C" fn gather(
    ring: *const c_void,
    source: *const c_void,
    indices: *const u32,
    count: usize,
    out: *mut *mut c_void,
) -> i32 {
    // SAFETY: the contract.
    unsafe {
        make_block(ring, out, |device, ring| {
            ring.gather(device, object(source)?, slice(indices, count)?)
        })
    }
}

unsafe extern "C" fn join(
    ring: *const c_void,
    parts: *const *const c_void,
    count: usize,
    out: *mut *mut c_void,
) -> i32 {
    // SAFETY: the contract.
    unsafe {
        make_block(ring, out, |device, ring| {
            let parts = slice(parts, count)?.iter().map(|&p| object(p));
            ring.join(device, &parts.collect::<Result<Vec<&Block>>>()?)
        })
    }
}

unsafe extern "C" fn multiply(
    ring: *const c_void,
    a: *const c_void,
    b: *const c_void,
    out: *mut *mut c_void,
) -> i32 {
    // SAFETY: the contract.
    unsafe {
        make_block(ring, out, |device, ring| {
            ring.multiply(device, object(a)?, object(b)?)
        })
    }
}

unsafe extern "C" fn tables(
    ring: *const c_void,
    bases: *const c_void,
    start: *const c_void,
    window: u32,
    out: *mut *mut c_void,
) -> i32 {
    // SAFETY: the contract.
    unsafe {
        make_block(ring, out, |device, ring| {
            ring.tables(
                device,
                object(bases)?,
                start.cast::<Block>().as_ref(),
                window,
            )
        })
    }
}

unsafe extern "C" fn evaluate(
    ring: *const c_void,
    arguments: *const Evaluation,
    out: *mut *mut c_void,
) -> i32 {
    // SAFETY: the contract.
    unsafe {
        make_block(ring, out, |device, ring| {
            let arguments = object::<Evaluation>(arguments.cast())?;
            ring.evaluate(device, &Checked::new(arguments)?)
        })
    }
}

static TABLE: Table = Table {
    abi: table::ABI,
    size: size_of::<Table>() as u32,
    describe,
    last_error,
    multiprocessors,
    height,
    ring_new,
    ring_free,
    block_free,
    enter,
    leave,
    gather,
    join,
    multiply,
    tables,
    evaluate,
};

/// The table, or NULL and the reason in `message`.
///
/// # Safety
/// `message` is NULL or has room for `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_plugin_open(
    abi: u32,
    message: *mut c_char,
    capacity: usize,
) -> *const Table {
    let open = || -> Result<()> {
        if abi != table::ABI {
            return Err(Failure::argument(format!(
                "the plugin is made for ABI {}, the library asks for {abi}",
                table::ABI
            )));
        }
        shared().map(drop).map_err(Failure::argument)
    };
    if guard(open) == table::OK {
        return &raw const TABLE;
    }
    // SAFETY: the contract.
    unsafe { copy_last(message, capacity) };
    std::ptr::null()
}
