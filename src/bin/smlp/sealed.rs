//! Private keys under a passphrase: Argon2id makes a key of it, ChaCha20-Poly1305 seals the file.
//!
//! The file: `SMLPSEAL`, u16 version (1), u32 memory in KiB, u32 passes, u32 lanes (all little-endian), 16 bytes
//! salt, 12 bytes nonce, the sealed bytes of the private key with their tag. All before the sealed bytes is
//! authenticated with them.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use smlp::paillier::secret_file;
use smlp::random::Random;
use smlp::{Error, PrivateKey, Result, Security};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"SMLPSEAL";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 8 + 2 + 3 * 4 + SALT_BYTES + NONCE_BYTES;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// A private key, sealed or not, is below that.
const MAX_FILE_BYTES: usize = 1 << 16;
/// What a new file costs to open: RFC 9106's second recommendation, 64 MiB and three passes over them.
const COST: [u32; 3] = [64 << 10, 3, 4];
/// What a file may ask for at most: 1 GiB, 100 passes, 64 lanes.
const MAX_COST: [u32; 3] = [1 << 20, 100, 64];

/// Where a passphrase comes from: a file, or the terminal.
#[derive(Debug)]
pub struct Passphrase(Option<PathBuf>);

impl Passphrase {
    pub fn new(file: Option<PathBuf>) -> Self {
        Self(file)
    }

    /// For opening what is sealed.
    pub fn get(&self, what: &str) -> Result<Zeroizing<String>> {
        match &self.0 {
            Some(path) => from_file(path),
            None => ask(&format!("Passphrase of {what}: ")),
        }
    }

    /// For sealing: asked for twice.
    pub fn choose(&self, what: &str) -> Result<Zeroizing<String>> {
        let passphrase = self.get(what)?;
        if self.0.is_none() && ask("The same again: ")? != passphrase {
            return Err(Error::InvalidArgument(
                "the two passphrases differ; nothing was written".into(),
            ));
        }
        if passphrase.is_empty() {
            return Err(Error::Insecure("an empty passphrase; choose one".into()));
        }
        Ok(passphrase)
    }
}

fn from_file(path: &Path) -> Result<Zeroizing<String>> {
    let bytes = secret_file::read(path, 1 << 12)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::Malformed {
        what: "passphrase file",
        why: format!("{}: it is not UTF-8", path.display()),
    })?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or("").to_owned()))
}

fn ask(prompt: &str) -> Result<Zeroizing<String>> {
    let answer = rpassword::prompt_password(prompt).map_err(|e| {
        Error::InvalidArgument(format!(
            "no passphrase: {e}; on a machine without a terminal, use --passphrase-file"
        ))
    })?;
    Ok(Zeroizing::new(answer))
}

/// Whether bytes are a sealed private key.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads a private key, sealed or not, from a file that nobody else may read.
pub fn load(path: &Path, passphrase: &Passphrase, security: Security) -> Result<PrivateKey> {
    let bytes = secret_file::read(path, MAX_FILE_BYTES)?;
    from_bytes(
        &bytes,
        || passphrase.get(&path.display().to_string()),
        security,
    )
}

fn from_bytes(
    bytes: &[u8],
    passphrase: impl FnOnce() -> Result<Zeroizing<String>>,
    security: Security,
) -> Result<PrivateKey> {
    match is_sealed(bytes) {
        false => PrivateKey::from_bytes(bytes, security),
        true => PrivateKey::from_bytes(&open(bytes, &passphrase()?)?, security),
    }
}

/// Seals a private key's bytes.
pub fn seal(secret: &[u8], passphrase: &str) -> Result<Vec<u8>> {
    seal_at(secret, passphrase, COST)
}

fn seal_at(secret: &[u8], passphrase: &str, cost: [u32; 3]) -> Result<Vec<u8>> {
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_le_bytes());
    for number in cost {
        file.extend_from_slice(&number.to_le_bytes());
    }
    let mut random = [0; SALT_BYTES + NONCE_BYTES];
    Random::os().fill(&mut random)?;
    file.extend_from_slice(&random);
    let cipher = cipher(passphrase, cost, &random[..SALT_BYTES])?;
    let nonce = Nonce::try_from(&random[SALT_BYTES..]).expect("the bytes of a nonce");
    let mut body = Zeroizing::new(secret.to_vec());
    let tag = cipher
        .encrypt_inout_detached(&nonce, &file, body.as_mut_slice().into())
        .map_err(|_| malformed("it is too long to be sealed"))?;
    file.extend_from_slice(&body);
    file.extend_from_slice(&tag);
    Ok(file)
}

