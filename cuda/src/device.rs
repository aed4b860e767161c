//! [`Device`]: the first GPU, with its context, its two streams, its modules and the pinned memory
//! that transfers go through.
//!
//! One thread uses the device at a time (callers hold a lock), and every operation is complete when
//! it returns: the parallelism is inside of a batch. Kernels run on one stream and copies on
//! another, so that a batch's next piece is on its way while the last one is computed. Both wait
//! for what is on the default stream (cust makes no others), where single copies and clearing go.

use crate::failure::{Failure, Result};
use cust::context::legacy::CurrentContext;
use cust::device::DeviceAttribute;
use cust::event::{Event, EventFlags};
use cust::memory::{
    AsyncCopyDestination, CopyDestination, DeviceBuffer, DevicePointer, DeviceSlice, LockedBuffer,
};
use cust::module::Module;
use cust::prelude::{Context, CudaFlags, StreamFlags};
use cust::stream::{Stream, StreamWaitEventFlags};
use std::ffi::c_void;
use std::ops::Range;
use zeroize::Zeroize;

/// Threads a block, as in kernels/kernels.h.
const THREADS: u32 = 128;

/// 32-bit words that are on their way at a time (4 MB).
const PIECE: usize = 1 << 20;

/// A size that kernels exist for: see kernels/sizes.h.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub bits: u32,
    /// Threads and 32-bit words a number (or a digit of one).
    pub threads: u32,
    pub height: usize,
    ptx: &'static str,
}

macro_rules! sizes {
    ($($bits:literal: $threads:literal x $limbs:literal;)*) => {
        /// All sizes, small to large.
        pub const SIZES: &[Size] = &[$(Size {
            bits: $bits,
            threads: $threads,
            height: $threads * $limbs,
            ptx: include_str!(concat!("../ptx/", $bits, ".ptx")),
        }),*];
    };
}

sizes! {
    512: 4 x 4;
    1024: 4 x 8;
    1536: 4 x 12;
    2048: 8 x 8;
    3072: 8 x 12;
    4096: 16 x 8;
}

/// A piece of a batch on its way: pinned memory, and the same much on the device.
struct Lane {
    pinned: LockedBuffer<u32>,
    staged: Memory,
    /// Recorded when both may be used again.
    done: Option<Event>,
}

pub struct Device {
    name: String,
    pub multiprocessors: u32,
    pub compute: Stream,
    copies: Stream,
    lanes: [Lane; 2],
    modules: Vec<Option<Module>>,
    // Dropped last.
    context: Context,
}

impl Device {
    /// The first device, or why there is none.
    pub fn open() -> Result<Self> {
        if let Err(reason) = crate::driver::library() {
            return Err(Failure::argument(format!("no CUDA driver: {reason}")));
        }
        cust::init(CudaFlags::empty())?;
        if cust::device::Device::num_devices()? == 0 {
            return Err(Failure::argument("the CUDA driver finds no device"));
        }
        let device = cust::device::Device::get_device(0)?;
        let major = device.get_attribute(DeviceAttribute::ComputeCapabilityMajor)?;
        if major < 7 {
            return Err(Failure::argument(format!(
                "{} has compute capability {major}, at least 7.0 is needed",
                device.name()?
            )));
        }
        let context = Context::new(device)?;
        let stream = || Stream::new(StreamFlags::NON_BLOCKING, None);
        let lane = || -> Result<Lane> {
            Ok(Lane {
                pinned: LockedBuffer::new(&0, PIECE)?,
                staged: Memory::new(PIECE)?,
                done: None,
            })
        };
        let multiprocessors = device.get_attribute(DeviceAttribute::MultiprocessorCount)?;
        let mut opened = Self {
            name: device.name()?,
            multiprocessors: multiprocessors.unsigned_abs(),
            compute: stream()?,
            copies: stream()?,
            lanes: [lane()?, lane()?],
            modules: SIZES.iter().map(|_| None).collect(),
            context,
        };
        // A driver that takes the smallest kernels takes them all.
        opened.load(0)?;
        Ok(opened)
    }

    pub fn describe(&self) -> String {
        format!("{}, {} multiprocessors", self.name, self.multiprocessors)
    }

    /// Makes the context current on this thread.
    pub fn enter_thread(&self) -> Result<()> {
        Ok(CurrentContext::set_current(&self.context)?)
    }

    /// Compiles a size's PTX for this device, the first time.
    pub fn load(&mut self, size: usize) -> Result<()> {
        if self.modules[size].is_none() {
            let Size { bits, ptx, .. } = SIZES[size];
            let load = || -> cust::error::CudaResult<Module> {
                let module = Module::from_ptx(ptx, &[])?;
                for form in ["plain", "nadic"] {
                    for what in ["enter", "leave", "multiply", "tables", "evaluate"] {
                        module.get_function(format!("{form}_{bits}_{what}"))?;
                    }
                }
                module.get_function(format!("any_{bits}_gather"))?;
                Ok(module)
            };
            self.modules[size] = Some(load().map_err(|error| {
                let mut failure = Failure::from(error);
                failure.text = format!(
                    "the driver refuses the kernels for {bits} bits: {}",
                    failure.text
                );
                failure
            })?);
        }
        Ok(())
    }

