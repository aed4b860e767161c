//! Arithmetic of `smlp_store`: what the names of the drop-in module `lltm_cpp` need.

use super::arguments::{Out, borrow, buffer, slice, write_all};
use super::{BytesHandle, Outcome, Status, StoreHandle, StoreKeyHandle, guard};
use crate::store::{Numbers, Store, StoreKey};

/// Integers in little-endian two's complement.
///
/// # Safety
/// The contract.
unsafe fn numbers<'a>(
    data: *const u8,
    each: usize,
    count: usize,
    argument: &str,
) -> Outcome<Numbers<'a>> {
    // SAFETY: the caller's promise; a product that overflows is refused as an absurd length.
    let data = unsafe { slice(data, each.saturating_mul(count), argument)? };
    Ok(Numbers::new(data, each)?)
}

/// # Safety
/// The contract.
unsafe fn both<'a>(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
) -> Outcome<(&'a Store, &'a StoreKey)> {
    // SAFETY: the caller's promise.
    unsafe { Ok((&borrow(store, "store")?.0, &borrow(key, "key")?.0)) }
}

/// A missing place for results costs no work.
///
/// # Safety
/// The contract.
unsafe fn room(out: *mut i64, words: usize) -> Outcome {
    // SAFETY: the caller's promise; nothing is written here.
    unsafe { buffer(out, words, "out") }.map(|_| ())
}

/// Fresh encryptions of integers.
///
/// Args: numbers, each, count: integers in little-endian two's complement, `each` bytes a number; an
/// int64_t array is one of 8 bytes each on a little-endian machine. out: room for `count` words.
/// Errors: SMLP_BOUND for a number beyond ±N/2, except under small keys: see
/// smlp_store_take_wrapped(). SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_encrypt(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    numbers: *const u8,
    each: usize,
    count: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for `count` words.
        unsafe {
            room(out, count)?;
            let (store, key) = both(store, key)?;
            let numbers = self::numbers(numbers, each, count, "numbers")?;
            write_all(&store.encrypt(key, numbers)?, out, count, "out")
        }
    })
}

/// The plaintexts of words, in (−N/2, N/2).
///
/// Args: key: the private one. words, len: the ciphertexts. each: gets the bytes of a number, a
/// multiple of 8. out: gets the numbers, in little-endian two's complement.
/// Errors: as all functions that read words: SMLP_FINISHED for a reference that leads nowhere,
/// SMLP_KEY_MISMATCH for one of another key, SMLP_MALFORMED for a residue that encrypts nothing,
/// SMLP_INVALID_ARGUMENT for a negative word (except under a small key) and for a public key where
/// the private one is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_decrypt(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    words: *const i64,
    len: usize,
    each: *mut usize,
    out: *mut *mut BytesHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let ((store, key), words) = unsafe { (both(store, key)?, slice(words, len, "words")?) };
        // SAFETY: the contract.
        let (each, out) = unsafe { (Out::new(each, "each")?, Out::new(out, "out")?) };
        let (width, bytes) = store.decrypt(key, words)?;
        each.set(width);
        out.object(BytesHandle::new(bytes));
        Ok(())
    })
}

/// E(left_i + right_i), the product of the ciphertexts.
///
/// Args: left, left_len, right, right_len: as many elements, or one of them a single one. So for
/// other operations. out: room for as many words as the longer one has.
/// Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_add(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    left: *const i64,
    left_len: usize,
    right: *const i64,
    right_len: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for the result.
        unsafe {
            room(out, left_len.max(right_len))?;
            let (store, key) = both(store, key)?;
            let left = slice(left, left_len, "left")?;
            let sum = store.add(key, left, slice(right, right_len, "right")?)?;
            write_all(&sum, out, sum.len(), "out")
        }
    })
}

