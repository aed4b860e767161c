// What a hostile or careless caller can do without dangling pointers: cut and garbled bytes, wrong
// keys, shapes and kinds, absurd sizes, numbers that are no enumerators, use after failure. Always
// a status and a message, never a crash.

#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "smlp.hpp"

namespace {

using smlp::ByteView;
using smlp::Tensor;
using Vector = std::vector<std::uint8_t>;
constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max();

/// Positions from one damaged byte to the next: more for those who are in a hurry.
std::size_t stride = 1;

/// Runs `action`, which has to fail with a message and that status, or any for -1: but for a bug.
void fails(const std::function<void()>& action, int status = -1, const char* what = "") {
  try {
    action();
  } catch (const smlp::Error& error) {
    const bool right =
        status == -1 ? error.status() != SMLP_INTERNAL : error.status() == status;
    if (!right || *error.what() == '\0') {
      std::fprintf(stderr, "%s: %s (%s) instead of status %d\n", what,
                   smlp_status_name(error.status()), error.what(), status);
      std::exit(1);
    }
    return;
  }
  std::fprintf(stderr, "%s: it worked\n", what);
  std::exit(1);
}
#define REFUSED(status, expression) fails([&] { (void)(expression); }, status, #expression)

/// Runs `action`; whatever status comes of it is fine.
void survives(const std::function<void()>& action) {
  try {
    action();
  } catch (const smlp::Error& error) {
    REQUIRE(*error.what() != '\0' && error.status() != SMLP_INTERNAL);
  }
}

/// Every truncation, one byte too many, then bytes changed here and there.
void damage(const char* name, const Vector& bytes, const std::function<void(ByteView)>& read) {
  read(bytes);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    // A copy of that length, so that reading past its end is noticed.
    const Vector cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    fails([&] { read(cut); }, -1, name);
  }
  Vector longer = bytes;
  longer.push_back(0);
  fails([&] { read(longer); }, -1, name);
  for (std::size_t i = 0; i < bytes.size(); i += stride) {
    for (const int change : {0x01, 0x80, 0xff}) {
      Vector changed = bytes;
      changed[i] = static_cast<std::uint8_t>(changed[i] ^ change);
      survives([&] { read(changed); });
    }
  }
  // Sizes are eight bytes: the largest number everywhere, one position at a time.
  for (std::size_t i = 0; i + 8 <= bytes.size() && i < 256; i += stride) {
    for (const int value : {0xff, 0x7f, 0x00}) {
      Vector changed = bytes;
      std::memset(&changed[i], value, 8);
      survives([&] { read(changed); });
    }
  }
}

void formats(const smlp::PrivateKey& key) {
  const smlp::PublicKey public_key = key.public_key();
  const Tensor clear = Tensor::from_i64({1, -2, 3}, {3}, 8);
  const Tensor secret = clear.encrypt(key);
  smlp::MlpOptions options;
  options.layers = {1, 2};
  options.fraction_bits = 6;
  options.seed = 1;
  const smlp::Mlp network{options};
  const smlp::Mlp secret_network = network.encrypt(public_key);
  const auto insecure = SMLP_ALLOW_INSECURE;

  damage("public key", public_key.to_bytes().to_vector(),
         [&](ByteView b) { smlp::PublicKey::from_bytes(b, insecure); });
  damage("private key", key.to_bytes().to_vector(),
         [&](ByteView b) { smlp::PrivateKey::from_bytes(b, insecure); });
  damage("clear tensor", clear.to_bytes().to_vector(), [&](ByteView b) { Tensor::from_bytes(b); });
  damage("encrypted tensor", secret.to_bytes().to_vector(),
         [&](ByteView b) { Tensor::from_bytes(b, public_key); });
  damage("clear network", network.to_bytes().to_vector(),
         [&](ByteView b) { smlp::Mlp::from_bytes(b); });
  damage("encrypted network", secret_network.to_bytes().to_vector(),
         [&](ByteView b) { smlp::Mlp::from_bytes(b, public_key); });

  REFUSED(SMLP_NULL_POINTER, Tensor::from_bytes(secret.to_bytes()));
  REFUSED(SMLP_MALFORMED, smlp::Mlp::from_bytes(secret.to_bytes()));
  REFUSED(SMLP_MALFORMED, smlp::PublicKey::from_bytes(key.to_bytes(), insecure));
  REFUSED(SMLP_INSECURE, smlp::PublicKey::from_bytes(public_key.to_bytes()));
  REFUSED(SMLP_IO, smlp::PrivateKey::load("/nonexistent/key"));
#ifdef SMLP_NET
  smlp::NetworkOptions remote;
  remote.addresses = {"127.0.0.1:1"};
  remote.authorities_path = remote.certificate_path = remote.key_path = "/nonexistent/file";
  REFUSED(SMLP_IO, smlp::Transport::connect(remote));
  smlp_network_options* bare = nullptr;
  smlp_transport* none = nullptr;
  OK(smlp_network_options_new("127.0.0.1:1", &bare));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_network_options_set_deadline(bare, 0));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_transport_connect(bare, &none));
  const std::uint8_t text[5] = {'h', 'e', 'l', 'l', 'o'};
  FAILS(SMLP_MALFORMED, smlp_network_options_set_identity(bare, text, 5, text, 5, text, 5));
  smlp_network_options_free(bare);
