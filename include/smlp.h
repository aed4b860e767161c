/*
 * libsmlp: train and use a multilayer perceptron on Paillier-encrypted data.
 *
 * Generated from src/ffi/ by cbindgen; do not edit.
 *
 * Parties. The data owner holds the key pair and the clear data. P1, the compute server, holds
 * encrypted data and an encrypted network. P2, the key server, holds the private key and answers
 * P1's masked questions. P1 and P2 must not be run by the same operator.
 *
 * Conventions.
 * - Arguments come as self, inputs, outputs; a length follows its pointer.
 * - Objects are opaque. What a function hands out, the caller frees with the _free function of its
 *   type, in any order. _free(NULL) does nothing. Elsewhere NULL is SMLP_NULL_POINTER, unless an
 *   argument's name ends in _or_null; (NULL, 0) is an empty array.
 * - A function that can fail returns a smlp_status, and smlp_last_error() tells more. Outputs are
 *   written on SMLP_OK only. Inputs stay as they were, and usable, unless a comment says otherwise.
 * - `const T *`: several threads may use the object at once. `T *`: one at a time.
 * - Every function can also return SMLP_NULL_POINTER, SMLP_LIMIT for absurd lengths,
 *   SMLP_INVALID_ARGUMENT for misaligned arrays, SMLP_BACKEND, and SMLP_INTERNAL for a bug.
 *
 * Functions under SMLP_NET are there in libraries built with the cargo feature "net". Define it
 * before including this header if yours is one; pkg-config and CMake do so by themselves.
 *
 * Units. A tensor holds integers and stands for integer / 2^scale. "Fraction bits" are its scale;
 * its bound promises |integer| < 2^bound, scale included.
 *
 * Fork. A child of a process that has used the library may use it too, and the same objects: it gets
 * threads of its own, and randomness comes from the operating system, so parent and child never draw
 * the same. Fork while no other thread is in a function of the library: what that thread has
 * locked stays locked in the child. These stay with the parent. A transport of
 * smlp_transport_connect(): in the child every exchange fails with SMLP_TRANSPORT at once; connect
 * anew there. A call that waits for its reply, also that of a session whose transport forks: it goes
 * on in the process that began it, and fails with SMLP_FINISHED in the other. A GPU: the child
 * computes on the CPU.
 *
 * The caller promises that a pointer that is not NULL points to a live object made by this library,
 * to as many initialised elements as the length says, to writable memory of the stated size, or to
 * a NUL-terminated string. Nothing else is trusted.
 */


#ifndef SMLP_H
#define SMLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


/**
 * Version of the ABI: a program compiled for one works with every library that reports it.
 */
#define SMLP_ABI_VERSION 1

/**
 * Flag of functions that make or read keys: allows keys below 2048 bits. For tests only, such
 * keys protect nothing.
 */
#define SMLP_ALLOW_INSECURE 1

/**
 * Flag of functions that make keys: short random exponents, 448 bits at 2048 bits and 512 at 3072, so
 * that decryption is about four to five times and re-randomisation four times as fast (Ma, Han, Lei 2021).
 * Rests on one more assumption than other keys do; SECURITY.md says which.
 */
#define SMLP_SHORT_EXPONENTS 2

/**
 * Bits of a key when the caller does not choose: 128-bit security.
 */
#define SMLP_DEFAULT_KEY_BITS 3072

/**
 * What P1 promises when the caller does not choose: P2's advantage over guessing is at most 2 to minus this.
 */
#define SMLP_DEFAULT_SECURITY 40

/**
 * Values and ciphertexts that calls of a P1 outside of trainings may show P2 when the caller does not choose: about a
 * million predictions of a small network.
 */
#define SMLP_DEFAULT_VALUES 268435456

/**
 * Bits of masks that packed tensors have room for when the caller does not choose: those of trainings that show
 * P2 up to 2^39 values.
 */
#define SMLP_UPLOAD_SIGMA 80

/**
 * Fraction bits when the caller does not choose.
 */
#define SMLP_DEFAULT_FRACTION_BITS 16

/**
 * What came of a call. Numbers are never reused.
 */
enum smlp_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * It worked.
   */
  SMLP_OK = 0,
  /**
   * An argument is outside what the function accepts.
   */
  SMLP_INVALID_ARGUMENT = 1,
  /**
   * An argument is NULL.
   */
  SMLP_NULL_POINTER = 2,
  /**
   * Shapes do not fit each other or the operation.
   */
  SMLP_SHAPE = 3,
  /**
   * Two tensors have different numbers of fraction bits.
   */
  SMLP_SCALE = 4,
  /**
   * A result could be larger than what holds it: divide first, or declare a tighter bound.
   */
  SMLP_BOUND = 5,
  /**
   * A value does not fit its scale and bound.
   */
  SMLP_OUT_OF_RANGE = 6,
  /**
   * NaN or infinity.
   */
  SMLP_NOT_FINITE = 7,
  /**
   * Two objects belong to different keys.
   */
  SMLP_KEY_MISMATCH = 8,
  /**
   * A key is too small, or another safety rule would be broken.
   */
  SMLP_INSECURE = 9,
  /**
   * Bytes are not what they should be: truncated, foreign, of another version.
   */
  SMLP_MALFORMED = 10,
  /**
   * A limit on sizes was hit.
   */
  SMLP_LIMIT = 11,
  /**
   * An object was used after it failed or finished, or before it was ready.
   */
  SMLP_FINISHED = 12,
  /**
   * The caller's callback asked to stop.
   */
  SMLP_CANCELLED = 13,
  /**
   * The transport between P1 and P2 failed.
   */
  SMLP_TRANSPORT = 14,
  /**
   * P2 refused a request.
   */
  SMLP_REFUSED = 15,
  /**
   * Reading or writing a file failed.
   */
  SMLP_IO = 16,
  /**
   * The requested arithmetic backend is not available.
   */
  SMLP_BACKEND = 17,
  /**
   * A bug in the library; the message says where.
   */
  SMLP_INTERNAL = 18,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum smlp_status smlp_status;
#else
typedef int32_t smlp_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What smlp_session_statistic() counts.
 */
enum smlp_statistic
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Requests that were answered, those that were sent while P1 worked on a later one included.
   */
  SMLP_ROUNDS = 0,
  /**
   * Bytes of requests.
   */
  SMLP_BYTES_SENT = 1,
  /**
   * Bytes of replies.
   */
  SMLP_BYTES_RECEIVED = 2,
  /**
   * Modular multiplications by P1.
   */
  SMLP_P1_OPERATIONS = 3,
  /**
   * Modular multiplications by P2, in its smaller rings.
   */
  SMLP_P2_OPERATIONS = 4,
  /**
   * Time that P1 computed.
   */
  SMLP_P1_NANOSECONDS = 5,
  /**
   * Time of P2 and of the wire, as far as P1 waited for them.
   */
  SMLP_EXCHANGE_NANOSECONDS = 6,
  /**
   * Values that P2 saw under a mask, and ciphertexts that P1 re-randomised for it.
   */
  SMLP_MASKED_VALUES = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum smlp_statistic smlp_statistic;
#else
typedef int32_t smlp_statistic;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a layer does to its sums.
 */
enum smlp_activation
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * z itself.
   */
  SMLP_LINEAR = 0,
  /**
   * max(z, 0).
   */
  SMLP_RELU = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum smlp_activation smlp_activation;
#else
typedef int32_t smlp_activation;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What smlp_estimate_number() tells.
 */
enum smlp_estimate_item
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Steps of the job.
   */
  SMLP_ESTIMATE_STEPS = 0,
  /**
   * Seconds of the job, both parties on this machine.
   */
  SMLP_ESTIMATE_SECONDS = 1,
  /**
   * Ciphertexts of the packed data set, inputs and targets.
   */
  SMLP_ESTIMATE_DATA_CIPHERTEXTS = 2,
  /**
   * Their bytes.
   */
  SMLP_ESTIMATE_DATA_BYTES = 3,
  /**
   * Seconds of the first step, with what it sets up.
   */
  SMLP_ESTIMATE_FIRST_STEP_SECONDS = 4,
  /**
   * Seconds of every further step.
   */
  SMLP_ESTIMATE_STEP_SECONDS = 5,
  /**
   * Of these, P1's.
   */
  SMLP_ESTIMATE_STEP_P1_SECONDS = 6,
  /**
   * Round trips of a step.
   */
  SMLP_ESTIMATE_STEP_ROUNDS = 7,
  /**
   * Bytes that P1 sends a step.
   */
  SMLP_ESTIMATE_STEP_BYTES_SENT = 8,
  /**
   * Bytes that P1 gets a step.
   */
  SMLP_ESTIMATE_STEP_BYTES_RECEIVED = 9,
  /**
   * Terms of products by masks a step: a ciphertext to the power of a mask each.
   */
  SMLP_ESTIMATE_STEP_TERMS = 10,
  /**
   * Ciphertexts that P1 sends and P2 decrypts a step.
   */
  SMLP_ESTIMATE_STEP_DECRYPTIONS = 11,
  /**
   * Ciphertexts that P2 encrypts a step.
   */
  SMLP_ESTIMATE_STEP_ENCRYPTIONS = 12,
  /**
   * log2 of m · 2^-sigma: P2's advantage over guessing at the end of the job is at most that.
   */
  SMLP_ESTIMATE_LOG2_ADVANTAGE = 13,
  /**
   * sigma, the statistical security of the job's masks in bits, which follows from the promise.
   */
  SMLP_ESTIMATE_SIGMA = 14,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum smlp_estimate_item smlp_estimate_item;
#else
typedef int32_t smlp_estimate_item;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The numbers of a key.
 */
enum smlp_key_number
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * N = p·q; the generator is N + 1.
   */
  SMLP_KEY_MODULUS = 0,
  /**
   * The first prime factor.
   */
  SMLP_KEY_P = 1,
  /**
   * The second prime factor.
   */
  SMLP_KEY_Q = 2,
  /**
   * L_p((N+1)^(p−1) mod p²)^−1 mod p, with L_p(x) = (x − 1)/p.
   */
  SMLP_KEY_HP = 3,
  /**
   * The same modulo q.
   */
  SMLP_KEY_HQ = 4,
  /**
   * lambda^−1 mod N.
   */
  SMLP_KEY_MU = 5,
  /**
   * lcm(p − 1, q − 1).
   */
  SMLP_KEY_LAMBDA = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum smlp_key_number smlp_key_number;
