/* The C ABI, used as a C program uses it: keys, tensors, protocols by every way of carrying bytes,
 * and networks trained under encryption that equal their clear twins, which repeat a record. Results
 * are compared with plain C arithmetic. Argument: a folder to write to. "quick" as a second one
 * leaves out what is slow under Valgrind. */

#include <math.h>
#include <string.h>

#include "check.h"

enum { KEY_BITS = 512, SIGMA = 40 };

static char path_buffer[4096];

static const char *in_folder(const char *folder, const char *name) {
  snprintf(path_buffer, sizeof path_buffer, "%s/%s", folder, name);
  return path_buffer;
}

static smlp_tensor *integers(const int64_t *values, size_t len, const size_t *shape, size_t ndim) {
  smlp_tensor *tensor = NULL;
  OK(smlp_tensor_from_i64(values, len, shape, ndim, 12, &tensor));
  return tensor;
}

static smlp_tensor *encrypted(const smlp_tensor *clear, const smlp_private_key *key) {
  smlp_tensor *tensor = NULL;
  OK(smlp_tensor_encrypt_with_private_key(clear, key, &tensor));
  return tensor;
}

/* Decrypts if there is a key, compares with plain integers, and frees the tensor. */
static void expect(smlp_tensor *tensor, const smlp_private_key *key, const int64_t *values,
                   size_t len) {
  smlp_tensor *clear = NULL;
  if (key != NULL) {
    OK(smlp_tensor_decrypt(tensor, key, &clear));
  } else {
    OK(smlp_tensor_clone(tensor, &clear));
  }
  size_t count = 0;
  OK(smlp_tensor_len(clear, &count));
  REQUIRE(count == len);
  int64_t *found = (int64_t *)malloc((len + 1) * sizeof *found);
  OK(smlp_tensor_to_i64(clear, found, len));
  for (size_t i = 0; i < len; ++i) {
    if (found[i] != values[i]) {
      fprintf(stderr, "element %zu: %lld instead of %lld\n", i, (long long)found[i],
              (long long)values[i]);
      exit(1);
    }
  }
  free(found);
  smlp_tensor_free(clear);
  smlp_tensor_free(tensor);
}

static void versions(void) {
  REQUIRE(smlp_abi_version() == SMLP_ABI_VERSION);
  REQUIRE(strcmp(smlp_version(), "0.1.0") == 0);
  REQUIRE(strcmp(smlp_status_name(SMLP_SHAPE), "SMLP_SHAPE") == 0);
  const char *backend = NULL;
  OK(smlp_backend_name(&backend));
  REQUIRE(strlen(backend) > 0);
  char report[8];
  REQUIRE(smlp_backend_report(NULL, 0) > strlen("cuda: "));
  REQUIRE(smlp_backend_report(report, sizeof report) == smlp_backend_report(NULL, 0));
  REQUIRE(strncmp(report, "cuda: ", 6) == 0 && strlen(report) == 7);
}

static void keys(const smlp_private_key *key, const char *folder) {
  smlp_private_key *other = NULL;
  FAILS(SMLP_INSECURE, smlp_private_key_generate(KEY_BITS, 0, &other));
  FAILS(SMLP_INSECURE, smlp_private_key_generate(KEY_BITS, SMLP_SHORT_EXPONENTS, &other));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_private_key_generate(KEY_BITS, 4, &other));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_private_key_load("none", SMLP_SHORT_EXPONENTS, &other));
  REQUIRE(other == NULL);

  smlp_bytes *bytes = NULL;
  OK(smlp_private_key_to_bytes(key, &bytes));
  OK(smlp_private_key_from_bytes(smlp_bytes_data(bytes), smlp_bytes_len(bytes),
                                 SMLP_ALLOW_INSECURE, &other));
  smlp_bytes_free(bytes);
  smlp_private_key_free(other);
  const char *path = in_folder(folder, "c.private");
  remove(path);
  OK(smlp_private_key_save(key, path));
  FAILS(SMLP_IO, smlp_private_key_save(key, path)); /* never overwrites */
  FAILS(SMLP_INSECURE, smlp_private_key_load(path, 0, &other));
  OK(smlp_private_key_load(path, SMLP_ALLOW_INSECURE, &other));
  smlp_private_key_free(other);

  smlp_public_key *public_key = NULL, *copy = NULL, *foreign = NULL;
  OK(smlp_private_key_public(key, &public_key));
  uint32_t bits = 0;
  OK(smlp_public_key_bits(public_key, &bits));
  REQUIRE(bits == KEY_BITS);
  OK(smlp_public_key_exponent_bits(public_key, &bits));
  REQUIRE(bits == KEY_BITS / 2);
  path = in_folder(folder, "c.public");
  OK(smlp_public_key_save(public_key, path));
  OK(smlp_public_key_load(path, SMLP_ALLOW_INSECURE, &copy));
  uint8_t id[32], copied_id[32];
  OK(smlp_public_key_id(public_key, id));
  OK(smlp_public_key_id(copy, copied_id));
  REQUIRE(memcmp(id, copied_id, sizeof id) == 0);
  smlp_public_key_free(copy);
  OK(smlp_public_key_to_bytes(public_key, &bytes));
  OK(smlp_public_key_from_bytes(smlp_bytes_data(bytes), smlp_bytes_len(bytes),
                                SMLP_ALLOW_INSECURE, &copy));
  smlp_public_key_free(copy);
  smlp_bytes_free(bytes);

  OK(smlp_public_key_modulus(public_key, &bytes));
  REQUIRE(smlp_bytes_len(bytes) == KEY_BITS / 8);
  OK(smlp_public_key_from_modulus(smlp_bytes_data(bytes), smlp_bytes_len(bytes),
                                  SMLP_ALLOW_INSECURE, &foreign));
  smlp_bytes_free(bytes);
  bool is_foreign = false;
  OK(smlp_public_key_is_foreign(foreign, &is_foreign));
  REQUIRE(is_foreign);
  OK(smlp_public_key_id(foreign, copied_id));
  REQUIRE(memcmp(id, copied_id, sizeof id) != 0);
  OK(smlp_public_key_is_foreign(public_key, &is_foreign));
  REQUIRE(!is_foreign);
  smlp_public_key_free(foreign);
  smlp_public_key_free(public_key);
}

