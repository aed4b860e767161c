/* smlp_store as a C program uses it: words instead of tensors, under a small key, whose words are the
 * ciphertexts, and under a larger one, whose words are references. */

#include <string.h>

#include "check.h"

enum { COUNT = 4 };

static const int64_t a[COUNT] = {3, -5, 0, 40};
static const int64_t b[COUNT] = {-7, 2, 11, 1};

/* An int64_t array as integers in little-endian two's complement. */
static const uint8_t *bytes_of(const int64_t *values) { return (const uint8_t *)values; }

static void expect(const smlp_store *store, const smlp_store_key *key, const int64_t *words,
                   const int64_t *values, size_t len) {
  size_t each = 0;
  smlp_bytes *bytes = NULL;
  OK(smlp_store_decrypt(store, key, words, len, &each, &bytes));
  REQUIRE(each == 8 && smlp_bytes_len(bytes) == 8 * len);
  REQUIRE(memcmp(smlp_bytes_data(bytes), values, 8 * len) == 0);
  smlp_bytes_free(bytes);
}

static void arithmetic(const smlp_store *store, const smlp_store_key *private_key,
                       const smlp_store_key *public_key) {
  int64_t x[COUNT], y[COUNT], out[COUNT];
  OK(smlp_store_encrypt(store, public_key, bytes_of(a), 8, COUNT, x));
  OK(smlp_store_encrypt(store, private_key, bytes_of(b), 8, COUNT, y));
  expect(store, private_key, x, a, COUNT);

  OK(smlp_store_add(store, public_key, x, COUNT, y, COUNT, out));
  expect(store, private_key, out, (const int64_t[]){-4, -3, 11, 41}, COUNT);
  OK(smlp_store_subtract(store, public_key, x, COUNT, y, COUNT, out));
  expect(store, private_key, out, (const int64_t[]){10, -7, -11, 39}, COUNT);
  OK(smlp_store_add_numbers(store, public_key, x, COUNT, bytes_of(b), 8, 1, out));
  expect(store, private_key, out, (const int64_t[]){-4, -12, -7, 33}, COUNT);
  OK(smlp_store_multiply_numbers(store, public_key, x, COUNT, bytes_of(b), 8, COUNT, out));
  expect(store, private_key, out, (const int64_t[]){-21, -10, 0, 40}, COUNT);
  OK(smlp_store_sum(store, public_key, x, COUNT, 2, out));
  expect(store, private_key, out, (const int64_t[]){-2, 40}, 2);
  OK(smlp_store_p2_sum(store, private_key, x, COUNT, 4, out));
  expect(store, private_key, out, (const int64_t[]){38}, 1);
  OK(smlp_store_p2_multiply(store, private_key, x, COUNT, y, COUNT, 4, out));
  expect(store, private_key, out, (const int64_t[]){-6, -3, 0, 10}, COUNT);
  OK(smlp_store_p2_power(store, private_key, x, COUNT, y, COUNT, out));
  expect(store, private_key, out, (const int64_t[]){-21, -10, 0, 40}, COUNT);
  OK(smlp_store_p2_matmul(store, private_key, x, y, 2, 2, 2, 1, out));
  expect(store, private_key, out, (const int64_t[]){-76, 1, 440, 40}, COUNT);

  /* x · y − 2·x − 3·y − 6, with one word in place of four for y. */
  const int64_t r_a = 2, r_b = 3;
  OK(smlp_store_unmask(store, public_key, x, COUNT, y, 1, out, COUNT, bytes_of(&r_a), 8,
                       bytes_of(&r_b), 8, out));
  expect(store, private_key, out, (const int64_t[]){-67, 26, 455, -25}, COUNT);
  OK(smlp_store_unmask_matrix(store, public_key, x, 2, y, 2, x, bytes_of(&r_a), 8, bytes_of(&r_b),
                              8, out));
  expect(store, private_key, out, (const int64_t[]){12, -23, 25, 38}, COUNT);

  FAILS(SMLP_SHAPE, smlp_store_add(store, public_key, x, COUNT, y, 3, out));
  FAILS(SMLP_SHAPE, smlp_store_sum(store, public_key, x, COUNT, 3, out));
  FAILS(SMLP_SHAPE, smlp_store_p2_sum(store, private_key, x, COUNT, 0, out));
  FAILS(SMLP_INVALID_ARGUMENT,
        smlp_store_p2_multiply(store, private_key, x, COUNT, y, COUNT, 0, out));
  FAILS(SMLP_INVALID_ARGUMENT,
        smlp_store_p2_multiply(store, public_key, x, COUNT, y, COUNT, 1, out));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_store_encrypt(store, public_key, bytes_of(a), 0, COUNT, out));
  FAILS(SMLP_LIMIT, smlp_store_encrypt(store, public_key, bytes_of(a), SIZE_MAX, 2, out));
  FAILS(SMLP_LIMIT, smlp_store_p2_matmul(store, private_key, x, y, SIZE_MAX, 2, 1, 1, out));
}

