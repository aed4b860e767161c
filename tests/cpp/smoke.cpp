// The C++ binding, used as a C++ program uses it. "smoke DIR" runs everything; "smoke read DIR"
// reads what a Rust test wrote to DIR and writes an answer there.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "check.h"
#include "smlp.hpp"

namespace {

using Integers = std::vector<std::int64_t>;
using smlp::Tensor;

static_assert(!std::is_copy_constructible_v<Tensor> && std::is_nothrow_move_constructible_v<Tensor>);
static_assert(!std::is_copy_constructible_v<smlp::Mlp> &&
              !std::is_copy_constructible_v<smlp::PrivateKey>);
static_assert(!std::is_copy_constructible_v<smlp::Session> &&
              std::is_nothrow_move_constructible_v<smlp::Session>);

std::vector<std::uint8_t> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, smlp::ByteView bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  REQUIRE(file.good());
}

void keys(const smlp::PrivateKey& key, const std::string& folder) {
  const smlp::PublicKey public_key = key.public_key();
  REQUIRE(public_key.bits() == 512 && !public_key.is_foreign());
  std::remove((folder + "/cpp.private").c_str());
  key.save(folder + "/cpp.private");
  const auto loaded = smlp::PrivateKey::load(folder + "/cpp.private", SMLP_ALLOW_INSECURE);
  REQUIRE(loaded.public_key().id() == public_key.id());
  public_key.save(folder + "/cpp.public");
  REQUIRE(smlp::PublicKey::load(folder + "/cpp.public", SMLP_ALLOW_INSECURE).id() ==
          public_key.id());
  const auto foreign = smlp::PublicKey::from_modulus(public_key.modulus(), SMLP_ALLOW_INSECURE);
  REQUIRE(foreign.is_foreign() && foreign.id() != public_key.id());
  // What the modulus alone encrypted is the private key's to open.
  const Tensor theirs = Tensor::from_i64({7, -8}, {2}, 8).encrypt(foreign);
  REQUIRE(theirs.key_id() == foreign.id());
  REQUIRE((theirs.decrypt(key).to_int64s() == Integers{7, -8}));
  const std::vector<std::uint8_t> p{0xd0, 0x15}, q{0xd0, 0x21};
  const auto pair = smlp::PrivateKey::from_primes(p, q, SMLP_ALLOW_INSECURE);
  REQUIRE(pair.public_key().bits() == 32);
  REQUIRE(smlp::PrivateKey::from_primes(q, p, SMLP_ALLOW_INSECURE).public_key().id() ==
          pair.public_key().id());
  try {
    smlp::PrivateKey::load(folder + "/no such file");
    REQUIRE(false);
  } catch (const smlp::Error& error) {
    REQUIRE(error.status() == SMLP_IO);
    REQUIRE(std::string(error.what()).find("no such file") != std::string::npos);
  }
}

