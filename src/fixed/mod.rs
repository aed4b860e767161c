//! To be written.
pub const MAX_BOUND: u32 = 126;
