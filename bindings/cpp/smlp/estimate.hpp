/// What a training job will cost on this machine.
#ifndef SMLP_ESTIMATE_HPP
#define SMLP_ESTIMATE_HPP

#include <cstddef>
#include <cstdint>
#include <string>

#include "smlp.h"

#include "bytes.hpp"
#include "error.hpp"
#include "options.hpp"

namespace smlp {

/// A training job, for Estimate.
struct Job {
  std::size_t rows = 0;
  std::size_t batch_size = 32;
  std::uint64_t epochs = 1;
  std::uint32_t key_bits = SMLP_DEFAULT_KEY_BITS;
  /// What P1 promises, in bits: see Promise.
  std::uint32_t security = SMLP_DEFAULT_SECURITY;
};

/// What a job costs on this machine, from two steps of it: see smlp_estimate_new(). Its flags are
/// those of PrivateKey::generate().
class Estimate {
 public:
  Estimate(const MlpOptions& options, const Job& job, std::uint32_t flags = 0)
      : handle_(detail::output<smlp_estimate*>(
            smlp_estimate_new, detail::c_options(options).get(), job.rows, job.batch_size,
            job.epochs, job.key_bits, job.security, flags)) {}

  double number(smlp_estimate_item which) const {
    return detail::output<double>(smlp_estimate_number, handle_.get(), which);
  }
  double seconds() const { return number(SMLP_ESTIMATE_SECONDS); }
  /// Some lines for people.
  std::string text() const {
    const Bytes bytes(detail::output<smlp_bytes*>(smlp_estimate_text, handle_.get()));
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

 private:
  detail::Handle<smlp_estimate, smlp_estimate_free> handle_;
};

}  // namespace smlp

#endif  // SMLP_ESTIMATE_HPP
