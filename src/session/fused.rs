//! [`Layers`] on encrypted tensors: a layer in two or three round trips, on shared values.

use super::layers::{Back, Backward, Format, Forward, Layers, Updated};
use super::{Arithmetic, Division, Exposure, Session};
use crate::error::{Error, Result};
use crate::fixed::MAX_BOUND;
use crate::protocol::shared::convert::Item as Conversion;
use crate::protocol::shared::gate::{Bits, Gated, Offered};
use crate::protocol::shared::outcome::{Outcome, Use};
use crate::protocol::shared::product::{Factor, FactorBits, Widths};
use crate::protocol::shared::products::{Item, Kind};
use crate::protocol::shared::setup::Transfers;
use crate::protocol::shared::{Delivery, Operand};
use crate::tensor::{EncryptedTensor, Known, Meta, Packs, Shared, matmul_shape};
use std::sync::Arc;

/// Values that are shared in one request. Tests share few values in several requests.
const SHARED_AT_ONCE: usize = if cfg!(test) { 1 << 6 } else { 1 << 20 };

/// The sums of a layer that were not negative, as bits that P1 and P2 share.
#[derive(Clone)]
pub struct EncryptedDerivative(Bits);

impl std::fmt::Debug for EncryptedDerivative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EncryptedDerivative")
    }
}

/// What an operation needs of a tensor besides its values being shared.
#[derive(Clone, Copy)]
struct Need<'a> {
    tensor: &'a EncryptedTensor,
    rows: bool,
    columns: bool,
}

impl Session {
    /// Packs of slots of `slot` bits, where they are wanted.
    fn delivery(slot: u32, rows: bool, columns: bool) -> Delivery {
        let bits = |wanted: bool| if wanted { slot } else { 0 };
        Delivery {
            rows: bits(rows),
            columns: bits(columns),
            ..Delivery::default()
        }
    }

    /// Bits of a slot that holds every product of a network.
    fn slot(&self, format: Format) -> Result<u32> {
        let Format {
            weight_bits,
            activation_bits,
            inner,
            divisor_bits,
        } = format;
        let sigma = self.p1().sigma();
        let factor = |bound: u32| FactorBits::new(bound, sigma);
        let widest = weight_bits.max(activation_bits);
        let of = |other: u32| {
            let (x, w) = (factor(activation_bits), factor(other));
            Widths::new(x, w, inner, sigma, divisor_bits, widest).slot()
        };
        let (needed, limit) = (of(widest), self.p1().key().bits() - 2);
        match needed > limit {
            true => Err(Error::Bound {
                what: "a masked product of activations and weights",
                needed,
                limit,
            }),
            false => Ok(needed),
        }
    }

