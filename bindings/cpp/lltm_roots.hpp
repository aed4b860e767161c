/// Finds the 64-bit integers that a Python program still holds, wherever they might be references.
///
/// Looked at are: the whole storage of every live int64 tensor (also where only a view of a part of
/// it is alive), Python integers and numpy arrays in every object that Python's garbage collector
/// knows, and in the local variables of every running function. A number counts if it could be a
/// reference, whatever it was meant to be: what is found too much costs memory, what is missed costs
/// an error. Not looked at: integers that exist only inside other libraries, in bytes, or on disk.
///
/// The twin of bindings/python/src/lltm_cpp/_roots.py.
#ifndef SMLP_LLTM_ROOTS_HPP
#define SMLP_LLTM_ROOTS_HPP

#include <pybind11/numpy.h>
#include <torch/extension.h>

#include <cstdint>
#include <unordered_set>
#include <utility>
#include <vector>

// Hidden: two extensions in one process must not share what is static in here.
namespace lltm __attribute__((visibility("hidden"))) {

namespace py = pybind11;

/// What is not below this is a reference, if anything.
constexpr std::int64_t first_reference = std::int64_t{1} << 62;

/// One walk over everything that is alive. `Mark` is called with an array of int64 and its length.
template <class Mark>
class Search {
 public:
  explicit Search(Mark mark) : mark_(std::move(mark)) {}

  void run() {
    objects();
    frames();
    mark_(numbers_.data(), numbers_.size());
  }

 private:
  void objects() {
    const py::list all = py::module_::import("gc").attr("get_objects")();
    for (const py::handle object : all) {
      look(object.ptr());
      if (const auto traverse = Py_TYPE(object.ptr())->tp_traverse) {
        traverse(object.ptr(), visit, this);
      }
      settle();
    }
  }

  void frames() {
    const py::dict threads = py::module_::import("sys").attr("_current_frames")();
    for (const auto& thread : threads) {
      for (py::object frame = py::reinterpret_borrow<py::object>(thread.second); !frame.is_none();
           frame = frame.attr("f_back")) {
        variables(frame);
        settle();
      }
    }
  }

  static int visit(PyObject* found, void* self) {
    static_cast<Search*>(self)->look(found);
    return 0;
  }

  /// The local variables of a function that runs. Up to Python 3.12 asking for them fills a dict of
  /// the frame, which would keep objects alive: it is emptied unless somebody else has it, or a
  /// debugger is about to write it back.
  void variables(const py::object& frame) {
    const py::object locals = frame.attr("f_locals");
    for (const py::handle local : py::list(locals.attr("values")())) {
      look(local.ptr());
    }
    const auto sys = py::module_::import("sys");
    const bool traced = !frame.attr("f_trace").is_none() || !sys.attr("gettrace")().is_none() ||
                        !sys.attr("getprofile")().is_none();
    const bool of_function = (frame.attr("f_code").attr("co_flags").cast<int>() & CO_OPTIMIZED) != 0;
    // The frame's reference and ours.
    if (PyDict_CheckExact(locals.ptr()) && Py_REFCNT(locals.ptr()) <= 2 && !traced && of_function) {
      PyDict_Clear(locals.ptr());
    }
  }

  /// Runs no Python code, which could change what is being walked over; puts aside what needs some.
  void look(PyObject* found) {
    PyTypeObject* type = Py_TYPE(found);
    if (PyLong_Check(found)) {
      int overflow = 0;
      const long long value = PyLong_AsLongLongAndOverflow(found, &overflow);
      if (overflow == 0 && value >= first_reference) {
        numbers_.push_back(value);
      }
    } else if (PyType_IsSubtype(type, reinterpret_cast<PyTypeObject*>(THPVariableClass)) != 0) {
      tensor(THPVariable_Unpack(found));
    } else if (py::isinstance<py::array>(found) || is_numpy_integer(type) || is_array(type)) {
      later_.push_back(py::reinterpret_borrow<py::object>(found));
    } else if ((PyTuple_CheckExact(found) || PyDict_CheckExact(found)) &&
               PyObject_GC_IsTracked(found) == 0 && seen_.insert(found).second) {
      // Tracked ones are among the collector's objects; those without one inside are not tracked.
      later_.push_back(py::reinterpret_borrow<py::object>(found));
    }
  }

  void settle() {
    while (!later_.empty()) {
      const py::object next = std::move(later_.back());
      later_.pop_back();
      if (py::isinstance<py::array>(next)) {
        array(py::reinterpret_borrow<py::array>(next));
      } else if (is_numpy_integer(Py_TYPE(next.ptr()))) {
        look(py::int_(next).ptr());
      } else if (is_array(Py_TYPE(next.ptr()))) {
        const py::buffer_info buffer = py::reinterpret_borrow<py::buffer>(next).request();
        if (buffer.itemsize == sizeof(std::int64_t)) {
          mark_(static_cast<const std::int64_t*>(buffer.ptr), static_cast<std::size_t>(buffer.size));
        }
      } else {
        Py_TYPE(next.ptr())->tp_traverse(next.ptr(), visit, this);
      }
    }
  }

  void tensor(const at::Tensor& tensor) {
    if (!tensor.defined() || tensor.scalar_type() != at::kLong || !tensor.has_storage() ||
        tensor.layout() != at::kStrided || tensor.device().is_meta()) {
      return;
    }
    const at::Storage& storage = tensor.storage();
    const auto size = static_cast<std::int64_t>(storage.nbytes() / sizeof(std::int64_t));
    if (size == 0 || !seen_.insert(storage.unsafeGetStorageImpl()).second) {
      return;
    }
    const at::AutoDispatchBelowAutograd quiet;
    const at::Tensor whole = tensor.as_strided({size}, {1}, 0).cpu();
    mark_(whole.template data_ptr<std::int64_t>(), static_cast<std::size_t>(size));
  }

  void array(py::array array) {
    while (py::isinstance<py::array>(array.base())) {
      array = array.base();
    }
    if (!seen_.insert(array.ptr()).second) {
      return;
    }
    if (array.dtype().kind() == 'i' && array.itemsize() == sizeof(std::int64_t)) {
      const auto whole = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>(array);
      mark_(whole.data(), static_cast<std::size_t>(whole.size()));
    } else if (array.dtype().kind() == 'O') {
      const py::list items = array.attr("ravel")().attr("tolist")();
      for (const py::handle item : items) {
        look(item.ptr());
      }
    }
  }

  static bool is_numpy_integer(PyTypeObject* type) {
    static const py::handle int64 =
        py::object(py::module_::import("numpy").attr("int64")).release();
    return reinterpret_cast<PyObject*>(type) == int64.ptr();
  }

  /// Of the module array.
  static bool is_array(PyTypeObject* type) {
    static const py::handle array =
        py::object(py::module_::import("array").attr("array")).release();
    return reinterpret_cast<PyObject*>(type) == array.ptr();
  }

  Mark mark_;
  std::vector<std::int64_t> numbers_;
  std::unordered_set<const void*> seen_;
  std::vector<py::object> later_;
};

}  // namespace lltm

#endif  // SMLP_LLTM_ROOTS_HPP
