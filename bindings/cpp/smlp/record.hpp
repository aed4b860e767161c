/// Records: what a session's calls rounded with, for a clear session that computes the same integers.
#ifndef SMLP_RECORD_HPP
#define SMLP_RECORD_HPP

#include <cstdint>
#include <string>

#include "smlp.h"

#include "bytes.hpp"
#include "error.hpp"

namespace smlp {

/// Opens records in files. Belongs to the data owner, neither to P1 nor to P2.
class RecordKey {
 public:
  explicit RecordKey(smlp_record_key* handle) noexcept : handle_(handle) {}

  static RecordKey generate() {
    return RecordKey(detail::output<smlp_record_key*>(smlp_record_key_generate));
  }
  static RecordKey load(const std::string& path) {
    return RecordKey(detail::output<smlp_record_key*>(smlp_record_key_load, path.c_str()));
  }

  /// To a new file that only its owner may read.
  void save(const std::string& path) const {
    detail::check(smlp_record_key_save(get(), path.c_str()));
  }
  /// The half for P1: what Record::append() encrypts to.
  Bytes public_key() const {
    return Bytes(detail::output<smlp_bytes*>(smlp_record_key_public, get()));
  }

  const smlp_record_key* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<smlp_record_key, smlp_record_key_free> handle_;
};

/// A line for each call of a session that was completed. Whoever has it and P2's view of the calls
/// learns x mod d of every division: in memory it is for tests, in a file only the data owner can
/// read it.
class Record {
 public:
  /// In memory, without lines.
  Record() : handle_(detail::output<smlp_record*>(smlp_record_new)) {}
  explicit Record(smlp_record* handle) noexcept : handle_(handle) {}

  /// Begins or continues a file, for Session(p1, transport, record). While the record or a session
  /// of it lives, no other one writes to the file.
  static Record append(const std::string& path, ByteView public_key) {
    return Record(detail::output<smlp_record*>(smlp_record_append, path.c_str(), public_key.data(),
                                               public_key.size()));
  }
  /// Reads a file into memory, for Session::clear(record).
  static Record read(const std::string& path, const RecordKey& key) {
    return Record(detail::output<smlp_record*>(smlp_record_read, path.c_str(), key.get()));
  }

  std::uint64_t lines() const { return detail::output<std::uint64_t>(smlp_record_lines, get()); }

  const smlp_record* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<smlp_record, smlp_record_free> handle_;
};

}  // namespace smlp

#endif  // SMLP_RECORD_HPP
