//! What a request says about itself: for a server that has to judge it before it answers it, and to
//! record it afterwards. It needs no private key, reads sizes alone and copies nothing.

use super::message::{self, Operation};
use crate::error::Result;
use crate::paillier::{KeyId, PublicKey};
use crate::tensor::{broadcast_shapes, matmul_shape};
use crate::wire::{Kind, Reader};

/// The first bytes of a request that [`addressee`] needs.
pub const REQUEST_HEADER_BYTES: usize = 4 + 2 + 2 + 2 + 32;

/// Sizes of a request. No value, masked or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What it asks for.
    pub operation: Operation,
    /// Lines and values a line of every masked group, in the order of the message.
    pub groups: Vec<[usize; 2]>,
    /// Ciphertexts in the reply, at most.
    pub answers: u64,
}

impl Summary {
    /// Sizes of a request under `key`. Only a request that is well-formed from its first to its last byte
    /// has any; whether its numbers are ciphertexts is left to [`super::P2::answer`].
    ///
    /// # Errors
    /// [`crate::Error::Malformed`], [`crate::Error::Limit`], [`crate::Error::KeyMismatch`].
    pub fn of(request: &[u8], key: &PublicKey) -> Result<Self> {
        let (operation, mut reader) = message::read_request(request, key)?;
        let mut shapes = Vec::new();
        let groups = match operation {
            Operation::Multiply | Operation::Matmul => {
                shapes = vec![reader.shape()?, reader.shape()?];
                2
            }
            Operation::Divide => {
                reader.u64()?;
                1
            }
            Operation::MatmulDivide => {
                reader.u64()?;
                4
            }
            Operation::Refresh => 1,
            Operation::Relu | Operation::Select => 2,
        };
        let groups: Vec<[usize; 2]> = (0..groups)
            .map(|_| skip_group(&mut reader, key))
            .collect::<Result<_>>()?;
        reader.finish()?;
        let size = |shape: &[usize]| shape.iter().map(|&d| d as u64).product();
        let answers = match operation {
            Operation::Multiply => size(&broadcast_shapes(&shapes[0], &shapes[1])?),
            Operation::Matmul => size(&matmul_shape(&shapes[0], &shapes[1])?.output),
            Operation::Divide | Operation::Refresh | Operation::Select => size(&groups[0]),
            Operation::Relu => 2 * size(&groups[0]),
            Operation::MatmulDivide => size(&groups[3]),
        };
        Ok(Self {
            operation,
            groups,
            answers,
        })
    }

    /// Masked values in all groups.
    pub fn values(&self) -> u64 {
        self.groups.iter().map(|[a, b]| (a * b) as u64).sum()
    }
}

fn skip_group(reader: &mut Reader<'_>, key: &PublicKey) -> Result<[usize; 2]> {
    let (slots, _) = message::read_layout(reader, key)?;
    let width = key.ring().modulus().width();
    reader.take(slots.packs().saturating_mul(width).saturating_mul(8))?;
    Ok(slots.dimensions())
}

/// The operation and the key that a request, or its first [`REQUEST_HEADER_BYTES`], names.
///
/// # Errors
/// [`crate::Error::Malformed`] for bytes that begin no request.
pub fn addressee(start: &[u8]) -> Result<(Operation, KeyId)> {
    let mut reader = Reader::new(Kind::Request, start)?;
    let number = reader.u16()?;
    let operation = Operation::from_number(number)
        .ok_or_else(|| reader.error(format!("operation {number} is unknown")))?;
    Ok((operation, reader.key_id()?))
}

impl Operation {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Multiply => "multiply",
            Operation::Matmul => "matmul",
            Operation::Divide => "divide",
            Operation::Relu => "relu",
            Operation::Select => "select",
            Operation::Refresh => "refresh",
            Operation::MatmulDivide => "matmul_divide",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::random::Random;
    use crate::{Encrypt, EncryptedTensor, IntegerTensor, P1, P2, PrivateKey, Security};

    #[test]
    fn requests_are_summed_up_without_the_private_key() {
        let key = PrivateKey::generate(256, Security::AllowInsecure).unwrap();
        let p1 = P1::new(key.public().clone(), 40).unwrap();
        let encrypt = |shape: &[usize]| {
            let count = shape.iter().product();
            let clear = IntegerTensor::from_i64(shape, &vec![3; count], Some(8)).unwrap();
            EncryptedTensor::encrypt(&clear, &key, &Random::os()).unwrap()
        };
        let (a, b) = (encrypt(&[2, 3]), encrypt(&[3, 4]));
        let bits = encrypt(&[2, 3]).assume_bound(1).unwrap();
        let calls = [
            (p1.matmul(&a, &b), "matmul", 18, 8),
            (p1.multiply(&a, &a), "multiply", 12, 6),
            (p1.divide(&a, 7, 0, None), "divide", 6, 6),
            (p1.relu(&a), "relu", 12, 12),
            (p1.select(&bits, &a), "select", 12, 6),
            (p1.refresh(&a), "refresh", 6, 6),
            (
                p1.matmul_divide(&a, &b, 7, 0, None),
                "matmul_divide",
                6 + 12 + 8 + 8,
                8,
            ),
        ];
        let p2 = P2::new(key.clone());
        for (call, name, values, answers) in calls {
            let call = call.unwrap();
            let request = call.request().unwrap();
            let (operation, id) = addressee(&request[..REQUEST_HEADER_BYTES]).unwrap();
            let summary = Summary::of(request, key.public()).unwrap();
            assert_eq!((operation.name(), id), (name, key.public().id()));
            assert_eq!(
                (summary.operation, summary.values()),
                (operation, values),
                "{name}"
            );
            assert_eq!(summary.answers, answers, "{name}");
            let reply = p2.answer(request).unwrap().len() as u64;
            let ciphertext = key.public().ring().modulus().width() as u64 * 8;
            assert!(reply < (answers + 1) * ciphertext, "{name}: {reply} bytes");
            assert!(Summary::of(&request[..request.len() - 1], key.public()).is_err());
            assert!(Summary::of(&[request, &[0]].concat(), key.public()).is_err());
            assert!(addressee(&request[..REQUEST_HEADER_BYTES - 1]).is_err());
        }
        let other = PrivateKey::generate(256, Security::AllowInsecure).unwrap();
        let call = p1.refresh(&a).unwrap();
        let error = Summary::of(call.request().unwrap(), other.public()).unwrap_err();
        assert!(matches!(error, Error::KeyMismatch { .. }), "{error}");
    }
}