    /// Shares and packs what is not yet, in one round trip. What comes back is what the operation works with,
    /// whatever other threads do with the same tensors.
    fn ensure<const N: usize>(&self, slot: u32, needs: [Need<'_>; N]) -> Result<[Operand; N]> {
        let known = needs.map(|need| self.p1().known(need.tensor));
        let lacking = |wanted: bool, packs: &Option<Arc<Packs>>| {
            wanted
                && packs
                    .as_ref()
                    .is_none_or(|p| (p.slots.bits() as u32) < slot)
        };
        let mut items = Vec::new();
        let mut asked = [false; N];
        for ((need, known), asked) in needs.iter().zip(&known).zip(&mut asked) {
            let rows = lacking(need.rows, &known.rows);
            let columns = lacking(need.columns, &known.columns);
            *asked = known.share.is_none() || rows || columns;
            if *asked {
                let result = Use::Deliver(Self::delivery(slot, rows, columns));
                items.push(Conversion::Tensor(need.tensor, known.share.clone(), result));
            }
        }
        let made = match items.is_empty() {
            true => vec![],
            false => self.drive(|| self.p1().share(&items))?,
        };
        let mut made = made.into_iter();
        let mut places = needs.iter().zip(known).zip(asked);
        Ok(std::array::from_fn(|_| {
            let ((need, known), asked) = places.next().expect("as many as needs");
            match asked {
                false => found(need.tensor, known),
                true => {
                    let made = made.next().expect("one for each item").operand();
                    let Shared {
                        share,
                        rows,
                        columns,
                    } = (*made.shared).clone();
                    let shared = Shared {
                        share,
                        rows: rows.or(known.rows),
                        columns: columns.or(known.columns),
                    };
                    Operand {
                        tensor: made.tensor,
                        shared: Arc::new(shared),
                    }
                }
            }
        }))
    }

    /// A tensor in one ciphertext a value; the tensor itself where it is so already.
    ///
    /// # Errors
    /// Those of sharing it with P2 and of the transport.
    pub fn unpack(&self, x: &EncryptedTensor) -> Result<EncryptedTensor> {
        let x = x.taken_by(self.p1().key())?;
        if !x.is_packed() {
            return Ok(x);
        }
        let x = x.compact()?;
        let known = self.p1().known(&x).share;
        let item = Conversion::Tensor(&x, known, Use::Deliver(Delivery::singles()));
        let mut outcomes = self.drive(|| self.p1().share(&[item]))?;
        Ok(outcomes.remove(0).tensor())
    }

    /// An operand of this session's key, or made with its modulus alone, element after element.
    fn own(&self, x: &EncryptedTensor) -> Result<EncryptedTensor> {
        x.taken_by(self.p1().key())?.compact()
    }

    fn products(&self, items: &[Item<'_>]) -> Result<Vec<Outcome>> {
        let transfers = match items.iter().any(|i| matches!(i.result, Use::Offer(_))) {
            true => Some(self.transfers()?),
            false => None,
        };
        self.drive_ahead(|ahead| self.p1().products(items, transfers.as_ref(), ahead))
    }

    /// P1's set-up of oblivious transfers, made now where there is none yet.
    pub(super) fn transfers(&self) -> Result<Arc<Transfers>> {
        self.p1().transfers(|call| self.drive(|| Ok(call)))
    }

    fn draw(&self, division: Division<'_>, count: usize) -> zeroize::Zeroizing<Vec<u64>> {
        let (key, place) = division.rounding.expect("a part of a call");
        key.draw(place, division.divisor, count)
    }

    fn gate(&self, offered: Offered, delivery: Delivery) -> Result<Gated> {
        self.drive(|| self.p1().gate(offered, delivery))
    }

    /// The largest bound of a plaintext.
    fn limit(&self) -> u32 {
        MAX_BOUND.min(self.p1().key().bits() - 2)
    }

    /// `(x @ w + r_lo) // d`, of single ciphertexts.
    pub(super) fn fused_matmul_divide(
        &self,
        a: &EncryptedTensor,
        b: &EncryptedTensor,
        division: Division<'_>,
    ) -> Result<EncryptedTensor> {
        let shape = matmul_shape(a.shape(), b.shape())?;
        let (m, p, q) = (shape.m, shape.p, shape.q);
        if m * p * q == 0 {
            return self.divide(&self.matmul(a, b)?, division);
        }
        let x = self.own(&a.reshape(&[m as isize, p as isize])?)?;
        let w = self.own(&b.reshape(&[p as isize, q as isize])?)?;
        let meta = quotient(
            a.meta().matmul(b.meta(), p, self.limit())?,
            division,
            self.limit(),
        )?;
        let sigma = self.p1().sigma();
        let factor = |bound: u32| FactorBits::new(bound, sigma);
        let divisor_bits = u64::BITS - division.divisor.leading_zeros();
        let (left, right) = (factor(x.bound()), factor(w.bound()));
        let slot = Widths::new(left, right, p, sigma, divisor_bits, meta.bound).slot();
        let [x, w] = self.ensure(slot, [need(&x, false, true), need(&w, true, false)])?;
        let item = Item {
            kind: Kind::Product(plain(&x), plain(&w)),
            divisor: division.divisor,
            r_lo: self.draw(division, m * q),
            addend: None,
            shape: vec![m, q],
            meta,
            result: Use::Deliver(Delivery::singles()),
        };
        let result = self.products(&[item])?.remove(0).tensor();
        let output: Vec<isize> = shape.output.iter().map(|&n| n as isize).collect();
        result.reshape(&output)
    }
}

/// The rows of a training: its shares stay with it, however many others share the same data.
fn apart(rows: &EncryptedTensor) -> Result<EncryptedTensor> {
    let storage = Arc::new(rows.storage().apart());
    EncryptedTensor::from_parts(storage, rows.shape(), rows.meta())
}

fn need(tensor: &EncryptedTensor, rows: bool, columns: bool) -> Need<'_> {
    Need {
        tensor,
        rows,
        columns,
    }
}

/// An operand of which everything was known already.
fn found(tensor: &EncryptedTensor, known: Known) -> Operand {
    let shared = Shared {
        share: known.share.expect("nothing was lacking"),
        rows: known.rows,
        columns: known.columns,
    };
    Operand {
        tensor: tensor.clone(),
        shared: Arc::new(shared),
    }
}

fn plain(operand: &Operand) -> Factor<'_> {
    Factor {
        operand,
        transposed: false,
    }
}

