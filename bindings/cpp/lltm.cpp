/// The torch extension `lltm_cpp`: Paillier arithmetic on int64 tensors, over smlp.h.
///
/// A drop-in for the native module of that name, and the twin of the Python module in
/// bindings/python/src/lltm_cpp, which documents names, arguments, shapes and errors. Elements are
/// ciphertexts up to 31 bits of n, and references into a store above: see smlp_store in smlp.h.
///
/// `make install` puts it into share/smlp/lltm. Built by setup.py beside this file, or by
/// torch.utils.cpp_extension.load(name="lltm_cpp", sources=["lltm.cpp"], extra_ldflags=["-lsmlp"]).
#include <torch/extension.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "lltm_keys.hpp"
#include "lltm_python.hpp"
#include "lltm_store.hpp"
#include "smlp.h"

namespace {

using namespace lltm;  // NOLINT: this file is all of the extension

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
  insecure_warning() =
      PyErr_NewException("lltm_cpp.InsecureKeyWarning", PyExc_UserWarning, nullptr);
  m.attr("InsecureKeyWarning") = py::reinterpret_borrow<py::object>(insecure_warning());

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
