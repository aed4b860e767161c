//! What a request says about itself: for a server that has to judge it before it answers it, and to
//! record it afterwards. It needs no private key, reads sizes alone and copies nothing.

use super::limits::working_bytes;
use super::message::{self, CHECK_BYTES, Head, Operation};
use super::shared::sizes::{Sizes, sizes};
use crate::error::Result;
use crate::paillier::{KeyId, PublicKey};
use crate::tensor::{broadcast_shapes, matmul_shape};
use crate::wire::Reader;

/// Header, operation, key, P2's operations, the number of ciphertexts, and the check at the end.
const REPLY_FRAME_BYTES: u64 = 4 + 2 + 2 + 2 + 32 + 8 + 8 + CHECK_BYTES as u64;

/// The first bytes of a request, which [`addressee`] needs: header, operation, key and job.
pub const REQUEST_HEADER_BYTES: usize = 4 + 2 + 2 + 2 + 32 + 16;

/// Sizes of a request and of its reply. No value, masked or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What it asks for.
    pub operation: Operation,
    /// Lines and values a line of every operand, in the order of the message; terms that P2 opened ahead of it are
    /// those of the request that had them opened.
    pub groups: Vec<[usize; 2]>,
    /// Ciphertexts in the reply.
    pub answers: u64,
    /// Bytes of the reply, at most.
    pub reply_bytes: u64,
    /// Bytes that P2 works in, at most: see [`super::P2Limits::working_bytes`].
    pub working_bytes: u64,
}

impl Summary {
    /// Sizes of a request under `key`. Only a request that is well-formed from its first to its last byte
    /// has any; whether its numbers are ciphertexts is left to [`super::P2::answer_for`].
    ///
    /// # Errors
    /// [`crate::Error::Malformed`], [`crate::Error::Limit`], [`crate::Error::KeyMismatch`].
    pub fn of(request: &[u8], key: &PublicKey) -> Result<Self> {
        let (Head { operation, .. }, mut reader) = message::read_request(request, key)?;
        let sizes = match operation {
            Operation::Share
            | Operation::Products
            | Operation::Gate
            | Operation::Setup
            | Operation::Open => sizes(operation, &mut reader, key)?,
            _ => basic_sizes(operation, &mut reader, key)?,
        };
        reader.finish()?;
        let width = key.ring().modulus().width() as u64 * 8;
        let ciphertexts = sizes.ciphertexts.saturating_mul(width);
        let reply_bytes = (REPLY_FRAME_BYTES + sizes.other_bytes).saturating_add(ciphertexts);
        Ok(Self {
            operation,
            answers: sizes.ciphertexts,
            working_bytes: working_bytes(&sizes, request.len() as u64, key),
            groups: sizes.groups,
            reply_bytes,
        })
    }

    /// Values in all operands.
    pub fn values(&self) -> u64 {
        self.groups.iter().map(size).sum()
    }
}

/// Sizes of the operations on single ciphertexts.
fn basic_sizes(operation: Operation, reader: &mut Reader<'_>, key: &PublicKey) -> Result<Sizes> {
    let mut shapes = Vec::new();
    let count = match operation {
        Operation::Multiply | Operation::Matmul => {
            shapes = vec![reader.shape()?, reader.shape()?];
            2
        }
        Operation::Divide => {
            reader.u64()?;
            1
        }
        _ => 1,
    };
    let mut sizes = Sizes::default();
    for _ in 0..count {
        sizes.masked(&message::skip_packed(reader, key)?);
    }
    // Two shapes of 2^28 elements at most give 2^56 at most.
    let product = |shape: &[usize]| shape.iter().map(|&d| d as u64).product::<u64>();
    let (ciphertexts, terms) = match operation {
        Operation::Multiply => {
            let outputs = product(&broadcast_shapes(&shapes[0], &shapes[1])?);
            (outputs, outputs)
        }
        Operation::Matmul => {
            let shape = matmul_shape(&shapes[0], &shapes[1])?;
            let outputs = product(&shape.output);
            (outputs, outputs.saturating_mul(shape.p as u64))
        }
        _ => (size(&sizes.groups[0]), 0),
    };
    (sizes.ciphertexts, sizes.results, sizes.terms) = (ciphertexts, ciphertexts, terms);
    Ok(sizes)
}

fn size(group: &[usize; 2]) -> u64 {
    (group[0] * group[1]) as u64
}

/// The operation and the key that a request, or its first [`REQUEST_HEADER_BYTES`], names.
///
/// # Errors
/// [`crate::Error::Malformed`] for bytes that begin no request.
pub fn addressee(start: &[u8]) -> Result<(Operation, KeyId)> {
    let (head, _) = Head::read(start)?;
    Ok((head.operation, head.key))
}

