/// smlp.hpp: C++17 binding of libsmlp, header-only.
///
/// Train and use a multilayer perceptron on Paillier-encrypted data. This header owns nothing but
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
#ifndef SMLP_HPP
#define SMLP_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "smlp.h"

namespace smlp {

/// A status other than SMLP_OK, with the text of smlp_last_error().
class Error : public std::runtime_error {
 public:
  Error(smlp_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}

  /// The category, e.g. SMLP_SHAPE.
  smlp_status status() const noexcept { return status_; }

 private:
  smlp_status status_;
};

/// Lengths of the axes; empty for a single number.
using Shape = std::vector<std::size_t>;

/// SHA-256 of a key's modulus.
using KeyId = std::array<std::uint8_t, 32>;

/// Where the rounding of divisions comes from. Secret of P1: who knows it learns x mod d.
using RoundingSeed = std::array<std::uint8_t, 32>;

namespace detail {

/// The message of the last failure on this thread.
inline std::string last_error() {
  std::string text(smlp_last_error(nullptr, 0), '\0');
  if (!text.empty()) {
    // std::string has room for the terminating NUL at data()[size()].
    smlp_last_error(&text[0], text.size() + 1);
  }
  return text;
}

inline void check(smlp_status status) {
  if (status != SMLP_OK) {
    const std::string text = last_error();
    throw Error(status, text.empty() ? smlp_status_name(status) : text);
  }
}

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

template <class T, auto Free>
using Handle = std::unique_ptr<T, Deleter<Free>>;

/// Calls a C function whose last argument is its output, and returns that output.
template <class T, class Function, class... Arguments>
T output(Function function, Arguments... arguments) {
  T value{};
  check(function(arguments..., &value));
  return value;
}

}  // namespace detail

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

/// Bytes that the library handed out. Cleared when destroyed: they may be a private key.
class Bytes {
 public:
  explicit Bytes(smlp_bytes* handle) noexcept : handle_(handle) {}

  const std::uint8_t* data() const noexcept { return smlp_bytes_data(handle_.get()); }
  std::size_t size() const noexcept { return smlp_bytes_len(handle_.get()); }
  const std::uint8_t* begin() const noexcept { return data(); }
  const std::uint8_t* end() const noexcept { return data() + size(); }

  /// A copy that is not cleared when destroyed.
  std::vector<std::uint8_t> to_vector() const { return {begin(), end()}; }

 private:
  detail::Handle<smlp_bytes, smlp_bytes_free> handle_;
};

/// Borrowed bytes, for arguments: from a Bytes, a vector, an array, or pointer and length.
class ByteView {
 public:
  ByteView(const std::uint8_t* data, std::size_t size) noexcept : data_(data), size_(size) {}
  ByteView(const Bytes& bytes) noexcept : ByteView(bytes.data(), bytes.size()) {}
  ByteView(const std::vector<std::uint8_t>& bytes) noexcept
      : ByteView(bytes.data(), bytes.size()) {}
  template <std::size_t N>
  ByteView(const std::array<std::uint8_t, N>& bytes) noexcept : ByteView(bytes.data(), N) {}

