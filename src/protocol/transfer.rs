//! Correlated oblivious transfer: how P2 comes by the wire labels of its bits without P1 learning the bits.
//!
//! P1 holds a secret Δ (lowest bit 1). For bits x_j of P2, P1 gets labels Q_j and P2 gets
//! T_j = Q_j ⊕ x_j·Δ: the labels of zero and the active labels of free-XOR garbling, so labels need no
//! message of their own. Semi-honest, in two parts:
//!
//! - Once: 128 transfers of seeds with the roles reversed, of Bellare and Micali (*Non-interactive oblivious
//!   transfer and applications*, CRYPTO 1989) in ristretto255. P1 sends PK_0,i with PK_{Δ_i} = x_i·G and
//!   PK_{1−Δ_i} = C − PK_{Δ_i}; C is hashed to the group, so nobody knows its logarithm. P2 answers R = r·G and
//!   keeps k0_i = H(i, r·PK_0,i), k1_i = H(i, r·(C − PK_0,i)); P1 can compute k_{Δ_i} = H(i, x_i·R) and not the
//!   other. PK_0,i is uniform whatever Δ_i is.
//! - For each batch: the extension of Ishai, Kilian, Nissim and Petrank (*Extending oblivious transfers
//!   efficiently*, CRYPTO 2003), without its last hash since Δ-correlated labels are what is wanted. With
//!   G(k) = AES_{SHA-256(k, nonce)} in counter mode, P2 sends row i of u as G(k0_i) ⊕ G(k1_i) ⊕ x and reads T_j off
//!   column j of the rows G(k0_i); P1 reads Q_j off the rows G(k_{Δ_i}) ⊕ Δ_i·u_i.
//!
//! P2 keeps nothing: [`Seeds`] and the nonce give its labels again. **A nonce serves one list of bits**: a
//! second list under it would show P1 the exclusive or of both.
//!
//! Everything here takes the same time whatever the secrets are. Message layouts: points and rows
//! follow each other without headers; bit j of a row is bit j mod 8 of byte ⌊j/8⌋.

use crate::error::{Error, Result};
use crate::parallel;
use crate::random::Random;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// Bits of a label, rows of the matrix, base transfers.
const ROWS: usize = 128;

/// Bytes of an encoded point.
const POINT: usize = 32;

/// Bytes of a seed.
const SEED: usize = 16;

/// Blocks of a row that are made at once: what the widest AES units take.
const TILE: usize = 64;

const WHAT: &str = "oblivious transfer";

/// Bytes of one value under a nonce, which must never be used twice with the same seeds.
pub type Nonce = [u8; 16];

/// P1 while it waits for P2's answer to its points.
pub struct Setup {
    delta: Zeroizing<u128>,
    scalars: Zeroizing<Vec<Scalar>>,
}

impl Setup {
    /// Draws Δ and gives the message for [`answer_setup`]: 128 points of 32 bytes.
    pub fn new(random: &Random) -> Result<(Self, Vec<u8>)> {
        let mut bytes = Zeroizing::new([0; 16]);
        random.fill(&mut *bytes)?;
        let delta = Zeroizing::new(u128::from_le_bytes(*bytes) | 1);
        let scalars = Zeroizing::new(
            (0..ROWS)
                .map(|_| scalar(random))
                .collect::<Result<Vec<_>>>()?,
        );
        let base = base_point();
        let points: Vec<_> = parallel::over(&*scalars)
            .enumerate()
            .map(|(i, x)| {
                let known = RistrettoPoint::mul_base(x);
                let choice = Choice::from((*delta >> i) as u8 & 1);
                RistrettoPoint::conditional_select(&known, &(base - known), choice)
                    .compress()
                    .to_bytes()
            })
            .collect();
        Ok((Self { delta, scalars }, points.as_flattened().to_vec()))
    }

    /// Takes P2's answer, a point of 32 bytes.
    pub fn finish(self, reply: &[u8]) -> Result<Sender> {
        check_length("the answer to the points", reply.len(), POINT)?;
        let r = decode_point(reply, 0)?;
        let seeds = parallel::over(&*self.scalars)
            .enumerate()
            .map(|(i, x)| derive_seed(i, reply, &(x * r)))
            .collect();
        Ok(Sender {
            delta: self.delta,
            seeds: Zeroizing::new(seeds),
        })
    }
}