#else
typedef int32_t smlp_key_number;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Bytes that the library handed out. Cleared when freed: they may be a private key.
 */
typedef struct smlp_bytes smlp_bytes;

/**
 * An interactive operation in progress: send its request to P2, resume it with the reply, until
 * it is done. The first failure is final; P1 and its tensors are left as they were.
 */
typedef struct smlp_call smlp_call;

/**
 * What a training job will cost on this machine.
 */
typedef struct smlp_estimate smlp_estimate;

/**
 * How to train. To go on after a pause, use the same data, batch size and shuffling.
 */
typedef struct smlp_fit_options smlp_fit_options;

/**
 * A multilayer perceptron with encrypted parameters, or its clear twin.
 *
 * While one call trains it, every other one on it fails with SMLP_INVALID_ARGUMENT, those of
 * its progress callback included.
 */
typedef struct smlp_mlp smlp_mlp;

/**
 * What a new network looks like.
 */
typedef struct smlp_mlp_options smlp_mlp_options;

#if defined(SMLP_NET)
/**
 * Whom to ask over the network, as whom, and for how long.
 */
typedef struct smlp_network_options smlp_network_options;
#endif

/**
 * The compute server: starts calls on encrypted tensors.
 */
typedef struct smlp_p1 smlp_p1;

/**
 * The key server: holds the private key and no data, and keeps no state between answers.
 */
typedef struct smlp_p2 smlp_p2;

/**
 * A private key, and the public one with it. Belongs to the data owner and to P2, never to P1.
 */
typedef struct smlp_private_key smlp_private_key;

/**
 * A public key: encrypts and computes, cannot decrypt. Anybody may have it.
 */
typedef struct smlp_public_key smlp_public_key;

/**
 * What the calls of a session rounded with. Whoever has it and P2's view of the calls learns x mod d of every
 * division: in memory it is for tests, in a file it is encrypted to a key of the data owner.
 */
typedef struct smlp_record smlp_record;

/**
 * The data owner's key to records in files. Neither P1 nor P2 may have it.
 */
typedef struct smlp_record_key smlp_record_key;

/**
 * Where a callback puts P2's reply.
 */
typedef struct smlp_reply smlp_reply;

/**
 * Operations that need both parties: on encrypted tensors over a transport, or their clear twin
 * on clear tensors.
 */
typedef struct smlp_session smlp_session;

/**
 * Ciphertexts that go by the name of a 64-bit integer, for hosts whose arrays hold nothing else.
 *
 * A word is a reference into the store (from 2^62 up), or the ciphertext itself, a residue below
 * 2^62. Under a small key (see smlp_store_key_generate()) all are residues, and the store stays
 * empty. Who holds references has to say from time to time which of them are in use.
 */
typedef struct smlp_store smlp_store;

/**
 * A key of any size, with or without its private half, made of numbers.
 *
 * Up to 31 bits it is a small key: ciphertexts fit 62 bits, and whoever has one decrypts it in
 * microseconds.
 */
typedef struct smlp_store_key smlp_store_key;

/**
 * A tensor of encrypted or of clear fixed-point integers, row-major, of up to 8 dimensions. It
 * never changes; what operates on it makes a new one.
 */
typedef struct smlp_tensor smlp_tensor;

/**
 * Who carries a request to P2 and its reply back.
 */
typedef struct smlp_transport smlp_transport;

/**
 * Takes a request to P2 and writes the reply with smlp_reply_write(). Called from the thread that
 * runs the session's function, so by several at once if several use the session. The request is
 * valid until it returns. No exception may leave it.
 *
 * Returns: 0 for success. With any other value the session's function fails with SMLP_TRANSPORT,
 * and what was written so far, if it is short UTF-8 text, becomes part of the message.
 */
typedef int32_t (*smlp_exchange_fn)(void *userdata,
                                    const uint8_t *request,
                                    size_t len,
                                    smlp_reply *reply);

/**
 * Called after every step with the steps done and to do in this call, on the thread that trains.
 * It may not use the network. No exception may leave it.
 *
 * Returns: 0 to go on; any other value cancels. Finished steps are kept.
 */
typedef int32_t (*smlp_progress_fn)(void *userdata, uint64_t done, uint64_t total);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the ABI that the library implements; compare with SMLP_ABI_VERSION.
 */
uint32_t smlp_abi_version(void);

/**
 * The library's version as text, e.g. "0.1.0". Static: never freed.
 */
const char *smlp_version(void);

/**
 * The name of a status, e.g. "SMLP_SHAPE"; "SMLP_UNKNOWN" for other numbers. Static, never NULL.
 */
const char *smlp_status_name(smlp_status status);

/**
 * The message of the last failure on this thread; empty if there was none. Calls that succeed
 * leave it as it is.
 *
 * Args: buffer: room for `capacity` bytes; the text (UTF-8) is cut to fit and NUL-terminated.
 * (NULL, 0) asks for the length only.
 * Returns: the length of the whole text in bytes, without the NUL.
 */
size_t smlp_last_error(char *buffer, size_t capacity);

/**
 * The arithmetic backend in use, e.g. "gmp". The environment variable SMLP_BACKEND chooses it.
 *
 * Args: out: a static string, never freed.
 * Errors: SMLP_BACKEND if the chosen one is not available.
 */
smlp_status smlp_backend_name(const char **out);

/**
 * Which accelerator (GPU) is in use, or why none is, in words. Looks for one if nothing did before;
 * SMLP_PLUGIN names the file of a plugin.
 *
 * Args: buffer: room for `capacity` bytes; the text (UTF-8) is cut to fit and NUL-terminated.
 * (NULL, 0) asks for the length only.
 * Returns: the length of the whole text in bytes, without the NUL.
 */
size_t smlp_backend_report(char *buffer, size_t capacity);

/**
 * The first of the bytes, until they are freed. Not NULL, unless `bytes` is.
 */
const uint8_t *smlp_bytes_data(const smlp_bytes *bytes);

/**
 * How many bytes there are; 0 for NULL.
 */
size_t smlp_bytes_len(const smlp_bytes *bytes);

/**
 * Clears and frees the bytes.
 */
void smlp_bytes_free(smlp_bytes *bytes);

/**
 * Draws a key pair from the operating system's generator. Takes seconds at 3072 bits.
 *
 * Args: bits: of the modulus N, even, 16 to 16384; 2048 at least unless `flags` has
 * SMLP_ALLOW_INSECURE, 64 at least with SMLP_SHORT_EXPONENTS. flags: 0, or a sum of
 * SMLP_ALLOW_INSECURE and SMLP_SHORT_EXPONENTS.
 * Errors: SMLP_INSECURE, SMLP_INVALID_ARGUMENT.
 */
smlp_status smlp_private_key_generate(uint32_t bits, uint32_t flags, smlp_private_key **out);

/**
 * The key pair of other Paillier software (g = N + 1), from its prime factors. The same primes give the same
 * key, with the same id, wherever this is called; what was encrypted with the modulus alone, by that software or
 * with smlp_public_key_from_modulus(), is decrypted too.
 *
 * Args: p, p_len, q, q_len: two primes, big-endian, of one length; their product has twice as many bits.
 * flags: 0 or SMLP_ALLOW_INSECURE.
 * Errors: SMLP_MALFORMED for other numbers and for primes that make N easy to factor, SMLP_LIMIT, SMLP_INSECURE.
 */
smlp_status smlp_private_key_from_primes(const uint8_t *p,
                                         size_t p_len,
                                         const uint8_t *q,
                                         size_t q_len,
                                         uint32_t flags,
                                         smlp_private_key **out);

/**
 * The public key of a pair.
 */
smlp_status smlp_private_key_public(const smlp_private_key *key, smlp_public_key **out);

/**
 * The key as bytes, which are as secret as the key.
 */
smlp_status smlp_private_key_to_bytes(const smlp_private_key *key, smlp_bytes **out);

/**
 * Reads what smlp_private_key_to_bytes() wrote. A damaged key is refused, and so is one whose numbers do not
 * go together.
 *
 * Args: flags: 0 or SMLP_ALLOW_INSECURE.
 * Errors: SMLP_MALFORMED, SMLP_LIMIT, SMLP_INSECURE.
 */
smlp_status smlp_private_key_from_bytes(const uint8_t *data,
                                        size_t len,
                                        uint32_t flags,
                                        smlp_private_key **out);

/**
 * Writes the key to a new file that only its owner may read (mode 0600).
 *
 * Args: path: UTF-8; the file may not exist yet.
 * Errors: SMLP_IO.
 */
smlp_status smlp_private_key_save(const smlp_private_key *key, const char *path);

/**
 * Reads a file that smlp_private_key_save() wrote.
 *
 * Args: path: UTF-8. flags: 0 or SMLP_ALLOW_INSECURE.
 * Errors: SMLP_IO, SMLP_MALFORMED, SMLP_LIMIT, SMLP_INSECURE.
 */
smlp_status smlp_private_key_load(const char *path, uint32_t flags, smlp_private_key **out);

/**
 * Frees a private key; its secrets are cleared once nothing else uses them.
 */
void smlp_private_key_free(smlp_private_key *key);

/**
 * A key of other Paillier software (g = N + 1), known by its modulus alone. Encrypting with it is
 * slower than with a key of this library.
 *
 * Args: modulus, len: N, big-endian. flags: 0 or SMLP_ALLOW_INSECURE.
 * Errors: SMLP_INVALID_ARGUMENT, SMLP_LIMIT, SMLP_INSECURE.
 */
smlp_status smlp_public_key_from_modulus(const uint8_t *modulus,
                                         size_t len,
                                         uint32_t flags,
                                         smlp_public_key **out);

/**
 * N, big-endian, without leading zeros: for other Paillier software.
 */
smlp_status smlp_public_key_modulus(const smlp_public_key *key, smlp_bytes **out);

/**
 * Bits of N.
 */
smlp_status smlp_public_key_bits(const smlp_public_key *key, uint32_t *out);

/**
 * Bits of the random exponent of an encryption: half of N's; fewer for a key with
 * SMLP_SHORT_EXPONENTS; those of N for a key of other software.
 */
smlp_status smlp_public_key_exponent_bits(const smlp_public_key *key, uint32_t *out);

/**
 * What tensors, messages and files name the key by: a digest of all that encryption uses, so that keys
 * with one id are equal. A key of smlp_public_key_from_modulus() has the id of its modulus; a key of this
 * library with the same N has another one, and takes what was encrypted with the former.
 *
 * Args: out: room for 32 bytes.
 */