void tensors(const smlp::PrivateKey& key) {
  const Tensor a = Tensor::from({0.5, -1.25, 2, 3}, {2, 2});
  const Tensor b = Tensor::from_f32({4, 0.5f}, {2});
  const Tensor x = a.encrypt(key), y = b.encrypt(key.public_key());
  REQUIRE(x.is_encrypted() && x.shape() == smlp::Shape({2, 2}) && x.scale() == 16);
  REQUIRE(x.key_id() == key.public_key().id());
  REQUIRE((x + y).decrypt(key).to_doubles() == std::vector<double>({4.5, -0.75, 6, 3.5}));
  REQUIRE((a - y).decrypt(key).to_doubles() == std::vector<double>({-3.5, -1.75, -2, 2.5}));
  REQUIRE((x * b).decrypt(key).to_doubles() == std::vector<double>({2, -0.625, 8, 1.5}));
  REQUIRE((-x).decrypt(key).to_doubles() == std::vector<double>({-0.5, 1.25, -2, -3}));
  REQUIRE(a.matmul(y).decrypt(key).to_doubles() == std::vector<double>({1.375, 9.5}));
  REQUIRE(x.sum().decrypt(key).to_doubles() == std::vector<double>({4.25}));
  REQUIRE(x.sum(0).decrypt(key).to_doubles() == std::vector<double>({2.5, 1.75}));
  const Tensor rows = Tensor::concatenate({x, x.transpose()}, 0);
  REQUIRE(rows.shape() == smlp::Shape({4, 2}));
  REQUIRE(rows.take(0, {3, 0}).decrypt(key).to_doubles() ==
          std::vector<double>({-1.25, 3, 0.5, -1.25}));
  REQUIRE(rows.slice(0, 3, 2, -3).reshape({-1}).size() == 4);
  REQUIRE(Tensor::stack({a, a}, -1).shape() == smlp::Shape({2, 2, 2}));
  REQUIRE(a.unsqueeze(1).squeeze(1).repeat({2, 1}).shape() == smlp::Shape({4, 2}));
  REQUIRE(b.broadcast_to({3, 2}).index(0, -1).to_doubles() == b.to_doubles());
  REQUIRE(a.permute({1, 0}).to_doubles() == a.transpose().to_doubles());
  REQUIRE(Tensor::from_raw({3}, {}, 1).to_doubles() == std::vector<double>({1.5}));
  REQUIRE(x.assume_bound(20).bound() == 20 && x.clone().unsqueeze(0).squeeze().ndim() == 2);
  REQUIRE(Tensor::from_bytes(x.to_bytes(), key.public_key()).decrypt(key).to_int64s() ==
          a.to_int64s());
  REQUIRE(Tensor::from_bytes(a.to_bytes()).to_int64s() == a.to_int64s());
  const auto raw = x.to_ciphertexts();
  REQUIRE(Tensor::from_ciphertexts(raw.data, raw.bytes_each, {4}, 16, 40, key.public_key())
              .decrypt(key)
              .to_int64s() == a.to_int64s());
}

void protocols(const smlp::PrivateKey& key) {
  const smlp::P1 p1 = smlp::P1::with_sigma(key.public_key(), 40, SMLP_ALLOW_INSECURE);
  REQUIRE(p1.sigma() == 40 && p1.security() == 0);
  const smlp::P2 p2{key};
  const Integers values = {3, -4, 0, 7};
  const Tensor clear = Tensor::from_i64(values, {2, 2}, 10), x = clear.encrypt(key);

  smlp::Call call = p1.relu(x);
  while (!call.resume(p2.answer(call.request()))) {
  }
  REQUIRE(call.result(0).decrypt(key).to_int64s() == Integers({3, 0, 0, 7}));
  REQUIRE(call.result(1).decrypt(key).to_int64s() == Integers({1, 0, 1, 1}));

  const smlp::Call product = p1.multiply(x, x);
  for (const smlp::P2& limited : {smlp::P2{key, 100}, smlp::P2{key, 0, 100}}) {
    try {
      limited.answer(product.request());
      REQUIRE(false);
    } catch (const smlp::Error& error) {
      REQUIRE(error.status() == SMLP_LIMIT);
      REQUIRE(std::string(error.what()).find("smaller batches") != std::string::npos);
    }
  }

  int exchanges = 0;
  const smlp::Record record;
  // The transport is gone when the session is used: what it calls is not.
  const smlp::Session sessions[] = {
      {p1, smlp::Transport::in_process(p2), record},
      {p1, smlp::Transport::callback([&](smlp::ByteView request) {
         ++exchanges;
         return p2.answer(request).to_vector();
       })},
      smlp::Session::clear(),
      smlp::Session::clear(record),
  };
  for (const smlp::Session& session : sessions) {
    const bool secret = session.is_encrypted();
    const Tensor& input = secret ? x : clear;
    const auto open = [&](const Tensor& tensor) {
      return secret ? tensor.decrypt(key).to_int64s() : tensor.to_int64s();
    };
    REQUIRE(open(session.multiply(input, input)) == Integers({9, 16, 0, 49}));
    REQUIRE(open(session.matmul(input, input)) == Integers({9, -40, 0, 49}));
    const smlp::ReluResult relu = session.relu(input);
    REQUIRE(open(relu.value) == Integers({3, 0, 0, 7}));
    REQUIRE(open(session.select(relu.derivative, input)) == Integers({3, 0, 0, 7}));
    REQUIRE(open(session.maximum(input, input.transpose())) == Integers({3, 0, 0, 7}));
    REQUIRE(open(session.refresh(input)) == values);
    REQUIRE(open(session.divide(input, 1)) == values);
    const Tensor scaled = Tensor::from({1.5, -2.5}, {2}, {8, 20});
    const Tensor fine = secret ? scaled.encrypt(key) : scaled.clone();
    const Tensor coarse = session.rescale(fine, 4);
    REQUIRE(coarse.scale() == 4 && open(coarse) == Integers({24, -40}));
    const smlp::Statistics statistics = session.statistics();
    REQUIRE((statistics.rounds >= 7 && statistics.bytes_received > 0) == secret);
    REQUIRE(session.statistic(SMLP_ROUNDS) == statistics.rounds);
    session.reset_statistics();
    REQUIRE(session.statistic(SMLP_ROUNDS) == 0);
  }
  REQUIRE(exchanges >= 7);
  REQUIRE(record.lines() == 2);

  // The same integers as the recorded ones, in the clear; what is not in the record is refused.
  const smlp::Session recorded{p1, smlp::Transport::in_process(p2), record};
  const smlp::Session repeating = smlp::Session::clear(record);
  REQUIRE(repeating.divide(clear, 1).to_int64s() == values);
  repeating.rescale(Tensor::from({1.5, -2.5}, {2}, {8, 20}), 4);
  for (int turn = 0; turn < 4; ++turn) {
    const Tensor quotient = recorded.divide(x, 1000).decrypt(key);
    REQUIRE(quotient.to_int64s() == repeating.divide(clear, 1000).to_int64s());
  }
  try {
    repeating.divide(clear, 1000);
    REQUIRE(false);
  } catch (const smlp::Error& error) {
    REQUIRE(error.status() == SMLP_INVALID_ARGUMENT);
    REQUIRE(std::string(error.what()).find("it has 6 divisions") != std::string::npos);
  }
}

