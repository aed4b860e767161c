//! The two-party operations as state machines without sockets, clocks or threads.
//!
//! [`P1`] holds encrypted tensors and starts a [`Call`]; the call's request bytes go to [`P2`],
//! which answers without keeping any state; the reply goes back into the call. P2 sees values
//! under fresh masks only, one for each element, σ bits wider than the value; it answers with
//! fresh encryptions and never with a plaintext or with an error that depends on one.
//!
//! # Wire format, version 1
//!
//! Little-endian. Both messages start with the header of all formats of this crate (`SMLP`, u16
//! version, u16 kind: 0x0201 request, 0x0202 reply), then u16 operation and the 32-byte key id. A request goes on with the
//! 16-byte label of the job, which P1 draws when it is made: what P2 seals for one job it opens for no other.
//!
//! | request | after that |
//! |---|---|
//! | 1 multiply | shape of a, shape of b, *masked* a, *masked* b |
//! | 2 matmul | as multiply; shapes are m×p and p×q |
//! | 3 divide | u64 divisor, *masked* x |
//! | 6 refresh | *masked* x |
//! | 8 share | see `protocol/shared/convert.rs` |
//! | 9 products | see `protocol/shared/products.rs` |
//! | 10 gate | see `protocol/shared/gate.rs` |
//! | 11 setup | see `protocol/shared/setup.rs` |
//! | 12 open | see `protocol/shared/open.rs` |
//!
//! A shape is a u64 number of dimensions (at most 8) and a u64 for each. *Masked* is u64 number of
//! lines, u64 values in a line, u32 bits a slot, u32 offset bits (the value v stands for v − 2^offset; 0 means no
//! offset), and the ciphertexts: the values of a line are spread evenly over as few as possible, in the
//! width of N² in 64-bit limbs. A reply holds u64 modular operations that P2 did, the answer, and 32 bytes of
//! SHA-256 over `smlp reply v1`, the u64 length of the request, the request and the reply up to here. The answer to
//! operations 1, 2, 3 and 6 is the u64 number of ciphertexts, and these, one value each, in the order that the
//! operation defines.
//!
//! Limits: 2^24 values and 2^24 ciphertexts in a reply, 2^26 terms of a matrix product, slots of 386 bits, products of 500 bits;
//! and those of [`P2Limits`] on P2's memory.

#![forbid(unsafe_code)]

mod bilinear;
mod call;
mod divide;
mod garble;
mod limits;
mod masking;
mod message;
mod p1;
mod p2;
pub mod profile;
mod promise;
pub(crate) mod shared;
mod summary;
mod transfer;
mod wide;

pub use call::{Call, Step};
pub use limits::P2Limits;
pub use message::Operation;
pub use p1::P1;
pub(crate) use p2::MAX_SLOT_BITS;
pub use p2::P2;
pub use promise::{DEFAULT_SECURITY, DEFAULT_VALUES, MIN_SIGMA, Promise};
pub use summary::{REQUEST_HEADER_BYTES, Summary, addressee};
