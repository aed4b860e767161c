//! The ring that computes large batches on the device and everything else on the CPU.

use super::handles::{Arguments, DeviceBlock, DeviceRing, Plugin, Refusal};
use super::numbers::{Held, Numbers, Powers};
use super::table;
use crate::modular::program::{self, EMPTY, Program, Reading, Rows, Tables};
use crate::modular::{Block, Modulus, Residues, Ring, add_shifted, integer_from_limbs, limbs_of};
use crate::parallel;
use rug::Integer;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// Arithmetic modulo `root`, or its square. Where the device does not serve it, the CPU's ring
/// itself.
pub fn on_device(
    plugin: &Plugin,
    root: Modulus,
    square: bool,
    cpu: Arc<dyn Ring>,
) -> Arc<dyn Ring> {
    let bits = root.bits();
    let alive = plugin.alive().then_some(plugin);
    let made = alive
        .and_then(|plugin| plugin.height(bits))
        .and_then(|height| {
            let form = if square { table::NADIC } else { table::PLAIN };
            plugin
                .ring(form, bits, &constants(&root, square, height))
                .ok()
        });
    match made {
        None => cpu,
        Some(device) => Arc::new(AcceleratedRing {
            // A GPU takes about as long for one number as for as many as fill it, and a CPU's core
            // makes a product in a twentieth of that time: below, the cores are faster.
            // (An estimate: this has not been measured on a GPU yet.)
            smallest: (plugin.multiprocessors() * parallel::threads() / 8).max(1),
            // Sixteen warps a multiprocessor, four numbers a warp.
            full: 64 * plugin.multiprocessors(),
            plugin: *plugin,
            width: cpu.modulus().width(),
            cpu,
            device,
            operations: AtomicU64::new(0),
        }),
    }
}

/// What the device must know of a modulus: see [`table::Table`].
fn constants(root: &Modulus, square: bool, height: usize) -> Zeroizing<Vec<u32>> {
    let root = integer_from_limbs(root.limbs());
    let r = Integer::from(1) << (32 * height as u32);
    let modulus = match square {
        true => Integer::from(root.square_ref()),
        false => root.clone(),
    };
    // Large enough at once: a buffer that grows leaves copies of secret moduli behind.
    let digits = if square { 2 } else { 1 };
    let mut words = Zeroizing::new(Vec::with_capacity((2 + 3 * digits) * height + 1));
    let mut push = |x: &Integer| push_words(&mut words, &limbs_of(x, height / 2), height);
    push(&root);
    push(&match square {
        true => (Integer::from(&r / &root) + 1u32) * &root - &r + 1u32,
        false => Integer::new(),
    });
    for exponent in 1..=3 {
        let power = (Integer::from(1) << (32 * height as u32 * exponent)) % &modulus;
        let (high, low) = power.div_rem(root.clone());
        match square {
            true => {
                push(&low);
                push(&high);
            }
            false => push(&low),
        }
    }
    let word = Integer::from(1) << 32u32;
    let inverse = root.invert(&word).expect("moduli are odd");
    words.push((word - inverse).to_u32().expect("below 2^32"));
    words
}

/// Appends `count` 32-bit words.
fn push_words(out: &mut Vec<u32>, limbs: &[u64], count: usize) {
    let halves = limbs.iter().flat_map(|&l| [l as u32, (l >> 32) as u32]);
    out.extend(halves.chain(std::iter::repeat(0)).take(count));
}

struct AcceleratedRing {
    plugin: Plugin,
    cpu: Arc<dyn Ring>,
    device: DeviceRing,
    /// 64-bit limbs a number.
    width: usize,
    /// Batches below are for the CPU.
    smallest: usize,
    /// About as many numbers as the device computes at once.
    full: usize,
    operations: AtomicU64,
}

impl AcceleratedRing {
    /// Asks the device, if the batch is worth it; None: the CPU has to.
    fn try_device<T>(
        &self,
        count: usize,
        operations: usize,
        body: impl FnOnce(&DeviceRing) -> Result<T, Refusal>,
    ) -> Option<T> {
        if count < self.smallest || !self.plugin.alive() {
            return None;
        }
        let done = body(&self.device).ok();
        if done.is_some() {
            let operations = operations as u64;
            self.operations.fetch_add(operations, Ordering::Relaxed);
        }
        done
    }

    fn fetched(&self, block: DeviceBlock, count: usize) -> Result<Numbers, Refusal> {
        Numbers::from_device(&self.device, block, count, self.width)
    }

    fn block(&self, numbers: Numbers) -> Block {
        Block::new(Held::Numbers(Arc::new(numbers)))
    }