smlp_status smlp_public_key_id(const smlp_public_key *key,
                               uint8_t *out);

/**
 * Whether the key came from other software, by smlp_public_key_from_modulus().
 */
smlp_status smlp_public_key_is_foreign(const smlp_public_key *key, bool *out);

/**
 * The key as bytes.
 */
smlp_status smlp_public_key_to_bytes(const smlp_public_key *key, smlp_bytes **out);

/**
 * Reads what smlp_public_key_to_bytes() wrote. A damaged key is refused, and so is one whose encryptions
 * anybody could read. The first time in a process a key takes a tenth of a second at 2048 bits, a quarter at 3072.
 *
 * Args: flags: 0 or SMLP_ALLOW_INSECURE.
 * Errors: SMLP_MALFORMED, SMLP_LIMIT, SMLP_INSECURE.
 */
smlp_status smlp_public_key_from_bytes(const uint8_t *data,
                                       size_t len,
                                       uint32_t flags,
                                       smlp_public_key **out);

/**
 * Writes the key to a file, replacing what was there.
 *
 * Args: path: UTF-8.
 * Errors: SMLP_IO.
 */
smlp_status smlp_public_key_save(const smlp_public_key *key, const char *path);

/**
 * Reads a file that smlp_public_key_save() wrote.
 *
 * Args: path: UTF-8. flags: 0 or SMLP_ALLOW_INSECURE.
 * Errors: SMLP_IO, SMLP_MALFORMED, SMLP_LIMIT, SMLP_INSECURE.
 */
smlp_status smlp_public_key_load(const char *path, uint32_t flags, smlp_public_key **out);

/**
 * Frees a public key. Tensors and sessions made with it keep what they need.
 */
void smlp_public_key_free(smlp_public_key *key);

/**
 * Whether the elements are ciphertexts.
 */
smlp_status smlp_tensor_is_encrypted(const smlp_tensor *tensor, bool *out);

/**
 * How many values share a ciphertext at most: 1 unless the tensor is packed.
 *
 * Errors: SMLP_INVALID_ARGUMENT for a clear tensor.
 */
smlp_status smlp_tensor_values_per_ciphertext(const smlp_tensor *tensor, size_t *out);

/**
 * The key of an encrypted tensor, as smlp_public_key_id() names it.
 *
 * Args: out: room for 32 bytes.
 * Errors: SMLP_INVALID_ARGUMENT for a clear tensor.
 */
smlp_status smlp_tensor_key_id(const smlp_tensor *tensor, uint8_t *out);

/**
 * Number of axes; 0 for a single number.
 */
smlp_status smlp_tensor_ndim(const smlp_tensor *tensor, size_t *out);

/**
 * Number of elements.
 */
smlp_status smlp_tensor_len(const smlp_tensor *tensor, size_t *out);

/**
 * Lengths of the axes.
 *
 * Args: out, capacity: room for `capacity` lengths, of which the first smlp_tensor_ndim() are
 * written; 8 always suffice.
 * Errors: SMLP_INVALID_ARGUMENT if the capacity is too small.
 */
smlp_status smlp_tensor_shape(const smlp_tensor *tensor, size_t *out, size_t capacity);

/**
 * Fraction bits: the tensor stands for its integers divided by 2^scale.
 */
smlp_status smlp_tensor_scale(const smlp_tensor *tensor, uint32_t *out);

/**
 * Bits of the largest possible integer, scale included: every |integer| < 2^bound.
 */
smlp_status smlp_tensor_bound(const smlp_tensor *tensor, uint32_t *out);

/**
 * The same tensor once more. Cheap: the elements are shared.
 */
smlp_status smlp_tensor_clone(const smlp_tensor *tensor, smlp_tensor **out);

/**
 * Frees a tensor; elements go when no other tensor shares them.
 */
void smlp_tensor_free(smlp_tensor *tensor);

/**
 * Encodes numbers as integers: x becomes x · 2^fraction_bits, rounded to the nearest (ties to
 * even). Nothing saturates.
 *
 * Args: data, len: the numbers, row-major. shape, ndim: lengths of the axes, up to 8; their
 * product is `len`; ndim 0 is a single number. fraction_bits: 0 to 64, usually
 * SMLP_DEFAULT_FRACTION_BITS. bound_bits: every |integer| < 2^bound_bits, scale included; 1 to
 * 126, 0 means 40. Tight bounds make encrypted work cheaper.
 * Errors: SMLP_SHAPE, SMLP_NOT_FINITE, SMLP_OUT_OF_RANGE, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
 */
smlp_status smlp_tensor_from_f64(const double *data,
                                 size_t len,
                                 const size_t *shape,
                                 size_t ndim,
                                 uint32_t fraction_bits,
                                 uint32_t bound_bits,
                                 smlp_tensor **out);

/**
 * As smlp_tensor_from_f64() for single precision.
 */
smlp_status smlp_tensor_from_f32(const float *data,
                                 size_t len,
                                 const size_t *shape,
                                 size_t ndim,
                                 uint32_t fraction_bits,
                                 uint32_t bound_bits,
                                 smlp_tensor **out);

/**
 * Integers of scale 0.
 *
 * Args: as smlp_tensor_from_f64(); bound_bits: 0 means 56.
 * Errors: SMLP_SHAPE, SMLP_OUT_OF_RANGE, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
 */
smlp_status smlp_tensor_from_i64(const int64_t *data,
                                 size_t len,
                                 const size_t *shape,
                                 size_t ndim,
                                 uint32_t bound_bits,
                                 smlp_tensor **out);

/**
 * Fixed-point integers as they are: each stands for integer / 2^scale.
 *
 * Args: as smlp_tensor_from_f64(); scale: fraction bits that the integers have already.
 * bound_bits: 0 means 56.
 * Errors: SMLP_SHAPE, SMLP_OUT_OF_RANGE, SMLP_BOUND, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
 */
smlp_status smlp_tensor_from_raw(const int64_t *data,
                                 size_t len,
                                 const size_t *shape,
                                 size_t ndim,
                                 uint32_t scale,
                                 uint32_t bound_bits,
                                 smlp_tensor **out);

/**
 * What a clear tensor stands for: integer / 2^scale, row-major.
 *
 * Args: out, capacity: room for `capacity` numbers, of which the first smlp_tensor_len() are
 * written.
 * Errors: SMLP_INVALID_ARGUMENT for an encrypted tensor or too small a capacity.
 */
smlp_status smlp_tensor_to_f64(const smlp_tensor *tensor, double *out, size_t capacity);

/**
 * The integers of a clear tensor, the scale not applied, row-major.
 *
 * Args: as smlp_tensor_to_f64().
 * Errors: SMLP_OUT_OF_RANGE for an integer of more than 63 bits; SMLP_INVALID_ARGUMENT.
 */
smlp_status smlp_tensor_to_i64(const smlp_tensor *tensor, int64_t *out, size_t capacity);

/**
 * Encrypts every element of a clear tensor; shape, scale and bound stay readable.
 *
 * Errors: SMLP_BOUND if the key is too small for the bound; SMLP_INVALID_ARGUMENT for an
 * encrypted tensor.
 */
smlp_status smlp_tensor_encrypt(const smlp_tensor *tensor,
                                const smlp_public_key *key,
                                smlp_tensor **out);

/**
 * As smlp_tensor_encrypt(), several times faster: for the data owner, who has the private key.
 */
smlp_status smlp_tensor_encrypt_with_private_key(const smlp_tensor *tensor,
                                                 const smlp_private_key *key,
                                                 smlp_tensor **out);

/**
 * Encrypts many values a ciphertext: (bits of N - 2) / (bound + sigma + 2) along the last axis, 21
 * of 15 bits under 2048 bits with sigma 80. What a data owner uploads for training. Packed
 * tensors are decrypted, stored, cut into rows and used in sessions as others are; sums within
 * them, products with clear values and the calls of a P1 need smlp_session_unpack() first.
 *
 * Args: sigma: bits of the widest masks that P1 will use on them, which follow from its promise; SMLP_UPLOAD_SIGMA if
 * in doubt.
 * Errors: as smlp_tensor_encrypt().
 */
smlp_status smlp_tensor_encrypt_packed(const smlp_tensor *tensor,
                                       const smlp_public_key *key,
                                       uint32_t sigma,
                                       smlp_tensor **out);

/**
 * As smlp_tensor_encrypt_packed(), several times faster: for the data owner, who has the private
 * key.
 */
smlp_status smlp_tensor_encrypt_packed_with_private_key(const smlp_tensor *tensor,
                                                        const smlp_private_key *key,
                                                        uint32_t sigma,
                                                        smlp_tensor **out);

/**
 * Decrypts every element of an encrypted tensor: one of the key itself, or of the key that is known by its
 * modulus alone.
 *
 * Errors: SMLP_KEY_MISMATCH; SMLP_OUT_OF_RANGE for a value that breaks the tensor's bound: a
 * promise about bounds was wrong, and what was computed since cannot be trusted;
 * SMLP_INVALID_ARGUMENT for a clear tensor.
 */
smlp_status smlp_tensor_decrypt(const smlp_tensor *tensor,
                                const smlp_private_key *key,
                                smlp_tensor **out);

/**
 * The tensor as bytes, for files and for the wire. Encrypted ones name their key.
 */
smlp_status smlp_tensor_to_bytes(const smlp_tensor *tensor, smlp_bytes **out);

/**
 * Reads what smlp_tensor_to_bytes() wrote.
 *
 * Args: key_or_null: the key of an encrypted tensor, which also takes tensors of its modulus alone; not looked
 * at for a clear one.
 * Errors: SMLP_MALFORMED, SMLP_LIMIT, SMLP_KEY_MISMATCH; SMLP_NULL_POINTER if the tensor is
 * encrypted and there is no key; for a clear one SMLP_OUT_OF_RANGE.
 */
smlp_status smlp_tensor_from_bytes(const uint8_t *data,
                                   size_t len,
                                   const smlp_public_key *key_or_null,
                                   smlp_tensor **out);

/**
 * Raw ciphertexts for other Paillier software (g = N + 1), row-major, big-endian, each padded to
 * the width of N².
 *
 * Args: bytes_each: gets that width in bytes. out: gets all of them, one after another.
 * Errors: SMLP_INVALID_ARGUMENT for a clear tensor.
 */
smlp_status smlp_tensor_to_ciphertexts(const smlp_tensor *tensor,
                                       size_t *bytes_each,
                                       smlp_bytes **out);

