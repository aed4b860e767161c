/// Statuses of the C library become exceptions, its objects handles that free themselves.
#ifndef SMLP_ERROR_HPP
#define SMLP_ERROR_HPP

#include <memory>
#include <stdexcept>
#include <string>

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

}  // namespace smlp

#endif  // SMLP_ERROR_HPP