fn transposed(operand: &Operand) -> Factor<'_> {
    Factor {
        operand,
        transposed: true,
    }
}

fn quotient(meta: Meta, division: Division<'_>, limit: u32) -> Result<Meta> {
    meta.divide(division.divisor, division.scale_drop, limit)
}

fn bounded(meta: Meta, bits: u32) -> Meta {
    Meta {
        bound: meta.bound.min(bits),
        ..meta
    }
}

impl Layers for Session {
    fn train<T>(
        &self,
        exposure: &Exposure,
        before: u64,
        shown: &[EncryptedTensor],
        run: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        self.check_recorder()?;
        let session = self.for_training(exposure, before)?;
        (shown.iter()).try_for_each(|tensor| session.p1().check_room(tensor))?;
        run(&session)
    }

    type Derivative = EncryptedDerivative;

    fn prepare(&self, rows: &EncryptedTensor) -> Result<EncryptedTensor> {
        let rows = self.own(rows)?;
        if rows.is_empty() || rows.ndim() == 0 || self.p1().known(&rows).share.is_some() {
            return apart(&rows);
        }
        let count = rows.shape()[0];
        let at_once = (SHARED_AT_ONCE / (rows.len() / count)).clamp(1, count);
        if at_once == count {
            self.ensure(0, [need(&rows, false, false)])?;
            return apart(&rows);
        }
        let mut all: Option<Shared> = None;
        for first in (0..count).step_by(at_once) {
            let chosen: Vec<usize> = (first..count.min(first + at_once)).collect();
            let part = rows.take(0, &chosen)?.compact()?;
            let [Operand { shared, .. }] = self.ensure(0, [need(&part, false, false)])?;
            match &mut all {
                // Packs of a part, where there are any, are none of the whole.
                None => {
                    all = Some(Shared {
                        share: shared.share.clone(),
                        rows: None,
                        columns: None,
                    });
                }
                Some(all) => all.share.lines.extend(shared.share.lines.iter().cloned()),
            }
        }
        rows.storage().shares().put(all.expect("there are rows"));
        apart(&rows)
    }

    fn adopt(&self, rows: &EncryptedTensor) -> Result<EncryptedTensor> {
        self.own(rows)
    }

    fn forward(
        &self,
        layer: &Forward<'_, Self::Elements>,
    ) -> Result<(EncryptedTensor, Option<EncryptedDerivative>)> {
        let (slot, limit) = (self.slot(layer.format)?, self.limit());
        let input = self.own(layer.input)?;
        let weight = self.own(layer.weight)?;
        let bias = self.own(layer.bias)?;
        let [shared_input, shared_weight, shared_bias] = self.ensure(
            slot,
            [
                need(&input, layer.training, true),
                need(&weight, true, layer.training),
                need(&bias, false, false),
            ],
        )?;
        let &[batch, inputs] = input.shape() else {
            unreachable!("the network checked the batch")
        };
        let outputs = bias.len();
        let product = input.meta().matmul(weight.meta(), inputs, limit)?;
        let meta = quotient(product, layer.division, limit)?.add(bias.meta(), limit)?;
        let meta = bounded(meta, layer.format.activation_bits);
        let delivery = Self::delivery(slot, true, layer.hidden);
        let item = Item {
            kind: Kind::Product(plain(&shared_input), plain(&shared_weight)),
            divisor: layer.division.divisor,
            r_lo: self.draw(layer.division, batch * outputs),
            addend: Some(&shared_bias),
            shape: vec![batch, outputs],
            meta,
            result: match layer.rectify {
                false => Use::Deliver(delivery),
                true => Use::Offer(None),
            },
        };
        match self.products(&[item])?.remove(0) {
            Outcome::Tensor(sums) => Ok((sums.tensor, None)),
            Outcome::Offered(offered) => {
                let gated = self.gate(offered, delivery)?;
                Ok((gated.tensor, gated.bits.map(EncryptedDerivative)))
            }
        }
    }

