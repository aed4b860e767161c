//! How much a training shows P2, counted before it begins: from this follow the widths of its masks.

use super::MlpConfig;
use crate::session::Exposure;

impl MlpConfig {
    /// What `steps` training steps on batches of at most `batch` out of `rows` rows show, and one more step that fails.
    pub(super) fn exposure(&self, rows: usize, batch: usize, steps: u64) -> Exposure {
        let sizes: Vec<u64> = self.layers.iter().map(|&size| size as u64).collect();
        let (rows, batch) = (rows as u64, batch.min(rows) as u64);
        let ends = [sizes[0], sizes[self.depth()]];
        let mut exposure = Exposure {
            times: steps.saturating_add(1),
            // The data and the parameters are shared once.
            once: rows.saturating_mul(ends[0].saturating_add(ends[1])),
            ..Exposure::default()
        };
        for (l, pair) in sizes.windows(2).enumerate() {
            let (inputs, outputs) = (pair[0], pair[1]);
            let weights = inputs.saturating_mul(outputs);
            exposure.once = exposure
                .once
                .saturating_add(weights)
                .saturating_add(outputs);
            // Forward, with a comparison; the increments of weights and of biases.
            exposure
                .products
                .extend([(batch, outputs), (inputs, outputs)]);
            let sums = batch.saturating_mul(outputs);
            exposure.values = exposure.values.saturating_add(sums).saturating_add(outputs);
            if l > 0 {
                // The error that goes back, through the derivative.
                exposure.products.push((batch, inputs));
                exposure.values = exposure.values.saturating_add(batch.saturating_mul(inputs));
            }
        }
        // The error at the end, and its way through a derivative.
        let errors = batch.saturating_mul(ends[1]).saturating_mul(2);
        exposure.values = exposure.values.saturating_add(errors);
        exposure
    }
}