#endif
  REFUSED(SMLP_IO, smlp::Mlp::load("/nonexistent/network"));
  REFUSED(SMLP_IO, network.save("/nonexistent/network"));
  REFUSED(SMLP_IO, public_key.save("/nonexistent/key"));
  REFUSED(SMLP_INVALID_ARGUMENT, smlp::PublicKey::load("not UTF-8: \xff\xfe"));
}

void messages(const smlp::PrivateKey& key) {
  const smlp::P1 p1 = smlp::P1::with_sigma(key.public_key(), 40, SMLP_ALLOW_INSECURE);
  const smlp::P2 p2{key};
  const Tensor x = Tensor::from_i64({3}, {1}, 4).encrypt(key);
  const std::function<smlp::Call()> starts[] = {
      [&] { return p1.multiply(x, x); },
      [&] { return p1.divide(x, 3); },
      [&] { return p1.matmul(x, x); },
      [&] { return p1.refresh(x); },
  };
  for (const auto& start : starts) {
    smlp::Call whole = start();
    damage("request", {whole.request().begin(), whole.request().end()},
           [&](ByteView request) { p2.answer(request); });
    // Each call takes one reply, so each damage needs a call; the request of another one will do
    // where the reply is refused before it is computed with.
    const Vector reply = p2.answer(whole.request()).to_vector();
    for (std::size_t length = 0; length <= reply.size() + 1; ++length) {
      Vector cut = reply;
      cut.resize(length);
      smlp::Call call = start();
      if (length == reply.size()) {
        // Whole, but the answer to another call's request.
        REFUSED(SMLP_MALFORMED, call.resume(cut));
        continue;
      }
      REFUSED(-1, call.resume(cut));
      // The first failure is final.
      REFUSED(SMLP_FINISHED, call.resume(reply));
      REFUSED(SMLP_FINISHED, call.request());
      REFUSED(SMLP_FINISHED, call.result());
    }
    Vector garbage = reply;
    for (std::size_t i = garbage.size() - 8; i < garbage.size(); ++i) garbage[i] = 0xff;
    smlp::Call call = start();
    REFUSED(-1, call.resume(garbage));
    REFUSED(SMLP_FINISHED, whole.result());
    REQUIRE(whole.resume(reply));
    REFUSED(SMLP_FINISHED, whole.resume(reply));
    REFUSED(SMLP_FINISHED, whole.request());
    REFUSED(SMLP_INVALID_ARGUMENT, whole.result(2));
    REFUSED(SMLP_INVALID_ARGUMENT, whole.result(kHuge));
    whole.result(0);
  }

  // A call of several rounds, after the one that sets up transfers: requests damaged, replies cut.
  for (smlp::Call first = p1.relu(x); !first.resume(p2.answer(first.request()));) {
  }
  smlp::Call rounds = p1.relu(x);
  for (bool done = false; !done;) {
    const Vector request{rounds.request().begin(), rounds.request().end()};
    damage("request", request, [&](ByteView bytes) { p2.answer(bytes); });
    done = rounds.resume(p2.answer(request));
  }
  rounds.result(0);
  rounds.result(1);
  for (int round = 0; round < 2; ++round) {
    smlp::Call call = p1.relu(x);
    for (int before = 0; before < round; ++before) call.resume(p2.answer(call.request()));
    Vector cut = p2.answer(call.request()).to_vector();
    cut.pop_back();
    REFUSED(-1, call.resume(cut));
    REFUSED(SMLP_FINISHED, call.result());
  }

  // What P2 sealed for one client, here its seeds, another one cannot quote.
  {
    const smlp::P1 fresh = smlp::P1::with_sigma(key.public_key(), 40, SMLP_ALLOW_INSECURE);
    const Vector name{'a'}, other{'b'};
    smlp::Call call = fresh.relu(x);
    call.resume(p2.answer_for(name, call.request()));
    const Vector quoting{call.request().begin(), call.request().end()};
    REFUSED(SMLP_MALFORMED, p2.answer_for(other, quoting));
    REFUSED(SMLP_MALFORMED, p2.answer(quoting));
    call.resume(p2.answer_for(name, quoting));
    REQUIRE(call.resume(p2.answer_for(name, call.request())));
  }

  // A wire that garbles or loses everything; the session can be used again.
  int mode = 0;
  const auto wire = smlp::Transport::callback([&](ByteView request) -> Vector {
    const Vector reply = p2.answer(request).to_vector();
    switch (mode) {
      case 0: return reply;
      case 1: return {};
      case 2: return {reply.begin(), reply.end() - 1};
      case 3: return Vector(reply.size(), 0xff);
      case 4: return {request.begin(), request.end()};
      case 5: throw std::runtime_error("the cable is cut");
      default: throw 42;
    }
  });
  const smlp::Session session{p1, wire};
  for (mode = 1; mode <= 6; ++mode) {
    REFUSED(mode >= 5 ? SMLP_TRANSPORT : -1, session.multiply(x, x));
    REFUSED(mode >= 5 ? SMLP_TRANSPORT : -1, session.relu(x));
  }
  mode = 5;
  try {
    session.refresh(x);
  } catch (const smlp::Error& error) {
    REQUIRE(std::string(error.what()).find("the cable is cut") != std::string::npos);
  }
  mode = 0;
  REQUIRE(session.multiply(x, x).decrypt(key).to_int64s() == std::vector<std::int64_t>{9});
}

