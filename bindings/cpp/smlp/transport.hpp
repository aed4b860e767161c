/// Who carries the bytes between P1 and P2: this process, a function, or the network.
#ifndef SMLP_TRANSPORT_HPP
#define SMLP_TRANSPORT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "smlp.h"

#include "bytes.hpp"
#include "error.hpp"
#include "protocol.hpp"

namespace smlp {

#ifdef SMLP_NET
/// How to reach a P2 on another machine; the library has to be built with the cargo feature "net".
struct NetworkOptions {
  /// host:port of each key server; replicas with the same keys.
  std::vector<std::string> addresses = {};
  /// PEM files: who issued the servers' certificates, our certificate, its private key (mode 0600).
  std::string authorities_path = {};
  std::string certificate_path = {};
  std::string key_path = {};
  /// What the servers' certificates are for, if not for the host of the address.
  std::optional<std::string> server_name = {};
  /// For one exchange, with all its repetitions.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
};
#endif

/// Who carries the bytes between P1 and P2.
class Transport {
 public:
  /// Takes a request to P2 and brings back its answer, on the thread that runs the session's
  /// function. What it throws becomes an Error with SMLP_TRANSPORT and the same text.
  using Exchange = std::function<std::vector<std::uint8_t>(ByteView request)>;

  static Transport in_process(const P2& p2) {
    return Transport(detail::output<smlp_transport*>(smlp_transport_in_process, p2.get()),
                     nullptr);
  }
  static Transport callback(Exchange exchange) {
    auto kept = std::make_shared<Exchange>(std::move(exchange));
    smlp_transport* handle =
        detail::output<smlp_transport*>(smlp_transport_callback, &Transport::call, kept.get());
    return Transport(handle, std::move(kept));
  }
#ifdef SMLP_NET
  /// P2 on another machine, over gRPC with mutual TLS. One of the servers has to answer now; later
  /// on, what gets no answer is asked again, there or at a replica, until the deadline. In a process
  /// that is forked after this every exchange throws at once: connect anew there.
  static Transport connect(const NetworkOptions& options) {
    std::string addresses;
    for (const std::string& address : options.addresses) {
      addresses += addresses.empty() ? address : "," + address;
    }
    const detail::Handle<smlp_network_options, smlp_network_options_free> handle(
        detail::output<smlp_network_options*>(smlp_network_options_new, addresses.c_str()));
    detail::check(smlp_network_options_load_identity(
        handle.get(), options.authorities_path.c_str(), options.certificate_path.c_str(),
        options.key_path.c_str()));
    if (options.server_name) {
      detail::check(
          smlp_network_options_set_server_name(handle.get(), options.server_name->c_str()));
    }
    const auto milliseconds = options.deadline.count();
    detail::check(smlp_network_options_set_deadline(
        handle.get(), milliseconds > 0 ? static_cast<std::uint64_t>(milliseconds) : 0));
    return Transport(detail::output<smlp_transport*>(smlp_transport_connect, handle.get()),
                     nullptr);
  }
#endif

  const smlp_transport* get() const noexcept { return handle_.get(); }

 private:
  friend class Session;

  Transport(smlp_transport* handle, std::shared_ptr<Exchange> exchange) noexcept
      : exchange_(std::move(exchange)), handle_(handle) {}

  /// No exception may cross the C library: the text goes where a failed exchange's reply would.
  static std::int32_t call(void* userdata, const std::uint8_t* request, std::size_t len,
                           smlp_reply* reply) noexcept {
    try {
      const auto answer = (*static_cast<Exchange*>(userdata))(ByteView(request, len));
      return smlp_reply_write(reply, answer.data(), answer.size()) == SMLP_OK ? 0 : 1;
    } catch (const std::exception& error) {
      const std::uint8_t* text = reinterpret_cast<const std::uint8_t*>(error.what());
      smlp_reply_write(reply, text, std::char_traits<char>::length(error.what()));
      return 1;
    } catch (...) {
      return 1;
    }
  }

  std::shared_ptr<Exchange> exchange_;  // outlives handle_
  detail::Handle<smlp_transport, smlp_transport_free> handle_;
};

}  // namespace smlp

#endif  // SMLP_TRANSPORT_HPP
