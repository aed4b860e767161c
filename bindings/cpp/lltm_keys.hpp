/// Keys as lists of Python integers, and the library's keys behind them.
#ifndef SMLP_LLTM_KEYS_HPP
#define SMLP_LLTM_KEYS_HPP

#include <torch/extension.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lltm_python.hpp"
#include "smlp.h"

// Hidden: two extensions in one process must not share what is static in here.
namespace lltm __attribute__((visibility("hidden"))) {

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const noexcept { Free(object); }
};
using Key = std::shared_ptr<smlp_store_key>;
using Bytes = std::unique_ptr<smlp_bytes, Deleter<smlp_bytes, smlp_bytes_free>>;

template <class Function, class... Arguments>
inline Key make_key(Function function, Arguments... arguments) {
  smlp_store_key* made = nullptr;
  call(function, arguments..., &made);
  return {made, smlp_store_key_free};
}

struct Pair {
  Key public_key;
  Key private_key;
};

/// Keys by their modulus (big-endian), with all that speeds them up. Not many: made anew if need be.
inline std::map<std::string, Pair>& pairs() {
  static auto* all = new std::map<std::string, Pair>;
  return *all;
}

/// The category of the warning about keys that protect nothing.
inline PyObject*& insecure_warning() {
  static PyObject* category = nullptr;
  return category;
}

inline const Pair& remember(const py::int_& n, Pair pair) {
  static bool warned = false;
  if (bit_length(n) < 2048 && !warned) {
    warned = true;
    warn(insecure_warning(), "a key of " + std::to_string(bit_length(n)) +
                               " bits protects nothing; use 2048 or more");
  }
  if (pairs().size() >= 32) {
    pairs().erase(pairs().begin());
  }
  return pairs()[big_endian(n)] = std::move(pair);
}

inline const Pair& of_modulus(const py::int_& n) {
  const std::string bytes = big_endian(n);
  const auto known = pairs().find(bytes);
  if (known != pairs().end()) {
    return known->second;
  }
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return remember(n, {make_key(smlp_store_key_from_modulus, data, bytes.size(),
                               std::uint32_t{SMLP_ALLOW_INSECURE}),
                      nullptr});
}

inline std::vector<py::int_> integers(const py::object& key, std::size_t count, const char* what) {
  if (!py::isinstance<py::sequence>(key) || py::isinstance<py::str>(key) || py::len(key) != count) {
    raise(PyExc_TypeError, what);
  }
  std::vector<py::int_> all;
  for (const py::handle number : key) {
    all.push_back(integer(py::reinterpret_borrow<py::object>(number), "a number of a key"));
  }
  return all;
}

inline py::int_ public_modulus(const py::object& key) {
  const auto all = integers(key, 3, "a public key is the list [n, g, n2]");
  const py::int_ &n = all[0], &g = all[1], &n2 = all[2];
  if (n < py::int_(2) || !g.equal(n + py::int_(1)) || !n2.equal(n * n)) {
    raise(PyExc_ValueError, "this public key is inconsistent: g has to be n + 1, and n2 n²");
  }
  return n;
}

inline Key public_key(const py::object& key) { return of_modulus(public_modulus(key)).public_key; }

inline Key private_key(const py::object& key, const py::object& beside) {
  const auto all =
      integers(key, 10, "a private key is the list [p, p2, q, q2, hp, hq, mu, lambda, n, n2]");
  const py::int_ &p = all[0], &q = all[2], &n = all[8], &n2 = all[9];
  if (p < py::int_(2) || q < py::int_(2) || !n.equal(p * q) || !n2.equal(n * n)) {
    raise(PyExc_ValueError, "this private key is inconsistent: n is not p·q, or n2 not n²");
  }
  if (!beside.is_none() && !public_modulus(beside).equal(n)) {
    raise(PyExc_ValueError, "the public and the private key are of different pairs");
  }
  const auto known = pairs().find(big_endian(n));
  if (known != pairs().end() && known->second.private_key) {
    return known->second.private_key;
  }
  const std::string first = big_endian(p), second = big_endian(q);
  const auto data = [](const std::string& s) {
    return reinterpret_cast<const std::uint8_t*>(s.data());
  };
  const Key made =
      make_key(smlp_store_key_from_primes, data(first), first.size(), data(second), second.size(),
               std::uint32_t{SMLP_ALLOW_INSECURE});
  const smlp_store_key* key_pointer = made.get();
  return remember(n, {make_key(smlp_store_key_public, key_pointer), made}).private_key;
}

inline py::list pcs_keys(const py::object& modsize) {
  const py::int_ bits = integer(modsize, "modsize");
  if (bits < py::int_(0) || bit_length(bits) > 32) {
    raise(PyExc_ValueError, "modsize is outside 0 to 2^32 − 1");
  }
  const Key made = make_key(smlp_store_key_generate, bits.cast<std::uint32_t>(),
                            std::uint32_t{SMLP_ALLOW_INSECURE});
  const auto number = [&](smlp_key_number which) {
    smlp_bytes* handed = nullptr;
    check(smlp_store_key_number(made.get(), which, &handed));
    const Bytes bytes(handed);
    const char* data = reinterpret_cast<const char*>(smlp_bytes_data(bytes.get()));
    return from_bytes(data, smlp_bytes_len(bytes.get()), "big", false);
  };
  const py::int_ n = number(SMLP_KEY_MODULUS), p = number(SMLP_KEY_P), q = number(SMLP_KEY_Q);
  const smlp_store_key* key_pointer = made.get();
  remember(n, {make_key(smlp_store_key_public, key_pointer), made});
  py::list open, secret, both;
  for (const py::object& x : {py::object(n), n + py::int_(1), n * n}) {
    open.append(x);
  }
  for (const py::object& x :
       {py::object(p), p * p, py::object(q), q * q, py::object(number(SMLP_KEY_HP)),
        py::object(number(SMLP_KEY_HQ)), py::object(number(SMLP_KEY_MU)),
        py::object(number(SMLP_KEY_LAMBDA)), py::object(n), n * n}) {
    secret.append(x);
  }
  both.append(open);
  both.append(secret);
  return both;
}

}  // namespace lltm

#endif  // SMLP_LLTM_KEYS_HPP
