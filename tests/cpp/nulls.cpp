// Every function with every pointer argument NULL: a status and a message, nothing written, never
// a crash. Prints the names of the functions that it covered; tests/c_abi.rs compares them with
// the header.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "check.h"

namespace {

/// An argument that may be NULL.
template <class T>
struct MayBeNull {
  T value;
};
template <class T>
MayBeNull<T> may_be_null(T value) {
  return {value};
}
template <class T>
T plain(T value) {
  return value;
}
template <class T>
T plain(MayBeNull<T> value) {
  return value.value;
}
template <class T>
constexpr bool optional = false;
template <class T>
constexpr bool optional<MayBeNull<T>> = true;

template <std::size_t I, class Arguments, class... Parameters>
void with_null(const char* name, smlp_status (*function)(Parameters...),
               std::tuple<Parameters...> arguments) {
  using Parameter = std::tuple_element_t<I, std::tuple<Parameters...>>;
  if constexpr (std::is_pointer_v<Parameter> && !optional<std::tuple_element_t<I, Arguments>>) {
    std::get<I>(arguments) = nullptr;
    const smlp_status status = std::apply(function, arguments);
    if (status != SMLP_NULL_POINTER || smlp_last_error(nullptr, 0) == 0) {
      std::fprintf(stderr, "%s with argument %zu NULL: %s\n", name, I, smlp_status_name(status));
      std::exit(1);
    }
  }
}

template <class... Parameters, class... Arguments, std::size_t... I>
void with_each_null(const char* name, smlp_status (*function)(Parameters...),
                    std::index_sequence<I...>, Arguments... arguments) {
  const std::tuple<Parameters...> values{static_cast<Parameters>(plain(arguments))...};
  (with_null<I, std::tuple<Arguments...>>(name, function, values), ...);
}

template <class... Parameters, class... Arguments>
void nulls(const char* name, smlp_status (*function)(Parameters...), Arguments... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
  with_each_null(name, function, std::index_sequence_for<Arguments...>{}, arguments...);
  std::printf("%s\n", name);
}

#define NULLS(function, ...) nulls(#function, function, __VA_ARGS__)

std::int32_t exchange(void*, const std::uint8_t*, std::size_t, smlp_reply*) { return 1; }
std::int32_t progress(void*, std::uint64_t, std::uint64_t) { return 0; }

template <class T>
T* sentinel() {
  static std::max_align_t place;
  return reinterpret_cast<T*>(&place);
}

}  // namespace

