/// The store of this process: where references lead, and when it is tidied up.
#ifndef SMLP_LLTM_STORE_HPP
#define SMLP_LLTM_STORE_HPP

#include <torch/extension.h>

#include <cstdint>
#include <string>

#include "lltm_python.hpp"
#include "lltm_roots.hpp"
#include "smlp.h"

// Hidden: two extensions in one process must not share what is static in here.
namespace lltm __attribute__((visibility("hidden"))) {

inline smlp_store* store() {
  // Never freed: references may be finalised after everything else.
  static smlp_store* one = [] {
    smlp_store* made = nullptr;
    check(smlp_store_new(&made));
    return made;
  }();
  return one;
}

inline bool is_reference(std::int64_t word) {
  if (word < first_reference || smlp_store_pin(store(), word) != SMLP_OK) {
    return false;
  }
  check(smlp_store_unpin(store(), word));
  return true;
}

inline std::size_t store_size() {
  std::size_t size = 0;
  check(smlp_store_len(store(), &size));
  return size;
}

inline std::size_t collect() {
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
inline void make(Function function, Arguments... arguments) {
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
inline py::object& reference_class() {
  static auto* made = new py::object;
  return *made;
}

inline void make_reference_class() {
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

inline py::object scalar(std::int64_t word) {
  if (word < first_reference) {
    return py::int_(word);
  }
  check(smlp_store_pin(store(), word));
  return reference_class()(word);
}

}  // namespace lltm

#endif  // SMLP_LLTM_STORE_HPP
