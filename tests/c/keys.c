/* Keys that were changed on their way, and keys of other software. */
#include <string.h>

#include "check.h"

static uint8_t file[4096];

/* Reads a file that the test wrote; returns its length. */
static size_t read_file(const char *folder, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *stream = fopen(path, "rb");
  REQUIRE(stream != NULL);
  const size_t length = fread(file, 1, sizeof file, stream);
  REQUIRE(length > 0 && length < sizeof file);
  fclose(stream);
  return length;
}

static smlp_status read_public(const char *folder, const char *name, smlp_public_key **out) {
  return smlp_public_key_from_bytes(file, read_file(folder, name), SMLP_ALLOW_INSECURE, out);
}

static smlp_status read_private(const char *folder, const char *name, smlp_private_key **out) {
  return smlp_private_key_from_bytes(file, read_file(folder, name), SMLP_ALLOW_INSECURE, out);
}

static bool same_id(const smlp_public_key *a, const smlp_public_key *b) {
  uint8_t first[32], second[32];
  OK(smlp_public_key_id(a, first));
  OK(smlp_public_key_id(b, second));
  return memcmp(first, second, sizeof first) == 0;
}

static smlp_tensor *encrypt(const smlp_public_key *key) {
  const int64_t values[2] = {5, -6};
  const size_t shape[1] = {2};
  smlp_tensor *clear = NULL, *encrypted = NULL;
  OK(smlp_tensor_from_i64(values, 2, shape, 1, 8, &clear));
  OK(smlp_tensor_encrypt(clear, key, &encrypted));
  smlp_tensor_free(clear);
  return encrypted;
}

static void opens(const smlp_private_key *key, const smlp_tensor *encrypted) {
  smlp_tensor *clear = NULL;
  int64_t values[2];
  OK(smlp_tensor_decrypt(encrypted, key, &clear));
  OK(smlp_tensor_to_i64(clear, values, 2));
  REQUIRE(values[0] == 5 && values[1] == -6);
  smlp_tensor_free(clear);
}

/* A public key whose h_s was exchanged: refused where its powers hide nothing, and else another key. */
static void exchanged_bases(const char *folder, const smlp_private_key *key) {
  smlp_public_key *good = NULL, *other = NULL;
  OK(read_public(folder, "good.public", &good));
  FAILS(SMLP_MALFORMED, read_public(folder, "one.public", &other));
  FAILS(SMLP_MALFORMED, read_public(folder, "minus_one.public", &other));
  FAILS(SMLP_MALFORMED, read_public(folder, "n_plus_one.public", &other));

  /* Whoever forgets the fingerprint does not get that far. */
  const size_t length = read_file(folder, "good.public"), width = 2 * 512 / 8;
  memset(file + length - width, 0, width);
  file[length - width] = 4;
  FAILS(SMLP_MALFORMED, smlp_public_key_from_bytes(file, length, SMLP_ALLOW_INSECURE, &other));

  OK(read_public(folder, "other.public", &other));
  REQUIRE(!same_id(good, other));
  smlp_tensor *lost = encrypt(other), *nothing = NULL, *kept = encrypt(good);
  FAILS(SMLP_KEY_MISMATCH, smlp_tensor_decrypt(lost, key, &nothing));
  FAILS(SMLP_KEY_MISMATCH, smlp_tensor_add(lost, kept, &nothing));
  opens(key, kept);
  smlp_tensor_free(lost);
  smlp_tensor_free(kept);
  smlp_public_key_free(other);
  smlp_public_key_free(good);
}

static void from_primes(void) {
  smlp_store_key *numbers = NULL;
  OK(smlp_store_key_generate(512, SMLP_ALLOW_INSECURE, &numbers));
  smlp_bytes *p = NULL, *q = NULL, *n = NULL;
  OK(smlp_store_key_number(numbers, SMLP_KEY_P, &p));
  OK(smlp_store_key_number(numbers, SMLP_KEY_Q, &q));
  OK(smlp_store_key_number(numbers, SMLP_KEY_MODULUS, &n));
  const uint8_t *first = smlp_bytes_data(p), *second = smlp_bytes_data(q);
  const size_t first_len = smlp_bytes_len(p), second_len = smlp_bytes_len(q);

  smlp_private_key *key = NULL, *again = NULL;
  OK(smlp_private_key_from_primes(first, first_len, second, second_len, SMLP_ALLOW_INSECURE, &key));
  OK(smlp_private_key_from_primes(second, second_len, first, first_len, SMLP_ALLOW_INSECURE,
                                  &again));
  smlp_public_key *ours = NULL, *same = NULL, *theirs = NULL;
  OK(smlp_private_key_public(key, &ours));
  OK(smlp_private_key_public(again, &same));
  REQUIRE(same_id(ours, same));
  OK(smlp_public_key_from_modulus(smlp_bytes_data(n), smlp_bytes_len(n), SMLP_ALLOW_INSECURE,
                                  &theirs));
  REQUIRE(!same_id(ours, theirs));

  /* What the modulus alone encrypted goes with the pair, in decryption and in a refresh only. */
  smlp_tensor *x = encrypt(theirs), *y = encrypt(ours), *nothing = NULL;
  opens(key, x);
  opens(again, y);
  FAILS(SMLP_KEY_MISMATCH, smlp_tensor_add(x, y, &nothing));
  smlp_p1 *p1 = NULL;
  OK(smlp_p1_new(ours, SMLP_DEFAULT_SECURITY, SMLP_DEFAULT_VALUES, &p1));
  smlp_call *call = NULL;
  OK(smlp_p1_refresh(p1, x, &call));
  smlp_call_free(call);
  smlp_p1_free(p1);

  smlp_private_key *none = NULL;
  FAILS(SMLP_INSECURE, smlp_private_key_from_primes(first, first_len, second, second_len, 0, &none));
  FAILS(SMLP_MALFORMED, smlp_private_key_from_primes(first, first_len, first, first_len,
                                                     SMLP_ALLOW_INSECURE, &none));
  FAILS(SMLP_MALFORMED, smlp_private_key_from_primes(first, first_len - 1, second, second_len,
                                                     SMLP_ALLOW_INSECURE, &none));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_private_key_from_primes(first, first_len, second, second_len,
                                                            SMLP_SHORT_EXPONENTS, &none));

  smlp_tensor_free(x);
  smlp_tensor_free(y);
  smlp_public_key_free(ours);
  smlp_public_key_free(same);
  smlp_public_key_free(theirs);
  smlp_private_key_free(key);
  smlp_private_key_free(again);
  smlp_bytes_free(p);
  smlp_bytes_free(q);
  smlp_bytes_free(n);
  smlp_store_key_free(numbers);
}

int main(int argc, char **argv) {
  REQUIRE(argc >= 2);
  smlp_private_key *key = NULL, *none = NULL;
  OK(read_private(argv[1], "good.private", &key));
  FAILS(SMLP_MALFORMED, read_private(argv[1], "damaged.private", &none));
  FAILS(SMLP_MALFORMED, read_private(argv[1], "forged.private", &none));
  exchanged_bases(argv[1], key);
  from_primes();
  smlp_private_key_free(key);
  puts("ok");
  return 0;
}
