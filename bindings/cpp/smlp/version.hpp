/// Which library this is and what it computes with.
#ifndef SMLP_VERSION_HPP
#define SMLP_VERSION_HPP

#include <string>

#include "smlp.h"

#include "error.hpp"

namespace smlp {

/// The library's version, e.g. "0.1.0".
inline const char* version() noexcept { return smlp_version(); }

/// The arithmetic backend in use, e.g. "gmp".
inline const char* backend_name() { return detail::output<const char*>(smlp_backend_name); }

/// Which accelerator (GPU) is in use, or why none is.
inline std::string backend_report() {
  std::string text(smlp_backend_report(nullptr, 0) + 1, '\0');
  smlp_backend_report(&text[0], text.size());
  return text.c_str();
}

}  // namespace smlp

#endif  // SMLP_VERSION_HPP
