/// The settings of a network and of its training, and how they reach the C library.
#ifndef SMLP_OPTIONS_HPP
#define SMLP_OPTIONS_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "smlp.h"

#include "error.hpp"

namespace smlp {

/// What a new network looks like. Fields left out take the defaults of smlp.h.
struct MlpOptions {
  /// Sizes from input to output, e.g. {2, 10, 2}.
  std::vector<std::size_t> layers = {};
  /// Of inputs, weights, activations and errors.
  std::uint32_t fraction_bits = SMLP_DEFAULT_FRACTION_BITS;
  /// Declared bound of weights and biases in bits, scale included.
  std::optional<std::uint32_t> weight_bits = {};
  /// Declared bound of inputs, activations and errors in bits, scale included.
  std::optional<std::uint32_t> activation_bits = {};
  /// Draws the initial weights; without it, the operating system's generator does.
  std::optional<std::uint64_t> seed = {};
  /// Of each layer of weights; empty for ReLU inside and linear last.
  std::vector<smlp_activation> activations = {};
};

/// How to train.
struct FitOptions {
  /// Passes over the data.
  std::size_t epochs = 1;
  /// Instead of epochs: exactly so many steps.
  std::optional<std::uint64_t> steps = {};
  std::size_t batch_size = 32;
  double learning_rate = 0.1;
  bool shuffle = true;
  std::uint64_t shuffle_seed = 0;
  /// A file (UTF-8) that the network is saved to before the first step, after every step whose
  /// number is a multiple of checkpoint_every, at the end, and when progress stops; empty for none.
  /// See smlp_fit_options_set_checkpoint() for how to go on after a crash.
  std::string checkpoint = {};
  std::uint64_t checkpoint_every = 50;
  /// Called after each step with the steps done and to do. Returning false stops with an Error of
  /// SMLP_CANCELLED; so does an exception, which fit() then throws on. Finished steps are kept.
  std::function<bool(std::uint64_t done, std::uint64_t total)> progress = {};
};

namespace detail {

using MlpOptionsHandle = Handle<smlp_mlp_options, smlp_mlp_options_free>;

inline MlpOptionsHandle c_options(const MlpOptions& options) {
  MlpOptionsHandle handle(output<smlp_mlp_options*>(smlp_mlp_options_new, options.layers.data(),
                                                    options.layers.size()));
  smlp_mlp_options* c = handle.get();
  check(smlp_mlp_options_set_fraction_bits(c, options.fraction_bits));
  if (options.weight_bits) {
    check(smlp_mlp_options_set_weight_bits(c, *options.weight_bits));
  }
  if (options.activation_bits) {
    check(smlp_mlp_options_set_activation_bits(c, *options.activation_bits));
  }
  if (options.seed) {
    check(smlp_mlp_options_set_seed(c, *options.seed));
  }
  for (std::size_t layer = 0; layer < options.activations.size(); ++layer) {
    check(smlp_mlp_options_set_activation(c, layer, options.activations[layer]));
  }
  return handle;
}

using FitOptionsHandle = Handle<smlp_fit_options, smlp_fit_options_free>;

inline FitOptionsHandle c_options(const FitOptions& options) {
  FitOptionsHandle handle(output<smlp_fit_options*>(smlp_fit_options_new));
  smlp_fit_options* c = handle.get();
  check(smlp_fit_options_set_epochs(c, options.epochs));
  if (options.steps) {
    check(smlp_fit_options_set_steps(c, *options.steps));
  }
  check(smlp_fit_options_set_batch_size(c, options.batch_size));
  check(smlp_fit_options_set_learning_rate(c, options.learning_rate));
  check(smlp_fit_options_set_shuffle(c, options.shuffle, options.shuffle_seed));
  if (!options.checkpoint.empty()) {
    check(smlp_fit_options_set_checkpoint(c, options.checkpoint.c_str(),
                                          options.checkpoint_every));
  }
  return handle;
}

}  // namespace detail

}  // namespace smlp

#endif  // SMLP_OPTIONS_HPP
