//! The driver functions that cust calls, each forwarded to libcuda.so.1, which is loaded when the
//! first of them is called: the plugin links and loads on machines that have no driver.

use libloading::Library;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

/// Error codes of the driver, for what it cannot say itself.
const SHARED_OBJECT_SYMBOL_NOT_FOUND: c_uint = 302;
const SHARED_OBJECT_INIT_FAILED: c_uint = 303;
const UNKNOWN: c_uint = 999;

/// The driver, or why there is none.
pub fn library() -> Result<&'static Library, &'static str> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            // SAFETY: the driver's initialisers are made to be run by whoever loads it.
            unsafe { Library::new("libcuda.so.1") }.map_err(|e| e.to_string())
        })
        .as_ref()
        .map_err(String::as_str)
}

thread_local! {
    static LAST: Cell<c_uint> = const { Cell::new(0) };
}

/// The last error of this thread as the driver gave it: cust does not know all codes.
pub fn last_error() -> c_uint {
    LAST.get()
}

/// The driver's words for an error.
pub fn describe(code: c_uint) -> String {
    if let Err(reason) = library() {
        return reason.to_string();
    }
    let mut text = std::ptr::null();
    // SAFETY: the place is valid; the driver's texts are static.
    unsafe {
        if cuGetErrorString(code, &raw mut text) != 0 || text.is_null() {
            return "unknown to the driver".to_string();
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

/// cust has an enum of error codes; what newer drivers return besides must not become a value of it.
fn known(code: c_uint) -> c_uint {
    if code != 0 {
        LAST.set(code);
    }
    match code {
        0..=8 | 34 | 100..=102 | 200..=202 | 205..=224 | 300..=304 | 400 | 401 | 500 | 600 => code,
        700..=705 | 708..=720 | 800..=809 | 900..=911 => code,
        _ => UNKNOWN,
    }
}

macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        /// # Safety
        /// As the driver documents it.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> c_uint {
            type Function = unsafe extern "C" fn($($type),*) -> c_uint;
            static FUNCTION: OnceLock<Option<Function>> = OnceLock::new();
            let Ok(library) = library() else {
                return SHARED_OBJECT_INIT_FAILED;
            };
            let name = concat!(stringify!($name), "\0").as_bytes();
            // SAFETY: the type is that of the driver's header, and the library is never unloaded.
            let found = FUNCTION.get_or_init(|| unsafe { library.get::<Function>(name) }.ok().map(|f| *f));
            match found {
                // SAFETY: the caller keeps the driver's contract.
                Some(function) => known(unsafe { function($($argument),*) }),
                None => SHARED_OBJECT_SYMBOL_NOT_FOUND,
            }
        }
    )*};
}

type Pointer = *mut c_void;
type Device = u64;

forward! {
    cuInit(flags: c_uint);
    cuDriverGetVersion(version: *mut c_int);
    cuGetErrorString(code: c_uint, text: *mut *const c_char);
    cuDeviceGet(device: *mut c_int, ordinal: c_int);
    cuDeviceGetCount(count: *mut c_int);
    cuDeviceGetName(name: *mut c_char, room: c_int, device: c_int);
    cuDeviceGetAttribute(value: *mut c_int, attribute: c_uint, device: c_int);
    cuDevicePrimaryCtxRetain(context: *mut Pointer, device: c_int);
    cuDevicePrimaryCtxRelease_v2(device: c_int);
    cuCtxSetCurrent(context: Pointer);
    cuModuleLoadDataEx(module: *mut Pointer, image: *const c_void, count: c_uint, options: *mut c_uint, values: *mut Pointer);
    cuModuleUnload(module: Pointer);
    cuModuleGetFunction(function: *mut Pointer, module: Pointer, name: *const c_char);
    cuMemAlloc_v2(pointer: *mut Device, bytes: usize);
    cuMemFree_v2(pointer: Device);
    cuMemAllocHost_v2(pointer: *mut Pointer, bytes: usize);
    cuMemFreeHost(pointer: Pointer);
    cuMemsetD8_v2(pointer: Device, value: u8, bytes: usize);
    cuMemcpyHtoDAsync_v2(to: Device, from: *const c_void, bytes: usize, stream: Pointer);
    cuMemcpyDtoHAsync_v2(to: Pointer, from: Device, bytes: usize, stream: Pointer);
    cuMemcpyHtoD_v2(to: Device, from: *const c_void, bytes: usize);
    cuMemcpyDtoD_v2(to: Device, from: Device, bytes: usize);
    cuStreamCreateWithPriority(stream: *mut Pointer, flags: c_uint, priority: c_int);
    cuStreamDestroy_v2(stream: Pointer);
    cuStreamSynchronize(stream: Pointer);
    cuStreamWaitEvent(stream: Pointer, event: Pointer, flags: c_uint);
    cuEventCreate(event: *mut Pointer, flags: c_uint);
    cuEventDestroy_v2(event: Pointer);
    cuEventRecord(event: Pointer, stream: Pointer);
    cuEventSynchronize(event: Pointer);
    cuLaunchKernel(function: Pointer, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint, block_y: c_uint, block_z: c_uint, shared: c_uint, stream: Pointer, arguments: *mut Pointer, extra: *mut Pointer);
}