static void conversions(void) {
  const double numbers[4] = {1.5, -0.25, 3.140625, -100.0};
  const float floats[4] = {1.5f, -0.25f, 3.140625f, -100.0f};
  const size_t shape[2] = {2, 2};
  smlp_tensor *tensor = NULL, *single = NULL;
  OK(smlp_tensor_from_f64(numbers, 4, shape, 2, 10, 0, &tensor));
  OK(smlp_tensor_from_f32(floats, 4, shape, 2, 10, 0, &single));
  double back[4];
  int64_t raw[4], raw_single[4];
  OK(smlp_tensor_to_f64(tensor, back, 4));
  OK(smlp_tensor_to_i64(tensor, raw, 4));
  OK(smlp_tensor_to_i64(single, raw_single, 4));
  for (int i = 0; i < 4; ++i) {
    REQUIRE(back[i] == numbers[i]);
    REQUIRE(raw[i] == (int64_t)(numbers[i] * 1024) && raw[i] == raw_single[i]);
  }
  uint32_t scale = 0, bound = 0;
  OK(smlp_tensor_scale(tensor, &scale));
  OK(smlp_tensor_bound(tensor, &bound));
  REQUIRE(scale == 10 && bound == 40);
  size_t ndim = 0, sizes[8] = {0};
  OK(smlp_tensor_ndim(tensor, &ndim));
  OK(smlp_tensor_shape(tensor, sizes, 8));
  REQUIRE(ndim == 2 && sizes[0] == 2 && sizes[1] == 2);
  FAILS(SMLP_INVALID_ARGUMENT, smlp_tensor_shape(tensor, sizes, 1));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_tensor_to_f64(tensor, back, 3));
  smlp_tensor_free(tensor);
  smlp_tensor_free(single);

  OK(smlp_tensor_from_raw(raw, 4, shape, 2, 10, 0, &tensor));
  OK(smlp_tensor_to_f64(tensor, back, 4));
  REQUIRE(back[1] == -0.25);
  smlp_tensor_free(tensor);

  const double nan_value = NAN;
  FAILS(SMLP_NOT_FINITE, smlp_tensor_from_f64(&nan_value, 1, NULL, 0, 10, 0, &tensor));
  const double large = 1e30;
  FAILS(SMLP_OUT_OF_RANGE, smlp_tensor_from_f64(&large, 1, NULL, 0, 10, 0, &tensor));
}

static void views(const smlp_private_key *key) {
  const int64_t values[6] = {0, 1, 2, 3, 4, 5};
  const size_t shape[2] = {2, 3};
  smlp_tensor *clear = integers(values, 6, shape, 2);
  smlp_tensor *secret = encrypted(clear, key);
  for (int kind = 0; kind < 2; ++kind) {
    const smlp_tensor *x = kind == 0 ? clear : secret;
    const smlp_private_key *k = kind == 0 ? NULL : key;
    smlp_tensor *out = NULL, *wide = NULL;
    const int64_t columns[2] = {3, -1}, axes[2] = {-1, 0};
    const size_t picked[3] = {2, 0, 2}, stretched[3] = {2, 2, 3}, times[2] = {1, 2};
    OK(smlp_tensor_reshape(x, columns, 2, &out));
    expect(out, k, values, 6);
    OK(smlp_tensor_permute(x, axes, 2, &out));
    expect(out, k, (const int64_t[]){0, 3, 1, 4, 2, 5}, 6);
    OK(smlp_tensor_transpose(x, &out));
    expect(out, k, (const int64_t[]){0, 3, 1, 4, 2, 5}, 6);
    OK(smlp_tensor_slice(x, 1, 2, 2, -2, &out));
    expect(out, k, (const int64_t[]){2, 0, 5, 3}, 4);
    OK(smlp_tensor_index(x, 0, -1, &out));
    expect(out, k, (const int64_t[]){3, 4, 5}, 3);
    OK(smlp_tensor_take(x, -1, picked, 3, &out));
    expect(out, k, (const int64_t[]){2, 0, 2, 5, 3, 5}, 6);
    OK(smlp_tensor_unsqueeze(x, 0, &wide));
    OK(smlp_tensor_squeeze(wide, 0, &out));
    expect(out, k, values, 6);
    OK(smlp_tensor_squeeze_all(wide, &out));
    expect(out, k, values, 6);
    smlp_tensor_free(wide);
    OK(smlp_tensor_broadcast_to(x, stretched, 3, &out));
    expect(out, k, (const int64_t[]){0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}, 12);
    OK(smlp_tensor_repeat(x, times, 2, &out));
    expect(out, k, (const int64_t[]){0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5}, 12);
    const smlp_tensor *both[2] = {x, x};
    OK(smlp_tensor_concatenate(both, 2, 1, &out));
    expect(out, k, (const int64_t[]){0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5}, 12);
    OK(smlp_tensor_stack(both, 2, 0, &out));
    expect(out, k, (const int64_t[]){0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}, 12);
  }
  smlp_tensor_free(secret);
  smlp_tensor_free(clear);
}

