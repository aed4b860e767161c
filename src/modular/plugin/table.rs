//! The C table between this library and an accelerator plugin, the only thing that both know. The
//! plugin's crate includes this very file.
//!
//! A plugin exports [`OPEN`], an [`OpenFunction`]. It hands out one table for the whole process, or
//! NULL and the reason. Tables are only ever appended to: a plugin of this [`ABI`] has at least the
//! functions that `size` covers, and a host calls none beyond. What a function means never changes.
//!
//! The host owns canonical numbers (little-endian 64-bit limbs, `width` a number, each below the
//! modulus) and passes pointers that are valid during the call. The plugin owns rings and blocks,
//! batches of numbers in its own form, until the host frees them; a ring outlives its blocks.
//! Functions may be called from any thread at any time. They return a code ([`OK`] or another
//! below), leave `out` alone unless it is [`OK`], never print, abort or unwind; the text of the
//! calling thread's last failure is had from `last_error`. After [`DEVICE_FAILED`] only the
//! functions that free are of use.
//!
//! Numbers, digits and exponents may be secret: a plugin reads tables in a fixed pattern, takes no
//! branch on a value, and clears what it frees. Counts, indices, steps and sizes are public.

#![allow(missing_docs)] // fields are described at their struct

use std::ffi::{c_char, c_void};

pub const ABI: u32 = 1;

/// The name of the exported function.
pub const OPEN: &[u8] = b"smlp_plugin_open\0";

/// Takes the host's [`ABI`] and room for a reason (a C string, cut to fit).
pub type OpenFunction = unsafe extern "C" fn(u32, *mut c_char, usize) -> *const Table;

pub const OK: i32 = 0;
/// An argument is not what this file says: a bug of the host.
pub const INVALID_ARGUMENT: i32 = 1;
/// Too little memory on the device, now; a smaller batch may fit.
pub const OUT_OF_MEMORY: i32 = 2;
/// The device or its driver failed; it will not serve again.
pub const DEVICE_FAILED: i32 = 3;
/// A bug of the plugin.
pub const INTERNAL: i32 = 4;

/// `form` of a ring: x·R mod n, or two digits modulo the root of a modulus that is a square.
pub const PLAIN: u32 = 0;
pub const NADIC: u32 = 1;

/// `at` of a [`Step`] that multiplies by nothing.
pub const NO_PRODUCT: u32 = u32::MAX;

/// One step of an evaluation, the same for all outputs: `squarings` squarings, then a product with
/// the table row `slots[output·columns + column]·2^window + first + digit` (without slots, `first +
/// digit`). The digit is the `window` bits from bit `at` on of exponent number
/// `output·output_stride + column·column_stride`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub squarings: u32,
    pub column: u32,
    pub first: u32,
    pub at: u32,
}

/// All that `evaluate` wants to know. `table` may be NULL if no step multiplies, `start` NULL for
/// ones, `slots` NULL for none; `slots` has `outputs·columns` entries. Exponents are `exponent_words` 32-bit
/// words each, at least 32 zero bits at their top, `exponent_count` of them.
#[repr(C)]
#[derive(Debug)]
pub struct Evaluation {
    pub outputs: usize,
    pub start: *const c_void,
    pub table: *const c_void,
    pub steps: *const Step,
    pub step_count: usize,
    pub slots: *const u32,
    pub columns: usize,
    pub exponents: *const u32,
    pub exponent_words: usize,
    pub exponent_count: usize,
    pub output_stride: usize,
    pub column_stride: usize,
    pub window: u32,
}

/// | function | does |
/// |---|---|
/// | `describe` | names the device; both text functions return the whole length |
/// | `multiprocessors` | how many batches' worth of groups run side by side |
/// | `height` | 32-bit words of R for a root (or plain modulus) of so many bits; 0: not served |
/// | `ring_new` | constants: root and ⌈R/root⌉·root − R + 1 (`height` words each), R, R², R³ in the form (one or two digits of `height` words), −root^−1 mod 2^32 |
/// | `enter`, `leave` | canonical limbs to a block and back |
/// | `gather`, `join` | numbers at indices; all numbers of all parts |
/// | `multiply` | products, element by element |
/// | `tables` | powers 0 … 2^window − 1 of each base, base after base, times `start` |
/// | `evaluate` | see [`Evaluation`] |
#[repr(C)]
#[derive(Debug)]
pub struct Table {
    pub abi: u32,
    pub size: u32,
    pub describe: unsafe extern "C" fn(*mut c_char, usize) -> usize,
    pub last_error: unsafe extern "C" fn(*mut c_char, usize) -> usize,
    pub multiprocessors: unsafe extern "C" fn() -> u32,
    pub height: unsafe extern "C" fn(u32) -> u32,
    pub ring_new: unsafe extern "C" fn(u32, u32, *const u32, usize, *mut *mut c_void) -> i32,
    pub ring_free: unsafe extern "C" fn(*mut c_void),
    pub block_free: unsafe extern "C" fn(*mut c_void),
    pub enter:
        unsafe extern "C" fn(*const c_void, *const u64, usize, usize, *mut *mut c_void) -> i32,
    pub leave: unsafe extern "C" fn(*const c_void, *const c_void, *mut u64, usize, usize) -> i32,
    pub gather: unsafe extern "C" fn(
        *const c_void,
        *const c_void,
        *const u32,
        usize,
        *mut *mut c_void,
    ) -> i32,
    pub join:
        unsafe extern "C" fn(*const c_void, *const *const c_void, usize, *mut *mut c_void) -> i32,
    pub multiply:
        unsafe extern "C" fn(*const c_void, *const c_void, *const c_void, *mut *mut c_void) -> i32,
    pub tables: unsafe extern "C" fn(
        *const c_void,
        *const c_void,
        *const c_void,
        u32,
        *mut *mut c_void,
    ) -> i32,
    pub evaluate: unsafe extern "C" fn(*const c_void, *const Evaluation, *mut *mut c_void) -> i32,
}
