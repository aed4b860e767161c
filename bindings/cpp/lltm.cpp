/// The torch extension `lltm_cpp`: Paillier arithmetic on int64 tensors, over smlp.h.
///
/// A drop-in for the native module of that name, and the twin of the Python module in
/// bindings/python/src/lltm_cpp, which documents names, arguments, shapes and errors. Elements are
/// ciphertexts up to 31 bits of n, and references into a store above: see smlp_store in smlp.h.
///
/// Built by setup.py beside this file, or by
/// torch.utils.cpp_extension.load(name="lltm_cpp", sources=["lltm.cpp"], extra_ldflags=["-lsmlp"]).
#include <torch/extension.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lltm_roots.hpp"
#include "smlp.h"

namespace {

namespace py = pybind11;
using lltm::first_reference;
using torch::Tensor;

// --- errors and warnings ---

[[noreturn]] void raise(PyObject* type, const std::string& message) {
  PyErr_SetString(type, message.c_str());
  throw py::error_already_set();
}

PyObject* exception_of(smlp_status status) {
  switch (status) {
    case SMLP_BOUND:
    case SMLP_OUT_OF_RANGE:
      return PyExc_OverflowError;
    case SMLP_INVALID_ARGUMENT:
    case SMLP_SHAPE:
    case SMLP_KEY_MISMATCH:
    case SMLP_INSECURE:
    case SMLP_MALFORMED:
    case SMLP_LIMIT:
      return PyExc_ValueError;
    default:
      return PyExc_RuntimeError;
  }
}

/// The status is of this thread's last call.
void check(smlp_status status) {
  if (status != SMLP_OK) {
    std::string text(smlp_last_error(nullptr, 0), '\0');
    smlp_last_error(&text[0], text.size() + 1);
    raise(exception_of(status), text);
  }
}

void warn(PyObject* category, const std::string& message) {
  if (PyErr_WarnEx(category, message.c_str(), 1) != 0) {
    throw py::error_already_set();
  }
}

/// Calls a function of the library while other Python threads run.
template <class Function, class... Arguments>
void call(Function function, Arguments... arguments) {
  smlp_status status = SMLP_OK;
  {
    const py::gil_scoped_release released;
    status = function(arguments...);
  }
  check(status);
}

// --- the store ---

smlp_store* store() {
  // Never freed: references may be finalised after everything else.
  static smlp_store* one = [] {
    smlp_store* made = nullptr;
    check(smlp_store_new(&made));
    return made;
  }();
  return one;
}

bool is_reference(std::int64_t word) {
  if (word < first_reference || smlp_store_pin(store(), word) != SMLP_OK) {
    return false;
  }
  check(smlp_store_unpin(store(), word));
  return true;
}

std::size_t store_size() {
  std::size_t size = 0;
  check(smlp_store_len(store(), &size));
  return size;
}

std::size_t collect() {
  static bool collecting = false;  // guarded by the interpreter lock
  if (collecting) {
    return 0;
  }
  if (py::module_::import("gc").attr("get_freeze_count")().cast<std::size_t>() != 0) {
    warn(PyExc_RuntimeWarning,
         "gc.freeze() hides objects, so unused ciphertexts are kept until gc.unfreeze()");
    return 0;
  }
  struct Busy {
    Busy() { collecting = true; }
    ~Busy() { collecting = false; }
  } const busy;
  const auto mark = [](const std::int64_t* words, std::size_t count) {
    check(smlp_store_mark(store(), words, count));
  };
  lltm::Search<decltype(mark)>(mark).run();
  std::size_t freed = 0;
  check(smlp_store_sweep(store(), &freed));
  return freed;
}

/// Calls a function of the store that makes ciphertexts, after tidying up if that pays.
template <class Function, class... Arguments>
void make(Function function, Arguments... arguments) {
  bool due = false;
  check(smlp_store_is_due(store(), &due));
  if (due) {
    collect();
  }
  call(function, store(), arguments...);
  std::uint64_t wrapped = 0;
  check(smlp_store_take_wrapped(store(), &wrapped));
  if (wrapped != 0) {
    warn(PyExc_RuntimeWarning, std::to_string(wrapped) +
                                   " numbers did not fit ±n/2 of the key and wrapped modulo n");
  }
}

/// What a function of the store writes, as a tensor.
template <class Function, class... Arguments>
Tensor result(at::IntArrayRef shape, Function function, Arguments... arguments) {
  Tensor out = torch::empty(shape, torch::kLong);
  make(function, arguments..., out.data_ptr<std::int64_t>());
  return out;
}

/// The class of single ciphertexts: an int that keeps its ciphertext as long as it lives.
py::object& reference_class() {
  static auto* made = new py::object;
  return *made;
}

void make_reference_class() {
  const auto type = py::module_::import("builtins").attr("type");
  py::dict members;
  members["__slots__"] = py::tuple();
  members["__module__"] = "lltm_cpp";
  members["__doc__"] = "A ciphertext as an integer that fits torch.int64; alive as long as it is.";
  py::object& made = reference_class();
  made = type("Reference", py::make_tuple(py::type::of(py::int_())), members);
  const auto method = [&](const char* name, auto function) {
    made.attr(name) = py::cpp_function(function, py::name(name), py::is_method(made));
  };
  method("__del__", [](const py::int_& self) {
    smlp_store_unpin(store(), self.cast<std::int64_t>());
  });
  method("__copy__", [](py::object self) { return self; });
  method("__deepcopy__", [](py::object self, const py::object&) { return self; });
  method("__reduce__", [](const py::object&) -> py::object {
    raise(PyExc_TypeError, "references lead nowhere in another process, so they are not pickled");
  });
}

py::object scalar(std::int64_t word) {
  if (word < first_reference) {
    return py::int_(word);
  }
  check(smlp_store_pin(store(), word));
  return reference_class()(word);
}

// --- integers of any size ---

py::object binary(PyObject* (*operation)(PyObject*, PyObject*), const py::object& left,
                  const py::object& right) {
  PyObject* value = operation(left.ptr(), right.ptr());
  if (value == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(value);
}

std::size_t bit_length(const py::int_& value) {
  return value.attr("bit_length")().cast<std::size_t>();
}

std::string big_endian(const py::int_& value) {
  return py::bytes(value.attr("to_bytes")((bit_length(value) + 7) / 8, "big"));
}

py::int_ from_bytes(const char* data, std::size_t size, const char* order, bool is_signed) {
  const auto convert = py::type::of(py::int_()).attr("from_bytes");
  return convert(py::bytes(data, size), order, py::arg("signed") = is_signed);
}

/// As smlp_store_encrypt() takes integers.
struct Numbers {
  explicit Numbers(const std::vector<py::int_>& values) : count(values.size()) {
    std::size_t bits = 0;
    for (const auto& value : values) {
      bits = std::max(bits, bit_length(value));
    }
    each = bits / 8 + 1;
    for (const auto& value : values) {
      bytes += std::string(
          py::bytes(value.attr("to_bytes")(each, "little", py::arg("signed") = true)));
    }
  }
  const std::uint8_t* data() const { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }

  std::string bytes;
  std::size_t each = 1;
  std::size_t count;
};

/// A single integer: an int, a whole float, a tensor with one element.
py::int_ integer(py::object value, const char* name) {
  if (THPVariable_Check(value.ptr())) {
    const Tensor& tensor = THPVariable_Unpack(value.ptr());
    if (tensor.numel() != 1) {
      raise(PyExc_TypeError, std::string(name) + " is a single number, got a tensor");
    }
    value = value.attr("item")();
  }
  if (PyFloat_Check(value.ptr()) && value.attr("is_integer")().cast<bool>()) {
    return py::int_(value);
  }
  PyObject* index = PyNumber_Index(value.ptr());
  if (index == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::int_>(index);
}

std::uint64_t divisor(const py::object& q) {
  const py::int_ value = integer(q, "q");
  if (value < py::int_(0) || bit_length(value) > 64) {
    raise(PyExc_ValueError, "q is outside 1 to 2^64 − 1");
  }
  return value.cast<std::uint64_t>();
}

// --- keys ---

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const noexcept { Free(object); }
};
using Key = std::shared_ptr<smlp_store_key>;
using Bytes = std::unique_ptr<smlp_bytes, Deleter<smlp_bytes, smlp_bytes_free>>;

template <class Function, class... Arguments>
Key make_key(Function function, Arguments... arguments) {
  smlp_store_key* made = nullptr;
  call(function, arguments..., &made);
  return {made, smlp_store_key_free};
}

struct Pair {
  Key public_key;
  Key private_key;
};

/// Keys by their modulus (big-endian), with all that speeds them up. Not many: made anew if need be.
std::map<std::string, Pair>& pairs() {
  static auto* all = new std::map<std::string, Pair>;
  return *all;
}

PyObject* insecure_warning = nullptr;

const Pair& remember(const py::int_& n, Pair pair) {
  static bool warned = false;
  if (bit_length(n) < 2048 && !warned) {
    warned = true;
    warn(insecure_warning, "a key of " + std::to_string(bit_length(n)) +
                               " bits protects nothing; use 2048 or more");
  }
  if (pairs().size() >= 32) {
    pairs().erase(pairs().begin());
  }
  return pairs()[big_endian(n)] = std::move(pair);
}

const Pair& of_modulus(const py::int_& n) {
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

std::vector<py::int_> integers(const py::object& key, std::size_t count, const char* what) {
  if (!py::isinstance<py::sequence>(key) || py::isinstance<py::str>(key) || py::len(key) != count) {
    raise(PyExc_TypeError, what);
  }
  std::vector<py::int_> all;
  for (const py::handle number : key) {
    all.push_back(integer(py::reinterpret_borrow<py::object>(number), "a number of a key"));
  }
  return all;
}

py::int_ public_modulus(const py::object& key) {
  const auto all = integers(key, 3, "a public key is the list [n, g, n2]");
  const py::int_ &n = all[0], &g = all[1], &n2 = all[2];
  if (n < py::int_(2) || !g.equal(n + py::int_(1)) || !n2.equal(n * n)) {
    raise(PyExc_ValueError, "this public key is inconsistent: g has to be n + 1, and n2 n²");
  }
  return n;
}

Key public_key(const py::object& key) { return of_modulus(public_modulus(key)).public_key; }

Key private_key(const py::object& key, const py::object& beside) {
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

py::list pcs_keys(const py::object& modsize) {
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

// --- tensors ---

Tensor tensor(const py::object& value, const char* name) {
  if (THPVariable_Check(value.ptr())) {
    return THPVariable_Unpack(value.ptr()).detach();
  }
  try {
    return THPVariable_Unpack(py::module_::import("torch").attr("as_tensor")(value).ptr());
  } catch (const py::error_already_set& error) {
    raise(PyExc_TypeError, std::string(name) + " is no tensor of 64-bit integers: " + error.what());
  }
}

/// Ciphertexts: contiguous int64 on the CPU, of the same shape.
Tensor words(const py::object& value, const char* name) {
  const Tensor given = tensor(value, name);
  if (given.is_floating_point() || given.is_complex()) {
    raise(PyExc_TypeError, std::string(name) + " holds " + std::string(given.dtype().name()) +
                               ", which cannot hold ciphertexts; keep them torch.int64");
  }
  return given.to(torch::kCPU, torch::kLong).contiguous();
}

/// Clear integers: as words(), and floats that are whole numbers.
Tensor plaintexts(const py::object& value, const char* name) {
  const Tensor given = tensor(value, name);
  if (given.is_complex()) {
    raise(PyExc_TypeError, std::string(name) + " holds complex numbers; needed are integers");
  }
  if (given.is_floating_point() &&
      !given.eq(given.floor()).logical_and(given.abs() <= 9007199254740992.0).all().item<bool>()) {
    raise(PyExc_TypeError, std::string(name) +
                               " holds fractions, or floats too large to be exact; scale them and "
                               "convert them with .long()");
  }
  return given.to(torch::kCPU, torch::kLong).contiguous();
}

const std::int64_t* data(const Tensor& tensor) { return tensor.data_ptr<std::int64_t>(); }
std::size_t count(const Tensor& tensor) { return static_cast<std::size_t>(tensor.numel()); }

/// Two operands, broadcast as torch does, and the shape of what comes of them.
struct Operands {
  Operands(Tensor x, Tensor y) : left(std::move(x)), right(std::move(y)) {
    const bool single = left.numel() == 1 || right.numel() == 1;
    if (!single && left.sizes() != right.sizes()) {
      if (!at::are_expandable(left.sizes(), right.sizes())) {
        raise(PyExc_ValueError, "the shapes of the operands do not fit each other");
      }
      std::vector<Tensor> both = torch::broadcast_tensors({left, right});
      left = both[0].contiguous();
      right = both[1].contiguous();
    }
    const bool one_each = left.numel() == 1 && right.numel() == 1;
    const bool of_right = one_each ? right.dim() > left.dim() : left.numel() == 1;
    shape = (of_right ? right : left).sizes().vec();
  }

  template <class Function, class... Rest>
  Tensor apply(Function function, const Key& key, Rest... rest) const {
    const smlp_store_key* pointer = key.get();
    return result(shape, function, pointer, data(left), count(left), data(right), count(right),
                  rest...);
  }

  Tensor left, right;
  std::vector<std::int64_t> shape;
};

/// Plaintexts in little-endian two's complement, `each` bytes a number.
struct Decrypted {
  Decrypted(const Key& key, const Tensor& z) {
    smlp_bytes* handed = nullptr;
    const smlp_store_key* pointer = key.get();
    call(smlp_store_decrypt, store(), pointer, z.data_ptr<std::int64_t>(), count(z), &each, &handed);
    bytes.reset(handed);
  }
  const char* data() const { return reinterpret_cast<const char*>(smlp_bytes_data(bytes.get())); }

  std::size_t each = 0;
  Bytes bytes;
};

// --- the names ---

Tensor encrypt(const py::object& z, const py::object& key) {
  const Key made = public_key(key);
  const Tensor values = plaintexts(z, "z");
  const Tensor large = values.masked_select(values >= first_reference);
  for (std::int64_t i = 0; i < large.numel(); ++i) {
    if (is_reference(data(large)[i])) {
      raise(PyExc_ValueError, "z holds ciphertexts already");
    }
  }
  const smlp_store_key* pointer = made.get();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data(values));
  return result(values.sizes(), smlp_store_encrypt, pointer, bytes, sizeof(std::int64_t),
                count(values));
}

Tensor decrypt(const py::object& z, const py::object& key) {
  const Tensor ciphertexts = words(z, "z");
  const Decrypted clear(private_key(key, py::none()), ciphertexts);
  if (clear.each > sizeof(std::int64_t)) {
    raise(PyExc_OverflowError,
          "a plaintext has more than 64 bits: a result outgrew int64, or the tensor holds numbers "
          "that were never encrypted");
  }
  Tensor out = torch::empty(ciphertexts.sizes(), torch::kLong);
  std::memcpy(out.data_ptr(), clear.data(), clear.each * count(out));
  return out;
}

py::object encrypt_s(const py::object& x, const py::object& key) {
  const Key made = public_key(key);
  const py::int_ value = integer(x, "x");
  if (bit_length(value) == 63 && is_reference(value.cast<std::int64_t>())) {
    raise(PyExc_ValueError, "x is a ciphertext already");
  }
  const Numbers numbers({value});
  const smlp_store_key* pointer = made.get();
  std::int64_t word = 0;
  make(smlp_store_encrypt, pointer, numbers.data(), numbers.each, numbers.count, &word);
  return scalar(word);
}

py::int_ decrypt_s(const py::object& x, const py::object& key) {
  const Tensor word = words(integer(x, "x"), "x");
  const Decrypted clear(private_key(key, py::none()), word);
  return from_bytes(clear.data(), clear.each, "little", true);
}

Tensor modular_mul(const py::object& z, const py::object& other, const py::object& module,
                   const py::object& q) {
  const py::int_ modulus = integer(module, "module"), by = integer(q, "q");
  if (modulus < py::int_(1) || by < py::int_(1)) {
    raise(PyExc_ValueError, "module and q are at least 1");
  }
  const Operands both(words(z, "z"), words(other, "other"));
  const py::int_ n = py::module_::import("math").attr("isqrt")(modulus);
  if (bit_length(modulus) > 62 && (n * n).equal(modulus)) {
    if (by > py::int_(1)) {
      warn(PyExc_RuntimeWarning,
           "modular_mul does not divide ciphertexts by q: that would destroy them; divide products "
           "in mul_enc");
    }
    return both.apply(smlp_store_add, of_modulus(n).public_key);
  }
  const Tensor left = both.left.expand(both.shape).contiguous();
  const Tensor right = both.right.expand(both.shape).contiguous();
  Tensor out = torch::empty(both.shape, torch::kLong);
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    if (data(left)[i] >= first_reference || data(right)[i] >= first_reference) {
      raise(PyExc_ValueError, "the operands are references, but module is not the n2 of their key");
    }
    const py::object product = py::int_(data(left)[i]) * py::int_(data(right)[i]);
    const py::object rest = binary(PyNumber_Remainder, product, modulus);
    const py::int_ quotient = binary(PyNumber_FloorDivide, rest, by);
    if (bit_length(quotient) > 63) {
      raise(PyExc_OverflowError, "a product modulo this module does not fit 64 bits");
    }
    out.data_ptr<std::int64_t>()[i] = quotient.cast<std::int64_t>();
  }
  return out;
}

py::object modular_sum(const py::object& z, const py::object& key) {
  const Key made = public_key(key);
  const Tensor all = words(z, "z");
  const smlp_store_key* pointer = made.get();
  std::int64_t word = 0;
  make(smlp_store_sum, pointer, data(all), count(all), std::size_t{0}, &word);
  return scalar(word);
}

Tensor modular_add(const py::object& x, const py::object& y, const py::object& key) {
  const Key made = public_key(key);
  return Operands(words(x, "x"), words(y, "y")).apply(smlp_store_add, made);
}

Tensor modular_sub(const py::object& x, const py::object& y, const py::object& key) {
  const Key made = public_key(key);
  return Operands(words(x, "x"), words(y, "y")).apply(smlp_store_subtract, made);
}

Tensor modular_pow(const py::object& x, const py::object& key, const py::object& r) {
  const Key made = public_key(key);
  const smlp_store_key* pointer = made.get();
  if (THPVariable_Check(r.ptr()) || py::isinstance<py::list>(r) || py::isinstance<py::tuple>(r)) {
    const Operands both(words(x, "x"), plaintexts(r, "r"));
    const Tensor bases = both.left.expand(both.shape).contiguous();
    const auto* factors = reinterpret_cast<const std::uint8_t*>(data(both.right));
    return result(both.shape, smlp_store_multiply_numbers, pointer, data(bases), count(bases),
                  factors, sizeof(std::int64_t), count(both.right));
  }
  const Tensor bases = words(x, "x");
  const Numbers factor({integer(r, "r")});
  return result(bases.sizes(), smlp_store_multiply_numbers, pointer, data(bases), count(bases),
                factor.data(), factor.each, factor.count);
}

Tensor mul_enc(const py::object& x, const py::object& y, const py::object& open,
               const py::object& secret, const py::object& q) {
  const Key made = private_key(secret, open);
  return Operands(words(x, "x"), words(y, "y")).apply(smlp_store_p2_multiply, made, divisor(q));
}

Tensor mul_enc2(const py::object& x, const py::object& y, const py::object& open,
                const py::object& secret) {
  const Key made = private_key(secret, open);
  return Operands(words(x, "x"), words(y, "y")).apply(smlp_store_p2_power, made);
}

Tensor retrieve_mul(const py::object& a, const py::object& b, const py::object& m,
                    const py::object& key, const py::object& r_a, const py::object& r_b) {
  const Key made = public_key(key);
  const Tensor left = words(a, "a"), right = words(b, "b"), answer = words(m, "m");
  const Numbers first({integer(r_a, "r_a")}), second({integer(r_b, "r_b")});
  const smlp_store_key* pointer = made.get();
  return result(answer.sizes(), smlp_store_unmask, pointer, data(left), count(left), data(right),
                count(right), data(answer), count(answer), first.data(), first.each, second.data(),
                second.each);
}

Tensor dummy_matmul(const py::object& x, const py::object& y, const py::object& open,
                    const py::object& secret, const py::object& q) {
  const Key made = private_key(secret, open);
  const Tensor left = words(x, "x"), right = words(y, "y");
  const auto rows = left.dim() == 1 ? 1 : left.size(0), inner = left.size(-1);
  const auto columns = right.dim() == 1 ? 1 : right.size(-1);
  if (left.dim() > 2 || right.dim() > 2 || right.size(0) != inner) {
    raise(PyExc_ValueError, "no matrix product of these shapes");
  }
  std::vector<std::int64_t> shape;
  if (left.dim() == 2) {
    shape.push_back(rows);
  }
  if (right.dim() == 2) {
    shape.push_back(columns);
  }
  const smlp_store_key* pointer = made.get();
  return result(shape, smlp_store_p2_matmul, pointer, data(left), data(right),
                static_cast<std::size_t>(rows), static_cast<std::size_t>(inner),
                static_cast<std::size_t>(columns), divisor(q));
}

Tensor retrieve_matmul(const py::object& sum_a, const py::object& sum_b, const py::object& m,
                       const py::object& key, const py::object& r_a, const py::object& r_b) {
  const Key made = public_key(key);
  const Tensor left = words(sum_a, "sum_a"), right = words(sum_b, "sum_b"), answer = words(m, "m");
  if (answer.dim() != 2 || answer.size(0) != left.numel() || answer.size(1) != right.numel()) {
    raise(PyExc_ValueError, "sum_a needs an element a row of the 2-D m, sum_b one a column");
  }
  const Numbers first({integer(r_a, "r_a")}), second({integer(r_b, "r_b")});
  const smlp_store_key* pointer = made.get();
  return result(answer.sizes(), smlp_store_unmask_matrix, pointer, data(left), count(left),
                data(right), count(right), data(answer), first.data(), first.each, second.data(),
                second.each);
}

Tensor sum_enc(const py::object& z, const py::object& axis, const py::object& open,
               const py::object& secret) {
  const Key made = private_key(secret, open);
  Tensor all = words(z, "z");
  auto along = std::int64_t{0};
  if (axis.is_none()) {
    all = all.flatten();
  } else {
    along = integer(axis, "axis").cast<std::int64_t>();
  }
  if (along < -all.dim() || along >= all.dim()) {
    raise(PyExc_ValueError, "there is no axis " + std::to_string(along));
  }
  const Tensor rows = all.movedim(along, -1).contiguous();
  const auto shape = rows.sizes().slice(0, static_cast<std::size_t>(rows.dim()) - 1);
  if (rows.size(-1) == 0) {
    return encrypt(py::cast(torch::zeros(shape, torch::kLong)), open);
  }
  const smlp_store_key* pointer = made.get();
  return result(shape, smlp_store_p2_sum, pointer, data(rows), count(rows),
                static_cast<std::size_t>(rows.size(-1)));
}

std::vector<py::object> list(const py::object& value) {
  const bool is_tensor = THPVariable_Check(value.ptr());
  if (!is_tensor && !py::isinstance<py::list>(value) && !py::isinstance<py::tuple>(value)) {
    return {value};
  }
  const py::sequence all = is_tensor ? value.attr("flatten")().attr("tolist")() : value;
  return {all.begin(), all.end()};
}

Tensor div_enc(const py::object& c, const py::object& d, const py::object& r,
               const py::object& key) {
  const Key made = public_key(key);
  const Tensor ciphertexts = words(c, "c");
  const auto divisors = list(d), masks = list(r);
  const std::size_t len = std::max(divisors.size(), masks.size());
  for (const std::size_t size : {divisors.size(), masks.size()}) {
    if (size != 1 && size != count(ciphertexts)) {
      raise(PyExc_ValueError, "as many divisors and masks as ciphertexts are needed, or one");
    }
  }
  const auto fraction = py::module_::import("fractions").attr("Fraction");
  std::vector<py::int_> shifts;
  for (std::size_t i = 0; i < len; ++i) {
    const py::object& by = divisors[divisors.size() == 1 ? 0 : i];
    if (by.equal(py::int_(0))) {
      raise(PyExc_ZeroDivisionError, "division by 0");
    }
    const py::object mask = -integer(masks[masks.size() == 1 ? 0 : i], "r");
    shifts.emplace_back(binary(PyNumber_FloorDivide, mask, fraction(by)));
  }
  const Numbers numbers(shifts);
  const smlp_store_key* pointer = made.get();
  return result(ciphertexts.sizes(), smlp_store_add_numbers, pointer, data(ciphertexts),
                count(ciphertexts), numbers.data(), numbers.each, numbers.count);
}

py::object gmp_sign(const py::object& x) {
  if (THPVariable_Check(x.ptr()) && THPVariable_Unpack(x.ptr()).dim() > 0) {
    return py::cast(THPVariable_Unpack(x.ptr()).sign());
  }
  const py::object number = PyFloat_Check(x.ptr()) ? x : integer(x, "x");
  return py::int_(int{number > py::int_(0)} - int{number < py::int_(0)});
}

template <class Compute>
void print_self_test(const char* name, Compute compute) {
  const py::list keys = pcs_keys(py::int_(30));
  const py::object open = keys[0], secret = keys[1];
  const auto encrypted = [&](std::vector<std::int64_t> values) {
    return py::cast(encrypt(py::cast(torch::tensor(values)), open));
  };
  const Tensor out = compute(encrypted({3, -4}), encrypted({5, 6}), open, secret);
  py::print("[3, -4]", name, "[5, 6] =",
            py::cast(decrypt(py::cast(out), secret)).attr("tolist")());
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.doc() = "Paillier arithmetic on torch.int64 tensors, by libsmlp";
  make_reference_class();
  m.attr("Reference") = reference_class();
  insecure_warning =
      PyErr_NewException("lltm_cpp.InsecureKeyWarning", PyExc_UserWarning, nullptr);
  m.attr("InsecureKeyWarning") = py::reinterpret_borrow<py::object>(insecure_warning);

  using py::operator""_a;
  m.def("pcs_keys", pcs_keys, "modsize"_a = 12);
  m.def("encrypt", encrypt, "z"_a, "public"_a);
  m.def("decrypt", decrypt, "z"_a, "private"_a);
  m.def("encrypt_s", encrypt_s, "x"_a, "public"_a);
  m.def("decrypt_s", decrypt_s, "x"_a, "private"_a);
  m.def("modular_mul", modular_mul, "z"_a, "other"_a, "module"_a, "q"_a = 1);
  m.def("modular_sum", modular_sum, "z"_a, "public"_a);
  m.def("modular_add", modular_add, "x"_a, "y"_a, "public"_a);
  m.def("modular_sub", modular_sub, "x"_a, "y"_a, "public"_a);
  m.def("modular_pow", modular_pow, "x"_a, "public"_a, "r"_a);
  m.def("mul_enc", mul_enc, "x"_a, "y"_a, "public"_a, "private"_a, "q"_a = 1);
  m.def("mul_enc2", mul_enc2, "x"_a, "y"_a, "public"_a, "private"_a);
  m.def("retrieve_mul", retrieve_mul, "a"_a, "b"_a, "m"_a, "public"_a, "r_a"_a, "r_b"_a);
  m.def("dummy_matmul", dummy_matmul, "x"_a, "y"_a, "public"_a, "private"_a, "q"_a = 1);
  m.def("retrieve_matmul", retrieve_matmul, "sum_a"_a, "sum_b"_a, "m"_a, "public"_a, "r_a"_a,
        "r_b"_a);
  m.def("sum_enc", sum_enc, "z"_a, "axis"_a, "public"_a, "private"_a);
  m.def("div_enc", div_enc, "c"_a, "d"_a, "r"_a, "public"_a);
  m.def("gmp_sign", gmp_sign, "x"_a);
  m.def("collect", collect);
  m.def("store_size", store_size);
  m.def("test", [](const py::args&) {
    print_self_test("*", [](const auto& a, const auto& b, const auto& open, const auto& secret) {
      return mul_enc(a, b, open, secret, py::int_(1));
    });
  });
  m.def("test_", [](const py::args&) {
    print_self_test("+", [](const auto& a, const auto& b, const auto& open, const auto&) {
      return modular_add(a, b, open);
    });
  });
  m.def("d_test_", [](const py::args&) {
    print_self_test("-", [](const auto& a, const auto& b, const auto& open, const auto&) {
      return modular_sub(a, b, open);
    });
  });
}
