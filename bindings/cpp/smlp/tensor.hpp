/// Arrays of clear or of encrypted numbers, and all that needs no second party.
#ifndef SMLP_TENSOR_HPP
#define SMLP_TENSOR_HPP

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "smlp.h"

#include "bytes.hpp"
#include "error.hpp"
#include "keys.hpp"

namespace smlp {

/// Lengths of the axes; empty for a single number.
using Shape = std::vector<std::size_t>;

/// How numbers become integers.
struct Encoding {
  /// x is stored as round(x · 2^fraction_bits).
  std::uint32_t fraction_bits = SMLP_DEFAULT_FRACTION_BITS;
  /// Every integer is below 2^bound_bits in magnitude; 0 takes the default of 40.
  std::uint32_t bound_bits = 0;
};

/// An n-dimensional array of clear or of encrypted fixed-point numbers.
class Tensor {
 public:
  explicit Tensor(smlp_tensor* handle) noexcept : handle_(handle) {}

  /// Clear numbers, row-major.
  static Tensor from(const double* data, std::size_t len, const Shape& shape,
                     Encoding encoding = {}) {
    return make(smlp_tensor_from_f64, data, len, shape.data(), shape.size(),
                encoding.fraction_bits, encoding.bound_bits);
  }
  static Tensor from(const std::vector<double>& data, const Shape& shape, Encoding encoding = {}) {
    return from(data.data(), data.size(), shape, encoding);
  }
  static Tensor from_f32(const float* data, std::size_t len, const Shape& shape,
                         Encoding encoding = {}) {
    return make(smlp_tensor_from_f32, data, len, shape.data(), shape.size(),
                encoding.fraction_bits, encoding.bound_bits);
  }
  static Tensor from_f32(const std::vector<float>& data, const Shape& shape,
                         Encoding encoding = {}) {
    return from_f32(data.data(), data.size(), shape, encoding);
  }
  /// Clear integers of scale 0; a bound of 0 takes the default of 56 bits.
  static Tensor from_i64(const std::vector<std::int64_t>& data, const Shape& shape,
                         std::uint32_t bound_bits = 0) {
    return make(smlp_tensor_from_i64, data.data(), data.size(), shape.data(), shape.size(),
                bound_bits);
  }
  /// Clear fixed-point integers as they are: they stand for integer / 2^scale.
  static Tensor from_raw(const std::vector<std::int64_t>& data, const Shape& shape,
                         std::uint32_t scale, std::uint32_t bound_bits = 0) {
    return make(smlp_tensor_from_raw, data.data(), data.size(), shape.data(), shape.size(), scale,
                bound_bits);
  }
  static Tensor from_bytes(ByteView bytes) {
    return make(smlp_tensor_from_bytes, bytes.data(), bytes.size(), nullptr);
  }
  /// Encrypted tensors need their key.
  static Tensor from_bytes(ByteView bytes, const PublicKey& key) {
    return make(smlp_tensor_from_bytes, bytes.data(), bytes.size(), key.get());
  }
  /// Raw ciphertexts of other Paillier software, row-major, big-endian, `bytes_each` bytes each.
  static Tensor from_ciphertexts(ByteView data, std::size_t bytes_each, const Shape& shape,
                                 std::uint32_t scale, std::uint32_t bound_bits,
                                 const PublicKey& key) {
    return make(smlp_tensor_from_ciphertexts, data.data(), data.size(), bytes_each, shape.data(),
                shape.size(), scale, bound_bits, key.get());
  }

  /// What a clear tensor stands for, integer / 2^scale, row-major.
  std::vector<double> to_doubles() const {
    std::vector<double> values(size());
    detail::check(smlp_tensor_to_f64(get(), values.data(), values.size()));
    return values;
  }
  /// The integers of a clear tensor, the scale not applied, row-major.
  std::vector<std::int64_t> to_int64s() const {
    std::vector<std::int64_t> values(size());
    detail::check(smlp_tensor_to_i64(get(), values.data(), values.size()));
    return values;
  }
  Bytes to_bytes() const { return Bytes(detail::output<smlp_bytes*>(smlp_tensor_to_bytes, get())); }
  /// Raw ciphertexts, row-major, big-endian.
  struct Ciphertexts {
    std::size_t bytes_each;
    Bytes data;
  };
  Ciphertexts to_ciphertexts() const {
    std::size_t bytes_each = 0;
    Bytes data(detail::output<smlp_bytes*>(smlp_tensor_to_ciphertexts, get(), &bytes_each));
    return {bytes_each, std::move(data)};
  }

  Tensor encrypt(const PublicKey& key) const {
    return make(smlp_tensor_encrypt, get(), key.get());
  }
  /// The same with the factors of N at hand: several times faster.
  Tensor encrypt(const PrivateKey& key) const {
    return make(smlp_tensor_encrypt_with_private_key, get(), key.get());
  }
  /// Many values a ciphertext, for uploading data: see smlp_tensor_encrypt_packed().
  Tensor encrypt_packed(const PublicKey& key, std::uint32_t sigma = SMLP_UPLOAD_SIGMA) const {
    return make(smlp_tensor_encrypt_packed, get(), key.get(), sigma);
  }
  Tensor encrypt_packed(const PrivateKey& key, std::uint32_t sigma = SMLP_UPLOAD_SIGMA) const {
    return make(smlp_tensor_encrypt_packed_with_private_key, get(), key.get(), sigma);
  }
  /// 1 unless the tensor is packed.
  std::size_t values_per_ciphertext() const {
    return detail::output<std::size_t>(smlp_tensor_values_per_ciphertext, get());
  }
  Tensor decrypt(const PrivateKey& key) const {
    return make(smlp_tensor_decrypt, get(), key.get());
  }