/// E(left_i − right_i). Args and errors as smlp_store_add().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_subtract(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    left: *const i64,
    left_len: usize,
    right: *const i64,
    right_len: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for the result.
        unsafe {
            room(out, left_len.max(right_len))?;
            let (store, key) = both(store, key)?;
            let left = slice(left, left_len, "left")?;
            let difference = store.subtract(key, left, slice(right, right_len, "right")?)?;
            write_all(&difference, out, difference.len(), "out")
        }
    })
}

/// E(x_i + r_i) for clear integers of any size.
///
/// Args: words, len: the x_i. numbers, each, count: the r_i, as smlp_store_encrypt() takes them, one
/// for all or as many as words. out: room for `len` words.
/// Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE, SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_add_numbers(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    words: *const i64,
    len: usize,
    numbers: *const u8,
    each: usize,
    count: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for `len` words.
        unsafe {
            room(out, len)?;
            let ((store, key), words) = (both(store, key)?, slice(words, len, "words")?);
            let numbers = self::numbers(numbers, each, count, "numbers")?;
            write_all(&store.add_numbers(key, words, numbers)?, out, len, "out")
        }
    })
}

/// E(x_i · r_i) for clear integers of either sign. Args and errors as smlp_store_add_numbers().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_multiply_numbers(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    words: *const i64,
    len: usize,
    numbers: *const u8,
    each: usize,
    count: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for `len` words.
        unsafe {
            room(out, len)?;
            let ((store, key), words) = (both(store, key)?, slice(words, len, "words")?);
            let numbers = self::numbers(numbers, each, count, "numbers")?;
            write_all(
                &store.multiply_numbers(key, words, numbers)?,
                out,
                len,
                "out",
            )
        }
    })
}

/// E of the sum of every `width` elements.
///
/// Args: width: a divisor of `len`; 0 sums up everything, nothing included. out: room for
/// len / width words, or one.
/// Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_sum(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    words: *const i64,
    len: usize,
    width: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for the result.
        unsafe {
            room(out, len.checked_div(width).unwrap_or(1))?;
            let ((store, key), words) = (both(store, key)?, slice(words, len, "words")?);
            let sums = store.sum(key, words, width)?;
            write_all(&sums, out, sums.len(), "out")
        }
    })
}

/// P2's half of a product: decrypts, multiplies, divides rounding down, encrypts: E(⌊x·y/q⌋).
///
/// Args: key: the private one. left, right: as smlp_store_add() takes them. q: 1 to leave it out.
/// Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE; SMLP_INVALID_ARGUMENT for q = 0.
/// None for a result beyond ±N/2, which would tell P1 something: it wraps, see
/// smlp_store_take_wrapped().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_p2_multiply(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    left: *const i64,
    left_len: usize,
    right: *const i64,
    right_len: usize,
    q: u64,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for the result.
        unsafe {
            room(out, left_len.max(right_len))?;
            let (store, key) = both(store, key)?;
            let left = slice(left, left_len, "left")?;
            let right = slice(right, right_len, "right")?;
            let product = store.p2_multiply(key, left, right, q)?;
            write_all(&product, out, product.len(), "out")
        }
    })
}

/// E(x_i · y_i) as E(y_i)^x_i, of which P2 decrypts the x_i alone.
///
/// Args: key: the private one. left, right: the x_i and the y_i, as smlp_store_add() takes them.
/// Errors: as smlp_store_p2_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_p2_power(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    left: *const i64,
    left_len: usize,
    right: *const i64,
    right_len: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for the result.
        unsafe {
            room(out, left_len.max(right_len))?;
            let (store, key) = both(store, key)?;
            let left = slice(left, left_len, "left")?;
            let powers = store.p2_power(key, left, slice(right, right_len, "right")?)?;
            write_all(&powers, out, powers.len(), "out")
        }
    })
}

