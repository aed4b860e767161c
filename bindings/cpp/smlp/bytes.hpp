/// Bytes that the library hands out, and bytes that it is given.
#ifndef SMLP_BYTES_HPP
#define SMLP_BYTES_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "smlp.h"

#include "error.hpp"

namespace smlp {

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

}  // namespace smlp

#endif  // SMLP_BYTES_HPP