    fn of_cpu(&self, numbers: Residues) -> Block {
        self.block(Numbers::from_cpu(numbers))
    }

    fn host(&self, canonical: Vec<u64>) -> Numbers {
        let count = canonical.len() / self.width;
        Numbers::from_canonical(Zeroizing::new(canonical), count)
    }
}

/// The numbers of a block; tables are only read by programs.
fn numbers(block: &Block) -> &Arc<Numbers> {
    match block.get::<Held>() {
        Held::Numbers(numbers) => numbers,
        Held::Powers(_) => unreachable!("a table is no batch"),
    }
}

impl Ring for AcceleratedRing {
    fn modulus(&self) -> &Modulus {
        self.cpu.modulus()
    }

    fn grain(&self) -> usize {
        self.cpu.grain()
    }

    fn lanes(&self) -> usize {
        self.cpu.lanes()
    }

    // Estimated from the bytes that pass the first cache, 128 a clock and multiprocessor, against
    // the multiplications of a product: not measured yet.
    fn look_up_cost(&self, rows: usize, shared: bool) -> usize {
        if shared { rows * 3 / 5 } else { rows * 3 / 2 }
    }

    fn comb_window(&self) -> usize {
        6
    }

    fn enter(&self, canonical: &[u64]) -> Block {
        self.block(self.host(canonical.to_vec()))
    }

    fn leave(&self, block: &Block) -> Vec<u64> {
        numbers(block).canonical().to_vec()
    }

    fn ones(&self, count: usize) -> Block {
        let mut one = vec![0; self.width];
        one[0] = 1;
        self.block(self.host(one.repeat(count)))
    }

    fn gather(&self, source: &Block, indices: &[usize]) -> Block {
        let (source, width) = (numbers(source), self.width);
        let mut limbs = Vec::with_capacity(width * indices.len());
        let canonical = source.canonical();
        for &i in indices {
            limbs.extend_from_slice(&canonical[width * i..width * (i + 1)]);
        }
        let out = self.host(limbs);
        if let Some(resident) = source.resident() {
            let places: Vec<_> = indices.iter().map(|&i| i as u32).collect();
            let gathered = self.try_device(indices.len(), 0, |d| d.gather(&resident, &places));
            gathered.map(|block| out.keep(block));
        }
        self.block(out)
    }

    fn join(&self, parts: &[&Block]) -> Block {
        let parts: Vec<_> = parts.iter().map(|p| numbers(p)).collect();
        let count: usize = parts.iter().map(|p| p.count).sum();
        let mut limbs = Vec::with_capacity(count * self.width);
        for part in &parts {
            limbs.extend_from_slice(part.canonical());
        }
        let out = self.host(limbs);
        let resident: Option<Vec<_>> = parts.iter().map(|p| p.resident()).collect();
        if let Some(resident) = resident {
            let blocks: Vec<_> = resident.iter().map(Arc::as_ref).collect();
            let joined = self.try_device(out.count, 0, |d| d.join(&blocks));
            joined.map(|block| out.keep(block));
        }
        self.block(out)
    }

    fn multiply(&self, x: &mut Block, y: &Block) {
        let (a, b) = (numbers(x).clone(), numbers(y));
        assert_eq!(a.count, b.count);
        let product = self.try_device(a.count, a.count, |device| {
            let (p, q) = (
                a.on_device(device, self.width)?,
                b.on_device(device, self.width)?,
            );
            self.fetched(device.multiply(&p, &q)?, a.count)
        });
        *x = match product {
            Some(product) => self.block(product),
            None => self.of_cpu(a.on_cpu(&self.cpu).multiply(b.on_cpu(&self.cpu))),
        };
    }

    fn square(&self, x: &mut Block, times: usize) {
        let a = numbers(x).clone();
        let square = self.try_device(a.count, a.count * times, |device| {
            let resident = a.on_device(device, self.width)?;
            let times = u32::try_from(times).expect("fewer squarings than 2^32");
            self.fetched(device.square(&resident, a.count, times)?, a.count)
        });
        *x = match square {
            Some(square) => self.block(square),
            None => self.of_cpu(a.on_cpu(&self.cpu).square(times)),
        };
    }