/**
 * Raw ciphertexts of other Paillier software (g = N + 1).
 *
 * Args: data, len: the ciphertexts, row-major, big-endian. bytes_each: of each; their number is
 * len / bytes_each. shape, ndim: lengths of the axes. scale: fraction bits of the plaintexts.
 * bound_bits: every |plaintext| < 2^bound_bits, a promise; 0 means 56.
 * Errors: SMLP_MALFORMED, SMLP_SHAPE, SMLP_BOUND, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
 */
smlp_status smlp_tensor_from_ciphertexts(const uint8_t *data,
                                         size_t len,
                                         size_t bytes_each,
                                         const size_t *shape,
                                         size_t ndim,
                                         uint32_t scale,
                                         uint32_t bound_bits,
                                         const smlp_public_key *key,
                                         smlp_tensor **out);

/**
 * The same elements in row-major order under another shape.
 *
 * Args: shape, ndim: the new lengths; one may be -1 and is worked out.
 * Errors: SMLP_SHAPE if the numbers of elements differ; SMLP_LIMIT.
 */
smlp_status smlp_tensor_reshape(const smlp_tensor *tensor,
                                const int64_t *shape,
                                size_t ndim,
                                smlp_tensor **out);

/**
 * Axis i of the result is axis `axes[i]` of the tensor; negative axes count from the end.
 *
 * Errors: SMLP_INVALID_ARGUMENT unless every axis is named once.
 */
smlp_status smlp_tensor_permute(const smlp_tensor *tensor,
                                const int64_t *axes,
                                size_t ndim,
                                smlp_tensor **out);

/**
 * All axes in reverse order.
 */
smlp_status smlp_tensor_transpose(const smlp_tensor *tensor, smlp_tensor **out);

/**
 * Some positions of an axis: start, start + step, ...
 *
 * Args: axis: negative ones count from the end. start: counts from 0. count: how many positions;
 * may be 0. step: may be negative, not 0.
 * Errors: SMLP_INVALID_ARGUMENT for a position that does not exist.
 */
smlp_status smlp_tensor_slice(const smlp_tensor *tensor,
                              int64_t axis,
                              int64_t start,
                              size_t count,
                              int64_t step,
                              smlp_tensor **out);

/**
 * One position of an axis, which disappears. Negative axes and positions count from the end.
 *
 * Errors: SMLP_INVALID_ARGUMENT for an axis or a position that does not exist.
 */
smlp_status smlp_tensor_index(const smlp_tensor *tensor,
                              int64_t axis,
                              int64_t index,
                              smlp_tensor **out);

/**
 * The named positions of an axis, in that order, repeats allowed: the rows of a mini-batch.
 *
 * Errors: SMLP_INVALID_ARGUMENT for a position that does not exist; SMLP_LIMIT.
 */
smlp_status smlp_tensor_take(const smlp_tensor *tensor,
                             int64_t axis,
                             const size_t *indices,
                             size_t len,
                             smlp_tensor **out);

/**
 * Without an axis of length 1.
 *
 * Errors: SMLP_SHAPE if it is longer; SMLP_INVALID_ARGUMENT if there is no such axis.
 */
smlp_status smlp_tensor_squeeze(const smlp_tensor *tensor, int64_t axis, smlp_tensor **out);

/**
 * Without all axes of length 1.
 */
smlp_status smlp_tensor_squeeze_all(const smlp_tensor *tensor, smlp_tensor **out);

/**
 * With a new axis of length 1 before position `axis`; -1 puts it at the end.
 *
 * Errors: SMLP_INVALID_ARGUMENT for a position that does not exist; SMLP_LIMIT past 8 dimensions.
 */
smlp_status smlp_tensor_unsqueeze(const smlp_tensor *tensor, int64_t axis, smlp_tensor **out);

/**
 * Stretched to a shape as numpy does: new axes in front, axes of length 1 repeated.
 *
 * Errors: SMLP_SHAPE, SMLP_LIMIT.
 */
smlp_status smlp_tensor_broadcast_to(const smlp_tensor *tensor,
                                     const size_t *shape,
                                     size_t ndim,
                                     smlp_tensor **out);

/**
 * Tiled `times[i]` times along axis i, new axes in front, as torch.Tensor.repeat does.
 *
 * Errors: SMLP_INVALID_ARGUMENT for fewer times than axes; SMLP_LIMIT.
 */
smlp_status smlp_tensor_repeat(const smlp_tensor *tensor,
                               const size_t *times,
                               size_t ndim,
                               smlp_tensor **out);

/**
 * Tensors one after another along an axis that they all have; all encrypted or all clear.
 *
 * Args: tensors, len: at least one; other axes and scales are equal.
 * Errors: SMLP_SHAPE, SMLP_SCALE, SMLP_KEY_MISMATCH, SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
 */
smlp_status smlp_tensor_concatenate(const smlp_tensor *const *tensors,
                                    size_t len,
                                    int64_t axis,
                                    smlp_tensor **out);

/**
 * Tensors of equal shape along a new axis; all encrypted or all clear.
 *
 * Args: tensors, len: at least one. axis: where the new axis goes; -1 puts it at the end.
 * Errors: as smlp_tensor_concatenate().
 */
smlp_status smlp_tensor_stack(const smlp_tensor *const *tensors,
                              size_t len,
                              int64_t axis,
                              smlp_tensor **out);

/**
 * left + right, broadcasting as numpy does.
 *
 * Args: left, right: encrypted under one key, clear, or one of each; of equal scale.
 * Errors: SMLP_SHAPE, SMLP_SCALE, SMLP_BOUND, SMLP_KEY_MISMATCH.
 */
smlp_status smlp_tensor_add(const smlp_tensor *left, const smlp_tensor *right, smlp_tensor **out);

/**
 * left - right. Args and errors as smlp_tensor_add().
 */
smlp_status smlp_tensor_sub(const smlp_tensor *left, const smlp_tensor *right, smlp_tensor **out);

/**
 * -tensor.
 */
smlp_status smlp_tensor_neg(const smlp_tensor *tensor, smlp_tensor **out);

/**
 * left · right, element by element, broadcasting as numpy does. Scales and bounds add up.
 *
 * Args: left, right: at most one encrypted; two need smlp_session_multiply(). Declared bounds
 * count, not values: lower them with smlp_tensor_assume_bound() where values are small.
 * Errors: SMLP_SHAPE, SMLP_BOUND, SMLP_INVALID_ARGUMENT if both are encrypted.
 */
smlp_status smlp_tensor_mul(const smlp_tensor *left, const smlp_tensor *right, smlp_tensor **out);

/**
 * The matrix product of (m × p) and (p × q); vectors are promoted as numpy does. Scales add up,
 * and so do bounds, plus ⌈log2 p⌉ bits.
 *
 * Args: left, right: at most one encrypted; two need smlp_session_matmul().
 * Errors: as smlp_tensor_mul().
 */
smlp_status smlp_tensor_matmul(const smlp_tensor *left,
                               const smlp_tensor *right,
                               smlp_tensor **out);

/**
 * The sum along an axis, which disappears. Negative axes count from the end.
 *
 * Errors: SMLP_SHAPE for an axis of length 0; SMLP_BOUND; SMLP_INVALID_ARGUMENT if there is no
 * such axis.
 */
smlp_status smlp_tensor_sum(const smlp_tensor *tensor, int64_t axis, smlp_tensor **out);

/**
 * The sum of all elements, a single number.
 *
 * Errors: SMLP_SHAPE if there is none; SMLP_BOUND.
 */
smlp_status smlp_tensor_sum_all(const smlp_tensor *tensor, smlp_tensor **out);

/**
 * The same tensor with another declared bound. Lowering it is checked on a clear tensor and a
 * promise on an encrypted one: broken, it corrupts neighbouring values and weakens masks.
 *
 * Args: bits: every |integer| < 2^bits, scale included; at least 1.
 * Errors: SMLP_OUT_OF_RANGE, SMLP_BOUND, SMLP_INVALID_ARGUMENT.
 */
smlp_status smlp_tensor_assume_bound(const smlp_tensor *tensor, uint32_t bits, smlp_tensor **out);

/**
 * The same integers with another scale: they stand for integer / 2^scale from now on.
 *
 * Errors: SMLP_INVALID_ARGUMENT for too large a scale.
 */
smlp_status smlp_tensor_as_scale(const smlp_tensor *tensor, uint32_t scale, smlp_tensor **out);

/**
 * P1 for one key, which promises that P2's advantage over guessing is at most 2^-security: over all trainings of a
 * network, and over all its other calls. The widths of its masks follow from that and from what P2 gets to see.
 *
 * Args: security: 40 to 128 bits, SMLP_DEFAULT_SECURITY if in doubt. values: what calls other than trainings may show
 * P2, in values and ciphertexts, SMLP_DEFAULT_VALUES if in doubt; past that they fail with SMLP_INSECURE.
 * Errors: SMLP_INVALID_ARGUMENT, also for a key of other software, which no P2 has.
 */
smlp_status smlp_p1_new(const smlp_public_key *key,
                        uint32_t security,
                        uint64_t values,
                        smlp_p1 **out);

/**
 * P1 with masks of a chosen width. What that is too narrow for, to keep a promise of 2^-40, fails with
 * SMLP_INSECURE before anything is sent.
 *
 * Args: sigma: statistical security of each mask in bits, 40 to 128. flags: 0, or SMLP_ALLOW_INSECURE to promise
 * nothing: for tests and for measuring, never for data.
 * Errors: SMLP_INVALID_ARGUMENT, also for a key of other software.
 */
smlp_status smlp_p1_new_with_sigma(const smlp_public_key *key,
                                   uint32_t sigma,
                                   uint32_t flags,
                                   smlp_p1 **out);

/**
 * The statistical security of P1's masks in bits, outside of trainings, which choose their own.
 */
smlp_status smlp_p1_sigma(const smlp_p1 *p1, uint32_t *out);

/**
 * s of the promise that P2's advantage over guessing is at most 2^-s; 0 where nothing is promised.
 */
smlp_status smlp_p1_security(const smlp_p1 *p1, uint32_t *out);

/**
 * Frees P1. Calls and sessions keep what they need.
 */
void smlp_p1_free(smlp_p1 *p1);