impl Operation {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Multiply => "multiply",
            Operation::Matmul => "matmul",
            Operation::Divide => "divide",
            Operation::Refresh => "refresh",
            Operation::Share => "share",
            Operation::Products => "products",
            Operation::Gate => "gate",
            Operation::Setup => "setup",
            Operation::Open => "open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::parallel;
    use crate::protocol::Promise;
    use crate::random::Random;
    use crate::{
        Encrypt, EncryptedTensor, IntegerMlp, IntegerTensor, MlpConfig, P1, P2, PrivateKey,
        Security, Session, Transport,
    };
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// Whatever is true of the summary of every request.
    fn check(request: &[u8], p2: &P2) -> Summary {
        let summary = Summary::of(request, p2.key()).unwrap();
        let header = &request[..REQUEST_HEADER_BYTES];
        assert_eq!(addressee(header), Ok((summary.operation, p2.key().id())));
        let reply = p2.answer(request).unwrap().len() as u64;
        let (name, most) = (summary.operation.name(), summary.reply_bytes);
        assert!(
            (most / 2..=most).contains(&reply),
            "{name}: {reply} bytes, at most {most} announced"
        );
        assert!(Summary::of(&request[..request.len() - 1], p2.key()).is_err());
        assert!(Summary::of(&[request, &[0]].concat(), p2.key()).is_err());
        assert!(addressee(&header[1..]).is_err());
        assert!(addressee(&header[..header.len() - 1]).is_err());
        summary
    }

    /// P2 as if it were elsewhere, and what it is asked for.
    struct Watching {
        p2: P2,
        seen: Arc<Mutex<BTreeSet<&'static str>>>,
    }

    impl Transport for Watching {
        fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
            let summary = check(request, &self.p2);
            self.seen.lock().unwrap().insert(summary.operation.name());
            self.p2.answer(request)
        }

        fn round_trip(&self) -> Option<Duration> {
            Some(Duration::ZERO)
        }
    }

    /// Training uses all operations on shared values.
    #[test]
    fn requests_of_a_training_are_summed_up() {
        let key = PrivateKey::generate(1024, Security::AllowInsecure).unwrap();
        let p2 = P2::new(key.clone());
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let transport = Watching {
            p2,
            seen: Arc::clone(&seen),
        };
        let p1 = Arc::new(P1::new(key.public().clone(), Promise::insecure(40)).unwrap());
        let session = Session::new(p1, Arc::new(transport));
        let tensor = |columns: usize| {
            let values: Vec<f64> = (0..4 * columns).map(|i| i as f64 / 8.0).collect();
            let clear = IntegerTensor::from_f64(&[4, columns], &values, 8, Some(14)).unwrap();
            EncryptedTensor::encrypt(&clear, &key, &Random::os()).unwrap()
        };
        let config = MlpConfig::relu(&[3, 40, 5, 2]).with_fraction_bits(8);
        let network = IntegerMlp::draw(config, None).unwrap();
        let mut network = network.encrypt(&key, &Random::os()).unwrap();
        // The size of parts that are opened ahead depends on the number of threads.
        parallel::alone(|| {
            network
                .train_step(&session, &tensor(3), &tensor(2), 0.1)
                .unwrap();
        });
        network.predict(&session, &tensor(3)).unwrap();
        let seen = seen.lock().unwrap();
        for name in ["share", "products", "gate", "setup", "open"] {
            assert!(seen.contains(name), "{name} is not among {seen:?}");
        }
    }

    #[test]
    fn requests_are_summed_up_without_the_private_key() {
        let key = PrivateKey::generate(256, Security::AllowInsecure).unwrap();
        let p1 = P1::new(key.public().clone(), Promise::insecure(40)).unwrap();
        let encrypt = |shape: &[usize]| {
            let count = shape.iter().product();
            let clear = IntegerTensor::from_i64(shape, &vec![3; count], Some(8)).unwrap();
            EncryptedTensor::encrypt(&clear, &key, &Random::os()).unwrap()
        };
        let (a, b) = (encrypt(&[2, 3]), encrypt(&[3, 4]));
        let calls = [
            (p1.matmul(&a, &b), "matmul", 18, 8),
            (p1.multiply(&a, &a), "multiply", 12, 6),
            (p1.divide(&a, 7, 0, None), "divide", 6, 6),
            (p1.refresh(&a), "refresh", 6, 6),
        ];
        let p2 = P2::new(key.clone());
        for (call, name, values, answers) in calls {
            let call = call.unwrap();
            let summary = check(call.request().unwrap(), &p2);
            assert_eq!(
                (summary.operation.name(), summary.values(), summary.answers),
                (name, values, answers)
            );
        }
        let other = PrivateKey::generate(256, Security::AllowInsecure).unwrap();
        let call = p1.refresh(&a).unwrap();
        let error = Summary::of(call.request().unwrap(), other.public()).unwrap_err();
        assert!(matches!(error, Error::KeyMismatch { .. }), "{error}");
    }
}
