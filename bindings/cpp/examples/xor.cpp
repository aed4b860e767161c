// Learns XOR on encrypted data: a 2-10-2 network, batches of 40.
//
//   xor [--bits 2048] [--steps 20]
//
// The three parties run in one process here. In earnest they are three machines, and P1 and P2
// belong to different operators; smlp::Transport::callback() then carries the bytes.

#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include <smlp.hpp>

int main(int argc, char** argv) try {
  std::uint32_t bits = 2048;
  std::uint64_t steps = 20;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--bits") bits = static_cast<std::uint32_t>(std::stoul(argv[i + 1]));
    if (option == "--steps") steps = std::stoull(argv[i + 1]);
  }

  // The data owner: noisy corners of the unit square and their classes, one-hot.
  constexpr std::size_t samples = 40;
  std::mt19937 random(1);
  std::uniform_real_distribution<double> noise(-0.2, 0.2);
  std::vector<double> points, classes;
  for (std::size_t i = 0; i < samples; ++i) {
    const bool a = i & 1, b = i & 2;
    points.insert(points.end(), {a + noise(random), b + noise(random)});
    classes.insert(classes.end(), {double(a == b), double(a != b)});
  }
  const smlp::Encoding encoding{10, 13};  // 10 fraction bits, |x| < 2^13 / 2^10 = 8
  const auto x = smlp::Tensor::from(points, {samples, 2}, encoding);
  const auto y = smlp::Tensor::from(classes, {samples, 2}, encoding);
  const auto key = smlp::PrivateKey::generate(bits, bits < 2048 ? SMLP_ALLOW_INSECURE : 0);
  smlp::MlpOptions options;
  options.layers = {2, 10, 2};
  options.fraction_bits = 10;
  options.weight_bits = 14;
  options.activation_bits = 14;
  options.seed = 1;  // to start from the same weights again; leave it out otherwise
  smlp::Mlp clear{options};

  // P2 gets the key pair, P1 the public key and ciphertexts only.
  const smlp::P2 p2{key};
  const smlp::P1 p1{key.public_key()};
  const smlp::Session session{p1, smlp::Transport::in_process(p2)};
  const auto secret_x = x.encrypt(key), secret_y = y.encrypt(key);
  smlp::Mlp secret = clear.encrypt(key.public_key());
  smlp::FitOptions fit;
  fit.steps = steps;
  fit.batch_size = samples;
  fit.learning_rate = 0.3;
  fit.progress = [](std::uint64_t done, std::uint64_t total) {
    std::fprintf(stderr, "\rstep %llu of %llu", (unsigned long long)done, (unsigned long long)total);
    return true;
  };
  secret.fit(session, secret_x, secret_y, fit);

  // The data owner opens the predictions.
  std::printf("\naccuracy %.3f after %llu steps with a %u-bit key\n",
              secret.evaluate(session, secret_x, y, key), (unsigned long long)secret.step(), bits);
  const smlp::Statistics cost = session.statistics();
  std::printf("%llu rounds, %.1f MB sent, %.1f MB received\n", (unsigned long long)cost.rounds,
              double(cost.bytes_sent) / 1e6, double(cost.bytes_received) / 1e6);
} catch (const smlp::Error& error) {
  std::fprintf(stderr, "%s: %s\n", smlp_status_name(error.status()), error.what());
  return 1;
}