/**
 * Starts left · right, element by element, broadcasting as numpy does. Scales and bounds add up.
 *
 * Args: left, right: encrypted under P1's key, not packed. So for all calls.
 * Errors: SMLP_SHAPE, SMLP_BOUND, SMLP_KEY_MISMATCH, SMLP_INVALID_ARGUMENT.
 */
smlp_status smlp_p1_multiply(const smlp_p1 *p1,
                             const smlp_tensor *left,
                             const smlp_tensor *right,
                             smlp_call **out);

/**
 * Starts the matrix product of (m × p) and (p × q); vectors are promoted as numpy does. Scales
 * add up, and so do bounds, plus ⌈log2 p⌉ bits.
 *
 * Errors: as smlp_p1_multiply().
 */
smlp_status smlp_p1_matmul(const smlp_p1 *p1,
                           const smlp_tensor *left,
                           const smlp_tensor *right,
                           smlp_call **out);

/**
 * Starts (x + r) // divisor, rounded down, with r uniform in [0, divisor): unbiased rounding of
 * x / divisor with an error below 1.
 *
 * Args: divisor: at least 1. scale_drop: by how many bits the scale falls: f when the divisor is
 * 2^f and stands for a truncation, 0 for a plain quotient.
 * Errors: as smlp_p1_multiply().
 */
smlp_status smlp_p1_divide(const smlp_p1 *p1,
                           const smlp_tensor *tensor,
                           uint64_t divisor,
                           uint32_t scale_drop,
                           smlp_call **out);

/**
 * Starts max(x, 0): result 0; result 1 is its derivative, 1 where x >= 0, else 0 (scale 0).
 *
 * Errors: as smlp_p1_multiply().
 */
smlp_status smlp_p1_relu(const smlp_p1 *p1, const smlp_tensor *tensor, smlp_call **out);

/**
 * Starts bits · x for a tensor of zeros and ones.
 *
 * Args: bits: of scale 0 and a bound of 1 bit, as derivatives are; of the shape of `tensor`.
 * Errors: as smlp_p1_multiply().
 */
smlp_status smlp_p1_select(const smlp_p1 *p1,
                           const smlp_tensor *bits,
                           const smlp_tensor *tensor,
                           smlp_call **out);

/**
 * Starts the element-wise maximum, broadcasting as numpy does.
 *
 * Errors: as smlp_p1_multiply(); SMLP_SCALE.
 */
smlp_status smlp_p1_maximum(const smlp_p1 *p1,
                            const smlp_tensor *left,
                            const smlp_tensor *right,
                            smlp_call **out);

/**
 * Starts fresh encryptions of the same values by P2, packed where they were. Tensors that were encrypted with the
 * modulus of P1's key alone need this before anything else. Others do not: ciphertexts that anybody may have made, those
 * of files and of other software, are hidden as such wherever P2 gets to see them.
 *
 * Errors: SMLP_BOUND, SMLP_KEY_MISMATCH, SMLP_INVALID_ARGUMENT.
 */
smlp_status smlp_p1_refresh(const smlp_p1 *p1,
                            const smlp_tensor *tensor,
                            smlp_call **out);

/**
 * What P2 has to see now. The same bytes may be sent again: P2 keeps no state.
 *
 * Args: data, len: get the bytes, which belong to the call and go with smlp_call_resume() and
 * smlp_call_free().
 * Errors: SMLP_FINISHED once the call is done or has failed. Calls on tensors without elements
 * are done from the start.
 */
smlp_status smlp_call_request(const smlp_call *call, const uint8_t **data, size_t *len);

/**
 * Takes P2's reply.
 *
 * Args: done: gets true when the results are there, false when another request is.
 * Errors: SMLP_MALFORMED, SMLP_KEY_MISMATCH, SMLP_LIMIT for a reply that does not fit: the call
 * has failed then. SMLP_FINISHED when no reply is expected. NULL arguments leave it as it was.
 */
smlp_status smlp_call_resume(smlp_call *call, const uint8_t *reply, size_t len, bool *done);

/**
 * What the operation computed.
 *
 * Args: index: 0, or 1 for the derivative of smlp_p1_relu().
 * Errors: SMLP_FINISHED before the call is done and after it failed; SMLP_INVALID_ARGUMENT for an
 * index that it does not have.
 */
smlp_status smlp_call_result(const smlp_call *call, size_t index, smlp_tensor **out);

/**
 * Frees a call, done or not.
 */
void smlp_call_free(smlp_call *call);

/**
 * P2 for one key pair, within the usual limits of smlp_p2_new_with_limits().
 */
smlp_status smlp_p2_new(const smlp_private_key *key, smlp_p2 **out);

/**
 * As smlp_p2_new(), for whoever does not trust P1 with P2's memory: a request that would take more
 * is refused with SMLP_LIMIT before any work is done.
 *
 * Args: reply_bytes: of a reply; 0 means 256 MiB. working_bytes: what P2 works in until the reply
 * is written, the reply included, the request and what lasts as long as the key not; 0 means 1 GiB.
 * Requests that are answered at the same time take as much each.
 */
smlp_status smlp_p2_new_with_limits(const smlp_private_key *key,
                                    uint64_t reply_bytes,
                                    uint64_t working_bytes,
                                    smlp_p2 **out);

/**
 * The reply to a request of a P1 in the same hands. Never contains a plaintext. A key server with
 * several clients uses smlp_p2_answer_for().
 *
 * Errors: SMLP_MALFORMED for bytes that are no request; SMLP_LIMIT for one that would take too much
 * memory, see smlp_p2_new_with_limits(); SMLP_KEY_MISMATCH for one of another key.
 */
smlp_status smlp_p2_answer(const smlp_p2 *p2, const uint8_t *request, size_t len, smlp_bytes **out);

/**
 * The reply to a request of one of several clients. What P2 seals for P1's keeping is for this
 * client and the job of its P1: where another client or P1 quotes it, it is refused.
 *
 * Args: client: a name for whoever asks, as the caller has authenticated it, the same whenever and
 * however it connects; any bytes, none are the client of smlp_p2_answer().
 * Errors: as smlp_p2_answer().
 */
smlp_status smlp_p2_answer_for(const smlp_p2 *p2,
                               const uint8_t *client,
                               size_t client_len,
                               const uint8_t *request,
                               size_t len,
                               smlp_bytes **out);

/**
 * Frees P2. Transports in this process keep what they need.
 */
void smlp_p2_free(smlp_p2 *p2);

/**
 * Appends to the reply; only inside the callback that got it.
 *
 * Errors: SMLP_LIMIT if memory does not suffice.
 */
smlp_status smlp_reply_write(smlp_reply *reply, const uint8_t *data, size_t len);

/**
 * P2 in the same process: for tests, tuning and demonstrations. Whoever holds both parties holds
 * everything.
 */
smlp_status smlp_transport_in_process(const smlp_p2 *p2, smlp_transport **out);

/**
 * A function of the caller carries the bytes.
 *
 * Args: exchange: see smlp_exchange_fn. userdata: handed to every call of it; has to outlive the
 * transport and every session that uses it; may be NULL.
 */
smlp_status smlp_transport_callback(smlp_exchange_fn exchange,
                                    void *userdata,
                                    smlp_transport **out);

/**
 * Frees a transport. Sessions keep what they need.
 */
void smlp_transport_free(smlp_transport *transport);

#if defined(SMLP_NET)
/**
 * Options to ask the key servers at `addresses`: `host:port`; several of them, replicas with the
 * same keys, are separated by commas.
 */
smlp_status smlp_network_options_new(const char *addresses, smlp_network_options **out);
#endif

#if defined(SMLP_NET)
/**
 * Who we are and whom we believe, in PEM: certificates of the authorities that the servers'
 * certificates come from; our certificate, with intermediate ones after it; its private key.
 *
 * Errors: SMLP_MALFORMED.
 */
smlp_status smlp_network_options_set_identity(smlp_network_options *options,
                                              const uint8_t *authorities,
                                              size_t authorities_len,
                                              const uint8_t *certificate,
                                              size_t certificate_len,
                                              const uint8_t *key,
                                              size_t key_len);
#endif

#if defined(SMLP_NET)
/**
 * As smlp_network_options_set_identity(), from three files.
 *
 * Errors: SMLP_MALFORMED; SMLP_IO; SMLP_INSECURE for a key that others than its owner may read.
 */
smlp_status smlp_network_options_load_identity(smlp_network_options *options,
                                               const char *authorities_path,
                                               const char *certificate_path,
                                               const char *key_path);
#endif

#if defined(SMLP_NET)
/**
 * What the servers' certificates have to be for, if it is not the host of the address.
 */
smlp_status smlp_network_options_set_server_name(smlp_network_options *options, const char *name);
#endif

#if defined(SMLP_NET)
/**
 * For one exchange, with all its repetitions; ten minutes by default. It should bridge a restart
 * of the server.
 *
 * Errors: SMLP_INVALID_ARGUMENT for 0.
 */
smlp_status smlp_network_options_set_deadline(smlp_network_options *options, uint64_t milliseconds);
#endif

#if defined(SMLP_NET)
/**
 * Frees the options.
 */
void smlp_network_options_free(smlp_network_options *options);
#endif

#if defined(SMLP_NET)
/**
 * P2 on another machine: gRPC over HTTP/2 with mutual TLS. At least one of the servers has to
 * answer now. Later on, an exchange whose answer does not come is repeated, at the same server or
 * another one, until the deadline; P1 notices that by the time only.
 *
 * A thread of the library does the work, so in a process that is forked after this every exchange
 * fails with SMLP_TRANSPORT at once: connect anew there.
 *
 * Errors: SMLP_INVALID_ARGUMENT for addresses that are none, or without an identity;
 * SMLP_TRANSPORT when nobody answers until the deadline; SMLP_REFUSED when the servers do not
 * accept us, or we not them.
 */
smlp_status smlp_transport_connect(const smlp_network_options *options, smlp_transport **out);
#endif

/**
 * A record in memory, without lines: for tests, and for both parties in one process.
 */
smlp_status smlp_record_new(smlp_record **out);

/**
 * A record that is appended to a file, line by line, each encrypted to the data owner's record key. A new file is made
 * for its owner alone (mode 0600). While the record lives, no other one writes to the file.
 *
 * Args: path: UTF-8. public_key, len: what smlp_record_key_public() gave.
 * Errors: SMLP_IO, also while another session writes to the file; SMLP_MALFORMED for another kind of file;
 * SMLP_INVALID_ARGUMENT for a record of another key.
 */
