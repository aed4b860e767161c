//! The network itself: parameters, rounding stream, counters; drawing it and running it forward.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use zeroize::Zeroizing;

use super::operations::{Role, Series};
use super::{Activation, MlpConfig};
use crate::error::{Error, Result};
use crate::fixed::RoundingStream;
use crate::session::{Division, Format, Forward, Layers};
use crate::tensor::{IntegerTensor, Integers, Meta, Storage, Tensor};

/// Keystream of the seed that the rounding seed comes from; weights use streams 0, 1, ...
const ROUNDING_STREAM: u64 = u64::MAX;

/// The parameters of one layer.
#[derive(Debug, Clone)]
pub struct Layer<S: Storage> {
    /// Inputs × outputs, scale f.
    pub weight: Tensor<S>,
    /// Outputs, scale f.
    pub bias: Tensor<S>,
    /// What follows the sums.
    pub activation: Activation,
}

/// How far a network has come. With the parameters and the rounding seed, its whole state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Training steps that were completed: the position in the training data.
    pub steps: u64,
    /// Training steps that were begun: the position in the rounding stream. The same number,
    /// unless a step failed.
    pub attempts: u64,
    /// Predictions that were begun.
    pub predictions: u64,
}

/// A multilayer perceptron on encrypted or clear elements.
///
/// It cannot be cloned: two copies trained on different data would draw the same roundings for
/// different values, which P2 could subtract. For the same reason a checkpoint is to be resumed
/// once, or with a new stream ([`Mlp::set_rounding`]).
pub struct Mlp<S: Storage> {
    pub(super) config: MlpConfig,
    pub(super) layers: Vec<Layer<S>>,
    pub(super) rounding: RoundingStream,
    pub(super) steps: u64,
    pub(super) attempts: u64,
    pub(super) predictions: AtomicU64,
}

/// What the backward pass needs of a forward pass.
pub(super) struct Trace<S: Storage, D> {
    /// The input of every layer.
    pub(super) inputs: Vec<Tensor<S>>,
    /// The derivative of every layer's activation, where it is not 1.
    pub(super) derivatives: Vec<Option<D>>,
    /// The output of the last layer.
    pub(super) output: Tensor<S>,
}

