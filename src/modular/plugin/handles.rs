//! The plugin's objects behind Rust types: calls become results, handles free themselves.

use super::table::{self, DEVICE_FAILED, Evaluation, OK, OUT_OF_MEMORY, Table};
use crate::parallel::Process;
use std::ffi::{c_char, c_void};
use std::fmt;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

/// Why the device did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: i32,
    pub text: String,
}

/// A loaded plugin.
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    table: &'static Table,
    /// The device's driver does not survive a fork: it may be called here only.
    process: Process,
}

/// Whether the device has failed: then it is not asked again.
static FAILED: AtomicBool = AtomicBool::new(false);

impl Plugin {
    pub fn new(table: &'static Table) -> Self {
        let process = Process::current();
        Self { table, process }
    }

    /// Whether it may be called: the device has not failed, and is this process's.
    pub fn alive(&self) -> bool {
        !FAILED.load(Ordering::Relaxed) && !self.was_left_behind()
    }

    /// Whether this process was forked from the one that opened the device.
    pub fn was_left_behind(&self) -> bool {
        !self.process.is_current()
    }

    pub fn describe(&self) -> String {
        self.text(self.table.describe)
    }

    pub fn multiprocessors(&self) -> usize {
        // SAFETY: takes nothing.
        unsafe { (self.table.multiprocessors)() as usize }
    }

    /// 32-bit words of R for a modulus or root of that many bits.
    pub fn height(&self, bits: u32) -> Option<usize> {
        // SAFETY: takes a number.
        let height = unsafe { (self.table.height)(bits) as usize };
        (height > 0).then_some(height)
    }

    fn text(&self, function: unsafe extern "C" fn(*mut c_char, usize) -> usize) -> String {
        let mut buffer = vec![0u8; 512];
        // SAFETY: the buffer has that room.
        let length = unsafe { function(buffer.as_mut_ptr().cast(), buffer.len()) };
        buffer.truncate(length.min(511));
        String::from_utf8_lossy(&buffer).into_owned()
    }

    fn check(&self, code: i32) -> Result<(), Refusal> {
        if code == OK {
            return Ok(());
        }
        let text = self.text(self.table.last_error);
        super::loading::remember(&text, code == OUT_OF_MEMORY);
        if code == DEVICE_FAILED {
            FAILED.store(true, Ordering::Relaxed);
        }
        Err(Refusal { code, text })
    }

    pub fn ring(&self, form: u32, bits: u32, constants: &[u32]) -> Result<DeviceRing, Refusal> {
        let mut handle = null_mut();
        // SAFETY: the constants are valid for the call.
        self.check(unsafe {
            let (from, length) = (constants.as_ptr(), constants.len());
            (self.table.ring_new)(form, bits, from, length, &raw mut handle)
        })?;
        let plugin = *self;
        Ok(DeviceRing(Arc::new(RingHandle { plugin, handle })))
    }
}

struct RingHandle {
    plugin: Plugin,
    handle: *mut c_void,
}

// SAFETY: the table's functions may be called from any thread at any time.
unsafe impl Send for RingHandle {}
// SAFETY: as above.
unsafe impl Sync for RingHandle {}

impl Drop for RingHandle {
    fn drop(&mut self) {
        if self.plugin.was_left_behind() {
            return;
        }
        // SAFETY: made by the plugin; its blocks hold the ring, so none is left.
        unsafe { (self.plugin.table.ring_free)(self.handle) }
    }
}

/// A ring of the plugin.
#[derive(Clone)]
pub struct DeviceRing(Arc<RingHandle>);

/// A batch on the device.
pub struct DeviceBlock {
    ring: DeviceRing,
    handle: *mut c_void,
}

// SAFETY: as for RingHandle.
unsafe impl Send for DeviceBlock {}
// SAFETY: as for RingHandle.
unsafe impl Sync for DeviceBlock {}

impl Drop for DeviceBlock {
    fn drop(&mut self) {
        if self.ring.0.plugin.was_left_behind() {
            return;
        }
        // SAFETY: made by the plugin, freed once.
        unsafe { (self.ring.table().block_free)(self.handle) }
    }
}

/// What [`DeviceRing::evaluate`] wants to know; see [`Evaluation`].
pub struct Arguments<'a> {
    pub outputs: usize,
    pub table: &'a DeviceBlock,
    pub steps: &'a [table::Step],
    pub slots: Option<&'a [u32]>,
    pub columns: usize,
    pub exponents: &'a [u32],
    pub exponent_words: usize,
    pub strides: (usize, usize),
    pub window: u32,
}

