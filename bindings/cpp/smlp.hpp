/// smlp.hpp: C++17 binding of libsmlp, header-only.
///
/// Train and use a multilayer perceptron on Paillier-encrypted data. These headers own nothing but
/// ownership: every class is a move-only handle of an object of smlp.h, every function one call of
/// the C function of the same name, every status other than SMLP_OK an smlp::Error. Ranges,
/// errors and costs are documented in smlp.h.
///
/// Units. A tensor holds integers; it stands for integer / 2^scale. `fraction_bits` is the scale
/// that numbers are encoded with, `bound_bits` says that every integer is below 2^bound_bits in
/// magnitude, the scale included.
///
/// Threads. `const` member functions may run at the same time on one object; others, and
/// destructors, need it for themselves. An object that was moved from may only be assigned to or
/// destroyed; anything else throws smlp::Error with SMLP_NULL_POINTER.
///
/// Headers. Each of those below can be included alone, e.g. <smlp/keys.hpp>; it brings what it
/// builds on, which stands above it.
#ifndef SMLP_HPP
#define SMLP_HPP

#include "smlp.h"

#include "smlp/error.hpp"      // Error
#include "smlp/version.hpp"    // version, backend_name, backend_report
#include "smlp/bytes.hpp"      // Bytes, ByteView
#include "smlp/keys.hpp"       // PublicKey, PrivateKey
#include "smlp/tensor.hpp"     // Shape, Encoding, Tensor
#include "smlp/protocol.hpp"   // Call, P1, P2: for those who carry the bytes themselves
#include "smlp/transport.hpp"  // Transport, NetworkOptions
#include "smlp/record.hpp"     // Record, RecordKey
#include "smlp/session.hpp"    // Session, its clear twin, Statistics
#include "smlp/options.hpp"    // MlpOptions, FitOptions
#include "smlp/mlp.hpp"        // Mlp
#include "smlp/estimate.hpp"   // Job, Estimate

#endif  // SMLP_HPP