/// P2's half of a matrix product: decrypts, computes, encrypts E(Σ_k ⌊x_ik · y_kj / q⌋).
///
/// Args: key: the private one. left: rows × inner words, row-major. right: inner × columns. q: 1 to
/// leave it out. out: room for rows · columns words.
/// Errors: as smlp_store_p2_multiply(); SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_p2_matmul(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    left: *const i64,
    right: *const i64,
    rows: usize,
    inner: usize,
    columns: usize,
    q: u64,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for the result. Products that overflow are refused
        // as absurd lengths.
        unsafe {
            room(out, rows.saturating_mul(columns))?;
            let (store, key) = both(store, key)?;
            let left = slice(left, rows.saturating_mul(inner), "left")?;
            let right = slice(right, inner.saturating_mul(columns), "right")?;
            let product = store.p2_matmul(key, left, right, [rows, inner, columns], q)?;
            write_all(&product, out, product.len(), "out")
        }
    })
}

/// P2's sum of every `width` elements: decrypts, adds, encrypts.
///
/// Args: key: the private one. width: a divisor of `len`. out: room for len / width words.
/// Errors: as smlp_store_p2_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_p2_sum(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    words: *const i64,
    len: usize,
    width: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for the result.
        unsafe {
            room(out, len.checked_div(width).unwrap_or(1))?;
            let ((store, key), words) = (both(store, key)?, slice(words, len, "words")?);
            let sums = store.p2_sum(key, words, width)?;
            write_all(&sums, out, sums.len(), "out")
        }
    })
}

/// P1's half of a product: E(m_i − r_a·a_i − r_b·b_i − r_a·r_b).
///
/// Args: a, a_len, b, b_len: as many words as m, or one. m, len: P2's answer. r_a, r_a_bytes, r_b,
/// r_b_bytes: one integer each, as smlp_store_encrypt() takes them. out: room for `len` words.
/// Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE, SMLP_LIMIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_unmask(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    a: *const i64,
    a_len: usize,
    b: *const i64,
    b_len: usize,
    m: *const i64,
    len: usize,
    r_a: *const u8,
    r_a_bytes: usize,
    r_b: *const u8,
    r_b_bytes: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for `len` words.
        unsafe {
            room(out, len)?;
            let (store, key) = both(store, key)?;
            let (a, b) = (slice(a, a_len, "a")?, slice(b, b_len, "b")?);
            let m = slice(m, len, "m")?;
            let r_a = numbers(r_a, r_a_bytes, 1, "r_a")?;
            let r_b = numbers(r_b, r_b_bytes, 1, "r_b")?;
            write_all(&store.unmask(key, [a, b, m], r_a, r_b)?, out, len, "out")
        }
    })
}

/// P1's half of a matrix product: E(m_ij − r_a·a_i − r_b·b_j − r_a·r_b).
///
/// Args: a, rows: a word a row. b, columns: a word a column. m: rows × columns words, row-major. r_a,
/// r_b: as smlp_store_unmask() takes them. out: room for rows · columns words.
/// Errors: as smlp_store_unmask().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_store_unmask_matrix(
    store: *const StoreHandle,
    key: *const StoreKeyHandle,
    a: *const i64,
    rows: usize,
    b: *const i64,
    columns: usize,
    m: *const i64,
    r_a: *const u8,
    r_a_bytes: usize,
    r_b: *const u8,
    r_b_bytes: usize,
    out: *mut i64,
) -> Status {
    guard(|| {
        // SAFETY: the contract; `out` has room for the result.
        unsafe {
            room(out, rows.saturating_mul(columns))?;
            let (store, key) = both(store, key)?;
            let (a, b) = (slice(a, rows, "a")?, slice(b, columns, "b")?);
            let m = slice(m, rows.saturating_mul(columns), "m")?;
            let r_a = numbers(r_a, r_a_bytes, 1, "r_a")?;
            let r_b = numbers(r_b, r_b_bytes, 1, "r_b")?;
            let results = store.unmask_matrix(key, [a, b, m], r_a, r_b)?;
            write_all(&results, out, results.len(), "out")
        }
    })
}