/* Local arithmetic in all mixes of clear and encrypted operands. */
static void arithmetic(const smlp_private_key *key) {
  const int64_t a[6] = {1, -2, 3, 40, -5, 6}, b[3] = {7, 0, -9};
  const size_t shape[2] = {2, 3}, row[1] = {3};
  int64_t sum[6], difference[6], product[6], negative[6];
  int64_t columns[3], total = 0, matrix[2] = {0, 0};
  for (int i = 0; i < 6; ++i) {
    sum[i] = a[i] + b[i % 3];
    difference[i] = a[i] - b[i % 3];
    product[i] = a[i] * b[i % 3];
    negative[i] = -a[i];
    total += a[i];
    matrix[i / 3] += a[i] * b[i % 3];
  }
  for (int j = 0; j < 3; ++j) columns[j] = a[j] + a[j + 3];

  smlp_tensor *clear[2] = {integers(a, 6, shape, 2), integers(b, 3, row, 1)};
  smlp_tensor *secret[2] = {encrypted(clear[0], key), encrypted(clear[1], key)};
  smlp_tensor *out = NULL;
  for (int mix = 0; mix < 4; ++mix) {
    const smlp_tensor *x = mix & 1 ? secret[0] : clear[0], *y = mix & 2 ? secret[1] : clear[1];
    const smlp_private_key *k = mix == 0 ? NULL : key;
    OK(smlp_tensor_add(x, y, &out));
    expect(out, k, sum, 6);
    OK(smlp_tensor_sub(x, y, &out));
    expect(out, k, difference, 6);
    if (mix == 3) {
      FAILS(SMLP_INVALID_ARGUMENT, smlp_tensor_mul(x, y, &out));
      FAILS(SMLP_INVALID_ARGUMENT, smlp_tensor_matmul(x, y, &out));
    } else {
      OK(smlp_tensor_mul(x, y, &out));
      expect(out, k, product, 6);
      OK(smlp_tensor_matmul(x, y, &out));
      expect(out, k, matrix, 2);
    }
  }
  for (int kind = 0; kind < 2; ++kind) {
    const smlp_tensor *x = kind == 0 ? clear[0] : secret[0];
    const smlp_private_key *k = kind == 0 ? NULL : key;
    OK(smlp_tensor_neg(x, &out));
    expect(out, k, negative, 6);
    OK(smlp_tensor_sum(x, 0, &out));
    expect(out, k, columns, 3);
    OK(smlp_tensor_sum_all(x, &out));
    expect(out, k, &total, 1);
    OK(smlp_tensor_assume_bound(x, 6, &out));
    expect(out, k, a, 6);
  }
  FAILS(SMLP_OUT_OF_RANGE, smlp_tensor_assume_bound(clear[0], 5, &out));

  /* Files, and raw ciphertexts. */
  smlp_public_key *public_key = NULL;
  OK(smlp_private_key_public(key, &public_key));
  smlp_bytes *bytes = NULL;
  for (int kind = 0; kind < 2; ++kind) {
    OK(smlp_tensor_to_bytes(kind == 0 ? clear[0] : secret[0], &bytes));
    OK(smlp_tensor_from_bytes(smlp_bytes_data(bytes), smlp_bytes_len(bytes),
                              kind == 0 ? NULL : public_key, &out));
    expect(out, kind == 0 ? NULL : key, a, 6);
    smlp_bytes_free(bytes);
  }
  size_t each = 0;
  OK(smlp_tensor_to_ciphertexts(secret[0], &each, &bytes));
  REQUIRE(each == KEY_BITS / 4 && smlp_bytes_len(bytes) == 6 * each);
  OK(smlp_tensor_from_ciphertexts(smlp_bytes_data(bytes), smlp_bytes_len(bytes), each, shape, 2, 0,
                                  12, public_key, &out));
  smlp_bytes_free(bytes);
  uint8_t id[32], key_id[32];
  OK(smlp_tensor_key_id(out, id));
  OK(smlp_public_key_id(public_key, key_id));
  REQUIRE(memcmp(id, key_id, sizeof id) == 0);
  FAILS(SMLP_INVALID_ARGUMENT, smlp_tensor_key_id(clear[0], id));
  expect(out, key, a, 6);
  /* Encryption without the factors. */
  OK(smlp_tensor_encrypt(clear[0], public_key, &out));
  bool is_encrypted = false;
  OK(smlp_tensor_is_encrypted(out, &is_encrypted));
  REQUIRE(is_encrypted);
  expect(out, key, a, 6);
  smlp_public_key_free(public_key);
  for (int i = 0; i < 2; ++i) {
    smlp_tensor_free(clear[i]);
    smlp_tensor_free(secret[i]);
  }
}

