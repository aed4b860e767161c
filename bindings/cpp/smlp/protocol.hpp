/// The two parties, for those who carry the bytes between them themselves.
#ifndef SMLP_PROTOCOL_HPP
#define SMLP_PROTOCOL_HPP

#include <cstddef>
#include <cstdint>

#include "smlp.h"

#include "bytes.hpp"
#include "error.hpp"
#include "keys.hpp"
#include "tensor.hpp"

namespace smlp {

/// One interactive operation: send request() to P2, hand its answer to resume(), until that
/// returns true. The first failure is final. A call on tensors without elements is done from the
/// start: it has results and no request.
class Call {
 public:
  explicit Call(smlp_call* handle) noexcept : handle_(handle) {}

  /// What P2 has to see. Valid until resume().
  ByteView request() const {
    const std::uint8_t* data = nullptr;
    std::size_t len = 0;
    detail::check(smlp_call_request(handle_.get(), &data, &len));
    return {data, len};
  }
  /// Takes P2's answer. True: results are there; false: another request is.
  bool resume(ByteView reply) {
    return detail::output<bool>(smlp_call_resume, handle_.get(), reply.data(), reply.size());
  }
  Tensor result(std::size_t index = 0) const {
    return Tensor(detail::output<smlp_tensor*>(smlp_call_result, handle_.get(), index));
  }

 private:
  detail::Handle<smlp_call, smlp_call_free> handle_;
};

/// What P1 promises of its masks: P2's advantage over guessing is at most 2^-security, over all trainings of a network and
/// over all other calls of the P1. The widths of masks follow from it and from what P2 gets to see.
struct Promise {
  /// 40 to 128 bits.
  std::uint32_t security = SMLP_DEFAULT_SECURITY;
  /// What calls other than trainings may show P2, in values and ciphertexts; past that they fail.
  std::uint64_t values = SMLP_DEFAULT_VALUES;
};

/// The compute server: starts calls, for those who carry the bytes themselves.
class P1 {
 public:
  explicit P1(const PublicKey& key, const Promise& promise = {})
      : handle_(detail::output<smlp_p1*>(smlp_p1_new, key.get(), promise.security,
                                         promise.values)) {}

  /// With masks of so many bits of statistical security. What that is too narrow for, to keep a promise of 2^-40, throws
  /// an Error of SMLP_INSECURE; `flags` SMLP_ALLOW_INSECURE promises nothing, for tests.
  static P1 with_sigma(const PublicKey& key, std::uint32_t sigma, std::uint32_t flags = 0) {
    return P1(detail::output<smlp_p1*>(smlp_p1_new_with_sigma, key.get(), sigma, flags));
  }

  /// Statistical security of masks in bits, outside of trainings, which choose their own.
  std::uint32_t sigma() const { return detail::output<std::uint32_t>(smlp_p1_sigma, get()); }
  /// The promised bits; 0 where nothing is promised.
  std::uint32_t security() const { return detail::output<std::uint32_t>(smlp_p1_security, get()); }

  Call multiply(const Tensor& left, const Tensor& right) const {
    return start(smlp_p1_multiply, left.get(), right.get());
  }
  Call matmul(const Tensor& left, const Tensor& right) const {
    return start(smlp_p1_matmul, left.get(), right.get());
  }
  /// (x + r) // divisor with r uniform in [0, divisor): unbiased rounding. The scale falls by
  /// `scale_drop` bits.
  Call divide(const Tensor& tensor, std::uint64_t divisor, std::uint32_t scale_drop = 0) const {
    return start(smlp_p1_divide, tensor.get(), divisor, scale_drop);
  }
  /// Result 0 is max(x, 0), result 1 its derivative.
  Call relu(const Tensor& tensor) const { return start(smlp_p1_relu, tensor.get()); }
  Call select(const Tensor& bits, const Tensor& tensor) const {
    return start(smlp_p1_select, bits.get(), tensor.get());
  }
  Call maximum(const Tensor& left, const Tensor& right) const {
    return start(smlp_p1_maximum, left.get(), right.get());
  }
  /// Fresh encryptions of the same values; what foreign ciphertexts need first.
  Call refresh(const Tensor& tensor) const { return start(smlp_p1_refresh, tensor.get()); }

  const smlp_p1* get() const noexcept { return handle_.get(); }

 private:
  explicit P1(smlp_p1* handle) noexcept : handle_(handle) {}

  template <class Function, class... Arguments>
  Call start(Function function, Arguments... arguments) const {
    return Call(detail::output<smlp_call*>(function, get(), arguments...));
  }

  detail::Handle<smlp_p1, smlp_p1_free> handle_;
};

/// The key server: answers P1's masked questions. Keeps no state between answers.
class P2 {
 public:
  /// A request that would take more memory is refused with SMLP_LIMIT before any work is done.
  /// `reply_bytes`: of a reply, 0 for 256 MiB; `working_bytes`: what P2 works in until the reply is
  /// written, 0 for 1 GiB.
  explicit P2(const PrivateKey& key, std::uint64_t reply_bytes = 0,
              std::uint64_t working_bytes = 0)
      : handle_(detail::output<smlp_p2*>(smlp_p2_new_with_limits, key.get(), reply_bytes,
                                         working_bytes)) {}

  /// To a P1 in the same hands.
  Bytes answer(ByteView request) const {
    return Bytes(detail::output<smlp_bytes*>(smlp_p2_answer, get(), request.data(),
                                             request.size()));
  }

  /// To one of several clients, which the caller has authenticated: the same name whenever it
  /// connects. What P2 seals for P1's keeping is refused where another client quotes it.
  Bytes answer_for(ByteView client, ByteView request) const {
    return Bytes(detail::output<smlp_bytes*>(smlp_p2_answer_for, get(), client.data(),
                                             client.size(), request.data(), request.size()));
  }

  const smlp_p2* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<smlp_p2, smlp_p2_free> handle_;
};

}  // namespace smlp

#endif  // SMLP_PROTOCOL_HPP
