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
use crate::protocol::shared::{Delivery, dimensions};
use crate::tensor::{EncryptedTensor, Meta, matmul_shape};

/// Values that are shared in one request.
const SHARED_AT_ONCE: usize = 1 << 20;

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

    /// Whether a tensor's values are shared under masks of the right width.
    fn is_shared(&self, tensor: &EncryptedTensor) -> bool {
        let mask_bits = FactorBits::new(tensor.bound(), self.p1().sigma()).mask;
        let (lines, per_line) = dimensions(tensor.shape());
        let shares = tensor.storage().shares();
        shares.get(lines, per_line, mask_bits).is_some()
    }

    /// Shares and packs what is not yet, in one round trip.
    fn ensure(&self, slot: u32, needs: &[Need<'_>]) -> Result<()> {
        let mut items = Vec::new();
        for need in needs {
            let is_shared = self.is_shared(need.tensor);
            let (lines, per_line) = dimensions(need.tensor.shape());
            let shared = need.tensor.storage().shares().of_lines(lines, per_line);
            let lacks = |wanted: bool, columns: bool| {
                let packs = shared.as_ref().and_then(|s| match columns {
                    false => s.rows.as_ref(),
                    true => s.columns.as_ref(),
                });
                wanted && packs.is_none_or(|p| (p.slots.bits() as u32) < slot)
            };
            let (rows, columns) = (lacks(need.rows, false), lacks(need.columns, true));
            if !is_shared || rows || columns {
                let delivery = Self::delivery(slot, rows, columns);
                items.push(Conversion::Tensor(need.tensor, Use::Deliver(delivery)));
            }
        }
        if !items.is_empty() {
            self.drive(|| self.p1().share(&items))?;
        }
        Ok(())
    }

    /// A tensor in one ciphertext a value; the tensor itself where it is so already.
    ///
    /// # Errors
    /// Those of sharing it with P2 and of the transport.
    pub fn unpack(&self, x: &EncryptedTensor) -> Result<EncryptedTensor> {
        if !x.is_packed() {
            return Ok(x.clone());
        }
        let x = x.compact()?;
        let item = Conversion::Tensor(&x, Use::Deliver(Delivery::singles()));
        let mut outcomes = self.drive(|| self.p1().share(&[item]))?;
        Ok(outcomes.remove(0).tensor())
    }

    fn products(&self, items: &[Item<'_>]) -> Result<Vec<Outcome>> {
        if items.iter().any(|i| matches!(i.result, Use::Offer(_))) {
            self.set_up()?;
        }
        self.drive_ahead(|ahead| self.p1().products(items, ahead))
    }

    fn set_up(&self) -> Result<()> {
        match self.p1().set_up()? {
            Some(call) => self.drive(|| Ok(call)),
            None => Ok(()),
        }
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
        let x = a.reshape(&[m as isize, p as isize])?.compact()?;
        let w = b.reshape(&[p as isize, q as isize])?.compact()?;
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
        self.ensure(slot, &[need(&x, false, true), need(&w, true, false)])?;
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

fn need(tensor: &EncryptedTensor, rows: bool, columns: bool) -> Need<'_> {
    Need {
        tensor,
        rows,
        columns,
    }
}

fn plain(tensor: &EncryptedTensor) -> Factor<'_> {
    Factor {
        tensor,
        transposed: false,
    }
}

fn transposed(tensor: &EncryptedTensor) -> Factor<'_> {
    Factor {
        tensor,
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
        run: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let _ = (exposure, before);
        run(self)
    }

    type Derivative = EncryptedDerivative;

    fn prepare(&self, rows: &EncryptedTensor) -> Result<EncryptedTensor> {
        let rows = self.refreshed(rows)?.compact()?;
        if self.is_shared(&rows) || rows.is_empty() || rows.ndim() == 0 {
            return Ok(rows);
        }
        let count = rows.shape()[0];
        let at_once = (SHARED_AT_ONCE / (rows.len() / count)).clamp(1, count);
        if at_once == count {
            self.ensure(0, &[need(&rows, false, false)])?;
            return Ok(rows);
        }
        let mut all: Option<crate::tensor::Shared> = None;
        for first in (0..count).step_by(at_once) {
            let chosen: Vec<usize> = (first..count.min(first + at_once)).collect();
            let part = rows.take(0, &chosen)?.compact()?;
            self.ensure(0, &[need(&part, false, false)])?;
            let (lines, per_line) = dimensions(part.shape());
            let shared = part.storage().shares().of_lines(lines, per_line);
            let shared = shared.expect("it was just shared");
            match &mut all {
                None => all = Some((*shared).clone()),
                Some(all) => all.share.lines.extend(shared.share.lines.iter().cloned()),
            }
        }
        rows.storage().shares().put(all.expect("there are rows"));
        Ok(rows)
    }

    fn forward(
        &self,
        layer: &Forward<'_, Self::Elements>,
    ) -> Result<(EncryptedTensor, Option<EncryptedDerivative>)> {
        let (slot, limit) = (self.slot(layer.format)?, self.limit());
        let input = self.refreshed(layer.input)?.compact()?;
        let weight = self.refreshed(layer.weight)?.compact()?;
        let bias = self.refreshed(layer.bias)?.compact()?;
        self.ensure(
            slot,
            &[
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
            kind: Kind::Product(plain(&input), plain(&weight)),
            divisor: layer.division.divisor,
            r_lo: self.draw(layer.division, batch * outputs),
            addend: Some(&bias),
            shape: vec![batch, outputs],
            meta,
            result: match layer.rectify {
                false => Use::Deliver(delivery),
                true => Use::Offer(None),
            },
        };
        match self.products(&[item])?.remove(0) {
            Outcome::Tensor(sums) => Ok((sums, None)),
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
        let target = self.refreshed(target)?.compact()?;
        self.ensure(
            slot,
            &[need(&target, false, false), need(output, false, false)],
        )?;
        let meta = target.meta().add(output.meta(), self.limit())?;
        let meta = bounded(meta, format.activation_bits);
        let delivery = Self::delivery(slot, true, true);
        let item = Item {
            kind: Kind::Difference(&target, output),
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
            Outcome::Tensor(error) => Ok(error),
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
        let input = self.refreshed(input)?.compact()?;
        let (weight, bias) = (&self.refreshed(weight)?.compact()?, &bias.compact()?);
        self.ensure(
            slot,
            &[
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
                kind: Kind::Product(transposed(&input), plain(delta)),
                divisor: layer.weights.divisor,
                r_lo: self.draw(layer.weights, inputs * outputs),
                addend: Some(weight),
                shape: vec![inputs, outputs],
                meta: bounded(weight.meta().add(gradient, limit)?, bits),
                result: Use::Deliver(Self::delivery(slot, true, layer.back.is_some())),
            },
            Item {
                kind: Kind::ColumnSums(delta),
                divisor: layer.biases.divisor,
                r_lo: self.draw(layer.biases, outputs),
                addend: Some(bias),
                shape: vec![outputs],
                meta: bounded(bias.meta().add(sums, limit)?, bits),
                result: Use::Deliver(Self::delivery(slot, true, false)),
            },
        ];
        if let Some(back) = &layer.back {
            items.push(self.back(back, delta, weight, layer.format, slot)?);
        }
        let mut results = self.products(&items)?;
        let delta = match &layer.back {
            None => None,
            Some(back) => Some(match results.remove(2) {
                Outcome::Tensor(delta) => delta,
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
        delta: &'a EncryptedTensor,
        weight: &'a EncryptedTensor,
        format: Format,
        slot: u32,
    ) -> Result<Item<'a>> {
        let limit = self.limit();
        let (batch, inputs) = (delta.shape()[0], weight.shape()[0]);
        let product = delta
            .meta()
            .matmul(weight.meta(), delta.shape()[1], limit)?;
        let meta = quotient(product, back.division, limit)?;
        Ok(Item {
            kind: Kind::Product(plain(delta), transposed(weight)),
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