impl<S: Storage> Mlp<S> {
    /// A network from its parts: weight and bias of each layer, inputs first.
    ///
    /// # Errors
    /// Those of [`MlpConfig::validate`]; [`Error::Shape`], [`Error::InvalidArgument`] when a
    /// parameter has another shape, scale or bound than the configuration says.
    pub fn from_parts(
        config: MlpConfig,
        parameters: Vec<(Tensor<S>, Tensor<S>)>,
        rounding: RoundingStream,
        counters: Counters,
    ) -> Result<Self> {
        config.validate()?;
        if parameters.len() != config.depth() {
            return Err(Error::shape(format!(
                "parameters of {} layers for a network of {}",
                parameters.len(),
                config.depth()
            )));
        }
        let mut layers = Vec::with_capacity(parameters.len());
        for (l, (weight, bias)) in parameters.into_iter().enumerate() {
            let (inputs, outputs) = (config.layers[l], config.layers[l + 1]);
            check_parameter(&config, l, "weight", &weight, &[inputs, outputs])?;
            check_parameter(&config, l, "bias", &bias, &[outputs])?;
            let activation = config.activations[l];
            layers.push(Layer {
                weight,
                bias,
                activation,
            });
        }
        Ok(Self {
            config,
            layers,
            rounding,
            steps: counters.steps,
            attempts: counters.attempts,
            predictions: AtomicU64::new(counters.predictions),
        })
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &MlpConfig {
        &self.config
    }

    /// The layers, inputs first.
    pub fn layers(&self) -> &[Layer<S>] {
        &self.layers
    }

    /// The secret source of its roundings: P1's, and in no clear model that leaves P1.
    pub fn rounding(&self) -> &RoundingStream {
        &self.rounding
    }

    /// Goes on with another stream.
    pub fn set_rounding(&mut self, rounding: RoundingStream) {
        self.rounding = rounding;
    }

    /// Training steps completed so far.
    pub fn step(&self) -> u64 {
        self.steps
    }

    /// All counters, as a checkpoint stores them.
    pub fn counters(&self) -> Counters {
        Counters {
            steps: self.steps,
            attempts: self.attempts,
            predictions: self.predictions.load(Ordering::Relaxed),
        }
    }

    /// The network with every parameter replaced by what `map` makes of it: encryption,
    /// decryption. Stream and counters stay, so that both networks train alike.
    ///
    /// # Errors
    /// Those of `map`, and of [`Mlp::from_parts`] for what it returns.
    pub fn map_tensors<T: Storage>(
        &self,
        mut map: impl FnMut(&Tensor<S>) -> Result<Tensor<T>>,
    ) -> Result<Mlp<T>> {
        let parameters = self
            .layers
            .iter()
            .map(|layer| Ok((map(&layer.weight)?, map(&layer.bias)?)))
            .collect::<Result<Vec<_>>>()?;
        Mlp::from_parts(
            self.config.clone(),
            parameters,
            self.rounding.clone(),
            self.counters(),
        )
    }

    /// The outputs (batch × outputs, scale f) for inputs (batch × inputs, scale f). May run on
    /// several threads at once; every call rounds with numbers of its own.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Scale`], [`Error::OutOfRange`] for inputs that do not fit the
    /// network or its bounds; those of the arithmetic.
    pub fn predict<A>(&self, arith: &A, x: &Tensor<S>) -> Result<Tensor<S>>
    where
        A: Layers<Elements = S> + ?Sized,
    {
        let x = self.checked_batch("inputs", x, self.config.layers[0])?;
        let series = Series::prediction(self.predictions.fetch_add(1, Ordering::Relaxed))?;
        let format = self.format(&x, 1 << self.config.fraction_bits);
        Ok(self.forward(arith, &x, series, format, false)?.output)
    }

    pub(super) fn forward<A>(
        &self,
        arith: &A,
        x: &Tensor<S>,
        series: Series,
        format: Format,
        training: bool,
    ) -> Result<Trace<S, A::Derivative>>
    where
        A: Layers<Elements = S> + ?Sized,
    {
        let mut trace = Trace {
            inputs: Vec::with_capacity(self.layers.len()),
            derivatives: Vec::with_capacity(self.layers.len()),
            output: x.clone(),
        };
        for (l, layer) in self.layers.iter().enumerate() {
            let (output, derivative) = arith.forward(&Forward {
                input: &trace.output,
                weight: &layer.weight,
                bias: &layer.bias,
                division: self.rescaling(series.number(l, Role::Forward)),
                rectify: layer.activation == Activation::Relu,
                hidden: l + 1 < self.layers.len(),
                training,
                format,
            })?;
            trace
                .inputs
                .push(std::mem::replace(&mut trace.output, output));
            trace.derivatives.push(derivative);
        }
        Ok(trace)
    }

    /// Takes a product of two numbers of scale f back to scale f.
    pub(super) fn rescaling(&self, operation: u64) -> Division<'_> {
        Division {
            divisor: 1 << self.config.fraction_bits,
            scale_drop: self.config.fraction_bits,
            rounding: Some((&self.rounding, operation)),
        }
    }

    /// The number formats for a batch and the largest divisor.
    pub(super) fn format(&self, batch: &Tensor<S>, largest_divisor: u64) -> Format {
        let sizes = self.config.layers.iter().chain(&batch.shape()[..1]);
        Format {
            weight_bits: self.config.weight_bits,
            activation_bits: self.config.activation_bits,
            inner: sizes.copied().max().unwrap_or(1),
            divisor_bits: u64::BITS - largest_divisor.leading_zeros(),
        }
    }

    /// Rows that fit the network, their bound at most the declared one.
    pub(super) fn checked_batch(
        &self,
        what: &str,
        rows: &Tensor<S>,
        width: usize,
    ) -> Result<Tensor<S>> {
        if rows.ndim() != 2 || rows.shape()[1] != width {
            return Err(Error::shape(format!(
                "{what} of shape {:?}; the network takes (batch, {width})",
                rows.shape()
            )));
        }
        if rows.is_empty() {
            return Err(Error::shape(format!(
                "{what} of shape {:?}: no rows",
                rows.shape()
            )));
        }
        if rows.scale() != self.config.fraction_bits {
            // Encoding again, or dividing by a power of two, is the caller's choice to make.
            return Err(Error::Scale {
                left: rows.scale(),
                right: self.config.fraction_bits,
            });
        }
        rows.at_most(self.config.activation_bits)
    }
}