void network(const smlp::PrivateKey& key, const std::string& folder) {
  const Tensor x = Tensor::from({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}, {10, 12});
  const Tensor y = Tensor::from({1, 0, 0, 1, 0, 1, 1, 0}, {4, 2}, {10, 12});
  const Tensor ex = x.encrypt(key), ey = y.encrypt(key);
  const smlp::Record record;
  const smlp::Session session{smlp::P1::with_sigma(key.public_key(), 40, SMLP_ALLOW_INSECURE),
                              smlp::Transport::in_process(smlp::P2{key}), record};
  const smlp::Session clear = smlp::Session::clear(record);

  smlp::MlpOptions options;
  options.layers = {2, 10, 2};
  options.fraction_bits = 10;
  options.weight_bits = 14;
  options.activation_bits = 16;
  options.activations = {SMLP_RELU, SMLP_LINEAR};
  options.seed = 7;
  smlp::Mlp mlp = smlp::Mlp{options}.encrypt(key.public_key());
  smlp::Mlp twin = mlp.decrypt(key);
  REQUIRE(mlp.is_encrypted() && !twin.is_encrypted() && mlp.layers() == 2);

  smlp::FitOptions fit;
  fit.epochs = 2;
  fit.batch_size = 2;
  fit.learning_rate = 0.3;
  std::uint64_t calls = 0;
  fit.progress = [&](std::uint64_t done, std::uint64_t total) {
    REQUIRE(done == ++calls && total == 4);
    return true;
  };
  mlp.fit(session, ex, ey, fit);
  REQUIRE(calls == 4 && mlp.step() == 4);
  fit.progress = nullptr;
  twin.fit(clear, x, y, fit);
  const auto same = [&] {
    for (std::size_t layer = 0; layer < 2; ++layer) {
      REQUIRE(mlp.weight(layer).decrypt(key).to_int64s() == twin.weight(layer).to_int64s());
      REQUIRE(mlp.bias(layer).decrypt(key).to_int64s() == twin.bias(layer).to_int64s());
    }
  };
  same();
  const Tensor outputs = mlp.predict(session, ex).decrypt(key);
  REQUIRE(outputs.to_int64s() == twin.predict(clear, x).to_int64s());
  const double accuracy = mlp.evaluate(session, ex, y, key);
  REQUIRE(accuracy == twin.evaluate(clear, x, y));

  mlp.save(folder + "/cpp.network");
  mlp = smlp::Mlp::load(folder + "/cpp.network", key.public_key());
  twin = smlp::Mlp::from_bytes(twin.to_bytes());
  mlp.train_step(session, ex, ey, 0.5);
  twin.train_step(clear, x, y, 0.5);
  same();
  REQUIRE(record.lines() == 7);  // five steps, two predictions

  // Cancelling keeps the step that is done; so does an exception, which comes through.
  fit.steps = 5;
  fit.progress = [](std::uint64_t, std::uint64_t) { return false; };
  const smlp::Session own = smlp::Session::clear();
  try {
    twin.fit(own, x, y, fit);
    REQUIRE(false);
  } catch (const smlp::Error& error) {
    REQUIRE(error.status() == SMLP_CANCELLED && twin.step() == 6);
  }
  struct Own {
    int value;
  };
  fit.progress = [](std::uint64_t, std::uint64_t) -> bool { throw Own{42}; };
  try {
    twin.fit(own, x, y, fit);
    REQUIRE(false);
  } catch (const Own& thrown) {
    REQUIRE(thrown.value == 42 && twin.step() == 7);
  }
  REQUIRE(twin.clone().step() == 7 && mlp.clone().is_encrypted());

  // A file follows the training.
  smlp::FitOptions saved;
  saved.steps = 2;
  saved.batch_size = 2;
  saved.checkpoint = folder + "/followed.network";
  saved.checkpoint_every = 1;
  saved.progress = [&, before = mlp.step()](std::uint64_t done, std::uint64_t) {
    return smlp::Mlp::load(saved.checkpoint, key.public_key()).step() == before + done;
  };
  mlp.fit(session, ex, ey, saved);
  saved.checkpoint_every = 0;
  try {
    mlp.fit(session, ex, ey, saved);
    REQUIRE(false);
  } catch (const smlp::Error& error) {
    REQUIRE(error.status() == SMLP_INVALID_ARGUMENT);
  }
}