/// P2's part of the set-up: the answer of 32 bytes to P1's points, and what P2 has to know later.
pub fn answer_setup(points: &[u8], random: &Random) -> Result<(Vec<u8>, Seeds)> {
    check_length("the points", points.len(), ROWS * POINT)?;
    let r = Zeroizing::new(scalar(random)?);
    let reply = RistrettoPoint::mul_base(&r).compress().to_bytes();
    let shared_base = Zeroizing::new(*r * base_point());
    let pairs = Zeroizing::new(
        parallel::chunks(points, POINT)
            .enumerate()
            .map(|(i, bytes)| {
                let zero = *r * decode_point(bytes, i)?;
                Ok([
                    derive_seed(i, &reply, &zero),
                    derive_seed(i, &reply, &(*shared_base - zero)),
                ])
            })
            .collect::<Result<Vec<_>>>()?,
    );
    let [zero, one] = [0, 1].map(|side| {
        let seeds: Vec<_> = pairs.iter().map(|pair| pair[side]).collect();
        Zeroizing::new(seeds)
    });
    Ok((reply.to_vec(), Seeds { zero, one }))
}

/// What P2 needs for every later batch: 128 pairs of seeds.
pub struct Seeds {
    zero: Zeroizing<Vec<[u8; SEED]>>,
    one: Zeroizing<Vec<[u8; SEED]>>,
}

impl Seeds {
    /// 4096 bytes, as secret as the seeds.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * ROWS * SEED));
        bytes.extend_from_slice(self.zero.as_flattened());
        bytes.extend_from_slice(self.one.as_flattened());
        bytes
    }

    /// From [`Seeds::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        check_length("the seeds", bytes.len(), 2 * ROWS * SEED)?;
        let (zero, one) = bytes.as_chunks().0.split_at(ROWS);
        Ok(Self {
            zero: Zeroizing::new(zero.to_vec()),
            one: Zeroizing::new(one.to_vec()),
        })
    }

    /// The message that chooses the labels of `choices`: [`message_len`] bytes. One list of
    /// choices for a nonce.
    pub fn choose(&self, nonce: &Nonce, choices: &[bool]) -> Vec<u8> {
        let packed = pack(choices);
        let mut message = vec![0; message_len(choices.len())];
        let rows = parallel::chunks_mut(&mut message, choices.len().div_ceil(8).max(1));
        rows.enumerate().for_each(|(i, row)| {
            let streams = [&self.zero[i], &self.one[i]].map(|seed| Stream::new(seed, nonce));
            let mut pads = Zeroizing::new([[0; TILE]; 2]);
            for (tile, row) in row.chunks_mut(16 * TILE).enumerate() {
                let first = tile * TILE;
                for (stream, pad) in streams.iter().zip(pads.iter_mut()) {
                    stream.blocks(first, &mut pad[..row.len().div_ceil(16)]);
                }
                for (k, bytes) in row.chunks_mut(16).enumerate() {
                    let block = pads[0][k] ^ pads[1][k] ^ packed[first + k];
                    bytes.copy_from_slice(&block.to_le_bytes()[..bytes.len()]);
                }
            }
        });
        message
    }

    /// The active labels T_j of the `count` bits that were chosen under this nonce.
    pub fn labels(&self, nonce: &Nonce, count: usize) -> Zeroizing<Vec<u128>> {
        columns(&self.zero, nonce, count, |_, _| 0)
    }
}

/// P1 after the set-up.
pub struct Sender {
    delta: Zeroizing<u128>,
    seeds: Zeroizing<Vec<[u8; SEED]>>,
}

impl Sender {
    /// What the two labels of every wire differ by. Secret; its lowest bit is 1.
    pub fn delta(&self) -> u128 {
        *self.delta
    }

    /// The labels of zero Q_j of the `count` bits that P2 chose with `message` under this nonce.
    pub fn zero_labels(
        &self,
        nonce: &Nonce,
        count: usize,
        message: &[u8],
    ) -> Result<Zeroizing<Vec<u128>>> {
        check_length("the choice of labels", message.len(), message_len(count))?;
        let row = count.div_ceil(8);
        Ok(columns(&self.seeds, nonce, count, |i, block| {
            let start = i * row + 16 * block;
            let chosen = &message[start..(start + 16).min((i + 1) * row)];
            let mut bytes = [0; 16];
            bytes[..chosen.len()].copy_from_slice(chosen);
            ((*self.delta >> i) & 1).wrapping_neg() & u128::from_le_bytes(bytes)
        }))
    }
}

/// Bytes of the message that chooses `count` labels.
pub fn message_len(count: usize) -> usize {
    ROWS * count.div_ceil(8)
}