    /// Launches a kernel of a loaded size with `threads` threads or a few more.
    ///
    /// # Safety
    /// The arguments point to values of the types that the kernel takes, and memory that they name
    /// is as large as the kernel expects, and lives until the stream is done.
    pub unsafe fn launch(
        &self,
        size: usize,
        kernel: &str,
        threads: usize,
        arguments: &[*mut c_void],
    ) -> Result<()> {
        let module = self.modules[size]
            .as_ref()
            .ok_or_else(|| Failure::argument("this size is not loaded"))?;
        let function = module.get_function(kernel)?;
        let blocks = u32::try_from(threads.div_ceil(THREADS as usize))
            .map_err(|_| Failure::memory(format!("{threads} threads are too many")))?;
        // SAFETY: the contract.
        unsafe {
            self.compute
                .launch(&function, blocks, THREADS, 0, arguments)?
        };
        Ok(())
    }

    /// Waits for everything.
    pub fn finish(&mut self) -> Result<()> {
        self.copies.synchronize()?;
        self.compute.synchronize()?;
        Ok(())
    }

    /// Sends `rows` rows to the device, piece by piece: `fill` writes rows from one on into pinned
    /// memory (`words` a row), `consume` launches kernels that read them from the device.
    pub fn send(
        &mut self,
        rows: usize,
        words: usize,
        mut fill: impl FnMut(usize, &mut [u32]),
        mut consume: impl FnMut(&Self, usize, &DeviceSlice<u32>) -> Result<()>,
    ) -> Result<()> {
        let step = (PIECE / words).max(1);
        for (piece, first) in (0..rows).step_by(step).enumerate() {
            let lane = &mut self.lanes[piece % 2];
            if let Some(done) = lane.done.take() {
                done.synchronize()?;
            }
            let used = words * step.min(rows - first);
            fill(first, &mut lane.pinned[..used]);
            let mut staged = lane.staged.slice(0..used);
            // SAFETY: neither buffer is touched before `done` below, and both live in the device.
            unsafe { staged.async_copy_from(&lane.pinned[..used], &self.copies)? };
            self.order(&self.copies, &self.compute)?;
            consume(self, first, &staged)?;
            self.lanes[piece % 2].done = Some(self.mark(&self.compute)?);
        }
        self.clear_lanes()
    }

    /// Fetches `rows` rows: `produce` launches kernels that write rows from one on, `take` reads
    /// them.
    pub fn fetch(
        &mut self,
        rows: usize,
        words: usize,
        mut produce: impl FnMut(&Self, usize, &DeviceSlice<u32>) -> Result<()>,
        mut take: impl FnMut(usize, &[u32]),
    ) -> Result<()> {
        let step = (PIECE / words).max(1);
        let mut waiting: Option<(usize, usize, usize)> = None;
        let mut pieces: Vec<_> = (0..rows).step_by(step).enumerate().map(Some).collect();
        pieces.push(None);
        for piece in pieces {
            let mut next = None;
            if let Some((piece, first)) = piece {
                let used = words * step.min(rows - first);
                let staged = self.lanes[piece % 2].staged.slice(0..used);
                produce(self, first, &staged)?;
                self.order(&self.compute, &self.copies)?;
                let pinned = &mut self.lanes[piece % 2].pinned[..used];
                // SAFETY: the pinned memory is read below after `done`, and only then reused.
                unsafe { staged.async_copy_to(pinned, &self.copies)? };
                self.lanes[piece % 2].done = Some(self.mark(&self.copies)?);
                next = Some((piece % 2, first, used));
            }
            // While this piece is computed, the one before it is taken.
            if let Some((lane, first, used)) = std::mem::replace(&mut waiting, next) {
                let lane = &mut self.lanes[lane];
                if let Some(done) = lane.done.take() {
                    done.synchronize()?;
                }
                take(first, &lane.pinned[..used]);
            }
        }
        self.clear_lanes()
    }

    fn mark(&self, stream: &Stream) -> Result<Event> {
        let event = Event::new(EventFlags::DISABLE_TIMING)?;
        event.record(stream)?;
        Ok(event)
    }

    /// What comes on `after` waits for what is on `before` now.
    fn order(&self, before: &Stream, after: &Stream) -> Result<()> {
        let event = self.mark(before)?;
        after.wait_event(event, StreamWaitEventFlags::DEFAULT)?;
        Ok(())
    }

    /// Numbers may be secret: none stays in the memory that transfers use.
    fn clear_lanes(&mut self) -> Result<()> {
        self.finish()?;
        for lane in &mut self.lanes {
            lane.done = None;
            lane.pinned.zeroize();
            lane.staged.clear()?;
        }
        Ok(())
    }
}

/// Words on the device, zeros at first. Cleared before they are freed, since any number may be
/// secret; that must happen with the device's context current.
pub struct Memory(DeviceBuffer<u32>);

impl Memory {
    pub fn new(words: usize) -> Result<Self> {
        if words as u64 >= 1 << 32 {
            // Kernels count words in 32 bits.
            return Err(Failure::memory(format!(
                "{words} words in one block, the limit is 2^32"
            )));
        }
        // cust refuses to allocate nothing.
        Ok(Self(DeviceBuffer::zeroed(words.max(1))?))
    }

    /// A copy of `words`.
    pub fn upload(words: &[u32]) -> Result<Self> {
        let memory = Self::new(words.len())?;
        if !words.is_empty() {
            memory.0.index(0..words.len()).copy_from(words)?;
        }
        Ok(memory)
    }

    /// The place of word `at`.
    pub fn pointer(&self, at: usize) -> DevicePointer<u32> {
        self.0.as_device_ptr().wrapping_add(at)
    }

    pub fn slice(&self, range: Range<usize>) -> DeviceSlice<u32> {
        self.0.index(range)
    }

    fn clear(&mut self) -> Result<()> {
        Ok(self.0.set_8(0)?)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A device that fails here keeps nothing either.
        let _ = self.clear();
    }
}