smlp_status smlp_record_append(const char *path,
                               const uint8_t *public_key,
                               size_t len,
                               smlp_record **out);

/**
 * Reads the record in a file into memory, with the owner's key.
 *
 * Args: path: UTF-8.
 * Errors: SMLP_IO, SMLP_LIMIT above 8 GiB, SMLP_MALFORMED; SMLP_INVALID_ARGUMENT for a record of another key.
 */
smlp_status smlp_record_read(const char *path,
                             const smlp_record_key *key,
                             smlp_record **out);

/**
 * Lines in a record: calls that were completed.
 */
smlp_status smlp_record_lines(const smlp_record *record, uint64_t *out);

/**
 * Frees a record. Sessions keep what they need.
 */
void smlp_record_free(smlp_record *record);

/**
 * Draws a record key from the operating system's generator.
 */
smlp_status smlp_record_key_generate(smlp_record_key **out);

/**
 * The half of a record key that P1 writes with, as bytes.
 */
smlp_status smlp_record_key_public(const smlp_record_key *key, smlp_bytes **out);

/**
 * Writes a record key to a new file that only its owner may read (mode 0600).
 *
 * Args: path: UTF-8; the file may not exist yet.
 * Errors: SMLP_IO.
 */
smlp_status smlp_record_key_save(const smlp_record_key *key, const char *path);

/**
 * Reads a file that smlp_record_key_save() wrote.
 *
 * Args: path: UTF-8.
 * Errors: SMLP_IO, SMLP_MALFORMED, SMLP_INSECURE for a file that others than its owner may read.
 */
smlp_status smlp_record_key_load(const char *path, smlp_record_key **out);

/**
 * Frees a record key; its secret is cleared.
 */
void smlp_record_key_free(smlp_record_key *key);

/**
 * A session of P1 with the P2 behind a transport. It keeps what it needs of both.
 *
 * Args: record_or_null: keeps what the session's calls round with, for a clear session that computes the same
 * integers. NULL, the default, keeps nothing.
 */
smlp_status smlp_session_new(const smlp_p1 *p1,
                             const smlp_transport *transport,
                             const smlp_record *record_or_null,
                             smlp_session **out);

/**
 * The clear twin: works on clear tensors and networks, in microseconds.
 *
 * Args: record_or_null: a record in memory whose calls are repeated, which gives the same integers: training steps by
 * their numbers (of a repeated step the last one counts), predictions and divisions in the order in which the recorded
 * ones ended; those that ran at the same time cannot be told apart. With NULL the
 * roundings are its own, and results equal encrypted ones up to these.
 */
smlp_status smlp_session_new_clear(const smlp_record *record_or_null,
                                   smlp_session **out);

/**
 * Frees a session.
 */
void smlp_session_free(smlp_session *session);

/**
 * Whether it works on encrypted tensors, or is the clear twin.
 */
smlp_status smlp_session_is_encrypted(const smlp_session *session, bool *out);

/**
 * left · right, element by element, broadcasting as numpy does. Scales and bounds add up.
 *
 * Args: left, right: encrypted under the session's key, or clear in a clear session. So for all
 * operations of a session.
 * Errors: SMLP_SHAPE, SMLP_BOUND, SMLP_KEY_MISMATCH, SMLP_INVALID_ARGUMENT for tensors of the
 * other kind; SMLP_TRANSPORT, SMLP_REFUSED, and SMLP_MALFORMED for a wrong reply. After any of
 * them session and tensors can still be used.
 */
smlp_status smlp_session_multiply(const smlp_session *session,
                                  const smlp_tensor *left,
                                  const smlp_tensor *right,
                                  smlp_tensor **out);

/**
 * The matrix product of (m × p) and (p × q); vectors are promoted as numpy does. Scales add up,
 * and so do bounds, plus ⌈log2 p⌉ bits.
 *
 * Errors: as smlp_session_multiply().
 */
smlp_status smlp_session_matmul(const smlp_session *session,
                                const smlp_tensor *left,
                                const smlp_tensor *right,
                                smlp_tensor **out);

/**
 * (x + r) // divisor, rounded down, with r uniform in [0, divisor): unbiased rounding of
 * x / divisor with an error below 1. The scale stays.
 *
 * Args: divisor: at least 1.
 * Errors: as smlp_session_multiply().
 */
smlp_status smlp_session_divide(const smlp_session *session,
                                const smlp_tensor *tensor,
                                uint64_t divisor,
                                smlp_tensor **out);

/**
 * Divides by 2^bits and drops as many fraction bits: the same numbers, less precise. Needed after
 * products, whose scales add up.
 *
 * Args: bits: at most the tensor's scale, and 63.
 * Errors: as smlp_session_multiply().
 */
smlp_status smlp_session_rescale(const smlp_session *session,
                                 const smlp_tensor *tensor,
                                 uint32_t bits,
                                 smlp_tensor **out);

/**
 * (left @ right + r) // divisor, rounded down, with r uniform in [0, divisor): the product of
 * matrices and its division at once, several times faster than one after the other.
 *
 * Args: divisor: at least 1. scale_drop: by how many fraction bits the scale falls, f for a
 * division by 2^f; 0 for a plain quotient.
 * Errors: as smlp_session_multiply().
 */
smlp_status smlp_session_matmul_divide(const smlp_session *session,
                                       const smlp_tensor *left,
                                       const smlp_tensor *right,
                                       uint64_t divisor,
                                       uint32_t scale_drop,
                                       smlp_tensor **out);

/**
 * max(x, 0), and its derivative: 1 where x >= 0, else 0 (scale 0).
 *
 * Args: derivative_or_null: NULL if it is not needed.
 * Errors: as smlp_session_multiply().
 */
smlp_status smlp_session_relu(const smlp_session *session,
                              const smlp_tensor *tensor,
                              smlp_tensor **relu,
                              smlp_tensor **derivative_or_null);

/**
 * bits · x for a tensor of zeros and ones.
 *
 * Args: bits: of scale 0 and a bound of 1 bit, as derivatives are; of the shape of `tensor`.
 * Errors: as smlp_session_multiply().
 */
smlp_status smlp_session_select(const smlp_session *session,
                                const smlp_tensor *bits,
                                const smlp_tensor *tensor,
                                smlp_tensor **out);

/**
 * The element-wise maximum, broadcasting as numpy does.
 *
 * Errors: as smlp_session_multiply(); SMLP_SCALE.
 */
smlp_status smlp_session_maximum(const smlp_session *session,
                                 const smlp_tensor *left,
                                 const smlp_tensor *right,
                                 smlp_tensor **out);

/**
 * Fresh encryptions of the same values by P2, packed where they were; see smlp_p1_refresh(). In a
 * clear session: the same tensor.
 *
 * Errors: as smlp_session_multiply().
 */
smlp_status smlp_session_refresh(const smlp_session *session,
                                 const smlp_tensor *tensor,
                                 smlp_tensor **out);

/**
 * The same values, one a ciphertext: for what packed tensors cannot do. The same tensor where it
 * is not packed, and in a clear session.
 *
 * Errors: as smlp_session_multiply().
 */
smlp_status smlp_session_unpack(const smlp_session *session,
                                const smlp_tensor *tensor,
                                smlp_tensor **out);

/**
 * What the session has cost since it was made, or reset; 0 for a clear one.
 *
 * Args: which: an enumerator of smlp_statistic.
 * Errors: SMLP_INVALID_ARGUMENT for other numbers.
 */
smlp_status smlp_session_statistic(const smlp_session *session,
                                   smlp_statistic which,
                                   uint64_t *out);

/**
 * What P2 can have learned in this session, since it was made or its statistics were reset: its advantage over guessing
 * is at most 2^-bits. Infinity where it saw nothing.
 */
smlp_status smlp_session_kept_bits(const smlp_session *session,
                                   double *bits);

/**
 * Counts from zero again.
 */
smlp_status smlp_session_reset_statistics(const smlp_session *session);

/**
 * Options of a network with ReLU in all hidden layers and a linear output.
 *
 * Args: layers, len: sizes from input to output, e.g. {2, 10, 2}; two at least.
 * Errors: SMLP_INVALID_ARGUMENT.
 */
smlp_status smlp_mlp_options_new(const size_t *layers, size_t len, smlp_mlp_options **out);

/**
 * Args: layer: 0 for what follows the first weights. activation: an enumerator of
 * smlp_activation.
 * Errors: SMLP_INVALID_ARGUMENT.
 */
smlp_status smlp_mlp_options_set_activation(smlp_mlp_options *options,
                                            size_t layer,
                                            smlp_activation activation);

/**
 * Fraction bits of all numbers of the network; also sets both bounds to bits + 8. The tensors
 * that it is used with need the same scale.
 *
 * Args: bits: 16 by default, at most 40; smlp_mlp_new() checks it.
 */
smlp_status smlp_mlp_options_set_fraction_bits(smlp_mlp_options *options, uint32_t bits);

/**
 * Declared bound of weights and biases in bits, scale included: a promise that the clear twin
 * checks on every value and the encrypted network cannot. Fewer bits are faster.
 */
smlp_status smlp_mlp_options_set_weight_bits(smlp_mlp_options *options, uint32_t bits);

/**
 * Declared bound of inputs, labels, activations and errors in bits, scale included; a promise as
 * smlp_mlp_options_set_weight_bits() makes.
 */
smlp_status smlp_mlp_options_set_activation_bits(smlp_mlp_options *options, uint32_t bits);

/**
 * Draws the initial weights from a number, to repeat experiments; without it, the operating
 * system's generator does. Whoever knows or guesses the number knows the initial network.
 */
smlp_status smlp_mlp_options_set_seed(smlp_mlp_options *options, uint64_t seed);

/**
 * Frees the options.
 */
void smlp_mlp_options_free(smlp_mlp_options *options);

/**
 * Measures two steps of a job on this machine: random numbers, a throw-away key, both parties in
 * this process. Takes as long as these steps and a key.
 *
 * Args: options: the network. rows: of the data set. batch_size: rows a step. epochs: passes over
 * the data. key_bits: as for smlp_private_key_generate(). security: as for smlp_p1_new(). flags: as for
 * smlp_private_key_generate().
 * Errors: SMLP_INVALID_ARGUMENT, SMLP_INSECURE; SMLP_BOUND when the key is too small for the masks.
 */
smlp_status smlp_estimate_new(const smlp_mlp_options *options,
                              size_t rows,
                              size_t batch_size,
                              uint64_t epochs,
                              uint32_t key_bits,
                              uint32_t security,
                              uint32_t flags,
                              smlp_estimate **out);