void keys(const smlp::PrivateKey& key) {
  const smlp::PrivateKey other = smlp::PrivateKey::generate(256, SMLP_ALLOW_INSECURE);
  const Tensor clear = Tensor::from_i64({1, 2}, {2}, 8);
  const Tensor x = clear.encrypt(key), y = clear.encrypt(other.public_key());
  REFUSED(SMLP_KEY_MISMATCH, x + y);
  REFUSED(SMLP_KEY_MISMATCH, x - y);
  REFUSED(SMLP_KEY_MISMATCH, Tensor::concatenate({x, y}, 0));
  REFUSED(SMLP_KEY_MISMATCH, x.decrypt(other));
  REFUSED(SMLP_KEY_MISMATCH, Tensor::from_bytes(x.to_bytes(), other.public_key()));
  const smlp::P1 p1 = smlp::P1::with_sigma(key.public_key(), 40, SMLP_ALLOW_INSECURE);
  const smlp::P2 wrong{other};
  REFUSED(SMLP_KEY_MISMATCH, p1.multiply(x, y));
  REFUSED(SMLP_KEY_MISMATCH, p1.refresh(y));
  REFUSED(SMLP_KEY_MISMATCH, wrong.answer(p1.relu(x).request()));
  const smlp::Session session{p1, smlp::Transport::in_process(wrong)};
  REFUSED(SMLP_REFUSED, session.relu(x));
  REFUSED(SMLP_KEY_MISMATCH, session.relu(y));

  REFUSED(SMLP_INVALID_ARGUMENT, smlp::PrivateKey::generate(3072, 0x80000000u));
  REFUSED(SMLP_INSECURE, smlp::PrivateKey::generate(2046));
  for (const std::uint32_t bits : {0u, 1u, 15u, 257u, 16386u, UINT32_MAX}) {
    REFUSED(-1, smlp::PrivateKey::generate(bits, SMLP_ALLOW_INSECURE));
  }
  const Vector zero(32, 0), even(32, 0xfe), much(1 << 20, 0xff);
  REFUSED(-1, smlp::PublicKey::from_modulus(zero, SMLP_ALLOW_INSECURE));
  REFUSED(-1, smlp::PublicKey::from_modulus(even, SMLP_ALLOW_INSECURE));
  REFUSED(-1, smlp::PublicKey::from_modulus(much, SMLP_ALLOW_INSECURE));
  REFUSED(-1, smlp::PublicKey::from_modulus(Vector{}, SMLP_ALLOW_INSECURE));
  for (const Vector& number : {zero, even, much, Vector{}, Vector(32, 0xff)}) {
    REFUSED(-1, smlp::PrivateKey::from_primes(number, even, SMLP_ALLOW_INSECURE));
    REFUSED(-1, smlp::PrivateKey::from_primes(number, number, SMLP_ALLOW_INSECURE));
  }

  // A foreign key: encrypts, but no P2 has it. Foreign ciphertexts of our key can be used.
  const auto foreign = smlp::PublicKey::from_modulus(key.public_key().modulus(), 1);
  REFUSED(SMLP_INVALID_ARGUMENT, (smlp::P1{foreign}));
  const auto raw = clear.encrypt(foreign).to_ciphertexts();
  const Tensor import =
      Tensor::from_ciphertexts(raw.data, raw.bytes_each, {2}, 0, 8, key.public_key());
  p1.relu(import);
  REFUSED(SMLP_INVALID_ARGUMENT, Tensor::from_ciphertexts(raw.data, 0, {2}, 0, 8, foreign));
  REFUSED(-1, Tensor::from_ciphertexts(raw.data, 7, {2}, 0, 8, foreign));
  REFUSED(SMLP_SHAPE, Tensor::from_ciphertexts(raw.data, raw.bytes_each, {3}, 0, 8, foreign));
  REFUSED(-1, Tensor::from_ciphertexts(zero, 32, {1}, 0, 8, foreign));
  const smlp::Session right{p1, smlp::Transport::in_process(smlp::P2{key})};
  REQUIRE(right.relu(import).value.decrypt(key).to_int64s() == clear.to_int64s());
}