impl DeviceRing {
    fn table(&self) -> &'static Table {
        self.0.plugin.table
    }

    /// Runs a function that makes a block.
    fn make(&self, call: impl FnOnce(*const c_void, *mut *mut c_void) -> i32) -> Made {
        let mut handle = null_mut();
        let code = call(self.0.handle, &raw mut handle);
        self.0.plugin.check(code)?;
        let ring = self.clone();
        Ok(DeviceBlock { ring, handle })
    }

    // In all of these, what is passed is borrowed for the call, and blocks are of this plugin; the
    // plugin checks sizes.

    pub fn enter(&self, canonical: &[u64], width: usize) -> Made {
        let count = canonical.len() / width;
        // SAFETY: see above.
        self.make(|ring, out| unsafe {
            (self.table().enter)(ring, canonical.as_ptr(), count, width, out)
        })
    }

    pub fn leave(
        &self,
        block: &DeviceBlock,
        count: usize,
        width: usize,
    ) -> Result<Zeroizing<Vec<u64>>, Refusal> {
        let mut canonical = Zeroizing::new(vec![0; count * width]);
        // SAFETY: see above.
        self.0.plugin.check(unsafe {
            let out = canonical.as_mut_ptr();
            (self.table().leave)(self.0.handle, block.handle, out, count, width)
        })?;
        Ok(canonical)
    }

    pub fn gather(&self, source: &DeviceBlock, indices: &[u32]) -> Made {
        // SAFETY: see above.
        self.make(|ring, out| unsafe {
            let (at, count) = (indices.as_ptr(), indices.len());
            (self.table().gather)(ring, source.handle, at, count, out)
        })
    }

    pub fn join(&self, parts: &[&DeviceBlock]) -> Made {
        let handles: Vec<*const c_void> = parts.iter().map(|p| p.handle.cast_const()).collect();
        // SAFETY: see above.
        self.make(|ring, out| unsafe {
            (self.table().join)(ring, handles.as_ptr(), handles.len(), out)
        })
    }

    pub fn multiply(&self, a: &DeviceBlock, b: &DeviceBlock) -> Made {
        // SAFETY: see above.
        self.make(|ring, out| unsafe { (self.table().multiply)(ring, a.handle, b.handle, out) })
    }

    /// `x^(2^times)`.
    pub fn square(&self, x: &DeviceBlock, count: usize, times: u32) -> Made {
        let step = table::Step {
            squarings: times,
            column: 0,
            first: 0,
            at: table::NO_PRODUCT,
        };
        let evaluation = Evaluation {
            outputs: count,
            start: x.handle,
            table: null(),
            steps: &raw const step,
            step_count: 1,
            slots: null(),
            columns: 1,
            exponents: null(),
            exponent_words: 0,
            exponent_count: 0,
            output_stride: 0,
            column_stride: 0,
            window: 0,
        };
        // SAFETY: see above.
        self.make(|ring, out| unsafe { (self.table().evaluate)(ring, &raw const evaluation, out) })
    }

    pub fn tables(&self, bases: &DeviceBlock, start: Option<&DeviceBlock>, window: u32) -> Made {
        let start = start.map_or(null(), |s| s.handle.cast_const());
        // SAFETY: see above.
        self.make(|ring, out| unsafe {
            (self.table().tables)(ring, bases.handle, start, window, out)
        })
    }

    pub fn evaluate(&self, a: &Arguments<'_>) -> Made {
        let evaluation = Evaluation {
            outputs: a.outputs,
            start: null(),
            table: a.table.handle,
            steps: a.steps.as_ptr(),
            step_count: a.steps.len(),
            slots: a.slots.map_or(null(), <[u32]>::as_ptr),
            columns: a.columns,
            exponents: a.exponents.as_ptr(),
            exponent_words: a.exponent_words,
            exponent_count: a.exponents.len() / a.exponent_words,
            output_stride: a.strides.0,
            column_stride: a.strides.1,
            window: a.window,
        };
        // SAFETY: see above; slots has outputs·columns entries, which the caller checks.
        self.make(|ring, out| unsafe { (self.table().evaluate)(ring, &raw const evaluation, out) })
    }
}

/// A new block.
pub type Made = Result<DeviceBlock, Refusal>;

impl fmt::Debug for DeviceRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceRing")
    }
}