int main() {
  const double f64[2] = {1, 2};
  const float f32[2] = {1, 2};
  const std::int64_t i64[2] = {1, 2};
  const std::size_t shape[1] = {2};
  const std::int64_t axes[1] = {0};
  const std::uint8_t data[40] = {};

  smlp_private_key* private_key = nullptr;
  smlp_public_key* public_key = nullptr;
  smlp_tensor* tensor = nullptr;
  smlp_tensor* secret = nullptr;
  OK(smlp_private_key_generate(256, SMLP_ALLOW_INSECURE, &private_key));
  OK(smlp_private_key_public(private_key, &public_key));
  OK(smlp_tensor_from_i64(i64, 2, shape, 1, 8, &tensor));
  OK(smlp_tensor_encrypt(tensor, public_key, &secret));
  smlp_p1* p1 = nullptr;
  smlp_p2* p2 = nullptr;
  smlp_call* call = nullptr;
  smlp_transport* transport = nullptr;
  smlp_session* session = nullptr;
  OK(smlp_p1_new_with_sigma(public_key, 40, SMLP_ALLOW_INSECURE, &p1));
  OK(smlp_p2_new(private_key, &p2));
  OK(smlp_p1_multiply(p1, secret, secret, &call));
  OK(smlp_transport_in_process(p2, &transport));
  smlp_record* record = nullptr;
  smlp_record_key* record_key = nullptr;
  OK(smlp_record_new(&record));
  OK(smlp_record_key_generate(&record_key));
  OK(smlp_session_new(p1, transport, record, &session));
  const std::size_t layers[2] = {2, 2};
  smlp_mlp_options* options = nullptr;
  smlp_mlp* mlp = nullptr;
  smlp_fit_options* fit = nullptr;
  OK(smlp_mlp_options_new(layers, 2, &options));
  OK(smlp_mlp_new(options, &mlp));
  OK(smlp_fit_options_new(&fit));
  smlp_store* store = nullptr;
  smlp_store_key* store_key = nullptr;
  OK(smlp_store_new(&store));
  OK(smlp_store_key_generate(256, SMLP_ALLOW_INSECURE, &store_key));

  // Outputs that no failing call may write.
  std::uint8_t byte[32];
  std::memset(byte, 0x5a, sizeof byte);
  bool flag = true;
  std::uint32_t number = 77;
  std::size_t size = 77;
  std::uint64_t count = 77;
  double share = 77;
  double doubles[2] = {77, 77};
  std::int64_t integers[2] = {77, 77};
  std::size_t sizes[8] = {77};
  const std::uint8_t* borrowed = data;
  const char* name = "untouched";
  auto* bytes = sentinel<smlp_bytes>();
  auto* out_private = sentinel<smlp_private_key>();
  auto* out_public = sentinel<smlp_public_key>();
  auto* out = sentinel<smlp_tensor>();
  auto* out_p1 = sentinel<smlp_p1>();
  auto* out_p2 = sentinel<smlp_p2>();
  auto* out_call = sentinel<smlp_call>();
  auto* out_transport = sentinel<smlp_transport>();
  auto* out_record = sentinel<smlp_record>();
  auto* out_record_key = sentinel<smlp_record_key>();
  auto* out_session = sentinel<smlp_session>();
  auto* out_options = sentinel<smlp_mlp_options>();
  auto* out_mlp = sentinel<smlp_mlp>();
  auto* out_fit = sentinel<smlp_fit_options>();
  auto* out_store = sentinel<smlp_store>();
  auto* out_store_key = sentinel<smlp_store_key>();
#ifdef SMLP_NET
  smlp_network_options* network = nullptr;
  OK(smlp_network_options_new("127.0.0.1:1", &network));
  auto* out_network = sentinel<smlp_network_options>();
  const char* missing = "/nonexistent/file";
  NULLS(smlp_network_options_new, "127.0.0.1:1", &out_network);
  NULLS(smlp_network_options_set_identity, network, data, 40, data, 40, data, 40);
  NULLS(smlp_network_options_load_identity, network, missing, missing, missing);
  NULLS(smlp_network_options_set_server_name, network, "p2.example");
  NULLS(smlp_network_options_set_deadline, network, 1);
  NULLS(smlp_transport_connect, network, &out_transport);
  REQUIRE(out_network == sentinel<smlp_network_options>());
  smlp_network_options_free(network);
  smlp_network_options_free(nullptr);
#endif
  const smlp_tensor* pair[2] = {tensor, tensor};

  NULLS(smlp_backend_name, &name);

  NULLS(smlp_private_key_generate, 256, SMLP_ALLOW_INSECURE, &out_private);
  NULLS(smlp_private_key_from_primes, data, 40, data, 40, SMLP_ALLOW_INSECURE, &out_private);
  NULLS(smlp_private_key_public, private_key, &out_public);
  NULLS(smlp_private_key_to_bytes, private_key, &bytes);
  NULLS(smlp_private_key_from_bytes, data, 40, 0, &out_private);
  NULLS(smlp_private_key_save, private_key, "/nonexistent/key");
  NULLS(smlp_private_key_load, "/nonexistent/key", 0, &out_private);
  NULLS(smlp_public_key_from_modulus, data, 40, 0, &out_public);
  NULLS(smlp_public_key_modulus, public_key, &bytes);
  NULLS(smlp_public_key_bits, public_key, &number);
  NULLS(smlp_public_key_exponent_bits, public_key, &number);
  NULLS(smlp_public_key_id, public_key, byte);
  NULLS(smlp_public_key_is_foreign, public_key, &flag);
  NULLS(smlp_public_key_to_bytes, public_key, &bytes);
  NULLS(smlp_public_key_from_bytes, data, 40, 0, &out_public);
  NULLS(smlp_public_key_save, public_key, "/nonexistent/key");
  NULLS(smlp_public_key_load, "/nonexistent/key", 0, &out_public);

  NULLS(smlp_tensor_from_f64, f64, 2, shape, 1, 16, 0, &out);
  NULLS(smlp_tensor_from_f32, f32, 2, shape, 1, 16, 0, &out);
  NULLS(smlp_tensor_from_i64, i64, 2, shape, 1, 0, &out);
  NULLS(smlp_tensor_from_raw, i64, 2, shape, 1, 4, 0, &out);
  NULLS(smlp_tensor_to_f64, tensor, doubles, 2);
  NULLS(smlp_tensor_to_i64, tensor, integers, 2);
  NULLS(smlp_tensor_encrypt, tensor, public_key, &out);
  NULLS(smlp_tensor_encrypt_with_private_key, tensor, private_key, &out);
  NULLS(smlp_tensor_encrypt_packed, tensor, public_key, 64, &out);
  NULLS(smlp_tensor_encrypt_packed_with_private_key, tensor, private_key, 64, &out);
  NULLS(smlp_tensor_values_per_ciphertext, secret, &size);
  NULLS(smlp_tensor_decrypt, secret, private_key, &out);
  NULLS(smlp_tensor_is_encrypted, tensor, &flag);
  NULLS(smlp_tensor_key_id, secret, byte);
  NULLS(smlp_tensor_ndim, tensor, &size);
  NULLS(smlp_tensor_len, tensor, &size);
  NULLS(smlp_tensor_shape, tensor, sizes, 8);
  NULLS(smlp_tensor_scale, tensor, &number);
  NULLS(smlp_tensor_bound, tensor, &number);
  NULLS(smlp_tensor_clone, tensor, &out);
  NULLS(smlp_tensor_to_bytes, tensor, &bytes);
  NULLS(smlp_tensor_from_bytes, data, 40, may_be_null(public_key), &out);
  NULLS(smlp_tensor_to_ciphertexts, secret, &size, &bytes);
  NULLS(smlp_tensor_from_ciphertexts, data, 40, 40, shape, 1, 0, 8, public_key, &out);
  NULLS(smlp_tensor_reshape, tensor, axes, 1, &out);
  NULLS(smlp_tensor_permute, tensor, axes, 1, &out);
  NULLS(smlp_tensor_transpose, tensor, &out);
  NULLS(smlp_tensor_slice, tensor, 0, 0, 1, 1, &out);
  NULLS(smlp_tensor_index, tensor, 0, 0, &out);
  NULLS(smlp_tensor_take, tensor, 0, shape, 1, &out);
  NULLS(smlp_tensor_squeeze, tensor, 0, &out);
  NULLS(smlp_tensor_squeeze_all, tensor, &out);
  NULLS(smlp_tensor_unsqueeze, tensor, 0, &out);
  NULLS(smlp_tensor_broadcast_to, tensor, shape, 1, &out);
  NULLS(smlp_tensor_repeat, tensor, shape, 1, &out);
  NULLS(smlp_tensor_concatenate, pair, 2, 0, &out);
  NULLS(smlp_tensor_stack, pair, 2, 0, &out);
  pair[1] = nullptr;
  FAILS(SMLP_NULL_POINTER, smlp_tensor_concatenate(pair, 2, 0, &out));
  FAILS(SMLP_NULL_POINTER, smlp_tensor_stack(pair, 2, 0, &out));
  NULLS(smlp_tensor_add, tensor, tensor, &out);
  NULLS(smlp_tensor_sub, tensor, tensor, &out);
  NULLS(smlp_tensor_neg, tensor, &out);
  NULLS(smlp_tensor_mul, tensor, tensor, &out);
  NULLS(smlp_tensor_matmul, tensor, tensor, &out);
  NULLS(smlp_tensor_sum, tensor, 0, &out);
  NULLS(smlp_tensor_sum_all, tensor, &out);
  NULLS(smlp_tensor_assume_bound, tensor, 8, &out);
  NULLS(smlp_tensor_as_scale, tensor, 8, &out);

  NULLS(smlp_p1_new, public_key, 40, 1000, &out_p1);
  NULLS(smlp_p1_new_with_sigma, public_key, 40, 0, &out_p1);
  NULLS(smlp_p1_sigma, p1, &number);
  NULLS(smlp_p1_security, p1, &number);
  NULLS(smlp_p1_multiply, p1, secret, secret, &out_call);
  NULLS(smlp_p1_matmul, p1, secret, secret, &out_call);
  NULLS(smlp_p1_divide, p1, secret, 2, 0, &out_call);
  NULLS(smlp_p1_relu, p1, secret, &out_call);
  NULLS(smlp_p1_select, p1, secret, secret, &out_call);
  NULLS(smlp_p1_maximum, p1, secret, secret, &out_call);
  NULLS(smlp_p1_refresh, p1, secret, &out_call);
  NULLS(smlp_call_request, call, &borrowed, &size);
  NULLS(smlp_call_resume, call, data, 40, &flag);
  NULLS(smlp_call_result, call, 0, &out);
  NULLS(smlp_p2_new, private_key, &out_p2);
  NULLS(smlp_p2_new_with_limits, private_key, 0, 0, &out_p2);
  NULLS(smlp_p2_answer, p2, data, 40, &bytes);
  NULLS(smlp_p2_answer_for, p2, data, 5, data, 40, &bytes);

  NULLS(smlp_transport_in_process, p2, &out_transport);
  NULLS(smlp_transport_callback, exchange, may_be_null<void*>(&size), &out_transport);
  NULLS(smlp_record_new, &out_record);
  NULLS(smlp_record_append, "/nonexistent/record", data, 40, &out_record);
  NULLS(smlp_record_read, "/nonexistent/record", record_key, &out_record);
  NULLS(smlp_record_lines, record, &count);
  NULLS(smlp_record_key_generate, &out_record_key);
  NULLS(smlp_record_key_public, record_key, &bytes);
  NULLS(smlp_record_key_save, record_key, "/nonexistent/key");
  NULLS(smlp_record_key_load, "/nonexistent/key", &out_record_key);
  NULLS(smlp_session_new, p1, transport, may_be_null(record), &out_session);
  NULLS(smlp_session_new_clear, may_be_null(record), &out_session);
  NULLS(smlp_session_is_encrypted, session, &flag);
  NULLS(smlp_session_multiply, session, secret, secret, &out);
  NULLS(smlp_session_matmul, session, secret, secret, &out);
  NULLS(smlp_session_divide, session, secret, 2, &out);
  NULLS(smlp_session_matmul_divide, session, secret, secret, 2, 0, &out);
  NULLS(smlp_session_rescale, session, secret, 2, &out);
  NULLS(smlp_session_relu, session, secret, &out, may_be_null(&out));
  NULLS(smlp_session_select, session, secret, secret, &out);
  NULLS(smlp_session_maximum, session, secret, secret, &out);
  NULLS(smlp_session_refresh, session, secret, &out);
  NULLS(smlp_session_unpack, session, secret, &out);
  NULLS(smlp_session_statistic, session, SMLP_ROUNDS, &count);
  double bits_kept = 0;
  NULLS(smlp_session_kept_bits, session, &bits_kept);
  NULLS(smlp_session_reset_statistics, session);

  NULLS(smlp_mlp_options_new, layers, 2, &out_options);
  NULLS(smlp_mlp_options_set_activation, options, 0, SMLP_RELU);
  smlp_estimate* estimate = nullptr;
  smlp_estimate* out_estimate = nullptr;
  double estimated = 0;
  OK(smlp_estimate_new(options, 4, 4, 1, 512, 40, SMLP_ALLOW_INSECURE, &estimate));
  NULLS(smlp_estimate_new, options, 4, 4, 1, 512, 40, SMLP_ALLOW_INSECURE, &out_estimate);
  NULLS(smlp_estimate_number, estimate, SMLP_ESTIMATE_STEPS, &estimated);
  NULLS(smlp_estimate_text, estimate, &bytes);
  smlp_estimate_free(estimate);
  smlp_estimate_free(nullptr);
  NULLS(smlp_mlp_options_set_fraction_bits, options, 16);
  NULLS(smlp_mlp_options_set_weight_bits, options, 24);
  NULLS(smlp_mlp_options_set_activation_bits, options, 24);
  NULLS(smlp_mlp_options_set_seed, options, 1);
  NULLS(smlp_mlp_new, options, &out_mlp);
  NULLS(smlp_mlp_encrypt, mlp, public_key, &out_mlp);
  NULLS(smlp_mlp_decrypt, mlp, private_key, &out_mlp);
  NULLS(smlp_mlp_clone, mlp, &out_mlp);
  NULLS(smlp_mlp_is_encrypted, mlp, &flag);
  NULLS(smlp_mlp_layers, mlp, &size);
  NULLS(smlp_mlp_step, mlp, &count);
  NULLS(smlp_mlp_fraction_bits, mlp, &number);
  NULLS(smlp_mlp_weight, mlp, 0, &out);
  NULLS(smlp_mlp_bias, mlp, 0, &out);
  NULLS(smlp_mlp_predict, mlp, session, tensor, &out);
  NULLS(smlp_mlp_train_step, mlp, session, tensor, tensor, 0.1);
  NULLS(smlp_fit_options_new, &out_fit);
  NULLS(smlp_fit_options_set_epochs, fit, 1);
  NULLS(smlp_fit_options_set_steps, fit, 1);
  NULLS(smlp_fit_options_set_batch_size, fit, 1);
  NULLS(smlp_fit_options_set_learning_rate, fit, 0.1);
  NULLS(smlp_fit_options_set_shuffle, fit, true, 1);
  NULLS(smlp_fit_options_set_checkpoint, fit, "/nonexistent/network", 1);

  NULLS(smlp_store_new, &out_store);
  NULLS(smlp_store_len, store, &size);
  NULLS(smlp_store_is_due, store, &flag);
  NULLS(smlp_store_mark, store, i64, 2);
  NULLS(smlp_store_sweep, store, &size);
  NULLS(smlp_store_pin, store, 1);
  NULLS(smlp_store_unpin, store, 1);
  NULLS(smlp_store_take_wrapped, store, &count);
  NULLS(smlp_store_key_generate, 64, SMLP_ALLOW_INSECURE, &out_store_key);
  NULLS(smlp_store_key_from_modulus, data, 40, SMLP_ALLOW_INSECURE, &out_store_key);
  NULLS(smlp_store_key_from_primes, data, 40, data, 40, SMLP_ALLOW_INSECURE, &out_store_key);
  NULLS(smlp_store_key_public, store_key, &out_store_key);
  NULLS(smlp_store_key_number, store_key, SMLP_KEY_MODULUS, &bytes);
  NULLS(smlp_store_encrypt, store, store_key, data, 8, 2, integers);
  NULLS(smlp_store_decrypt, store, store_key, i64, 2, &size, &bytes);
  NULLS(smlp_store_add, store, store_key, i64, 2, i64, 2, integers);
  NULLS(smlp_store_subtract, store, store_key, i64, 2, i64, 2, integers);
  NULLS(smlp_store_add_numbers, store, store_key, i64, 2, data, 8, 2, integers);
  NULLS(smlp_store_multiply_numbers, store, store_key, i64, 2, data, 8, 2, integers);
  NULLS(smlp_store_sum, store, store_key, i64, 2, 1, integers);
  NULLS(smlp_store_p2_multiply, store, store_key, i64, 2, i64, 2, 1, integers);
  NULLS(smlp_store_p2_power, store, store_key, i64, 2, i64, 2, integers);
  NULLS(smlp_store_p2_matmul, store, store_key, i64, i64, 2, 1, 1, 1, integers);
  NULLS(smlp_store_p2_sum, store, store_key, i64, 2, 1, integers);
  NULLS(smlp_store_unmask, store, store_key, i64, 2, i64, 2, i64, 2, data, 8, data, 8, integers);
  NULLS(smlp_store_unmask_matrix, store, store_key, i64, 2, i64, 1, i64, data, 8, data, 8, integers);
  NULLS(smlp_mlp_fit, mlp, session, tensor, tensor, fit, may_be_null(progress),
        may_be_null<void*>(&size));
  NULLS(smlp_mlp_evaluate, mlp, session, tensor, tensor, may_be_null(private_key), &share);
  NULLS(smlp_mlp_to_bytes, mlp, &bytes);
  NULLS(smlp_mlp_from_bytes, data, 40, may_be_null(public_key), &out_mlp);
  NULLS(smlp_mlp_save, mlp, "/nonexistent/network");
  NULLS(smlp_mlp_load, "/nonexistent/network", may_be_null(public_key), &out_mlp);

  // A callback's own function; outside of one there is no reply to write to.
  FAILS(SMLP_NULL_POINTER, smlp_reply_write(nullptr, data, 40));
  std::puts("smlp_reply_write");

  // Nothing was written.
  REQUIRE(byte[0] == 0x5a && byte[31] == 0x5a && flag && number == 77 && size == 77);
  REQUIRE(count == 77 && share == 77 && doubles[0] == 77 && integers[0] == 77 && sizes[0] == 77);
  REQUIRE(borrowed == data && std::strcmp(name, "untouched") == 0);
  REQUIRE(bytes == sentinel<smlp_bytes>() && out_private == sentinel<smlp_private_key>() &&
          out_public == sentinel<smlp_public_key>() && out == sentinel<smlp_tensor>() &&
          out_p1 == sentinel<smlp_p1>() && out_p2 == sentinel<smlp_p2>() &&
          out_call == sentinel<smlp_call>() && out_transport == sentinel<smlp_transport>() &&
          out_record == sentinel<smlp_record>() &&
          out_record_key == sentinel<smlp_record_key>() &&
          out_session == sentinel<smlp_session>() && out_mlp == sentinel<smlp_mlp>() &&
          out_options == sentinel<smlp_mlp_options>() && out_fit == sentinel<smlp_fit_options>() &&
          out_store == sentinel<smlp_store>() && out_store_key == sentinel<smlp_store_key>());

  // Empty arrays may be NULL, and so may everything that is freed or measured.
  smlp_tensor* empty = nullptr;
  const std::size_t none[1] = {0};
  OK(smlp_tensor_from_f64(nullptr, 0, none, 1, 16, 0, &empty));
  OK(smlp_tensor_to_f64(empty, nullptr, 0));
  smlp_tensor_free(empty);
  REQUIRE(smlp_bytes_data(nullptr) == nullptr && smlp_bytes_len(nullptr) == 0);
  smlp_bytes_free(nullptr);
  smlp_private_key_free(nullptr);
  smlp_public_key_free(nullptr);
  smlp_tensor_free(nullptr);
  smlp_p1_free(nullptr);
  smlp_call_free(nullptr);
  smlp_p2_free(nullptr);
  smlp_transport_free(nullptr);
  smlp_record_free(nullptr);
  smlp_record_key_free(nullptr);
  smlp_session_free(nullptr);
  smlp_mlp_options_free(nullptr);
  smlp_mlp_free(nullptr);
  smlp_fit_options_free(nullptr);
  smlp_store_key_free(nullptr);
  smlp_store_free(nullptr);

  smlp_store_key_free(store_key);
  smlp_store_free(store);
  smlp_fit_options_free(fit);
  smlp_mlp_free(mlp);
  smlp_mlp_options_free(options);
  smlp_session_free(session);
  smlp_record_key_free(record_key);
  smlp_record_free(record);
  smlp_transport_free(transport);
  smlp_call_free(call);
  smlp_p2_free(p2);
  smlp_p1_free(p1);
  smlp_tensor_free(secret);
  smlp_tensor_free(tensor);
  smlp_public_key_free(public_key);
  smlp_private_key_free(private_key);
}