void shapes(const smlp::PrivateKey& key) {
  const Tensor clear = Tensor::from_i64({1, 2, 3, 4, 5, 6}, {2, 3}, 8);
  const Tensor secret = clear.encrypt(key);
  const Tensor pair = Tensor::from_i64({1, 2}, {2}, 8), scaled = Tensor::from({1, 2, 3}, {3});
  const smlp::Session session{smlp::P1::with_sigma(key.public_key(), 40, SMLP_ALLOW_INSECURE),
                              smlp::Transport::in_process(smlp::P2{key})};
  REFUSED(SMLP_SHAPE, Tensor::from_i64({1, 2}, {3}));
  REFUSED(SMLP_LIMIT, Tensor::from_i64({1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}));
  REFUSED(-1, Tensor::from_i64({1}, {kHuge, kHuge}));
  REFUSED(-1, Tensor::from_i64({}, {kHuge, 0}));
  REFUSED(-1, Tensor::from_i64({}, {std::size_t{1} << 63, 2, 0}));
  REFUSED(-1, Tensor::from({1.0}, {1}, {65, 0}));
  REFUSED(-1, Tensor::from({1.0}, {1}, {16, 127}));
  REFUSED(-1, Tensor::from({1.0}, {1}, {UINT32_MAX, UINT32_MAX}));
  REFUSED(-1, Tensor::from_raw({1}, {1}, UINT32_MAX, 8));
  REFUSED(SMLP_OUT_OF_RANGE, Tensor::from_i64({INT64_MIN}, {1}));
  REFUSED(SMLP_OUT_OF_RANGE, Tensor::from_i64({256}, {1}, 8));
  REFUSED(SMLP_NOT_FINITE, Tensor::from({std::numeric_limits<double>::infinity()}, {1}));

  for (const Tensor* x : {&clear, &secret}) {
    REFUSED(SMLP_SHAPE, *x + pair);
    REFUSED(SMLP_SHAPE, *x * pair);
    REFUSED(SMLP_SHAPE, x->matmul(pair));
    REFUSED(SMLP_SCALE, *x + scaled);
    REFUSED(SMLP_SHAPE, x->reshape({4}));
    REFUSED(SMLP_SHAPE, x->reshape({-1, -1}));
    REFUSED(-1, x->reshape({INT64_MAX, INT64_MAX}));
    REFUSED(-1, x->reshape({INT64_MIN}));
    REFUSED(SMLP_INVALID_ARGUMENT, x->permute({0, 0}));
    REFUSED(SMLP_INVALID_ARGUMENT, x->permute({0}));
    REFUSED(SMLP_INVALID_ARGUMENT, x->permute({0, INT64_MIN}));
    for (const std::int64_t axis : {std::int64_t{2}, std::int64_t{-3}, INT64_MAX, INT64_MIN}) {
      REFUSED(SMLP_INVALID_ARGUMENT, x->index(axis, 0));
      REFUSED(SMLP_INVALID_ARGUMENT, x->slice(axis, 0, 1));
      REFUSED(SMLP_INVALID_ARGUMENT, x->take(axis, {0}));
      REFUSED(SMLP_INVALID_ARGUMENT, x->squeeze(axis));
      REFUSED(SMLP_INVALID_ARGUMENT, x->sum(axis));
      REFUSED(SMLP_INVALID_ARGUMENT, Tensor::concatenate({*x, *x}, axis));
      REFUSED(SMLP_INVALID_ARGUMENT, x->index(0, axis));
    }
    for (const std::int64_t axis : {std::int64_t{3}, std::int64_t{-4}, INT64_MAX, INT64_MIN}) {
      REFUSED(SMLP_INVALID_ARGUMENT, x->unsqueeze(axis));
      REFUSED(SMLP_INVALID_ARGUMENT, Tensor::stack({*x, *x}, axis));
    }
    REFUSED(SMLP_INVALID_ARGUMENT, x->slice(0, 0, 3));
    REFUSED(SMLP_INVALID_ARGUMENT, x->slice(0, -1, 1));
    REFUSED(SMLP_INVALID_ARGUMENT, x->slice(0, 0, 1, 0));
    REFUSED(SMLP_INVALID_ARGUMENT, x->slice(0, 1, kHuge, INT64_MAX));
    REFUSED(SMLP_INVALID_ARGUMENT, x->slice(0, INT64_MIN, kHuge, INT64_MIN));
    REFUSED(SMLP_INVALID_ARGUMENT, x->take(0, {kHuge}));
    REFUSED(SMLP_SHAPE, x->squeeze(0));
    REFUSED(-1, x->broadcast_to({3, 3}));
    REFUSED(-1, x->broadcast_to({kHuge, 2, 3}));
    REFUSED(-1, x->repeat({kHuge, kHuge}));
    REFUSED(SMLP_INVALID_ARGUMENT, x->repeat({2}));
    REFUSED(SMLP_SHAPE, Tensor::stack({*x, x->transpose()}, 0));
    REFUSED(SMLP_SHAPE, Tensor::concatenate({*x, x->transpose()}, 0));
    REFUSED(-1, x->assume_bound(0));
    REFUSED(-1, x->assume_bound(UINT32_MAX));
    REQUIRE(x->slice(0, 2, 0).size() == 0);
    REFUSED(SMLP_SHAPE, x->slice(0, 0, 0).sum(0));
  }
  REFUSED(SMLP_INVALID_ARGUMENT, Tensor::concatenate({}, 0));
  REFUSED(SMLP_INVALID_ARGUMENT, Tensor::stack({}, 0));
  REFUSED(SMLP_INVALID_ARGUMENT, Tensor::concatenate({clear, secret}, 0));
  REFUSED(SMLP_INVALID_ARGUMENT, secret * secret);
  REFUSED(SMLP_INVALID_ARGUMENT, secret.matmul(secret));
  REFUSED(SMLP_INVALID_ARGUMENT, secret.to_doubles());
  REFUSED(SMLP_INVALID_ARGUMENT, secret.encrypt(key));
  REFUSED(SMLP_INVALID_ARGUMENT, clear.decrypt(key));
  REFUSED(SMLP_INVALID_ARGUMENT, clear.to_ciphertexts());
  REFUSED(SMLP_INVALID_ARGUMENT, session.multiply(clear, secret));
  REFUSED(SMLP_INVALID_ARGUMENT, smlp::Session::clear().multiply(clear, secret));
  REFUSED(SMLP_SHAPE, session.matmul(secret, secret));
  REFUSED(SMLP_INVALID_ARGUMENT, session.divide(secret, 0));
  REFUSED(-1, session.rescale(secret, 1));
  REFUSED(-1, session.rescale(secret, 64));
  REFUSED(-1, session.rescale(secret, UINT32_MAX));
  // What does not fit the plaintext space is refused before anything is sent.
  REFUSED(SMLP_BOUND, session.multiply(secret.assume_bound(126), secret.assume_bound(126)));
  REFUSED(SMLP_BOUND, Tensor::from_i64({1}, {1}, 63).encrypt(
                          smlp::PrivateKey::generate(32, SMLP_ALLOW_INSECURE)));
  // A broken promise.
  REFUSED(SMLP_OUT_OF_RANGE, secret.assume_bound(2).decrypt(key));
  for (const std::uint32_t bits : {0u, 1u, 39u, 129u, UINT32_MAX}) {
    REFUSED(SMLP_INVALID_ARGUMENT, (smlp::P1{key.public_key(), smlp::Promise{bits}}));
    REFUSED(SMLP_INVALID_ARGUMENT, smlp::P1::with_sigma(key.public_key(), bits));
  }

  // Lengths that no array has.
  smlp_tensor* out = nullptr;
  const double number = 1;
  const std::size_t one[1] = {1};
  FAILS(SMLP_LIMIT, smlp_tensor_from_f64(&number, kHuge, one, 1, 16, 0, &out));
  FAILS(SMLP_LIMIT, smlp_tensor_from_f64(&number, 1, one, kHuge, 16, 0, &out));
  FAILS(SMLP_LIMIT, smlp_tensor_take(clear.get(), 0, one, kHuge / 8 + 1, &out));
  const smlp_tensor* first = clear.get();
  FAILS(SMLP_LIMIT, smlp_tensor_stack(&first, kHuge, 0, &out));
  const std::uint8_t byte = 0;
  FAILS(SMLP_LIMIT, smlp_tensor_from_bytes(&byte, kHuge, nullptr, &out));
  // An array that starts between two numbers.
  alignas(double) const unsigned char odd[24] = {};
  const auto* between = reinterpret_cast<const double*>(odd + 1);
  FAILS(SMLP_INVALID_ARGUMENT, smlp_tensor_from_f64(between, 1, one, 1, 16, 0, &out));
  REQUIRE(out == nullptr);
}