static void keys(const smlp_store_key *key) {
  smlp_bytes *n = NULL, *p = NULL, *q = NULL;
  OK(smlp_store_key_number(key, SMLP_KEY_MODULUS, &n));
  OK(smlp_store_key_number(key, SMLP_KEY_P, &p));
  OK(smlp_store_key_number(key, SMLP_KEY_Q, &q));
  smlp_bytes *none = NULL;
  FAILS(SMLP_INVALID_ARGUMENT, smlp_store_key_number(key, (smlp_key_number)99, &none));
  smlp_store_key *again = NULL, *foreign = NULL;
  OK(smlp_store_key_from_primes(smlp_bytes_data(p), smlp_bytes_len(p), smlp_bytes_data(q),
                                smlp_bytes_len(q), SMLP_ALLOW_INSECURE, &again));
  OK(smlp_store_key_from_modulus(smlp_bytes_data(n), smlp_bytes_len(n), SMLP_ALLOW_INSECURE,
                                 &foreign));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_store_key_number(foreign, SMLP_KEY_P, &none));
  FAILS(SMLP_INSECURE,
        smlp_store_key_from_modulus(smlp_bytes_data(n), smlp_bytes_len(n), 0, &foreign));
  FAILS(SMLP_MALFORMED,
        smlp_store_key_from_primes(smlp_bytes_data(p), smlp_bytes_len(p), smlp_bytes_data(p),
                                   smlp_bytes_len(p), SMLP_ALLOW_INSECURE, &again));
  smlp_store *store = NULL;
  OK(smlp_store_new(&store));
  int64_t words[COUNT];
  OK(smlp_store_encrypt(store, foreign, bytes_of(a), 8, COUNT, words));
  expect(store, again, words, a, COUNT);
  smlp_store_free(store);
  smlp_store_key_free(again);
  smlp_store_key_free(foreign);
  smlp_bytes_free(n);
  smlp_bytes_free(p);
  smlp_bytes_free(q);
}

static void references(const smlp_store *store, const smlp_store_key *key) {
  size_t before = 0, len = 0, freed = 0;
  OK(smlp_store_sweep(store, &freed));
  OK(smlp_store_sweep(store, &freed));
  OK(smlp_store_len(store, &before));
  REQUIRE(before == 0);
  int64_t words[COUNT];
  OK(smlp_store_encrypt(store, key, bytes_of(a), 8, COUNT, words));
  OK(smlp_store_pin(store, words[3]));
  for (int i = 0; i < 2; ++i) {
    OK(smlp_store_mark(store, words, 2));
    OK(smlp_store_sweep(store, &freed));
  }
  OK(smlp_store_len(store, &len));
  REQUIRE(freed == 1 && len == 3);
  int64_t out = 0;
  OK(smlp_store_sum(store, key, words, 2, 2, &out));
  FAILS(SMLP_FINISHED, smlp_store_sum(store, key, words, 3, 3, &out));
  OK(smlp_store_unpin(store, words[3]));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_store_unpin(store, words[3]));
  FAILS(SMLP_FINISHED, smlp_store_pin(store, words[2]));
  bool due = true;
  OK(smlp_store_is_due(store, &due));
  REQUIRE(!due);
}

static void with_bits(uint32_t bits) {
  smlp_store *store = NULL;
  smlp_store_key *private_key = NULL, *public_key = NULL;
  OK(smlp_store_new(&store));
  OK(smlp_store_key_generate(bits, SMLP_ALLOW_INSECURE, &private_key));
  OK(smlp_store_key_public(private_key, &public_key));
  arithmetic(store, private_key, public_key);
  keys(private_key);
  if (bits > 31) {
    references(store, public_key);
  }
  smlp_store_key_free(private_key);
  smlp_store_key_free(public_key);
  smlp_store_free(store);
}

int main(void) {
  smlp_store_key *key = NULL;
  FAILS(SMLP_INSECURE, smlp_store_key_generate(30, 0, &key));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_store_key_generate(5, SMLP_ALLOW_INSECURE, &key));
  with_bits(30);
  with_bits(256);
  return 0;
}
