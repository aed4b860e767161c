//! What a network looks like, and how many bits its numbers take.

use crate::error::{Error, Result};
use crate::fixed::{DEFAULT_FRACTION_BITS, MAX_BOUND, bounds};
use crate::tensor::MAX_ELEMENTS;

/// The largest number of fraction bits of a network: learning-rate divisors stay below 2^64.
const MAX_NETWORK_FRACTION_BITS: u32 = 40;

/// Layers that a rounding key tells apart.
pub(super) const MAX_LAYERS: usize = 1 << 8;

/// What a layer does to its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// max(z, 0), derivative 1 where z ≥ 0.
    Relu,
    /// z itself.
    Linear,
}

/// Sizes, activations and number formats of a network.
///
/// Bits include the fraction bits: 24 bits with 16 fraction bits hold magnitudes below 256.
/// Fewer bits make the encrypted network faster. They are promises: the clear twin checks them on
/// every value, the encrypted network cannot, so tune them there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlpConfig {
    /// Inputs, hidden sizes, outputs: `[64, 32, 10]`.
    pub layers: Vec<usize>,
    /// One activation for each layer after the inputs.
    pub activations: Vec<Activation>,
    /// Fraction bits f of every number; 16 by default.
    pub fraction_bits: u32,
    /// Bound of weights and biases, in bits; f + 8 by default.
    pub weight_bits: u32,
    /// Bound of inputs, labels, activations and their errors, in bits; f + 8 by default.
    pub activation_bits: u32,
}

impl MlpConfig {
    /// A network of these sizes with default number formats.
    pub fn new(layers: &[usize], activations: &[Activation]) -> Self {
        Self {
            layers: layers.to_vec(),
            activations: activations.to_vec(),
            fraction_bits: 0,
            weight_bits: 0,
            activation_bits: 0,
        }
        .with_fraction_bits(DEFAULT_FRACTION_BITS)
    }

    /// A network with ReLU in all hidden layers and a linear output.
    pub fn relu(layers: &[usize]) -> Self {
        let mut activations = vec![Activation::Relu; layers.len().saturating_sub(1)];
        if let Some(last) = activations.last_mut() {
            *last = Activation::Linear;
        }
        Self::new(layers, &activations)
    }

    /// The same network with f fraction bits, and f + 8 bits for weights and for activations.
    pub fn with_fraction_bits(mut self, fraction_bits: u32) -> Self {
        self.fraction_bits = fraction_bits;
        self.weight_bits = fraction_bits.saturating_add(8);
        self.activation_bits = fraction_bits.saturating_add(8);
        self
    }

    /// The same network with other bounds, in bits.
    pub fn with_bits(mut self, weight_bits: u32, activation_bits: u32) -> Self {
        self.weight_bits = weight_bits;
        self.activation_bits = activation_bits;
        self
    }

    /// Checks the whole.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the numbers, [`Error::Bound`] when products of weights
    /// and activations would not fit the clear twin's 126 bits, [`Error::Limit`] for more weights
    /// than a tensor can have.
    pub fn validate(&self) -> Result<()> {
        let layers = self.layers.len();
        if !(2..=MAX_LAYERS + 1).contains(&layers) {
            return Err(Error::invalid(format!(
                "{layers} layer sizes; a network has 2 (inputs, outputs) to {}",
                MAX_LAYERS + 1
            )));
        }
        if let Some(layer) = self.layers.iter().position(|&size| size == 0) {
            return Err(Error::invalid(format!("layer {layer} has size 0")));
        }
        if self.activations.len() != layers - 1 {
            return Err(Error::invalid(format!(
                "{} activations for {layers} layer sizes; {} are needed, none for the inputs",
                self.activations.len(),
                layers - 1
            )));
        }
        if self.fraction_bits > MAX_NETWORK_FRACTION_BITS {
            return Err(Error::invalid(format!(
                "{} fraction bits; a network takes at most {MAX_NETWORK_FRACTION_BITS}",
                self.fraction_bits
            )));
        }
        if self.activation_bits <= self.fraction_bits {
            return Err(Error::invalid(format!(
                "{} activation bits with {} fraction bits; the value 1 alone takes {}",
                self.activation_bits,
                self.fraction_bits,
                self.fraction_bits + 1
            )));
        }
        if self.weight_bits == 0 {
            return Err(Error::invalid("0 weight bits; the smallest bound is 1"));
        }
        for sizes in self.layers.windows(2) {
            let weights = sizes[0].saturating_mul(sizes[1]);
            if weights > MAX_ELEMENTS {
                return Err(Error::Limit {
                    what: "weights of a layer",
                    value: weights as u64,
                    limit: MAX_ELEMENTS as u64,
                });
            }
        }
        let widest = self.layers.iter().copied().max().unwrap_or(1);
        let (weight, activation) = (self.weight_bits, self.activation_bits);
        let what = "product of activations and weights";
        bounds::inner_product(what, activation, weight, widest, MAX_BOUND)?;
        let what = "product of activations and errors";
        bounds::product(what, activation, activation, MAX_BOUND)?;
        Ok(())
    }

    /// Number of layers with weights.
    pub fn depth(&self) -> usize {
        self.activations.len()
    }
}