void networks(const smlp::PrivateKey& key) {
  const Tensor x = Tensor::from({0, 1, 1, 0}, {2, 2}, {8, 0});
  const smlp::Session clear = smlp::Session::clear();
  smlp::MlpOptions options;
  options.layers = {2, 3, 2};
  options.fraction_bits = 8;
  smlp::Mlp mlp{options};
  const auto with = [](std::vector<std::size_t> layers, std::uint32_t bits) {
    smlp::MlpOptions wrong;
    wrong.layers = std::move(layers);
    wrong.fraction_bits = bits;
    return wrong;
  };
  for (const auto& layers : std::vector<std::vector<std::size_t>>{
           {}, {1}, {2, 0, 2}, {kHuge, kHuge}, {1, kHuge}, {1u << 31, 1u << 31},
           std::vector<std::size_t>(100000, 2)}) {
    REFUSED(-1, smlp::Mlp{with(layers, 8)});
  }
  REFUSED(-1, smlp::Mlp{with({2, 2}, 41)});
  REFUSED(-1, smlp::Mlp{with({2, 2}, UINT32_MAX)});

  smlp_mlp_options* raw = nullptr;
  OK(smlp_mlp_options_new(options.layers.data(), 3, &raw));
  for (const int wrong : {-1, 2, INT_MAX, INT_MIN}) {
    const auto activation = static_cast<smlp_activation>(wrong);
    FAILS(SMLP_INVALID_ARGUMENT, smlp_mlp_options_set_activation(raw, 0, activation));
  }
  for (const int wrong : {-1, 8, INT_MAX, INT_MIN}) {
    std::uint64_t count = 0;
    const auto statistic = static_cast<smlp_statistic>(wrong);
    FAILS(SMLP_INVALID_ARGUMENT, smlp_session_statistic(clear.get(), statistic, &count));
  }
  for (const int wrong : {-1, 19, INT_MAX, INT_MIN}) {
    const auto status = static_cast<smlp_status>(wrong);
    REQUIRE(std::string("SMLP_UNKNOWN") == smlp_status_name(status));
  }
  FAILS(SMLP_INVALID_ARGUMENT, smlp_mlp_options_set_activation(raw, 2, SMLP_RELU));
  FAILS(SMLP_INVALID_ARGUMENT, smlp_mlp_options_set_activation(raw, kHuge, SMLP_RELU));
  smlp_mlp_options_free(raw);

  REFUSED(SMLP_INVALID_ARGUMENT, mlp.weight(2));
  REFUSED(SMLP_INVALID_ARGUMENT, mlp.bias(kHuge));
  REFUSED(SMLP_SHAPE, mlp.predict(clear, x.reshape({4, 1})));
  REFUSED(SMLP_SCALE, mlp.predict(clear, Tensor::from({0, 1}, {1, 2}, {9, 0})));
  REFUSED(SMLP_INVALID_ARGUMENT, mlp.predict(clear, x.encrypt(key)));
  REFUSED(SMLP_SHAPE, mlp.train_step(clear, x, x.slice(0, 0, 1), 0.1));
  for (const double rate : {0.0, -1.0, 1e300, std::numeric_limits<double>::quiet_NaN(),
                            std::numeric_limits<double>::infinity()}) {
    REFUSED(SMLP_INVALID_ARGUMENT, mlp.train_step(clear, x, x, rate));
  }
  smlp::FitOptions fit;
  fit.batch_size = 0;
  REFUSED(SMLP_INVALID_ARGUMENT, mlp.fit(clear, x, x, fit));
  fit.batch_size = kHuge;
  fit.epochs = 2;
  mlp.fit(clear, x, x, fit);
  fit.batch_size = 1;
  fit.epochs = kHuge;
  REFUSED(SMLP_LIMIT, mlp.fit(clear, x, x, fit));
  REFUSED(-1, mlp.encrypt(smlp::PrivateKey::generate(16, SMLP_ALLOW_INSECURE).public_key()));
  REFUSED(SMLP_INVALID_ARGUMENT, mlp.decrypt(key));
  REFUSED(SMLP_SHAPE, mlp.evaluate(clear, x, x.slice(0, 0, 1)));

  smlp::Mlp secret = mlp.encrypt(key.public_key());
  REFUSED(SMLP_INVALID_ARGUMENT, secret.encrypt(key.public_key()));
  REFUSED(SMLP_INVALID_ARGUMENT, secret.predict(clear, x.encrypt(key)));
  const smlp::P2 p2{key};
  const smlp::Session session{smlp::P1::with_sigma(key.public_key(), 40, SMLP_ALLOW_INSECURE), smlp::Transport::in_process(p2)};
  REFUSED(SMLP_INVALID_ARGUMENT, secret.predict(session, x));
  REFUSED(SMLP_NULL_POINTER, secret.evaluate(session, x.encrypt(key), x));

  // The progress callback may not use the network that is being trained: an error, no deadlock.
  fit.epochs = 1;
  fit.progress = [&](std::uint64_t, std::uint64_t) {
    REFUSED(SMLP_INVALID_ARGUMENT, mlp.step());
    REFUSED(SMLP_INVALID_ARGUMENT, mlp.predict(clear, x));
    REFUSED(SMLP_INVALID_ARGUMENT, mlp.fit(clear, x, x));
    return true;
  };
  mlp.fit(clear, x, x, fit);

  // A moved-from object.
  smlp::Mlp moved = std::move(mlp);
  REFUSED(SMLP_NULL_POINTER, mlp.step());
  moved.step();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "quick") stride = 5;
  const auto key = smlp::PrivateKey::generate(256, SMLP_ALLOW_INSECURE);
  formats(key);
  messages(key);
  keys(key);
  shapes(key);
  networks(key);
  std::puts("ok");
}