/* Carries a call's bytes by hand, takes a result, and frees the call. */
static smlp_tensor *finish(smlp_call *call, const smlp_p2 *p2, size_t index) {
  bool done = false;
  while (!done) {
    const uint8_t *request = NULL;
    size_t len = 0;
    OK(smlp_call_request(call, &request, &len));
    smlp_bytes *reply = NULL;
    OK(smlp_p2_answer(p2, request, len, &reply));
    OK(smlp_call_resume(call, smlp_bytes_data(reply), smlp_bytes_len(reply), &done));
    smlp_bytes_free(reply);
  }
  smlp_tensor *result = NULL;
  OK(smlp_call_result(call, index, &result));
  smlp_call_free(call);
  return result;
}

struct wire {
  const smlp_p2 *p2;
  int calls;
};

static int32_t exchange(void *userdata, const uint8_t *request, size_t len, smlp_reply *reply) {
  struct wire *wire = (struct wire *)userdata;
  ++wire->calls;
  smlp_bytes *answer = NULL;
  if (smlp_p2_answer(wire->p2, request, len, &answer) != SMLP_OK) return 1;
  /* In two pieces, as a socket would bring it. */
  size_t half = smlp_bytes_len(answer) / 2;
  const uint8_t *data = smlp_bytes_data(answer);
  OK(smlp_reply_write(reply, data, half));
  OK(smlp_reply_write(reply, data + half, smlp_bytes_len(answer) - half));
  smlp_bytes_free(answer);
  return 0;
}

static int32_t broken_exchange(void *userdata, const uint8_t *request, size_t len,
                               smlp_reply *reply) {
  (void)userdata, (void)request, (void)len;
  const char *text = "no route to P2";
  OK(smlp_reply_write(reply, (const uint8_t *)text, strlen(text)));
  return -7;
}

static int64_t floor_divide(int64_t x, int64_t d) {
  return x / d - (x % d != 0 && x < 0);
}