/// P1 writes a record that only the owner can read; his twin repeats it.
void records(const smlp::PrivateKey& key, const std::string& folder) {
  const std::string path = folder + "/cpp.record";
  std::remove(path.c_str());
  std::remove((folder + "/cpp.record-key").c_str());
  smlp::RecordKey::generate().save(folder + "/cpp.record-key");
  const auto owner = smlp::RecordKey::load(folder + "/cpp.record-key");
  const auto p1s_half = owner.public_key().to_vector();

  const Tensor x = Tensor::from({0.3, -0.7, 0.9, 0.1}, {2, 2}, {8, 12});
  smlp::MlpOptions options;
  options.layers = {2, 3, 2};
  options.fraction_bits = 8;
  options.weight_bits = options.activation_bits = 14;
  smlp::Mlp twin{options};
  smlp::Mlp mlp = twin.encrypt(key.public_key());
  const smlp::P1 p1 = smlp::P1::with_sigma(key.public_key(), 40, SMLP_ALLOW_INSECURE);
  REQUIRE(p1.sigma() == 40 && p1.security() == 0);
  const smlp::P2 p2{key};
  for (std::uint64_t before = 0; before < 2; ++before) {
    // Each session goes on with the file that the one before has left.
    const smlp::Record record = smlp::Record::append(path, p1s_half);
    REQUIRE(record.lines() == before);
    const smlp::Session session{p1, smlp::Transport::in_process(p2), record};
    mlp.train_step(session, x.encrypt(key), x.encrypt(key), 0.3);
    REQUIRE(record.lines() == before + 1);
    const auto refused = [&](auto action, smlp_status status) {
      try {
        action();
        REQUIRE(false);
      } catch (const smlp::Error& error) {
        REQUIRE(error.status() == status);
      }
    };
    refused([&] { smlp::Record::append(path, p1s_half); }, SMLP_IO);  // one writer at a time
    refused([&] { smlp::Session::clear(record); }, SMLP_INVALID_ARGUMENT);
    refused([&] { smlp::Record::read(path, smlp::RecordKey::generate()); }, SMLP_INVALID_ARGUMENT);
  }
  const smlp::Session clear = smlp::Session::clear(smlp::Record::read(path, owner));
  for (std::size_t step = 0; step < 2; ++step) twin.train_step(clear, x, x, 0.3);
  const smlp::Mlp opened = mlp.decrypt(key);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    REQUIRE(opened.weight(layer).to_int64s() == twin.weight(layer).to_int64s());
    REQUIRE(opened.bias(layer).to_int64s() == twin.bias(layer).to_int64s());
  }
}

