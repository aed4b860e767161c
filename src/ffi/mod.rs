//! The C ABI: what `include/smlp.h` is generated from. One file per C object.
//!
//! It owns pointers, status codes and the panic guard, and leaves everything else to the modules
//! below: no function here computes. The conventions, which the header's preamble tells C users:
//!
//! - Names are `smlp_<object>_<verb>`; arguments come as self, inputs, outputs; a length follows
//!   its pointer.
//! - Objects are opaque boxes. `_free(NULL)` does nothing; NULL is an error everywhere else, and
//!   (NULL, 0) an empty array. `const T*` may be used by several threads at once, so every type
//!   behind one is `Sync`; `T*` needs the object for itself.
//! - What can fail returns a [`Status`] and leaves a message for [`smlp_last_error`]. Outputs are
//!   written on success only.
//! - A guard surrounds every body: no panic crosses into C.
//! - Numbers that C may get wrong (enumerators, booleans, flags) arrive as plain integers and are
//!   checked, since a Rust enum with a foreign value would be undefined behaviour.
//!
//! # Safety
//!
//! The caller keeps one promise everywhere: a pointer that is not NULL points to a live object
//! that this library made (handles), to as many initialised elements as the length says (inputs),
//! to writable memory of the stated size (outputs), or to a NUL-terminated string. The comments
//! at `unsafe` blocks call it "the contract". NULL, misaligned arrays, absurd lengths and wrong
//! values are checked; dangling pointers cannot be.

#![deny(unsafe_op_in_unsafe_fn)]
// The safety contract of all exported functions is the same, and stated above and in the header.
#![allow(clippy::missing_safety_doc)]

mod arguments;
mod bytes;
mod call;
mod estimate;
mod failure;
mod fit_options;
mod mlp;
mod mlp_options;
mod mlp_training;
#[cfg(feature = "net")]
mod network;
mod p1;
mod p2;
mod private_key;
mod public_key;
mod record;
mod session;
mod status;
mod store;
mod store_key;
mod store_operations;
mod tensor;
mod tensor_arithmetic;
mod tensor_conversion;
mod tensor_views;
mod transport;

pub use bytes::*;
pub use call::*;
pub use estimate::*;
pub use fit_options::*;
pub use mlp::*;
pub use mlp_options::*;
pub use mlp_training::*;
#[cfg(feature = "net")]
pub use network::*;
pub use p1::*;
pub use p2::*;
pub use private_key::*;
pub use public_key::*;
pub use record::*;
pub use session::*;
pub use status::*;
pub use store::*;
pub use store_key::*;
pub use store_operations::*;
pub use tensor::*;
pub use tensor_arithmetic::*;
pub use tensor_conversion::*;
pub use tensor_views::*;
pub use transport::*;

use failure::{Failure, Outcome, guard};

/// `const T*` promises that several threads may use an object at once.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<BytesHandle>();
    shared::<PrivateKeyHandle>();
    shared::<PublicKeyHandle>();
    shared::<TensorHandle>();
    shared::<P1Handle>();
    shared::<CallHandle>();
    shared::<P2Handle>();
    shared::<TransportHandle>();
    shared::<RecordHandle>();
    shared::<RecordKeyHandle>();
    shared::<SessionHandle>();
    shared::<MlpOptionsHandle>();
    shared::<MlpHandle>();
    shared::<EstimateHandle>();
    shared::<FitOptionsHandle>();
    shared::<StoreHandle>();
    shared::<StoreKeyHandle>();
    #[cfg(feature = "net")]
    shared::<NetworkOptionsHandle>();
};
