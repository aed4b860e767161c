/// Between Python and smlp.h: errors, warnings, and integers of any size.
#ifndef SMLP_LLTM_PYTHON_HPP
#define SMLP_LLTM_PYTHON_HPP

#include <torch/extension.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "smlp.h"

// Hidden: two extensions in one process must not share what is static in here.
namespace lltm __attribute__((visibility("hidden"))) {

namespace py = pybind11;
using torch::Tensor;

[[noreturn]] inline void raise(PyObject* type, const std::string& message) {
  PyErr_SetString(type, message.c_str());
  throw py::error_already_set();
}

inline PyObject* exception_of(smlp_status status) {
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
inline void check(smlp_status status) {
  if (status != SMLP_OK) {
    std::string text(smlp_last_error(nullptr, 0), '\0');
    smlp_last_error(&text[0], text.size() + 1);
    raise(exception_of(status), text);
  }
}

inline void warn(PyObject* category, const std::string& message) {
  if (PyErr_WarnEx(category, message.c_str(), 1) != 0) {
    throw py::error_already_set();
  }
}

/// Calls a function of the library while other Python threads run.
template <class Function, class... Arguments>
inline void call(Function function, Arguments... arguments) {
  smlp_status status = SMLP_OK;
  {
    const py::gil_scoped_release released;
    status = function(arguments...);
  }
  check(status);
}

// --- integers of any size ---

inline py::object binary(PyObject* (*operation)(PyObject*, PyObject*), const py::object& left,
                  const py::object& right) {
  PyObject* value = operation(left.ptr(), right.ptr());
  if (value == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::object>(value);
}

inline std::size_t bit_length(const py::int_& value) {
  return value.attr("bit_length")().cast<std::size_t>();
}

inline std::string big_endian(const py::int_& value) {
  return py::bytes(value.attr("to_bytes")((bit_length(value) + 7) / 8, "big"));
}

inline py::int_ from_bytes(const char* data, std::size_t size, const char* order, bool is_signed) {
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
inline py::int_ integer(py::object value, const char* name) {
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

inline std::uint64_t divisor(const py::object& q) {
  const py::int_ value = integer(q, "q");
  if (value < py::int_(0) || bit_length(value) > 64) {
    raise(PyExc_ValueError, "q is outside 1 to 2^64 − 1");
  }
  return value.cast<std::uint64_t>();
}

}  // namespace lltm

#endif  // SMLP_LLTM_PYTHON_HPP