static void protocols(const smlp_private_key *key) {
  const int64_t a[6] = {1, -2, 3, 40, -5, 6}, b[6] = {7, 0, -9, 1, 2, -3};
  const size_t shape[2] = {2, 3}, other_shape[2] = {3, 2};
  int64_t product[6], relu[6], derivative[6], maximum[6], matrix[4] = {0, 0, 0, 0};
  for (int i = 0; i < 6; ++i) {
    product[i] = a[i] * b[i];
    relu[i] = a[i] > 0 ? a[i] : 0;
    derivative[i] = a[i] >= 0;
    maximum[i] = a[i] > b[i] ? a[i] : b[i];
  }
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j)
      for (int t = 0; t < 3; ++t) matrix[2 * i + j] += a[3 * i + t] * b[2 * t + j];

  smlp_public_key *public_key = NULL;
  smlp_p1 *p1 = NULL;
  smlp_p2 *p2 = NULL;
  OK(smlp_private_key_public(key, &public_key));
  OK(smlp_p1_new_with_sigma(public_key, SIGMA, SMLP_ALLOW_INSECURE, &p1));
  OK(smlp_p2_new(key, &p2));
  smlp_tensor *ca = integers(a, 6, shape, 2), *cb = integers(b, 6, shape, 2);
  smlp_tensor *cw = integers(b, 6, other_shape, 2), *cd = NULL, *bits = NULL;
  OK(smlp_tensor_from_i64(derivative, 6, shape, 2, 1, &cd));
  smlp_tensor *x = encrypted(ca, key), *y = encrypted(cb, key), *w = encrypted(cw, key);
  smlp_tensor *out = NULL;
  OK(smlp_tensor_encrypt(cd, public_key, &bits));

  /* By hand. */
  smlp_call *call = NULL;
  OK(smlp_p1_multiply(p1, x, y, &call));
  expect(finish(call, p2, 0), key, product, 6);
  OK(smlp_p1_matmul(p1, x, w, &call));
  expect(finish(call, p2, 0), key, matrix, 4);
  OK(smlp_p1_relu(p1, x, &call));
  expect(finish(call, p2, 0), key, relu, 6);
  OK(smlp_p1_relu(p1, x, &call));
  expect(finish(call, p2, 1), key, derivative, 6);
  OK(smlp_p1_select(p1, bits, x, &call));
  expect(finish(call, p2, 0), key, relu, 6);
  OK(smlp_p1_maximum(p1, x, y, &call));
  expect(finish(call, p2, 0), key, maximum, 6);
  OK(smlp_p1_refresh(p1, x, &call));
  expect(finish(call, p2, 0), key, a, 6);
  OK(smlp_p1_divide(p1, x, 1, 0, &call));
  expect(finish(call, p2, 0), key, a, 6);

  /* In process, through a callback, and in the clear: the same code. */
  struct wire wire = {p2, 0};
  smlp_transport *transports[2] = {NULL, NULL};
  OK(smlp_transport_in_process(p2, &transports[0]));
  OK(smlp_transport_callback(exchange, &wire, &transports[1]));
  for (int kind = 0; kind < 3; ++kind) {
    bool clear = kind == 2, is_encrypted = clear;
    smlp_session *session = NULL;
    if (clear) {
      OK(smlp_session_new_clear(NULL, &session));
    } else {
      OK(smlp_session_new(p1, transports[kind], NULL, &session));
    }
    OK(smlp_session_is_encrypted(session, &is_encrypted));
    REQUIRE(is_encrypted == !clear);
    const smlp_private_key *k = clear ? NULL : key;
    const smlp_tensor *u = clear ? ca : x, *v = clear ? cb : y, *m = clear ? cw : w;
    OK(smlp_session_multiply(session, u, v, &out));
    expect(out, k, product, 6);
    OK(smlp_session_matmul(session, u, m, &out));
    expect(out, k, matrix, 4);
    smlp_tensor *slope = NULL;
    OK(smlp_session_relu(session, u, &out, &slope));
    expect(out, k, relu, 6);
    OK(smlp_session_select(session, slope, u, &out));
    expect(out, k, relu, 6);
    expect(slope, k, derivative, 6);
    OK(smlp_session_relu(session, u, &out, NULL));
    expect(out, k, relu, 6);
    OK(smlp_session_maximum(session, u, v, &out));
    expect(out, k, maximum, 6);
    OK(smlp_session_refresh(session, u, &out));
    expect(out, k, a, 6);

    /* Rounded quotients are one of two neighbours. */
    smlp_tensor *quotient = NULL;
    OK(smlp_session_divide(session, u, 7, &quotient));
    if (!clear) {
      OK(smlp_tensor_decrypt(quotient, key, &out));
      smlp_tensor_free(quotient);
      quotient = out;
    }
    int64_t found[6];
    OK(smlp_tensor_to_i64(quotient, found, 6));
    for (int i = 0; i < 6; ++i) {
      int64_t error = found[i] - floor_divide(a[i], 7);
      REQUIRE(error == 0 || error == 1);
    }
    smlp_tensor_free(quotient);

    uint64_t rounds = 0, sent = 0, masked = 0;
    OK(smlp_session_statistic(session, SMLP_ROUNDS, &rounds));
    OK(smlp_session_statistic(session, SMLP_BYTES_SENT, &sent));
    OK(smlp_session_statistic(session, SMLP_MASKED_VALUES, &masked));
    REQUIRE((rounds >= 8 && sent > 1000 && masked > 40) == !clear);
    OK(smlp_session_reset_statistics(session));
    OK(smlp_session_statistic(session, SMLP_BYTES_SENT, &sent));
    REQUIRE(sent == 0);
    smlp_session_free(session);
  }
  REQUIRE(wire.calls >= 8);

  /* A transport that fails; the session and its tensors survive it. */
  smlp_transport *broken = NULL;
  OK(smlp_transport_callback(broken_exchange, NULL, &broken));
  smlp_session *session = NULL;
  OK(smlp_session_new(p1, broken, NULL, &session));
  FAILS(SMLP_TRANSPORT, smlp_session_multiply(session, x, y, &out));
  char message[256];
  smlp_last_error(message, sizeof message);
  REQUIRE(strstr(message, "-7: no route to P2") != NULL);
  FAILS(SMLP_TRANSPORT, smlp_session_relu(session, x, &out, NULL));
  smlp_session_free(session);
  smlp_transport_free(broken);

  smlp_transport_free(transports[0]);
  smlp_transport_free(transports[1]);
  smlp_p1_free(p1);
  smlp_p2_free(p2);
  smlp_public_key_free(public_key);
  smlp_tensor *all[8] = {ca, cb, cw, cd, x, y, w, bits};
  for (int i = 0; i < 8; ++i) smlp_tensor_free(all[i]);
}

static int32_t stop_after(void *userdata, uint64_t done, uint64_t total) {
  uint64_t *seen = (uint64_t *)userdata;
  REQUIRE(done == seen[1] + 1 && done <= total);
  seen[1] = done;
  return done == seen[0];
}

/* Every parameter of both networks. */
static void expect_twins(const smlp_mlp *encrypted_mlp, const smlp_mlp *clear_mlp,
                         const smlp_private_key *key) {
  size_t layers = 0;
  OK(smlp_mlp_layers(clear_mlp, &layers));
  for (size_t layer = 0; layer < layers; ++layer) {
    for (int part = 0; part < 2; ++part) {
      smlp_tensor *secret = NULL, *clear = NULL;
      if (part == 0) {
        OK(smlp_mlp_weight(encrypted_mlp, layer, &secret));
        OK(smlp_mlp_weight(clear_mlp, layer, &clear));
      } else {
        OK(smlp_mlp_bias(encrypted_mlp, layer, &secret));
        OK(smlp_mlp_bias(clear_mlp, layer, &clear));
      }
      size_t len = 0;
      OK(smlp_tensor_len(clear, &len));
      int64_t values[64];
      REQUIRE(len <= 64);
      OK(smlp_tensor_to_i64(clear, values, 64));
      expect(secret, key, values, len);
      smlp_tensor_free(clear);
    }
  }
}