    fn residual(
        &self,
        target: &EncryptedTensor,
        output: &EncryptedTensor,
        derivative: Option<&EncryptedDerivative>,
        format: Format,
    ) -> Result<EncryptedTensor> {
        let slot = self.slot(format)?;
        let target = self.own(target)?;
        let [shared_target, shared_output] = self.ensure(
            slot,
            [need(&target, false, false), need(output, false, false)],
        )?;
        let meta = target.meta().add(output.meta(), self.limit())?;
        let meta = bounded(meta, format.activation_bits);
        let delivery = Self::delivery(slot, true, true);
        let item = Item {
            kind: Kind::Difference(&shared_target, &shared_output),
            divisor: 1,
            r_lo: zeroize::Zeroizing::new(vec![0; target.len()]),
            addend: None,
            shape: target.shape().to_vec(),
            meta,
            result: match derivative {
                None => Use::Deliver(delivery),
                Some(derivative) => Use::Offer(Some(&derivative.0)),
            },
        };
        match self.products(&[item])?.remove(0) {
            Outcome::Tensor(error) => Ok(error.tensor),
            Outcome::Offered(offered) => Ok(self.gate(offered, delivery)?.tensor),
        }
    }

    fn backward(
        &self,
        layer: &Backward<'_, Self::Elements, EncryptedDerivative>,
    ) -> Result<Updated<Self::Elements>> {
        let (slot, limit) = (self.slot(layer.format)?, self.limit());
        let Backward {
            input,
            delta,
            weight,
            bias,
            ..
        } = *layer;
        let input = self.own(input)?;
        let (weight, bias) = (&self.own(weight)?, &self.own(bias)?);
        let [shared_input, shared_delta, shared_weight, shared_bias] = self.ensure(
            slot,
            [
                need(&input, true, false),
                need(delta, true, layer.back.is_some()),
                need(weight, false, layer.back.is_some()),
                need(bias, false, false),
            ],
        )?;
        let (batch, inputs, outputs) = (input.shape()[0], input.shape()[1], bias.len());
        let bits = layer.format.weight_bits;

        let gradient = input.meta().matmul(delta.meta(), batch, limit)?;
        let gradient = quotient(gradient, layer.weights, limit)?;
        let sums = quotient(delta.meta().sum(batch, limit)?, layer.biases, limit)?;
        let mut items = vec![
            Item {
                kind: Kind::Product(transposed(&shared_input), plain(&shared_delta)),
                divisor: layer.weights.divisor,
                r_lo: self.draw(layer.weights, inputs * outputs),
                addend: Some(&shared_weight),
                shape: vec![inputs, outputs],
                meta: bounded(weight.meta().add(gradient, limit)?, bits),
                result: Use::Deliver(Self::delivery(slot, true, layer.back.is_some())),
            },
            Item {
                kind: Kind::ColumnSums(&shared_delta),
                divisor: layer.biases.divisor,
                r_lo: self.draw(layer.biases, outputs),
                addend: Some(&shared_bias),
                shape: vec![outputs],
                meta: bounded(bias.meta().add(sums, limit)?, bits),
                result: Use::Deliver(Self::delivery(slot, true, false)),
            },
        ];
        if let Some(back) = &layer.back {
            items.push(self.back(back, &shared_delta, &shared_weight, layer.format, slot)?);
        }
        let mut results = self.products(&items)?;
        let delta = match &layer.back {
            None => None,
            Some(back) => Some(match results.remove(2) {
                Outcome::Tensor(delta) => delta.tensor,
                Outcome::Offered(offered) => {
                    self.gate(offered, Self::delivery(slot, true, back.hidden))?
                        .tensor
                }
            }),
        };
        let bias = results.remove(1).tensor();
        Ok(Updated {
            weight: results.remove(0).tensor(),
            bias,
            delta,
        })
    }
}

impl Session {
    /// The error that a layer passes on.
    fn back<'a>(
        &self,
        back: &'a Back<'_, EncryptedDerivative>,
        shared_delta: &'a Operand,
        shared_weight: &'a Operand,
        format: Format,
        slot: u32,
    ) -> Result<Item<'a>> {
        let limit = self.limit();
        let (delta, weight) = (&shared_delta.tensor, &shared_weight.tensor);
        let (batch, inputs) = (delta.shape()[0], weight.shape()[0]);
        let product = delta
            .meta()
            .matmul(weight.meta(), delta.shape()[1], limit)?;
        let meta = quotient(product, back.division, limit)?;
        Ok(Item {
            kind: Kind::Product(plain(shared_delta), transposed(shared_weight)),
            divisor: back.division.divisor,
            r_lo: self.draw(back.division, batch * inputs),
            addend: None,
            shape: vec![batch, inputs],
            meta: bounded(meta, format.activation_bits),
            result: match back.derivative {
                None => Use::Deliver(Self::delivery(slot, true, back.hidden)),
                Some(derivative) => Use::Offer(Some(&derivative.0)),
            },
        })
    }
}

#[cfg(test)]
mod tests;
