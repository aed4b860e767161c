/// The operations that need both parties, each in one call.
#ifndef SMLP_SESSION_HPP
#define SMLP_SESSION_HPP

#include <cstdint>
#include <memory>

#include "smlp.h"

#include "error.hpp"
#include "protocol.hpp"
#include "record.hpp"
#include "tensor.hpp"
#include "transport.hpp"

namespace smlp {

/// What a session has done so far.
struct Statistics {
  /// Requests that were answered, those that were sent while P1 worked on a later one included.
  std::uint64_t rounds;
  std::uint64_t bytes_sent;
  std::uint64_t bytes_received;
  std::uint64_t p1_operations;
  std::uint64_t p2_operations;
  std::uint64_t p1_nanoseconds;
  /// Time of P2 and of the wire, as far as P1 waited for them.
  std::uint64_t exchange_nanoseconds;
  /// Values that P2 saw under a mask, and ciphertexts that P1 re-randomised for it.
  std::uint64_t masked_values;
};

/// max(x, 0), and 1 where x >= 0, else 0.
struct ReluResult {
  Tensor value;
  Tensor derivative;
};

/// The operations that need both parties, on encrypted tensors over a transport; or their clear
/// twin, on clear tensors and without any partner.
class Session {
 public:
  Session(const P1& p1, const Transport& transport)
      : exchange_(transport.exchange_),
        handle_(detail::output<smlp_session*>(smlp_session_new, p1.get(), transport.get(),
                                              nullptr)) {}
  /// Keeps in `record` what its calls round with.
  Session(const P1& p1, const Transport& transport, const Record& record)
      : exchange_(transport.exchange_),
        handle_(detail::output<smlp_session*>(smlp_session_new, p1.get(), transport.get(),
                                              record.get())) {}

  /// The clear twin, with roundings of its own: equal to encrypted results up to these.
  static Session clear() {
    return Session(detail::output<smlp_session*>(smlp_session_new_clear, nullptr));
  }
  /// The clear twin that repeats recorded calls and computes the same integers: training steps by
  /// their numbers, predictions and divisions in the order in which the recorded ones ended.
  static Session clear(const Record& record) {
    return Session(detail::output<smlp_session*>(smlp_session_new_clear, record.get()));
  }

  bool is_encrypted() const { return detail::output<bool>(smlp_session_is_encrypted, get()); }

  Tensor multiply(const Tensor& left, const Tensor& right) const {
    return run(smlp_session_multiply, left.get(), right.get());
  }
  Tensor matmul(const Tensor& left, const Tensor& right) const {
    return run(smlp_session_matmul, left.get(), right.get());
  }
  /// (left @ right + r) // divisor at once; the scale falls by scale_drop.
  Tensor matmul_divide(const Tensor& left, const Tensor& right, std::uint64_t divisor,
                       std::uint32_t scale_drop = 0) const {
    return run(smlp_session_matmul_divide, left.get(), right.get(), divisor, scale_drop);
  }
  /// (x + r) // divisor with r uniform in [0, divisor); the scale stays.
  Tensor divide(const Tensor& tensor, std::uint64_t divisor) const {
    return run(smlp_session_divide, tensor.get(), divisor);
  }
  /// Divides by 2^bits and drops as many fraction bits.
  Tensor rescale(const Tensor& tensor, std::uint32_t bits) const {
    return run(smlp_session_rescale, tensor.get(), bits);
  }
  ReluResult relu(const Tensor& tensor) const {
    smlp_tensor* value = nullptr;
    smlp_tensor* derivative = nullptr;
    detail::check(smlp_session_relu(get(), tensor.get(), &value, &derivative));
    return {Tensor(value), Tensor(derivative)};
  }
  /// bits · x for a tensor of zeros and ones.
  Tensor select(const Tensor& bits, const Tensor& tensor) const {
    return run(smlp_session_select, bits.get(), tensor.get());
  }
  Tensor maximum(const Tensor& left, const Tensor& right) const {
    return run(smlp_session_maximum, left.get(), right.get());
  }
  Tensor refresh(const Tensor& tensor) const { return run(smlp_session_refresh, tensor.get()); }
  /// The same values, one a ciphertext.
  Tensor unpack(const Tensor& tensor) const { return run(smlp_session_unpack, tensor.get()); }

  Statistics statistics() const {
    return {statistic(SMLP_ROUNDS),
            statistic(SMLP_BYTES_SENT),
            statistic(SMLP_BYTES_RECEIVED),
            statistic(SMLP_P1_OPERATIONS),
            statistic(SMLP_P2_OPERATIONS),
            statistic(SMLP_P1_NANOSECONDS),
            statistic(SMLP_EXCHANGE_NANOSECONDS),
            statistic(SMLP_MASKED_VALUES)};
  }
  std::uint64_t statistic(smlp_statistic which) const {
    return detail::output<std::uint64_t>(smlp_session_statistic, get(), which);
  }
  /// P2's advantage over guessing is at most 2^-kept_bits() so far.
  double kept_bits() const { return detail::output<double>(smlp_session_kept_bits, get()); }
  void reset_statistics() const { detail::check(smlp_session_reset_statistics(get())); }

  const smlp_session* get() const noexcept { return handle_.get(); }

 private:
  explicit Session(smlp_session* handle) noexcept : handle_(handle) {}

  template <class Function, class... Arguments>
  Tensor run(Function function, Arguments... arguments) const {
    return Tensor(detail::output<smlp_tensor*>(function, get(), arguments...));
  }

  std::shared_ptr<Transport::Exchange> exchange_;  // outlives handle_
  detail::Handle<smlp_session, smlp_session_free> handle_;
};

}  // namespace smlp

#endif  // SMLP_SESSION_HPP