static void network(const smlp_private_key *key, const char *folder) {
  const uint32_t fraction_bits = 10;
  const double inputs[8] = {0, 0, 0, 1, 1, 0, 1, 1}, targets[8] = {1, 0, 0, 1, 0, 1, 1, 0};
  const size_t shape[2] = {4, 2}, layers[3] = {2, 10, 2};
  smlp_tensor *x = NULL, *y = NULL, *out = NULL;
  OK(smlp_tensor_from_f64(inputs, 8, shape, 2, fraction_bits, fraction_bits + 2, &x));
  OK(smlp_tensor_from_f64(targets, 8, shape, 2, fraction_bits, fraction_bits + 2, &y));
  smlp_tensor *ex = encrypted(x, key), *ey = encrypted(y, key);

  smlp_mlp_options *options = NULL;
  OK(smlp_mlp_options_new(layers, 3, &options));
  OK(smlp_mlp_options_set_fraction_bits(options, fraction_bits));
  OK(smlp_mlp_options_set_weight_bits(options, fraction_bits + 4));
  OK(smlp_mlp_options_set_activation_bits(options, fraction_bits + 6));
  OK(smlp_mlp_options_set_activation(options, 0, SMLP_RELU));
  OK(smlp_mlp_options_set_seed(options, 5));
  smlp_mlp *clear = NULL, *mlp = NULL, *twin = NULL, *copy = NULL;
  OK(smlp_mlp_new(options, &clear));
  smlp_mlp_options_free(options);

  smlp_public_key *public_key = NULL;
  smlp_p1 *p1 = NULL;
  smlp_p2 *p2 = NULL;
  smlp_transport *transport = NULL;
  smlp_session *session = NULL, *clear_session = NULL;
  OK(smlp_private_key_public(key, &public_key));
  OK(smlp_p1_new_with_sigma(public_key, SIGMA, SMLP_ALLOW_INSECURE, &p1));
  OK(smlp_p2_new(key, &p2));
  OK(smlp_transport_in_process(p2, &transport));
  smlp_record *record = NULL;
  uint64_t lines = 77;
  OK(smlp_record_new(&record));
  OK(smlp_record_lines(record, &lines));
  REQUIRE(lines == 0);
  OK(smlp_session_new(p1, transport, record, &session));
  OK(smlp_session_new_clear(record, &clear_session));
  /* Nothing else holds on to these. */
  smlp_p1_free(p1);
  smlp_p2_free(p2);
  smlp_transport_free(transport);

  OK(smlp_mlp_encrypt(clear, public_key, &mlp));
  OK(smlp_mlp_decrypt(mlp, key, &twin));
  smlp_fit_options *fit = NULL;
  OK(smlp_fit_options_new(&fit));
  OK(smlp_fit_options_set_epochs(fit, 1));
  OK(smlp_fit_options_set_batch_size(fit, 3));
  OK(smlp_fit_options_set_learning_rate(fit, 0.5));
  OK(smlp_fit_options_set_shuffle(fit, true, 9));
  OK(smlp_mlp_fit(mlp, session, ex, ey, fit, NULL, NULL));
  OK(smlp_mlp_fit(twin, clear_session, x, y, fit, NULL, NULL));
  expect_twins(mlp, twin, key);

  /* Cancelled after one step, of which there are three; that step is kept. */
  uint64_t seen[2] = {1, 0}, step = 0;
  OK(smlp_fit_options_set_steps(fit, 3));
  FAILS(SMLP_CANCELLED, smlp_mlp_fit(mlp, session, ex, ey, fit, stop_after, seen));
  OK(smlp_mlp_step(mlp, &step));
  REQUIRE(step == 3 && seen[1] == 1);
  seen[1] = 0;
  FAILS(SMLP_CANCELLED, smlp_mlp_fit(twin, clear_session, x, y, fit, stop_after, seen));
  expect_twins(mlp, twin, key);

  /* A checkpoint goes on where it stands. */
  const char *path = in_folder(folder, "c.network");
  OK(smlp_mlp_save(mlp, path));
  smlp_mlp_free(mlp);
  FAILS(SMLP_NULL_POINTER, smlp_mlp_load(path, NULL, &mlp));
  OK(smlp_mlp_load(path, public_key, &mlp));
  OK(smlp_mlp_train_step(mlp, session, ex, ey, 0.25));
  OK(smlp_mlp_train_step(twin, clear_session, x, y, 0.25));
  expect_twins(mlp, twin, key);
  smlp_bytes *bytes = NULL;
  OK(smlp_mlp_to_bytes(twin, &bytes));
  OK(smlp_mlp_from_bytes(smlp_bytes_data(bytes), smlp_bytes_len(bytes), NULL, &copy));
  smlp_bytes_free(bytes);
  expect_twins(mlp, copy, key);
  smlp_mlp_free(copy);
  OK(smlp_mlp_clone(mlp, &copy));
  expect_twins(copy, twin, key);
  smlp_mlp_free(copy);

  /* Predictions are repeated in their order. */
  OK(smlp_mlp_predict(mlp, session, ex, &out));
  smlp_tensor *prediction = NULL;
  OK(smlp_mlp_predict(twin, clear_session, x, &prediction));
  int64_t values[8];
  OK(smlp_tensor_to_i64(prediction, values, 8));
  smlp_tensor_free(prediction);
  expect(out, key, values, 8);
  double accuracy[2] = {-1, -1};
  OK(smlp_mlp_evaluate(mlp, session, ex, y, key, &accuracy[0]));
  OK(smlp_mlp_evaluate(twin, clear_session, x, y, NULL, &accuracy[1]));
  REQUIRE(accuracy[0] >= 0 && accuracy[0] <= 1 && accuracy[0] == accuracy[1]);
  FAILS(SMLP_INVALID_ARGUMENT, smlp_mlp_predict(mlp, clear_session, x, &out));
  /* Four steps and two predictions; what is not in the record cannot be repeated. */
  OK(smlp_record_lines(record, &lines));
  REQUIRE(lines == 6);
  char message[256];
  FAILS(SMLP_INVALID_ARGUMENT, smlp_mlp_predict(twin, clear_session, x, &out));
  smlp_last_error(message, sizeof message);
  REQUIRE(strstr(message, "it has 2 predictions") != NULL);
  FAILS(SMLP_INVALID_ARGUMENT, smlp_mlp_train_step(twin, clear_session, x, y, 0.25));
  smlp_last_error(message, sizeof message);
  REQUIRE(strstr(message, "no line of step 4; it has 4 steps up to number 3") != NULL);
  smlp_session_free(clear_session);
  OK(smlp_session_new_clear(record, &clear_session));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_mlp_train_step(clear, clear_session, x, y, 0.25));
  smlp_last_error(message, sizeof message);
  REQUIRE(strstr(message, "the record has step 0 with learning rate 0.5") != NULL);
  smlp_record_free(record);
  uint32_t bits = 0;
  OK(smlp_mlp_fraction_bits(mlp, &bits));
  REQUIRE(bits == fraction_bits);
  bool is_encrypted = false;
  OK(smlp_mlp_is_encrypted(mlp, &is_encrypted));
  REQUIRE(is_encrypted);

  smlp_fit_options_free(fit);
  smlp_session_free(session);
  smlp_session_free(clear_session);
  smlp_public_key_free(public_key);
  smlp_mlp_free(clear);
  smlp_mlp_free(mlp);
  smlp_mlp_free(twin);
  smlp_tensor *all[4] = {x, y, ex, ey};
  for (int i = 0; i < 4; ++i) smlp_tensor_free(all[i]);
}