/// The columns of the matrix whose row i is G(seed_i) ⊕ correction; the correction is asked for
/// by row and block of 128 columns.
fn columns(
    seeds: &[[u8; SEED]],
    nonce: &Nonce,
    count: usize,
    correction: impl Fn(usize, usize) -> u128 + Sync,
) -> Zeroizing<Vec<u128>> {
    let streams: Vec<_> = seeds.iter().map(|s| Stream::new(s, nonce)).collect();
    let mut labels = Zeroizing::new(vec![0u128; count]);
    let tiles = parallel::chunks_mut(&mut labels, ROWS * TILE).enumerate();
    tiles.for_each(|(tile, labels)| {
        let blocks = labels.len().div_ceil(ROWS);
        let mut matrices = Zeroizing::new(vec![[0u128; ROWS]; blocks]);
        let mut row = Zeroizing::new([0; TILE]);
        for (i, stream) in streams.iter().enumerate() {
            stream.blocks(tile * TILE, &mut row[..blocks]);
            for (k, matrix) in matrices.iter_mut().enumerate() {
                matrix[i] = row[k] ^ correction(i, tile * TILE + k);
            }
        }
        for (matrix, labels) in matrices.iter_mut().zip(labels.chunks_mut(ROWS)) {
            transpose(matrix);
            labels.copy_from_slice(&matrix[..labels.len()]);
        }
    });
    labels
}

/// Transposes 128×128 bits: swaps the off-diagonal quarters of ever smaller blocks.
fn transpose(matrix: &mut [u128; ROWS]) {
    let mut step = ROWS / 2;
    let mut low = u128::MAX >> step;
    while step > 0 {
        for block in matrix.chunks_exact_mut(2 * step) {
            let (upper, lower) = block.split_at_mut(step);
            for (a, b) in upper.iter_mut().zip(lower) {
                let swapped = ((*a >> step) ^ *b) & low;
                *b ^= swapped;
                *a ^= swapped << step;
            }
        }
        step /= 2;
        low ^= low << step;
    }
}

/// The pseudorandom row of one seed under one nonce, in blocks that can be made in any order.
struct Stream(Aes128Enc);

impl Stream {
    fn new(seed: &[u8; SEED], nonce: &Nonce) -> Self {
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(
            Sha256::new_with_prefix(b"smlp transfer row v1")
                .chain_update(seed)
                .chain_update(nonce)
                .finalize()
                .into(),
        );
        let (key, _) = key.split_first_chunk::<16>().expect("a digest of 32 bytes");
        Self(Aes128Enc::new(key.into()))
    }

    /// At most [`TILE`] blocks from block `first` on.
    fn blocks(&self, first: usize, out: &mut [u128]) {
        let mut blocks = [Block::default(); TILE];
        let blocks = &mut blocks[..out.len()];
        for (i, block) in blocks.iter_mut().enumerate() {
            *block = ((first + i) as u128).to_le_bytes().into();
        }
        self.0.encrypt_blocks(blocks);
        for (word, block) in out.iter_mut().zip(blocks) {
            *word = u128::from_le_bytes(block.0);
        }
    }
}

/// Bits as blocks of 128, the last one filled up with zeros.
fn pack(bits: &[bool]) -> Zeroizing<Vec<u128>> {
    let blocks = bits.chunks(ROWS).map(|chunk| {
        let places = chunk.iter().enumerate();
        places.fold(0, |word, (i, &bit)| word | u128::from(bit) << i)
    });
    Zeroizing::new(blocks.collect())
}

/// C, whose logarithm nobody knows.
fn base_point() -> RistrettoPoint {
    let digest = Sha512::digest(b"smlp transfer base point v1");
    RistrettoPoint::from_uniform_bytes(&digest.into())
}

fn scalar(random: &Random) -> Result<Scalar> {
    let mut bytes = Zeroizing::new([0; 64]);
    random.fill(&mut *bytes)?;
    Ok(Scalar::from_bytes_mod_order_wide(&bytes))
}

/// H(i, shared), bound to P2's answer.
fn derive_seed(i: usize, reply: &[u8], shared: &RistrettoPoint) -> [u8; SEED] {
    let shared = Zeroizing::new(shared.compress().to_bytes());
    let digest = Sha256::new_with_prefix(b"smlp transfer seed v1")
        .chain_update((i as u64).to_le_bytes())
        .chain_update(reply)
        .chain_update(*shared)
        .finalize();
    let digest: Zeroizing<[u8; 32]> = Zeroizing::new(digest.into());
    *digest.first_chunk().expect("a digest of 32 bytes")
}

fn decode_point(bytes: &[u8], i: usize) -> Result<RistrettoPoint> {
    CompressedRistretto::from_slice(bytes)
        .ok()
        .and_then(|point| point.decompress())
        .ok_or_else(|| Error::malformed(WHAT, format!("point {i} is no element of ristretto255")))
}

fn check_length(part: &str, found: usize, expected: usize) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => Err(Error::malformed(
            WHAT,
            format!("{part} must have {expected} bytes, not {found}"),
        )),
    }
}

#[cfg(test)]
mod tests;
