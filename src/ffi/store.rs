//! `smlp_store`: ciphertexts that go by the name of a 64-bit integer.

use super::arguments::{Out, borrow, free, slice};
use super::{Status, guard};
use crate::store::Store;

/// Ciphertexts that go by the name of a 64-bit integer, for hosts whose arrays hold nothing else.
///
/// A word is a reference into the store (from 2^62 up), or the ciphertext itself, a residue below
/// 2^62. Under a small key (see smlp_store_key_generate()) all are residues, and the store stays
/// empty. Who holds references has to say from time to time which of them are in use.
#[derive(Debug)]
pub struct StoreHandle(pub(super) Store);

/// An empty store. Its references lead nowhere in any other store, and in no other process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_new(out: *mut *mut StoreHandle) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        out.object(StoreHandle(Store::new()));
        Ok(())
    })
}

/// Number of ciphertexts that references lead to, in use or not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_len(store: *const StoreHandle, out: *mut usize) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (store, out) = unsafe { (borrow(store, "store")?, Out::new(out, "out")?) };
        out.set(store.0.len());
        Ok(())
    })
}

/// Whether so much was added since the last smlp_store_sweep() that another one pays: half as many
/// bytes as were in use then, and 16 MiB at least.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_is_due(store: *const StoreHandle, out: *mut bool) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (store, out) = unsafe { (borrow(store, "store")?, Out::new(out, "out")?) };
        out.set(store.0.is_due());
        Ok(())
    })
}

/// Notes that words are in use. Those that are no references of this store are ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_mark(
    store: *const StoreHandle,
    words: *const i64,
    len: usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (store, words) = unsafe { (borrow(store, "store")?, slice(words, len, "words")?) };
        store.0.mark(words);
        Ok(())
    })
}

/// Frees the ciphertexts that were neither marked for this sweep nor for the one before, nor are
/// pinned, and forgets the marks. Their references are refused from then on.
///
/// Args: freed: gets how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_sweep(store: *const StoreHandle, freed: *mut usize) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (store, freed) = unsafe { (borrow(store, "store")?, Out::new(freed, "freed")?) };
        freed.set(store.0.sweep());
        Ok(())
    })
}

/// Keeps the ciphertext of a reference until smlp_store_unpin(). Pins add up.
///
/// Errors: SMLP_FINISHED for a reference that leads nowhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_pin(store: *const StoreHandle, word: i64) -> Status {
    guard(|| {
        // SAFETY: the contract.
        Ok(unsafe { borrow(store, "store")? }.0.pin(word)?)
    })
}

/// Takes back one smlp_store_pin().
///
/// Errors: SMLP_FINISHED for a reference that leads nowhere; SMLP_INVALID_ARGUMENT if it is not
/// pinned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_unpin(store: *const StoreHandle, word: i64) -> Status {
    guard(|| {
        // SAFETY: the contract.
        Ok(unsafe { borrow(store, "store")? }.0.unpin(word)?)
    })
}

/// How many plaintexts did not fit ±N/2 since this was last asked, and wrapped modulo N: results of
/// P2, and numbers that were encrypted under a small key (under others these are errors). It tells
/// something about plaintexts, so P2 keeps it to itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_take_wrapped(
    store: *const StoreHandle,
    out: *mut u64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (store, out) = unsafe { (borrow(store, "store")?, Out::new(out, "out")?) };
        out.set(store.0.take_wrapped());
        Ok(())
    })
}

/// Frees a store and all that its references lead to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_free(store: *mut StoreHandle) {
    // SAFETY: the contract.
    unsafe { free(store) }
}