impl Mlp<Integers> {
    /// Draws a network: weights normal with standard deviation √(2 / inputs of the layer),
    /// rounded to 2^−f; biases 0. The same seed gives the same network and rounding stream; without
    /// one, both come from the operating system. A seed that P1 knows reveals the initial model.
    ///
    /// # Errors
    /// Those of [`MlpConfig::validate`]; [`Error::InvalidArgument`] when a weight does not fit
    /// `weight_bits`.
    pub fn draw(config: MlpConfig, seed: Option<[u8; 32]>) -> Result<Self> {
        config.validate()?;
        let seed = match seed {
            Some(seed) => Zeroizing::new(seed),
            None => Zeroizing::new(*RoundingStream::new_from_os()?.seed()),
        };
        let mut generator = ChaCha20Rng::from_seed(*seed);
        let parameters = (0..config.depth())
            .map(|l| {
                generator.set_stream(l as u64);
                draw_layer(&config, l, &mut generator)
            })
            .collect::<Result<Vec<_>>>()?;
        let mut rounding = Zeroizing::new([0u8; 32]);
        generator.set_stream(ROUNDING_STREAM);
        generator.fill_bytes(rounding.as_mut_slice());
        let rounding = RoundingStream::from_seed(*rounding);
        Self::from_parts(config, parameters, rounding, Counters::default())
    }
}

impl<S: Storage> fmt::Debug for Mlp<S> {
    /// Everything public: no parameter, no seed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mlp")
            .field("config", &self.config)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

/// A seed from a small number: for experiments that are to be repeated. It is as guessable as
/// the number.
pub fn seed_from_number(number: u64) -> [u8; 32] {
    let mut seed = [0u8; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}

fn check_parameter<S: Storage>(
    config: &MlpConfig,
    layer: usize,
    name: &str,
    tensor: &Tensor<S>,
    shape: &[usize],
) -> Result<()> {
    if tensor.shape() != shape {
        return Err(Error::shape(format!(
            "{name} of layer {layer} has shape {:?}, the network needs {shape:?}",
            tensor.shape()
        )));
    }
    let Meta { scale, bound } = tensor.meta();
    if scale != config.fraction_bits || bound > config.weight_bits {
        return Err(Error::invalid(format!(
            "{name} of layer {layer} has {scale} fraction bits and a bound of {bound} bits; the network needs {} and at most {}",
            config.fraction_bits, config.weight_bits
        )));
    }
    Ok(())
}

fn draw_layer(
    config: &MlpConfig,
    layer: usize,
    generator: &mut ChaCha20Rng,
) -> Result<(IntegerTensor, IntegerTensor)> {
    let shape = [config.layers[layer], config.layers[layer + 1]];
    let (fraction_bits, bound) = (config.fraction_bits, Some(config.weight_bits));
    let deviation = (2.0 / shape[0] as f64).sqrt();
    let draws: Zeroizing<Vec<f64>> = Zeroizing::new(
        (0..shape[0] * shape[1])
            .map(|_| {
                let normal: f64 = StandardNormal.sample(generator);
                normal * deviation
            })
            .collect(),
    );
    let weight = IntegerTensor::from_f64(&shape, &draws, fraction_bits, bound).map_err(|error| match error {
        Error::OutOfRange { index, value, .. } => Error::invalid(format!(
            "the initial weight {value} drawn for layer {layer} at {index:?} does not fit {} weight bits with \
             {fraction_bits} fraction bits; raise weight_bits or draw with another seed",
            config.weight_bits
        )),
        other => other,
    })?;
    let bias = IntegerTensor::from_f64(&[shape[1]], &vec![0.0; shape[1]], fraction_bits, bound)?;
    Ok((weight, bias))
}