/// Opens what [`seal`] made.
pub fn open(file: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>> {
    let Some((header, sealed)) = file.split_at_checked(HEADER_BYTES) else {
        return Err(malformed("it is truncated"));
    };
    let version = u16::from_le_bytes([header[8], header[9]]);
    if version != VERSION {
        return Err(malformed(&format!(
            "its version is {version}, this program reads {VERSION}"
        )));
    }
    let number = |i: usize| {
        let at = 10 + 4 * i;
        u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"))
    };
    let cost = [number(0), number(1), number(2)];
    if cost.iter().zip(MAX_COST).any(|(&asked, most)| asked > most) {
        return Err(malformed(&format!(
            "it asks for {} KiB of memory, {} passes and {} lanes; at most {MAX_COST:?} are given",
            cost[0], cost[1], cost[2]
        )));
    }
    let random = &header[HEADER_BYTES - SALT_BYTES - NONCE_BYTES..];
    let (salt, nonce) = random.split_at(SALT_BYTES);
    let Some((body, tag)) = sealed.split_last_chunk::<TAG_BYTES>() else {
        return Err(malformed("it is truncated"));
    };
    let nonce = Nonce::try_from(nonce).expect("the bytes of a nonce");
    let mut secret = Zeroizing::new(body.to_vec());
    cipher(passphrase, cost, salt)?
        .decrypt_inout_detached(
            &nonce,
            header,
            secret.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| Error::Insecure("the passphrase is wrong, or the file is damaged".into()))?;
    Ok(secret)
}

fn cipher(
    passphrase: &str,
    [memory, passes, lanes]: [u32; 3],
    salt: &[u8],
) -> Result<ChaCha20Poly1305> {
    let parameters = Params::new(memory, passes, lanes, Some(32))
        .map_err(|e| malformed(&format!("its cost is impossible: {e}")))?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .map_err(|e| malformed(&format!("no key could be made: {e}")))?;
    Ok(ChaCha20Poly1305::new((&*key).into()))
}

fn malformed(why: &str) -> Error {
    Error::Malformed {
        what: "sealed private key",
        why: why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: [u32; 3] = [32, 1, 1];

    #[test]
    fn only_the_passphrase_opens() {
        let file = seal_at(b"secret", "open, please", CHEAP).unwrap();
        assert!(is_sealed(&file) && !file.windows(6).any(|w| w == b"secret"));
        assert_eq!(*open(&file, "open, please").unwrap(), b"secret");
        let error = open(&file, "open please").unwrap_err();
        assert!(matches!(error, Error::Insecure(_)), "{error}");
        assert_ne!(file, seal_at(b"secret", "open, please", CHEAP).unwrap());
    }

    fn key() -> PrivateKey {
        PrivateKey::generate(128, Security::AllowInsecure).unwrap()
    }

    fn read(file: &[u8]) -> Result<PrivateKey> {
        let passphrase = || Ok(Zeroizing::new("p".to_owned()));
        from_bytes(file, passphrase, Security::AllowInsecure)
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let file = seal_at(&key().to_bytes(), "p", CHEAP).unwrap();
        read(&file).unwrap();
        // Between 4 MiB and the most that is allowed, the file would only take longer to be refused.
        let dear = |bit: usize| (8 * 10 + 12..8 * 10 + 20).contains(&bit);
        for bit in (0..8 * file.len()).filter(|&bit| !dear(bit)) {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&damaged).is_err(), "bit {bit}");
        }
        for length in 0..file.len() {
            assert!(read(&file[..length]).is_err(), "{length} bytes");
        }
    }

    /// Who knows the passphrase can seal anything; what is inside is checked as if it were not sealed.
    #[test]
    fn what_was_sealed_damaged_is_refused_too() {
        let secret = key().to_bytes();
        for byte in 0..secret.len() {
            let mut damaged = secret.to_vec();
            damaged[byte] ^= 1;
            assert!(read(&damaged).is_err(), "byte {byte}");
            let sealed = seal_at(&damaged, "p", CHEAP).unwrap();
            assert!(read(&sealed).is_err(), "byte {byte}");
        }
    }

    #[test]
    fn absurd_costs_are_refused_before_they_are_paid() {
        let mut file = seal_at(b"secret", "p", CHEAP).unwrap();
        file[10..14].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = open(&file, "p").unwrap_err();
        assert!(error.to_string().contains("KiB"), "{error}");
    }
}