  const std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  const std::uint8_t* begin() const noexcept { return data_; }
  const std::uint8_t* end() const noexcept { return data_ + size_; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

/// Encrypts. Cheap to copy with clone(); anybody may have it.
class PublicKey {
 public:
  explicit PublicKey(smlp_public_key* handle) noexcept : handle_(handle) {}

  /// A key of other Paillier software: its modulus N, big-endian.
  static PublicKey from_modulus(ByteView modulus, std::uint32_t flags = 0) {
    return PublicKey(detail::output<smlp_public_key*>(smlp_public_key_from_modulus, modulus.data(),
                                                      modulus.size(), flags));
  }
  static PublicKey from_bytes(ByteView bytes, std::uint32_t flags = 0) {
    return PublicKey(detail::output<smlp_public_key*>(smlp_public_key_from_bytes, bytes.data(),
                                                      bytes.size(), flags));
  }
  static PublicKey load(const std::string& path, std::uint32_t flags = 0) {
    return PublicKey(detail::output<smlp_public_key*>(smlp_public_key_load, path.c_str(), flags));
  }

  void save(const std::string& path) const {
    detail::check(smlp_public_key_save(get(), path.c_str()));
  }
  Bytes to_bytes() const { return Bytes(detail::output<smlp_bytes*>(smlp_public_key_to_bytes, get())); }
  /// N, big-endian.
  Bytes modulus() const { return Bytes(detail::output<smlp_bytes*>(smlp_public_key_modulus, get())); }
  std::uint32_t bits() const { return detail::output<std::uint32_t>(smlp_public_key_bits, get()); }
  KeyId id() const {
    KeyId id{};
    detail::check(smlp_public_key_id(get(), id.data()));
    return id;
  }
  /// Whether it came from other software, by its modulus alone.
  bool is_foreign() const { return detail::output<bool>(smlp_public_key_is_foreign, get()); }

  const smlp_public_key* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<smlp_public_key, smlp_public_key_free> handle_;
};

/// Decrypts. Belongs to the data owner and to P2, never to P1.
class PrivateKey {
 public:
  explicit PrivateKey(smlp_private_key* handle) noexcept : handle_(handle) {}

  static PrivateKey generate(std::uint32_t bits = SMLP_DEFAULT_KEY_BITS, std::uint32_t flags = 0) {
    return PrivateKey(detail::output<smlp_private_key*>(smlp_private_key_generate, bits, flags));
  }
  static PrivateKey from_bytes(ByteView bytes, std::uint32_t flags = 0) {
    return PrivateKey(detail::output<smlp_private_key*>(smlp_private_key_from_bytes, bytes.data(),
                                                        bytes.size(), flags));
  }
  static PrivateKey load(const std::string& path, std::uint32_t flags = 0) {
    return PrivateKey(
        detail::output<smlp_private_key*>(smlp_private_key_load, path.c_str(), flags));
  }

  /// To a new file that only its owner may read.
  void save(const std::string& path) const {
    detail::check(smlp_private_key_save(get(), path.c_str()));
  }
  Bytes to_bytes() const {
    return Bytes(detail::output<smlp_bytes*>(smlp_private_key_to_bytes, get()));
  }
  PublicKey public_key() const {
    return PublicKey(detail::output<smlp_public_key*>(smlp_private_key_public, get()));
  }

  const smlp_private_key* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<smlp_private_key, smlp_private_key_free> handle_;
};

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
  Tensor encrypt_packed(const PublicKey& key, std::uint32_t sigma = SMLP_DEFAULT_SIGMA) const {
    return make(smlp_tensor_encrypt_packed, get(), key.get(), sigma);
  }
  Tensor encrypt_packed(const PrivateKey& key, std::uint32_t sigma = SMLP_DEFAULT_SIGMA) const {
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

/// The compute server: starts calls, for those who carry the bytes themselves.
class P1 {
 public:
  /// `sigma`: statistical security in bits of each mask, 40 to 128; 0 takes the default of 64.
  explicit P1(const PublicKey& key, std::uint32_t sigma = 0)
      : handle_(detail::output<smlp_p1*>(smlp_p1_new, key.get(), sigma)) {}

  RoundingSeed rounding_seed() const {
    RoundingSeed seed{};
    detail::check(smlp_p1_rounding_seed(get(), seed.data()));
    return seed;
  }

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
  template <class Function, class... Arguments>
  Call start(Function function, Arguments... arguments) const {
    return Call(detail::output<smlp_call*>(function, get(), arguments...));
  }

  detail::Handle<smlp_p1, smlp_p1_free> handle_;
};

/// The key server: answers P1's masked questions. Keeps no state between answers.
class P2 {
 public:
  explicit P2(const PrivateKey& key) : handle_(detail::output<smlp_p2*>(smlp_p2_new, key.get())) {}

  Bytes answer(ByteView request) const {
    return Bytes(detail::output<smlp_bytes*>(smlp_p2_answer, get(), request.data(),
                                             request.size()));
  }

  const smlp_p2* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<smlp_p2, smlp_p2_free> handle_;
};

#ifdef SMLP_NET
/// How to reach a P2 on another machine; the library has to be built with the cargo feature "net".
struct NetworkOptions {
  /// host:port of each key server; replicas with the same keys.
  std::vector<std::string> addresses = {};
  /// PEM files: who issued the servers' certificates, our certificate, its private key (mode 0600).
  std::string authorities_path = {};
  std::string certificate_path = {};
  std::string key_path = {};
  /// What the servers' certificates are for, if not for the host of the address.
  std::optional<std::string> server_name = {};
  /// For one exchange, with all its repetitions.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
};
#endif

/// Who carries the bytes between P1 and P2.
class Transport {
 public:
  /// Takes a request to P2 and brings back its answer, on the thread that runs the session's
  /// function. What it throws becomes an Error with SMLP_TRANSPORT and the same text.
  using Exchange = std::function<std::vector<std::uint8_t>(ByteView request)>;

  static Transport in_process(const P2& p2) {
    return Transport(detail::output<smlp_transport*>(smlp_transport_in_process, p2.get()),
                     nullptr);
  }
  static Transport callback(Exchange exchange) {
    auto kept = std::make_shared<Exchange>(std::move(exchange));
    smlp_transport* handle =
        detail::output<smlp_transport*>(smlp_transport_callback, &Transport::call, kept.get());
    return Transport(handle, std::move(kept));
  }
#ifdef SMLP_NET
  /// P2 on another machine, over gRPC with mutual TLS. One of the servers has to answer now; later
  /// on, what gets no answer is asked again, there or at a replica, until the deadline.
  static Transport connect(const NetworkOptions& options) {
    std::string addresses;
    for (const std::string& address : options.addresses) {
      addresses += addresses.empty() ? address : "," + address;
    }
    const detail::Handle<smlp_network_options, smlp_network_options_free> handle(
        detail::output<smlp_network_options*>(smlp_network_options_new, addresses.c_str()));
    detail::check(smlp_network_options_load_identity(
        handle.get(), options.authorities_path.c_str(), options.certificate_path.c_str(),
        options.key_path.c_str()));
    if (options.server_name) {
      detail::check(
          smlp_network_options_set_server_name(handle.get(), options.server_name->c_str()));
    }
    const auto milliseconds = options.deadline.count();
    detail::check(smlp_network_options_set_deadline(
        handle.get(), milliseconds > 0 ? static_cast<std::uint64_t>(milliseconds) : 0));
    return Transport(detail::output<smlp_transport*>(smlp_transport_connect, handle.get()),
                     nullptr);
  }
#endif

  const smlp_transport* get() const noexcept { return handle_.get(); }

 private:
  friend class Session;

  Transport(smlp_transport* handle, std::shared_ptr<Exchange> exchange) noexcept
      : exchange_(std::move(exchange)), handle_(handle) {}

  /// No exception may cross the C library: the text goes where a failed exchange's reply would.
  static std::int32_t call(void* userdata, const std::uint8_t* request, std::size_t len,
                           smlp_reply* reply) noexcept {
    try {
      const auto answer = (*static_cast<Exchange*>(userdata))(ByteView(request, len));
      return smlp_reply_write(reply, answer.data(), answer.size()) == SMLP_OK ? 0 : 1;
    } catch (const std::exception& error) {
      const std::uint8_t* text = reinterpret_cast<const std::uint8_t*>(error.what());
      smlp_reply_write(reply, text, std::char_traits<char>::length(error.what()));
      return 1;
    } catch (...) {
      return 1;
    }
  }

  std::shared_ptr<Exchange> exchange_;  // outlives handle_
  detail::Handle<smlp_transport, smlp_transport_free> handle_;
};

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
  /// m: P2's advantage is at most m · 2^-sigma.
  std::uint64_t masked_values;
};

/// max(x, 0), and 1 where x >= 0, else 0.
struct ReluResult {
  Tensor value;
  Tensor derivative;
};

/// The operations that need both parties, on encrypted tensors over a transport; or their clear
/// twin, the same integers on clear tensors and without any partner.
class Session {
 public:
  Session(const P1& p1, const Transport& transport)
      : exchange_(transport.exchange_),
        handle_(detail::output<smlp_session*>(smlp_session_new, p1.get(), transport.get())) {}

  /// The clear twin, rounding by a seed of the operating system's generator or by a given one.
  static Session clear() {
    return Session(detail::output<smlp_session*>(smlp_session_new_clear, nullptr));
  }
  static Session clear(const RoundingSeed& seed) {
    return Session(detail::output<smlp_session*>(smlp_session_new_clear, seed.data()));
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

/// What a new network looks like. Fields left out take the defaults of smlp.h.
struct MlpOptions {
  /// Sizes from input to output, e.g. {2, 10, 2}.
  std::vector<std::size_t> layers = {};
  /// Of inputs, weights, activations and errors.
  std::uint32_t fraction_bits = SMLP_DEFAULT_FRACTION_BITS;
  /// Declared bound of weights and biases in bits, scale included.
  std::optional<std::uint32_t> weight_bits = {};
  /// Declared bound of inputs, activations and errors in bits, scale included.
  std::optional<std::uint32_t> activation_bits = {};
  /// Draws the initial weights; without it, the operating system's generator does.
  std::optional<std::uint64_t> seed = {};
  /// Of each layer of weights; empty for ReLU inside and linear last.
  std::vector<smlp_activation> activations = {};
};

/// How to train.
struct FitOptions {
  /// Passes over the data.
  std::size_t epochs = 1;
  /// Instead of epochs: exactly so many steps.
  std::optional<std::uint64_t> steps = {};
  std::size_t batch_size = 32;
  double learning_rate = 0.1;
  bool shuffle = true;
  std::uint64_t shuffle_seed = 0;
  /// A file (UTF-8) that the network is saved to before the first step, after every step whose
  /// number is a multiple of checkpoint_every, at the end, and when progress stops; empty for none.
  /// See smlp_fit_options_set_checkpoint() for how to go on after a crash.
  std::string checkpoint = {};
  std::uint64_t checkpoint_every = 50;
  /// Called after each step with the steps done and to do. Returning false stops with an Error of
  /// SMLP_CANCELLED; so does an exception, which fit() then throws on. Finished steps are kept.
  std::function<bool(std::uint64_t done, std::uint64_t total)> progress = {};
};

/// A multilayer perceptron, encrypted or clear.
class Mlp {
 public:
  explicit Mlp(smlp_mlp* handle) noexcept : handle_(handle) {}

  /// A clear network with fresh weights, drawn by the data owner.
  explicit Mlp(const MlpOptions& options) : handle_(draw(options)) {}

  Mlp encrypt(const PublicKey& key) const { return make(smlp_mlp_encrypt, get(), key.get()); }
  /// The clear twin at the same step, with the same rounding.
  Mlp decrypt(const PrivateKey& key) const { return make(smlp_mlp_decrypt, get(), key.get()); }
  Mlp clone() const { return make(smlp_mlp_clone, get()); }

  static Mlp from_bytes(ByteView bytes) {
    return make(smlp_mlp_from_bytes, bytes.data(), bytes.size(), nullptr);
  }
  /// Encrypted networks need their key.
  static Mlp from_bytes(ByteView bytes, const PublicKey& key) {
    return make(smlp_mlp_from_bytes, bytes.data(), bytes.size(), key.get());
  }
  static Mlp load(const std::string& path) { return make(smlp_mlp_load, path.c_str(), nullptr); }
  static Mlp load(const std::string& path, const PublicKey& key) {
    return make(smlp_mlp_load, path.c_str(), key.get());
  }
  /// A checkpoint: weights, step, rounding seed. Of a clear network it holds the clear model.
  Bytes to_bytes() const { return Bytes(detail::output<smlp_bytes*>(smlp_mlp_to_bytes, get())); }
  void save(const std::string& path) const {
    detail::check(smlp_mlp_save(get(), path.c_str()));
  }

  bool is_encrypted() const { return detail::output<bool>(smlp_mlp_is_encrypted, get()); }
  /// Number of weight matrices.
  std::size_t layers() const { return detail::output<std::size_t>(smlp_mlp_layers, get()); }
  /// Training steps done.
  std::uint64_t step() const { return detail::output<std::uint64_t>(smlp_mlp_step, get()); }
  std::uint32_t fraction_bits() const {
    return detail::output<std::uint32_t>(smlp_mlp_fraction_bits, get());
  }
  /// in × out.
  Tensor weight(std::size_t layer) const {
    return Tensor(detail::output<smlp_tensor*>(smlp_mlp_weight, get(), layer));
  }
  Tensor bias(std::size_t layer) const {
    return Tensor(detail::output<smlp_tensor*>(smlp_mlp_bias, get(), layer));
  }

  // An encrypted network works in an encrypted session, a clear one in a clear session.

  /// Outputs of the last layer, samples × outputs.
  Tensor predict(const Session& session, const Tensor& x) {
    return Tensor(
        detail::output<smlp_tensor*>(smlp_mlp_predict, handle_.get(), session.get(), x.get()));
  }
  void train_step(const Session& session, const Tensor& x, const Tensor& y, double learning_rate) {
    detail::check(
        smlp_mlp_train_step(handle_.get(), session.get(), x.get(), y.get(), learning_rate));
  }
  void fit(const Session& session, const Tensor& x, const Tensor& y,
           const FitOptions& options = {}) {
    const auto handle = fit_options(options);
    Progress progress{&options, nullptr};
    const smlp_status status =
        smlp_mlp_fit(handle_.get(), session.get(), x.get(), y.get(), handle.get(),
                     options.progress ? &Progress::call : nullptr, &progress);
    if (progress.thrown) {
      std::rethrow_exception(progress.thrown);
    }
    detail::check(status);
  }
  /// Share of samples whose largest output is where the clear one-hot label is.
  double evaluate(const Session& session, const Tensor& x, const Tensor& labels) {
    return detail::output<double>(smlp_mlp_evaluate, handle_.get(), session.get(), x.get(),
                                  labels.get(), nullptr);
  }
  /// Encrypted predictions need the key to be read.
  double evaluate(const Session& session, const Tensor& x, const Tensor& labels,
                  const PrivateKey& key) {
    return detail::output<double>(smlp_mlp_evaluate, handle_.get(), session.get(), x.get(),
                                  labels.get(), key.get());
  }

  const smlp_mlp* get() const noexcept { return handle_.get(); }

 private:
  template <class Function, class... Arguments>
  static Mlp make(Function function, Arguments... arguments) {
    return Mlp(detail::output<smlp_mlp*>(function, arguments...));
  }

  friend class Estimate;
  using OptionsHandle = detail::Handle<smlp_mlp_options, smlp_mlp_options_free>;

  static OptionsHandle c_options(const MlpOptions& options) {
    OptionsHandle handle(detail::output<smlp_mlp_options*>(
        smlp_mlp_options_new, options.layers.data(), options.layers.size()));
    smlp_mlp_options* c = handle.get();
    detail::check(smlp_mlp_options_set_fraction_bits(c, options.fraction_bits));
    if (options.weight_bits) {
      detail::check(smlp_mlp_options_set_weight_bits(c, *options.weight_bits));
    }
    if (options.activation_bits) {
      detail::check(smlp_mlp_options_set_activation_bits(c, *options.activation_bits));
    }
    if (options.seed) {
      detail::check(smlp_mlp_options_set_seed(c, *options.seed));
    }
    for (std::size_t layer = 0; layer < options.activations.size(); ++layer) {
      detail::check(smlp_mlp_options_set_activation(c, layer, options.activations[layer]));
    }
    return handle;
  }

  static smlp_mlp* draw(const MlpOptions& options) {
    return detail::output<smlp_mlp*>(smlp_mlp_new, c_options(options).get());
  }

  using FitHandle = detail::Handle<smlp_fit_options, smlp_fit_options_free>;
  static FitHandle fit_options(const FitOptions& options) {
    FitHandle handle(detail::output<smlp_fit_options*>(smlp_fit_options_new));
    smlp_fit_options* c = handle.get();
    detail::check(smlp_fit_options_set_epochs(c, options.epochs));
    if (options.steps) {
      detail::check(smlp_fit_options_set_steps(c, *options.steps));
    }
    detail::check(smlp_fit_options_set_batch_size(c, options.batch_size));
    detail::check(smlp_fit_options_set_learning_rate(c, options.learning_rate));
    detail::check(smlp_fit_options_set_shuffle(c, options.shuffle, options.shuffle_seed));
    if (!options.checkpoint.empty()) {
      detail::check(smlp_fit_options_set_checkpoint(c, options.checkpoint.c_str(),
                                                    options.checkpoint_every));
    }
    return handle;
  }

  /// No exception may cross the C library: it waits in `thrown`.
  struct Progress {
    const FitOptions* options;
    std::exception_ptr thrown;

    static std::int32_t call(void* userdata, std::uint64_t done, std::uint64_t total) noexcept {
      auto* self = static_cast<Progress*>(userdata);
      try {
        return self->options->progress(done, total) ? 0 : 1;
      } catch (...) {
        self->thrown = std::current_exception();
        return 1;
      }
    }
  };

  detail::Handle<smlp_mlp, smlp_mlp_free> handle_;
};

/// A training job, for Estimate.
struct Job {
  std::size_t rows = 0;
  std::size_t batch_size = 32;
  std::uint64_t epochs = 1;
  std::uint32_t key_bits = SMLP_DEFAULT_KEY_BITS;
  std::uint32_t sigma = SMLP_DEFAULT_SIGMA;
};

/// What a job costs on this machine, from two steps of it: see smlp_estimate_new().
class Estimate {
 public:
  Estimate(const MlpOptions& options, const Job& job, std::uint32_t flags = 0)
      : handle_(detail::output<smlp_estimate*>(
            smlp_estimate_new, Mlp::c_options(options).get(), job.rows, job.batch_size, job.epochs,
            job.key_bits, job.sigma, flags)) {}

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

#endif  // SMLP_HPP