/// What is `const` may be shared by threads; every thread has its own last error.
void threads(const smlp::PrivateKey& key) {
  const smlp::P2 p2{key};
  const smlp::Session session{smlp::P1::with_sigma(key.public_key(), 40, SMLP_ALLOW_INSECURE), smlp::Transport::in_process(p2)};
  const Tensor x = Tensor::from_i64({-2, 5}, {2}, 6).encrypt(key), other = x.reshape({2, 1});
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&, worker] {
      REQUIRE(smlp_last_error(nullptr, 0) == 0);
      for (int turn = 0; turn < 3; ++turn) {
        REQUIRE(session.relu(x).value.decrypt(key).to_int64s() == Integers({0, 5}));
        REQUIRE((x + x).decrypt(key).to_int64s() == Integers({-4, 10}));
        try {
          x.index(0, 100 + worker);
          REQUIRE(false);
        } catch (const smlp::Error& error) {
          REQUIRE(std::string(error.what()).find(std::to_string(100 + worker)) !=
                  std::string::npos);
        }
        REQUIRE(other.sum().decrypt(key).to_int64s() == Integers({3}));
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  // Two rounds a comparison; the first ones, which may meet, set up transfers.
  const std::uint64_t rounds = session.statistics().rounds;
  REQUIRE(rounds >= 25 && rounds <= 28);
}

/// A Rust test wrote rust.private and rust.tensor; the answer is twice the tensor, by two ways.
void read(const std::string& folder) {
  const auto key = smlp::PrivateKey::load(folder + "/rust.private", SMLP_ALLOW_INSECURE);
  const Tensor tensor = Tensor::from_bytes(read_file(folder + "/rust.tensor"), key.public_key());
  REQUIRE(tensor.shape() == smlp::Shape({2, 3}) && tensor.scale() == 12 && tensor.bound() == 30);
  const Tensor clear = tensor.decrypt(key);
  REQUIRE(clear.to_doubles() == std::vector<double>({1.5, -2, 0, 0.25, 100, -99.75}));
  write_file(folder + "/cpp.tensor", (tensor + tensor).to_bytes());
  write_file(folder + "/cpp.clear", (clear + clear).to_bytes());
  write_file(folder + "/cpp.public", key.public_key().to_bytes());
}

}  // namespace

int main(int argc, char** argv) {
  REQUIRE(argc >= 2);
  if (std::string(argv[1]) == "read") {
    REQUIRE(argc == 3);
    read(argv[2]);
  } else {
    REQUIRE(std::string(smlp::version()) == "0.1.0" && *smlp::backend_name() != '\0');
    REQUIRE(smlp::backend_report().rfind("cuda: ", 0) == 0);
    const auto key = smlp::PrivateKey::generate(512, SMLP_ALLOW_INSECURE);
    keys(key, argv[1]);
    tensors(key);
    protocols(key);
    threads(key);
    network(key, argv[1]);
    records(key, argv[1]);
  }
  std::puts("ok");
}