    fn multiply_selected(
        &self,
        x: &mut Block,
        table: &Block,
        first: &[usize],
        digits: &[u64],
        entries: usize,
        ahead: Range<usize>,
    ) {
        // Programs go to `evaluate`; a single step is not worth a way to the device.
        let (a, cpu) = (numbers(x).clone(), &self.cpu);
        let Tables::Made(table) = table.get::<Held>().tables_on_cpu(cpu, Reading::Plain) else {
            unreachable!("tables are made where nothing else is asked for");
        };
        let all: Vec<_> = (0..a.count).collect();
        let mut product = cpu.gather(a.on_cpu(cpu).block(), &all);
        cpu.multiply_selected(&mut product, table, first, digits, entries, ahead);
        *x = self.of_cpu(Residues::from_block(cpu, a.count, product));
    }

    fn parts(&self, outputs: usize, width: usize) -> usize {
        // Parts of four powers at least: each has all the squarings.
        let parts = (self.full / outputs.max(1)).clamp(1, width.div_ceil(4).max(1));
        match outputs * parts < self.smallest {
            true => self.cpu.parts(outputs, width),
            false => parts,
        }
    }

    fn whole(&self) -> bool {
        true
    }

    fn tables(&self, bases: &Block, window: usize, start: Option<&Block>) -> Option<Block> {
        let start = start.map(|s| numbers(s).clone());
        let powers = Powers::new(numbers(bases).clone(), start, window);
        Some(Block::new(Held::Powers(Arc::new(powers))))
    }

    fn evaluate(&self, program: &Program<'_>) -> Option<Block> {
        let Tables::Made(table) = program.tables else {
            unreachable!("batches stay whole, so no table is made for a piece");
        };
        let table = table.get::<Held>();
        let squarings: usize = program.steps.iter().map(|s| s.squarings).sum();
        let operations = program.outputs * (squarings + program.steps.len());
        let numbers = self.try_device(program.outputs, operations, |device| {
            let table = table.table_on_device(device, self.width)?;
            let block = evaluate(device, &table, program)?;
            self.fetched(block, program.outputs)
        });
        Some(match numbers {
            Some(numbers) => self.block(numbers),
            None => {
                let tables = table.tables_on_cpu(&self.cpu, program.reading);
                self.of_cpu(program::step_by_step(&self.cpu, program, tables))
            }
        })
    }

    fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed) + self.cpu.operations()
    }
}

/// Lays a program out as the device wants it.
fn evaluate(
    device: &DeviceRing,
    table: &DeviceBlock,
    program: &Program<'_>,
) -> Result<DeviceBlock, Refusal> {
    let small = |n: usize| {
        u32::try_from(n).map_err(|_| Refusal {
            code: table::OUT_OF_MEMORY,
            text: format!("{n} does not fit 32 bits"),
        })
    };
    let steps = program.steps.iter().map(|step| {
        Ok(table::Step {
            squarings: small(step.squarings)?,
            column: small(step.column)?,
            first: small(step.first)?,
            at: small(step.at)?,
        })
    });
    let steps: Vec<_> = steps.collect::<Result<_, Refusal>>()?;
    let slots = program.slots.as_ref();
    let slots = slots.map(|s| s.iter().map(|&slot| small(slot)).collect());
    let slots: Option<Vec<u32>> = slots.transpose()?;
    let (count, bits) = (program.exponents.count(), program.exponents.bits);
    // The last digit may reach beyond the exponent, and the device wants 32 zeros at the top.
    let last = program.steps.iter().map(|s| s.at + program.window).max();
    let words = bits.max(last.unwrap_or(0)).div_ceil(32) + 1;
    // Which exponents go, in which order. The buffer is large enough at once: a smaller one would
    // leave a copy behind when it grows.
    let columns = program.columns;
    let (order, strides): (Vec<usize>, _) = match &program.rows {
        Rows::Listed(rows) if !program.exponents.is_single() || rows.contains(&EMPTY) => {
            (rows.clone(), (columns, 1))
        }
        Rows::Output if !program.exponents.is_single() => ((0..count).collect(), (1, 0)),
        _ => (vec![0], (0, 0)),
    };
    let mut exponents = Zeroizing::new(Vec::with_capacity(order.len() * words));
    let mut empty = vec![0u64; words / 2 + 1];
    for step in program.steps.iter().filter(|s| s.column == 0) {
        add_shifted(&mut empty, &[program.empty_digit], step.at);
    }
    for row in order {
        let limbs = match row {
            EMPTY => &empty,
            row => program.exponents.row(row),
        };
        push_words(&mut exponents, limbs, words);
    }
    device.evaluate(&Arguments {
        outputs: program.outputs,
        table,
        steps: &steps,
        slots: slots.as_deref(),
        columns,
        exponents: &exponents,
        exponent_words: words,
        strides,
        window: small(program.window)?,
    })
}

impl fmt::Debug for AcceleratedRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AcceleratedRing({} bits)", self.modulus().bits())
    }
}
