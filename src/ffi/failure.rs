//! What goes wrong between C and Rust, and the guard that turns it into a status and a message.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::Status;
use crate::error::Error;

/// Result of what runs inside [`guard`].
pub(super) type Outcome<T = ()> = std::result::Result<T, Failure>;

/// A status other than OK and the text that explains it.
#[derive(Debug)]
pub(super) struct Failure {
    status: Status,
    message: String,
}

impl Failure {
    /// NULL where an object or an array has to be.
    pub(super) fn null(argument: &str) -> Self {
        Self {
            status: Status::SMLP_NULL_POINTER,
            message: format!("argument '{argument}' is NULL"),
        }
    }

    /// A value outside what the argument accepts.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Error::invalid(message).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            status: status_of(&error),
            message: error.to_string(),
        }
    }
}

fn status_of(error: &Error) -> Status {
    match error {
        Error::InvalidArgument(_) => Status::SMLP_INVALID_ARGUMENT,
        Error::Shape(_) => Status::SMLP_SHAPE,
        Error::Scale { .. } => Status::SMLP_SCALE,
        Error::Bound { .. } => Status::SMLP_BOUND,
        Error::OutOfRange { .. } => Status::SMLP_OUT_OF_RANGE,
        Error::NotFinite { .. } => Status::SMLP_NOT_FINITE,
        Error::KeyMismatch { .. } => Status::SMLP_KEY_MISMATCH,
        Error::Insecure(_) => Status::SMLP_INSECURE,
        Error::Malformed { .. } => Status::SMLP_MALFORMED,
        Error::Limit { .. } => Status::SMLP_LIMIT,
        Error::Finished(_) => Status::SMLP_FINISHED,
        Error::Cancelled => Status::SMLP_CANCELLED,
        Error::Transport(_) => Status::SMLP_TRANSPORT,
        Error::Refused(_) => Status::SMLP_REFUSED,
        Error::Io { .. } => Status::SMLP_IO,
        Error::Backend(_) => Status::SMLP_BACKEND,
    }
}

thread_local! {
    static LAST_ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Reads this thread's message; `None` while the thread is being torn down.
pub(super) fn with_last_error<T>(read: impl FnOnce(&str) -> T) -> Option<T> {
    LAST_ERROR
        .try_with(|message| message.try_borrow().ok().map(|text| read(&text)))
        .ok()
        .flatten()
}

thread_local! {
    /// How many guards this thread is in; more than one where a callback calls the library.
    static GUARDS: Cell<u32> = const { Cell::new(0) };
    static PANIC_PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics inside a guard become messages with their place, so they need not be printed; all
/// others go where they went before. Those of pool threads are among the others.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    // A hook cannot be replaced while its thread panics, and need not: the caller is on its way out.
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if GUARDS.try_with(Cell::get).unwrap_or(0) == 0 {
                return previous(info);
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let _ = PANIC_PLACE.try_with(|last| last.replace(place));
        }));
    });
}

/// Runs something that may panic; the panic becomes a failure.
fn catch<T>(body: impl FnOnce() -> T) -> Outcome<T> {
    keep_quiet();
    let _ = GUARDS.try_with(|guards| guards.set(guards.get() + 1));
    // Unwind safety: after a panic the caller gets SMLP_INTERNAL and may at most free its objects
    // or go on with values that are whole, if not the expected ones; no invariant that memory
    // safety rests on spans a call.
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let _ = GUARDS.try_with(|guards| guards.set(guards.get() - 1));
    outcome.map_err(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let place = PANIC_PLACE.try_with(RefCell::take).unwrap_or_default();
        let message = format!("internal error, please report it: {text} ({place})");
        // Dropping a panic's payload could panic in turn.
        std::mem::forget(panic);
        Failure {
            status: Status::SMLP_INTERNAL,
            message,
        }
    })
}

/// Runs the body of an exported function: failures and panics become a status, and their text the
/// message of this thread.
pub(super) fn guard(body: impl FnOnce() -> Outcome) -> Status {
    let failure = match catch(body) {
        Ok(Ok(())) => return Status::SMLP_OK,
        Ok(Err(failure)) | Err(failure) => failure,
    };
    let Failure { status, message } = failure;
    // C strings end at NUL.
    let message = message.replace('\0', "\u{fffd}");
    let _ = LAST_ERROR.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = message;
        }
    });
    status
}

/// Runs the body of a `_free` function: it has no status to return, but may not unwind either.
pub(super) fn guard_free(body: impl FnOnce()) {
    let _ = catch(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_a_status_with_their_text() {
        let status = guard(|| panic!("number {}", 7));
        assert_eq!(status, Status::SMLP_INTERNAL);
        let text = with_last_error(str::to_owned).unwrap();
        assert!(text.contains("number 7"), "{text}");
        assert!(text.contains("failure.rs"), "{text}");
        // Outside of a guard nothing has changed.
        assert!(std::thread::spawn(|| panic!("as always")).join().is_err());
    }

    #[test]
    fn messages_have_no_nul_and_survive_success() {
        assert_eq!(
            guard(|| Err(Failure::invalid("a\0b"))),
            Status::SMLP_INVALID_ARGUMENT
        );
        assert_eq!(guard(|| Ok(())), Status::SMLP_OK);
        with_last_error(|text| assert!(text.contains('a') && !text.contains('\0'))).unwrap();
    }
}
