/// The keys: anybody may have the public one; the private one is the data owner's and P2's.
#ifndef SMLP_KEYS_HPP
#define SMLP_KEYS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "smlp.h"

#include "bytes.hpp"
#include "error.hpp"

namespace smlp {

/// A digest of all that encryption with a key uses: keys with one id are equal.
using KeyId = std::array<std::uint8_t, 32>;

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
  Bytes to_bytes() const {
    return Bytes(detail::output<smlp_bytes*>(smlp_public_key_to_bytes, get()));
  }
  /// N, big-endian.
  Bytes modulus() const {
    return Bytes(detail::output<smlp_bytes*>(smlp_public_key_modulus, get()));
  }
  std::uint32_t bits() const { return detail::output<std::uint32_t>(smlp_public_key_bits, get()); }
  /// Of the random exponent of an encryption: half of N's; fewer with SMLP_SHORT_EXPONENTS.
  std::uint32_t exponent_bits() const {
    return detail::output<std::uint32_t>(smlp_public_key_exponent_bits, get());
  }
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

  /// flags: SMLP_SHORT_EXPONENTS for faster keys, on one more assumption: see SECURITY.md.
  static PrivateKey generate(std::uint32_t bits = SMLP_DEFAULT_KEY_BITS, std::uint32_t flags = 0) {
    return PrivateKey(detail::output<smlp_private_key*>(smlp_private_key_generate, bits, flags));
  }
  /// The key of other Paillier software: its two primes, big-endian. The same ones give the same key.
  static PrivateKey from_primes(ByteView p, ByteView q, std::uint32_t flags = 0) {
    return PrivateKey(detail::output<smlp_private_key*>(
        smlp_private_key_from_primes, p.data(), p.size(), q.data(), q.size(), flags));
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

}  // namespace smlp

#endif  // SMLP_KEYS_HPP