/**
 * One number of an estimate.
 *
 * Args: which: an enumerator of smlp_estimate_item.
 * Errors: SMLP_INVALID_ARGUMENT for other numbers.
 */
smlp_status smlp_estimate_number(const smlp_estimate *estimate,
                                 smlp_estimate_item which,
                                 double *out);

/**
 * The estimate as text for people, some lines of UTF-8 with where the time goes.
 */
smlp_status smlp_estimate_text(const smlp_estimate *estimate, smlp_bytes **out);

/**
 * Frees an estimate.
 */
void smlp_estimate_free(smlp_estimate *estimate);

/**
 * Draws a clear network: normal weights of standard deviation sqrt(2 / inputs of the layer),
 * biases 0. The data owner does this, so that P1 never sees a clear network.
 *
 * Errors: SMLP_INVALID_ARGUMENT, SMLP_BOUND for options that do not fit each other; SMLP_LIMIT.
 */
smlp_status smlp_mlp_new(const smlp_mlp_options *options, smlp_mlp **out);

/**
 * The network with encrypted parameters, as P1 trains it.
 *
 * Errors: SMLP_BOUND if the key is too small; SMLP_INVALID_ARGUMENT for an encrypted network.
 */
smlp_status smlp_mlp_encrypt(const smlp_mlp *mlp, const smlp_public_key *key, smlp_mlp **out);

/**
 * The clear twin, at the same step. In a clear session that repeats a record it trains to the same
 * integers.
 *
 * Errors: SMLP_KEY_MISMATCH; SMLP_OUT_OF_RANGE if a declared bound was broken;
 * SMLP_INVALID_ARGUMENT for a clear network.
 */
smlp_status smlp_mlp_decrypt(const smlp_mlp *mlp, const smlp_private_key *key, smlp_mlp **out);

/**
 * The same network once more, to be trained or used by itself.
 */
smlp_status smlp_mlp_clone(const smlp_mlp *mlp, smlp_mlp **out);

/**
 * Frees a network.
 */
void smlp_mlp_free(smlp_mlp *mlp);

/**
 * Whether the parameters are encrypted.
 */
smlp_status smlp_mlp_is_encrypted(const smlp_mlp *mlp, bool *out);

/**
 * Number of weight matrices.
 */
smlp_status smlp_mlp_layers(const smlp_mlp *mlp, size_t *out);

/**
 * Training steps done so far, those before a checkpoint included.
 */
smlp_status smlp_mlp_step(const smlp_mlp *mlp, uint64_t *out);

/**
 * Fraction bits of all numbers of the network, and of the tensors that it takes.
 */
smlp_status smlp_mlp_fraction_bits(const smlp_mlp *mlp, uint32_t *out);

/**
 * The weights of a layer, inputs × outputs, encrypted if the network is.
 *
 * Errors: SMLP_INVALID_ARGUMENT for a layer that it does not have.
 */
smlp_status smlp_mlp_weight(const smlp_mlp *mlp, size_t layer, smlp_tensor **out);

/**
 * The biases of a layer, encrypted if the network is.
 *
 * Errors: SMLP_INVALID_ARGUMENT for a layer that it does not have.
 */
smlp_status smlp_mlp_bias(const smlp_mlp *mlp, size_t layer, smlp_tensor **out);

/**
 * A checkpoint as bytes: parameters and step. Training goes on from it where it stood, as often as
 * one likes. That of an encrypted network holds nothing secret, that of a clear one the clear parameters.
 */
smlp_status smlp_mlp_to_bytes(const smlp_mlp *mlp,
                              smlp_bytes **out);

/**
 * Reads what smlp_mlp_to_bytes() wrote.
 *
 * Args: key_or_null: the key of an encrypted network; not looked at for a clear one.
 * Errors: SMLP_MALFORMED, SMLP_LIMIT, SMLP_KEY_MISMATCH; SMLP_NULL_POINTER if the network is
 * encrypted and there is no key; what smlp_mlp_new() refuses.
 */
smlp_status smlp_mlp_from_bytes(const uint8_t *data,
                                size_t len,
                                const smlp_public_key *key_or_null,
                                smlp_mlp **out);

/**
 * Writes a checkpoint to a file that only its owner may read (mode 0600), replacing an old one in
 * one step: a crash leaves either of them.
 *
 * Args: path: UTF-8.
 * Errors: SMLP_IO.
 */
smlp_status smlp_mlp_save(const smlp_mlp *mlp, const char *path);

/**
 * Reads a file that smlp_mlp_save() wrote. Args and errors as smlp_mlp_from_bytes(); SMLP_IO.
 */
smlp_status smlp_mlp_load(const char *path, const smlp_public_key *key_or_null, smlp_mlp **out);

/**
 * The outputs of the last layer, samples × outputs, encrypted if the network is.
 *
 * Args: session: of the network's kind and key. x: samples × inputs, of the network's kind and
 * scale.
 * Errors: SMLP_SHAPE, SMLP_SCALE, SMLP_OUT_OF_RANGE, SMLP_BOUND for inputs that do not fit the
 * network; those of smlp_session_multiply().
 */
smlp_status smlp_mlp_predict(smlp_mlp *mlp,
                             const smlp_session *session,
                             const smlp_tensor *x,
                             smlp_tensor **out);

/**
 * One step of gradient descent on the mean over a batch of half the squared error.
 *
 * Args: x: samples × inputs; y: samples × outputs; both of the network's kind and scale.
 * learning_rate: in (0, 2 · samples].
 * Errors: as smlp_mlp_predict(); in the clear SMLP_OUT_OF_RANGE for the first value that breaks a
 * declared bound. The network stays as it was then.
 */
smlp_status smlp_mlp_train_step(smlp_mlp *mlp,
                                const smlp_session *session,
                                const smlp_tensor *x,
                                const smlp_tensor *y,
                                double learning_rate);

/**
 * Trains for many steps.
 *
 * Args: x: samples × inputs; y: samples × outputs; both of the network's kind and scale.
 * progress_or_null: called after every step; see smlp_progress_fn. userdata: handed to it; may be
 * NULL.
 * Errors: SMLP_CANCELLED if it asked to stop before the end; those of smlp_mlp_train_step();
 * SMLP_IO if a checkpoint cannot be written.
 * Steps that were finished are kept.
 */
smlp_status smlp_mlp_fit(smlp_mlp *mlp,
                         const smlp_session *session,
                         const smlp_tensor *x,
                         const smlp_tensor *y,
                         const smlp_fit_options *options,
                         smlp_progress_fn progress_or_null,
                         void *userdata);

/**
 * The share of samples whose largest output is where their label is, in [0, 1].
 *
 * Args: x: samples × inputs, of the network's kind. labels: samples × outputs, clear, one-hot.
 * key_or_null: decrypts the predictions of an encrypted network; NULL for a clear one.
 * accuracy: gets the share.
 * Errors: as smlp_mlp_predict(); SMLP_NULL_POINTER if the network is encrypted and there is no
 * key; SMLP_KEY_MISMATCH.
 */
smlp_status smlp_mlp_evaluate(smlp_mlp *mlp,
                              const smlp_session *session,
                              const smlp_tensor *x,
                              const smlp_tensor *labels,
                              const smlp_private_key *key_or_null,
                              double *accuracy);

/**
 * One shuffled pass over the data in batches of 32 with a learning rate of 0.1.
 */
smlp_status smlp_fit_options_new(smlp_fit_options **out);

/**
 * How many more passes over the data; 1 by default.
 */
smlp_status smlp_fit_options_set_epochs(smlp_fit_options *options, size_t epochs);

/**
 * Instead of passes: exactly so many more steps, one a batch.
 */
smlp_status smlp_fit_options_set_steps(smlp_fit_options *options, uint64_t steps);

/**
 * Rows a step, 32 by default; the last batch of a pass holds what is left.
 *
 * Errors: SMLP_INVALID_ARGUMENT for 0.
 */
smlp_status smlp_fit_options_set_batch_size(smlp_fit_options *options, size_t batch_size);

/**
 * The learning rate, 0.1 by default; in (0, 2 · rows of a batch], which training checks.
 */
smlp_status smlp_fit_options_set_learning_rate(smlp_fit_options *options, double learning_rate);

/**
 * Whether every pass visits the rows in an order of its own, drawn from a seed; true and 0 by
 * default. The orders are no secret.
 */
smlp_status smlp_fit_options_set_shuffle(smlp_fit_options *options, bool shuffle, uint64_t seed);

/**
 * Saves the network to a file while it trains, as smlp_mlp_save() does: before the first step,
 * after every step whose number (smlp_mlp_step()) is a multiple of every_steps, at the end, and
 * when progress cancels. By default it is not saved.
 *
 * After a crash, load the file and train on with the same data and options: training goes on with the
 * very next batch, and steps since the file are done anew. A step that fails saves nothing.
 *
 * Args: path: UTF-8; copied.
 * Errors: SMLP_INVALID_ARGUMENT for 0 steps, or a path that is empty or not UTF-8.
 */
smlp_status smlp_fit_options_set_checkpoint(smlp_fit_options *options,
                                            const char *path,
                                            uint64_t every_steps);

/**
 * Frees the options.
 */
void smlp_fit_options_free(smlp_fit_options *options);

/**
 * An empty store. Its references lead nowhere in any other store, and in no other process.
 */
smlp_status smlp_store_new(smlp_store **out);

/**
 * Number of ciphertexts that references lead to, in use or not.
 */
smlp_status smlp_store_len(const smlp_store *store, size_t *out);

/**
 * Whether so much was added since the last smlp_store_sweep() that another one pays: half as many
 * bytes as were in use then, and 16 MiB at least.
 */
smlp_status smlp_store_is_due(const smlp_store *store, bool *out);

/**
 * Notes that words are in use. Those that are no references of this store are ignored.
 */
smlp_status smlp_store_mark(const smlp_store *store, const int64_t *words, size_t len);

/**
 * Frees the ciphertexts that were neither marked for this sweep nor for the one before, nor are
 * pinned, and forgets the marks. Their references are refused from then on.
 *
 * Args: freed: gets how many.
 */
smlp_status smlp_store_sweep(const smlp_store *store, size_t *freed);

/**
 * Keeps the ciphertext of a reference until smlp_store_unpin(). Pins add up.
 *
 * Errors: SMLP_FINISHED for a reference that leads nowhere.
 */
