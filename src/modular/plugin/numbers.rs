//! What the blocks of a device ring are: [`Numbers`], which the host always has and the device
//! may have, and [`Powers`], tables that are made where they are used.

use super::handles::{DeviceBlock, DeviceRing, Made, Refusal};
use crate::modular::exponentiation::power_tables;
use crate::modular::{Block, Reading, Residues, Ring, Tables, get_or_make};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use zeroize::Zeroizing;

type Limbs = Zeroizing<Vec<u64>>;

/// A batch. At least one of the two forms of the host is present.
pub struct Numbers {
    pub count: usize,
    canonical: OnceLock<Limbs>,
    /// In the form of the CPU's ring.
    cpu: OnceLock<Residues>,
    device: Mutex<Option<Arc<DeviceBlock>>>,
}

impl Numbers {
    pub fn from_canonical(canonical: Limbs, count: usize) -> Self {
        Self {
            count,
            canonical: OnceLock::from(canonical),
            cpu: OnceLock::new(),
            device: Mutex::new(None),
        }
    }

    pub fn from_cpu(numbers: Residues) -> Self {
        Self {
            count: numbers.len(),
            canonical: OnceLock::new(),
            cpu: OnceLock::from(numbers),
            device: Mutex::new(None),
        }
    }

    /// A result of the device, fetched at once.
    pub fn from_device(
        ring: &DeviceRing,
        block: DeviceBlock,
        count: usize,
        width: usize,
    ) -> Result<Self, Refusal> {
        let numbers = Self::from_canonical(ring.leave(&block, count, width)?, count);
        numbers.keep(block);
        Ok(numbers)
    }

    /// Remembers that the device has these numbers.
    pub fn keep(&self, block: DeviceBlock) -> Arc<DeviceBlock> {
        let block = Arc::new(block);
        *self.place() = Some(block.clone());
        block
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<Arc<DeviceBlock>>> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Canonical limbs.
    pub fn canonical(&self) -> &[u64] {
        get_or_make::<Limbs>(&self.canonical, || {
            let cpu = self.cpu.get().expect("one form is always present");
            Zeroizing::new(cpu.limbs().to_vec())
        })
    }

    /// In the CPU's form.
    pub fn on_cpu(&self, cpu: &Arc<dyn Ring>) -> &Residues {
        get_or_make(&self.cpu, || {
            let limbs = self.canonical.get().expect("one form is always present");
            Residues::from_limbs(cpu, limbs.to_vec()).expect("the device reduces its results")
        })
    }

    /// What the device has of them already.
    pub fn resident(&self) -> Option<Arc<DeviceBlock>> {
        self.place().clone()
    }

    /// On the device, sent there if need be.
    pub fn on_device(&self, ring: &DeviceRing, width: usize) -> Result<Arc<DeviceBlock>, Refusal> {
        match self.resident() {
            Some(block) => Ok(block),
            None => Ok(self.keep(ring.enter(self.canonical(), width)?)),
        }
    }
}

/// Powers of numbers, for [`Ring::evaluate`].
pub struct Powers {
    pub bases: Arc<Numbers>,
    pub start: Option<Arc<Numbers>>,
    pub window: usize,
    cpu: OnceLock<Block>,
    device: Mutex<Option<Arc<DeviceBlock>>>,
}

impl Powers {
    pub fn new(bases: Arc<Numbers>, start: Option<Arc<Numbers>>, window: usize) -> Self {
        Self {
            bases,
            start,
            window,
            cpu: OnceLock::new(),
            device: Mutex::new(None),
        }
    }

    /// In the CPU's form.
    pub fn on_cpu(&self, cpu: &Arc<dyn Ring>) -> &Block {
        get_or_make(&self.cpu, || {
            let start = self.start.as_ref().map(|s| s.on_cpu(cpu));
            power_tables(self.bases.on_cpu(cpu), self.window, start)
        })
    }

    /// On the device, made there if need be.
    pub fn on_device(&self, ring: &DeviceRing, width: usize) -> Result<Arc<DeviceBlock>, Refusal> {
        // Held while the table is made: it is large, and one is enough.
        let mut place = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = &*place {
            return Ok(block.clone());
        }
        let bases = self.bases.on_device(ring, width)?;
        let start = match &self.start {
            Some(start) => Some(start.on_device(ring, width)?),
            None => None,
        };
        let made: Made = ring.tables(&bases, start.as_deref(), self.window as u32);
        Ok(place.insert(Arc::new(made?)).clone())
    }
}

/// What is in a block of the ring.
#[derive(Clone)]
pub enum Held {
    Numbers(Arc<Numbers>),
    Powers(Arc<Powers>),
}

impl Held {
    /// As tables on the CPU.
    pub fn tables_on_cpu<'a>(&'a self, cpu: &Arc<dyn Ring>, reading: Reading) -> Tables<'a> {
        match self {
            Held::Numbers(numbers) => Tables::Made(numbers.on_cpu(cpu).block()),
            Held::Powers(powers) if reading == Reading::Own => Tables::Own {
                bases: powers.bases.on_cpu(cpu).block(),
                start: powers.start.as_ref().map(|s| s.on_cpu(cpu).block()),
            },
            Held::Powers(powers) => Tables::Made(powers.on_cpu(cpu)),
        }
    }

    /// As a table on the device.
    pub fn table_on_device(
        &self,
        ring: &DeviceRing,
        width: usize,
    ) -> Result<Arc<DeviceBlock>, Refusal> {
        match self {
            Held::Numbers(numbers) => numbers.on_device(ring, width),
            Held::Powers(powers) => powers.on_device(ring, width),
        }
    }
}
