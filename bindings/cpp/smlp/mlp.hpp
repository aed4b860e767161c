/// The network: predict, train, evaluate, save.
#ifndef SMLP_MLP_HPP
#define SMLP_MLP_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>

#include "smlp.h"

#include "bytes.hpp"
#include "error.hpp"
#include "keys.hpp"
#include "options.hpp"
#include "session.hpp"
#include "tensor.hpp"

namespace smlp {

/// A multilayer perceptron, encrypted or clear.
class Mlp {
 public:
  explicit Mlp(smlp_mlp* handle) noexcept : handle_(handle) {}

  /// A clear network with fresh weights, drawn by the data owner.
  explicit Mlp(const MlpOptions& options)
      : handle_(detail::output<smlp_mlp*>(smlp_mlp_new, detail::c_options(options).get())) {}

  Mlp encrypt(const PublicKey& key) const { return make(smlp_mlp_encrypt, get(), key.get()); }
  /// The clear twin at the same step.
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
  /// A checkpoint: weights and step. Of a clear network it holds the clear model.
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
    const auto handle = detail::c_options(options);
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

}  // namespace smlp

#endif  // SMLP_MLP_HPP