/* P1 writes a record that only the owner can read; his twin repeats it to the same integers. */
static void records(const smlp_private_key *key, const char *folder) {
  char path[4096], key_path[4096];
  snprintf(path, sizeof path, "%s/c.record", folder);
  snprintf(key_path, sizeof key_path, "%s/c.record-key", folder);
  remove(path);
  remove(key_path);
  smlp_record_key *made = NULL, *owner = NULL, *other = NULL, *none = NULL;
  smlp_bytes *half = NULL, *other_half = NULL;
  OK(smlp_record_key_generate(&made));
  OK(smlp_record_key_generate(&other));
  OK(smlp_record_key_save(made, key_path));
  FAILS(SMLP_IO, smlp_record_key_save(made, key_path)); /* never overwrites */
  OK(smlp_record_key_load(key_path, &owner));
  OK(smlp_record_key_public(made, &half));
  OK(smlp_record_key_public(other, &other_half));
  smlp_record_key_free(made);
  const uint8_t *data = smlp_bytes_data(half);
  const size_t len = smlp_bytes_len(half);
  FAILS(SMLP_IO, smlp_record_key_load("/nonexistent/key", &none));

  smlp_record *record = NULL, *refused = NULL;
  FAILS(SMLP_MALFORMED, smlp_record_append(path, data, len - 1, &refused));
  FAILS(SMLP_IO, smlp_record_append("/nonexistent/record", data, len, &refused));
  FAILS(SMLP_MALFORMED, smlp_record_append(key_path, data, len, &refused));
  OK(smlp_record_append(path, data, len, &record));
  FAILS(SMLP_IO, smlp_record_append(path, data, len, &refused)); /* one writer at a time */
  FAILS(SMLP_MALFORMED, smlp_record_key_load(path, &none));

  smlp_public_key *public_key = NULL;
  smlp_p1 *p1 = NULL;
  smlp_p2 *p2 = NULL;
  smlp_transport *transport = NULL;
  smlp_session *session = NULL, *clear_session = NULL;
  OK(smlp_private_key_public(key, &public_key));
  OK(smlp_p1_new_with_sigma(public_key, SIGMA, SMLP_ALLOW_INSECURE, &p1));
  OK(smlp_p2_new(key, &p2));
  OK(smlp_transport_in_process(p2, &transport));
  OK(smlp_session_new(p1, transport, record, &session));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_session_new_clear(record, &clear_session));
  smlp_record_free(record); /* the session keeps it */
  FAILS(SMLP_IO, smlp_record_append(path, data, len, &refused));

  const double numbers[8] = {0.1, -0.6, 0.25, 1, 0.9, 0.3, -1, 0.7};
  const size_t shape[2] = {4, 2}, layers[3] = {2, 3, 2};
  smlp_tensor *x = NULL;
  OK(smlp_tensor_from_f64(numbers, 8, shape, 2, 8, 10, &x));
  smlp_tensor *ex = encrypted(x, key);
  smlp_mlp_options *options = NULL;
  smlp_mlp *twin = NULL, *mlp = NULL;
  OK(smlp_mlp_options_new(layers, 3, &options));
  OK(smlp_mlp_options_set_fraction_bits(options, 8));
  OK(smlp_mlp_options_set_weight_bits(options, 14));
  OK(smlp_mlp_options_set_activation_bits(options, 14));
  OK(smlp_mlp_new(options, &twin));
  OK(smlp_mlp_encrypt(twin, public_key, &mlp));
  for (int step = 0; step < 2; ++step) OK(smlp_mlp_train_step(mlp, session, ex, ex, 0.3));
  smlp_session_free(session);

  /* Another session goes on with the file; another key does not. */
  FAILS(SMLP_INVALID_ARGUMENT, smlp_record_append(path, smlp_bytes_data(other_half), len, &refused));
  OK(smlp_record_append(path, data, len, &record));
  uint64_t lines = 0;
  OK(smlp_record_lines(record, &lines));
  REQUIRE(lines == 2);
  OK(smlp_session_new(p1, transport, record, &session));
  OK(smlp_mlp_train_step(mlp, session, ex, ex, 0.3));
  smlp_session_free(session);
  smlp_record_free(record);

  FAILS(SMLP_INVALID_ARGUMENT, smlp_record_read(path, other, &refused));
  FAILS(SMLP_MALFORMED, smlp_record_read(key_path, owner, &refused));
  FAILS(SMLP_IO, smlp_record_read("/nonexistent/record", owner, &refused));
  REQUIRE(refused == NULL && none == NULL);
  OK(smlp_record_read(path, owner, &record));
  OK(smlp_record_lines(record, &lines));
  REQUIRE(lines == 3);
  OK(smlp_session_new_clear(record, &clear_session));
  smlp_record_free(record);
  for (int step = 0; step < 3; ++step) OK(smlp_mlp_train_step(twin, clear_session, x, x, 0.3));
  expect_twins(mlp, twin, key);

  smlp_session_free(clear_session);
  smlp_transport_free(transport);
  smlp_p2_free(p2);
  smlp_p1_free(p1);
  smlp_public_key_free(public_key);
  smlp_mlp_options_free(options);
  smlp_mlp_free(mlp);
  smlp_mlp_free(twin);
  smlp_tensor_free(ex);
  smlp_tensor_free(x);
  smlp_bytes_free(half);
  smlp_bytes_free(other_half);
  smlp_record_key_free(owner);
  smlp_record_key_free(other);
}