  bool is_encrypted() const { return detail::output<bool>(smlp_tensor_is_encrypted, get()); }
  KeyId key_id() const {
    KeyId id{};
    detail::check(smlp_tensor_key_id(get(), id.data()));
    return id;
  }
  std::size_t ndim() const { return detail::output<std::size_t>(smlp_tensor_ndim, get()); }
  /// Number of elements.
  std::size_t size() const { return detail::output<std::size_t>(smlp_tensor_len, get()); }
  Shape shape() const {
    Shape shape(ndim());
    detail::check(smlp_tensor_shape(get(), shape.data(), shape.size()));
    return shape;
  }
  /// Fraction bits.
  std::uint32_t scale() const { return detail::output<std::uint32_t>(smlp_tensor_scale, get()); }
  /// Every integer is below 2^bound() in magnitude.
  std::uint32_t bound() const { return detail::output<std::uint32_t>(smlp_tensor_bound, get()); }
  /// Shares the elements.
  Tensor clone() const { return make(smlp_tensor_clone, get()); }

  // Views: no element is copied or touched. Negative axes count from the end.

  /// One length may be -1.
  Tensor reshape(const std::vector<std::int64_t>& shape) const {
    return make(smlp_tensor_reshape, get(), shape.data(), shape.size());
  }
  Tensor permute(const std::vector<std::int64_t>& axes) const {
    return make(smlp_tensor_permute, get(), axes.data(), axes.size());
  }
  Tensor transpose() const { return make(smlp_tensor_transpose, get()); }
  /// Elements start, start + step, ... of an axis.
  Tensor slice(std::int64_t axis, std::int64_t start, std::size_t count,
               std::int64_t step = 1) const {
    return make(smlp_tensor_slice, get(), axis, start, count, step);
  }
  Tensor index(std::int64_t axis, std::int64_t index) const {
    return make(smlp_tensor_index, get(), axis, index);
  }
  Tensor take(std::int64_t axis, const std::vector<std::size_t>& indices) const {
    return make(smlp_tensor_take, get(), axis, indices.data(), indices.size());
  }
  Tensor squeeze() const { return make(smlp_tensor_squeeze_all, get()); }
  Tensor squeeze(std::int64_t axis) const { return make(smlp_tensor_squeeze, get(), axis); }
  Tensor unsqueeze(std::int64_t axis) const { return make(smlp_tensor_unsqueeze, get(), axis); }
  Tensor broadcast_to(const Shape& shape) const {
    return make(smlp_tensor_broadcast_to, get(), shape.data(), shape.size());
  }
  Tensor repeat(const std::vector<std::size_t>& times) const {
    return make(smlp_tensor_repeat, get(), times.data(), times.size());
  }

  /// A borrowed tensor, for lists of them: `Tensor::concatenate({a, b.transpose()}, 0)`, or
  /// `Tensor::concatenate({v.begin(), v.end()}, 0)` for a vector.
  class Reference {
   public:
    Reference(const Tensor& tensor) noexcept : handle_(tensor.get()) {}

   private:
    friend class Tensor;
    const smlp_tensor* handle_;
  };
  using References = std::vector<Reference>;
  static Tensor concatenate(const References& tensors, std::int64_t axis) {
    const auto handles = pointers(tensors);
    return make(smlp_tensor_concatenate, handles.data(), handles.size(), axis);
  }
  static Tensor stack(const References& tensors, std::int64_t axis) {
    const auto handles = pointers(tensors);
    return make(smlp_tensor_stack, handles.data(), handles.size(), axis);
  }

  // Arithmetic that needs no second party. Operands broadcast as in numpy. A product of two
  // encrypted tensors needs a Session.

  Tensor matmul(const Tensor& right) const {
    return make(smlp_tensor_matmul, get(), right.get());
  }
  Tensor sum() const { return make(smlp_tensor_sum_all, get()); }
  Tensor sum(std::int64_t axis) const { return make(smlp_tensor_sum, get(), axis); }
  /// Declares another bound: checked on clear tensors, a promise on encrypted ones.
  Tensor assume_bound(std::uint32_t bits) const {
    return make(smlp_tensor_assume_bound, get(), bits);
  }
  friend Tensor operator+(const Tensor& left, const Tensor& right) {
    return make(smlp_tensor_add, left.get(), right.get());
  }
  friend Tensor operator-(const Tensor& left, const Tensor& right) {
    return make(smlp_tensor_sub, left.get(), right.get());
  }
  friend Tensor operator*(const Tensor& left, const Tensor& right) {
    return make(smlp_tensor_mul, left.get(), right.get());
  }
  friend Tensor operator-(const Tensor& tensor) { return make(smlp_tensor_neg, tensor.get()); }

  const smlp_tensor* get() const noexcept { return handle_.get(); }

 private:
  template <class Function, class... Arguments>
  static Tensor make(Function function, Arguments... arguments) {
    return Tensor(detail::output<smlp_tensor*>(function, arguments...));
  }
  static std::vector<const smlp_tensor*> pointers(const References& tensors) {
    std::vector<const smlp_tensor*> handles;
    for (const Reference& tensor : tensors) {
      handles.push_back(tensor.handle_);
    }
    return handles;
  }

  detail::Handle<smlp_tensor, smlp_tensor_free> handle_;
};

}  // namespace smlp

#endif  // SMLP_TENSOR_HPP