smlp_status smlp_store_pin(const smlp_store *store, int64_t word);

/**
 * Takes back one smlp_store_pin().
 *
 * Errors: SMLP_FINISHED for a reference that leads nowhere; SMLP_INVALID_ARGUMENT if it is not
 * pinned.
 */
smlp_status smlp_store_unpin(const smlp_store *store, int64_t word);

/**
 * How many plaintexts did not fit ±N/2 since this was last asked, and wrapped modulo N: results of
 * P2, and numbers that were encrypted under a small key (under others these are errors). It tells
 * something about plaintexts, so P2 keeps it to itself.
 */
smlp_status smlp_store_take_wrapped(const smlp_store *store, uint64_t *out);

/**
 * Frees a store and all that its references lead to.
 */
void smlp_store_free(smlp_store *store);

/**
 * Draws a key pair from the operating system's generator.
 *
 * Args: bits: of the modulus N: 6 to 31 for a small key, or even from 32 to 16384. flags: 0 or
 * SMLP_ALLOW_INSECURE, without which 2048 bits are the least.
 * Errors: SMLP_INSECURE, SMLP_INVALID_ARGUMENT.
 */
smlp_status smlp_store_key_generate(uint32_t bits, uint32_t flags, smlp_store_key **out);

/**
 * A public key (g = N + 1), known by its modulus alone. Encrypting with it is slower than with a key
 * of this library.
 *
 * Args: modulus, len: N, big-endian. flags: 0 or SMLP_ALLOW_INSECURE.
 * Errors: SMLP_INVALID_ARGUMENT, SMLP_LIMIT, SMLP_INSECURE.
 */
smlp_status smlp_store_key_from_modulus(const uint8_t *modulus,
                                        size_t len,
                                        uint32_t flags,
                                        smlp_store_key **out);

/**
 * A key pair, known by its prime factors.
 *
 * Args: p, p_len, q, q_len: two primes, big-endian; above 31 bits of N they are of one length, and
 * their product has twice as many bits. flags: 0 or SMLP_ALLOW_INSECURE.
 * Errors: SMLP_MALFORMED for other numbers, SMLP_LIMIT, SMLP_INSECURE.
 */
smlp_status smlp_store_key_from_primes(const uint8_t *p,
                                       size_t p_len,
                                       const uint8_t *q,
                                       size_t q_len,
                                       uint32_t flags,
                                       smlp_store_key **out);

/**
 * The public half.
 */
smlp_status smlp_store_key_public(const smlp_store_key *key, smlp_store_key **out);

/**
 * A number of the key, big-endian, without leading zeros. All but the modulus are secret.
 *
 * Args: which: an enumerator of smlp_key_number.
 * Errors: SMLP_INVALID_ARGUMENT for other numbers, and for a secret one of a public key.
 */
smlp_status smlp_store_key_number(const smlp_store_key *key,
                                  smlp_key_number which,
                                  smlp_bytes **out);

/**
 * Frees a key; its secrets are cleared once nothing else uses them.
 */
void smlp_store_key_free(smlp_store_key *key);

/**
 * Fresh encryptions of integers.
 *
 * Args: numbers, each, count: integers in little-endian two's complement, `each` bytes a number; an
 * int64_t array is one of 8 bytes each on a little-endian machine. out: room for `count` words.
 * Errors: SMLP_BOUND for a number beyond ±N/2, except under small keys: see
 * smlp_store_take_wrapped(). SMLP_INVALID_ARGUMENT, SMLP_LIMIT.
 */
smlp_status smlp_store_encrypt(const smlp_store *store,
                               const smlp_store_key *key,
                               const uint8_t *numbers,
                               size_t each,
                               size_t count,
                               int64_t *out);

/**
 * The plaintexts of words, in (−N/2, N/2).
 *
 * Args: key: the private one. words, len: the ciphertexts. each: gets the bytes of a number, a
 * multiple of 8. out: gets the numbers, in little-endian two's complement.
 * Errors: as all functions that read words: SMLP_FINISHED for a reference that leads nowhere,
 * SMLP_KEY_MISMATCH for one of another key, SMLP_MALFORMED for a residue that encrypts nothing,
 * SMLP_INVALID_ARGUMENT for a negative word (except under a small key) and for a public key where
 * the private one is needed.
 */
smlp_status smlp_store_decrypt(const smlp_store *store,
                               const smlp_store_key *key,
                               const int64_t *words,
                               size_t len,
                               size_t *each,
                               smlp_bytes **out);

/**
 * E(left_i + right_i), the product of the ciphertexts.
 *
 * Args: left, left_len, right, right_len: as many elements, or one of them a single one. So for
 * other operations. out: room for as many words as the longer one has.
 * Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE.
 */
smlp_status smlp_store_add(const smlp_store *store,
                           const smlp_store_key *key,
                           const int64_t *left,
                           size_t left_len,
                           const int64_t *right,
                           size_t right_len,
                           int64_t *out);

/**
 * E(left_i − right_i). Args and errors as smlp_store_add().
 */
smlp_status smlp_store_subtract(const smlp_store *store,
                                const smlp_store_key *key,
                                const int64_t *left,
                                size_t left_len,
                                const int64_t *right,
                                size_t right_len,
                                int64_t *out);

/**
 * E(x_i + r_i) for clear integers of any size.
 *
 * Args: words, len: the x_i. numbers, each, count: the r_i, as smlp_store_encrypt() takes them, one
 * for all or as many as words. out: room for `len` words.
 * Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE, SMLP_LIMIT.
 */
smlp_status smlp_store_add_numbers(const smlp_store *store,
                                   const smlp_store_key *key,
                                   const int64_t *words,
                                   size_t len,
                                   const uint8_t *numbers,
                                   size_t each,
                                   size_t count,
                                   int64_t *out);

/**
 * E(x_i · r_i) for clear integers of either sign. Args and errors as smlp_store_add_numbers().
 */
smlp_status smlp_store_multiply_numbers(const smlp_store *store,
                                        const smlp_store_key *key,
                                        const int64_t *words,
                                        size_t len,
                                        const uint8_t *numbers,
                                        size_t each,
                                        size_t count,
                                        int64_t *out);

/**
 * E of the sum of every `width` elements.
 *
 * Args: width: a divisor of `len`; 0 sums up everything, nothing included. out: room for
 * len / width words, or one.
 * Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE.
 */
smlp_status smlp_store_sum(const smlp_store *store,
                           const smlp_store_key *key,
                           const int64_t *words,
                           size_t len,
                           size_t width,
                           int64_t *out);

/**
 * P2's half of a product: decrypts, multiplies, divides rounding down, encrypts: E(⌊x·y/q⌋).
 *
 * Args: key: the private one. left, right: as smlp_store_add() takes them. q: 1 to leave it out.
 * Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE; SMLP_INVALID_ARGUMENT for q = 0.
 * None for a result beyond ±N/2, which would tell P1 something: it wraps, see
 * smlp_store_take_wrapped().
 */
smlp_status smlp_store_p2_multiply(const smlp_store *store,
                                   const smlp_store_key *key,
                                   const int64_t *left,
                                   size_t left_len,
                                   const int64_t *right,
                                   size_t right_len,
                                   uint64_t q,
                                   int64_t *out);

/**
 * E(x_i · y_i) as E(y_i)^x_i, of which P2 decrypts the x_i alone.
 *
 * Args: key: the private one. left, right: the x_i and the y_i, as smlp_store_add() takes them.
 * Errors: as smlp_store_p2_multiply().
 */
smlp_status smlp_store_p2_power(const smlp_store *store,
                                const smlp_store_key *key,
                                const int64_t *left,
                                size_t left_len,
                                const int64_t *right,
                                size_t right_len,
                                int64_t *out);

/**
 * P2's half of a matrix product: decrypts, computes, encrypts E(Σ_k ⌊x_ik · y_kj / q⌋).
 *
 * Args: key: the private one. left: rows × inner words, row-major. right: inner × columns. q: 1 to
 * leave it out. out: room for rows · columns words.
 * Errors: as smlp_store_p2_multiply(); SMLP_LIMIT.
 */
smlp_status smlp_store_p2_matmul(const smlp_store *store,
                                 const smlp_store_key *key,
                                 const int64_t *left,
                                 const int64_t *right,
                                 size_t rows,
                                 size_t inner,
                                 size_t columns,
                                 uint64_t q,
                                 int64_t *out);

/**
 * P2's sum of every `width` elements: decrypts, adds, encrypts.
 *
 * Args: key: the private one. width: a divisor of `len`. out: room for len / width words.
 * Errors: as smlp_store_p2_multiply().
 */
smlp_status smlp_store_p2_sum(const smlp_store *store,
                              const smlp_store_key *key,
                              const int64_t *words,
                              size_t len,
                              size_t width,
                              int64_t *out);

/**
 * P1's half of a product: E(m_i − r_a·a_i − r_b·b_i − r_a·r_b).
 *
 * Args: a, a_len, b, b_len: as many words as m, or one. m, len: P2's answer. r_a, r_a_bytes, r_b,
 * r_b_bytes: one integer each, as smlp_store_encrypt() takes them. out: room for `len` words.
 * Errors: those of words, see smlp_store_decrypt(); SMLP_SHAPE, SMLP_LIMIT.
 */
smlp_status smlp_store_unmask(const smlp_store *store,
                              const smlp_store_key *key,
                              const int64_t *a,
                              size_t a_len,
                              const int64_t *b,
                              size_t b_len,
                              const int64_t *m,
                              size_t len,
                              const uint8_t *r_a,
                              size_t r_a_bytes,
                              const uint8_t *r_b,
                              size_t r_b_bytes,
                              int64_t *out);

/**
 * P1's half of a matrix product: E(m_ij − r_a·a_i − r_b·b_j − r_a·r_b).
 *
 * Args: a, rows: a word a row. b, columns: a word a column. m: rows × columns words, row-major. r_a,
 * r_b: as smlp_store_unmask() takes them. out: room for rows · columns words.
 * Errors: as smlp_store_unmask().
 */
smlp_status smlp_store_unmask_matrix(const smlp_store *store,
                                     const smlp_store_key *key,
                                     const int64_t *a,
                                     size_t rows,
                                     const int64_t *b,
                                     size_t columns,
                                     const int64_t *m,
                                     const uint8_t *r_a,
                                     size_t r_a_bytes,
                                     const uint8_t *r_b,
                                     size_t r_b_bytes,
                                     int64_t *out);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SMLP_H */