/* A key that may be used: encryption, addition, multiplication. */
static void real_key(void) {
  smlp_private_key *key = NULL;
  OK(smlp_private_key_generate(2048, 0, &key));
  const int64_t a[2] = {1234, -5}, b[2] = {-7, 300};
  const size_t shape[1] = {2};
  smlp_tensor *ca = integers(a, 2, shape, 1), *cb = integers(b, 2, shape, 1), *out = NULL;
  smlp_tensor *x = encrypted(ca, key), *y = encrypted(cb, key);
  OK(smlp_tensor_add(x, y, &out));
  expect(out, key, (const int64_t[]){1227, 295}, 2);
  smlp_public_key *public_key = NULL;
  smlp_p1 *p1 = NULL;
  smlp_p2 *p2 = NULL;
  OK(smlp_private_key_public(key, &public_key));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_p1_new(public_key, 0, SMLP_DEFAULT_VALUES, &p1));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_p1_new_with_sigma(public_key, 0, 0, &p1));
  /* Masks of 41 bits keep 2^-40 for two values, and a product shows more. */
  OK(smlp_p1_new_with_sigma(public_key, 41, 0, &p1));
  smlp_call *too_much = NULL;
  FAILS(SMLP_INSECURE, smlp_p1_multiply(p1, x, y, &too_much));
  smlp_p1_free(p1);
  OK(smlp_p1_new(public_key, SMLP_DEFAULT_SECURITY, SMLP_DEFAULT_VALUES, &p1));
  uint32_t sigma = 0, security = 0;
  OK(smlp_p1_sigma(p1, &sigma));
  OK(smlp_p1_security(p1, &security));
  REQUIRE(sigma == 68 && security == 40);
  OK(smlp_p2_new(key, &p2));
  smlp_call *call = NULL;
  OK(smlp_p1_multiply(p1, x, y, &call));
  expect(finish(call, p2, 0), key, (const int64_t[]){-8638, -1500}, 2);
  smlp_p1_free(p1);
  smlp_p2_free(p2);
  smlp_public_key_free(public_key);
  smlp_private_key_free(key);
  smlp_tensor *all[4] = {ca, cb, x, y};
  for (int i = 0; i < 4; ++i) smlp_tensor_free(all[i]);
}

int main(int argc, char **argv) {
  REQUIRE(argc >= 2);
  versions();
  conversions();
  smlp_private_key *key = NULL;
  OK(smlp_private_key_generate(KEY_BITS, SMLP_ALLOW_INSECURE, &key));
  keys(key, argv[1]);
  views(key);
  arithmetic(key);
  protocols(key);
  network(key, argv[1]);
  records(key, argv[1]);
  smlp_private_key_free(key);
  if (argc < 3 || strcmp(argv[2], "quick") != 0) real_key();
  puts("ok");
  return 0;
}
