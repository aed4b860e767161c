use super::*;
use crate::paillier::Security;
use seal::Sealer;

/// P2 for one job of one client.
struct Party {
    key: PrivateKey,
    sealer: Sealer,
    random: Random,
}

impl Party {
    fn new() -> Self {
        let key = PrivateKey::generate(256, Security::AllowInsecure).unwrap();
        Self {
            sealer: Sealer::new(&key),
            key,
            random: Random::os(),
        }
    }

    fn answering<'a>(&'a self, job: u8, client: &'a [u8]) -> Answering<'a> {
        Answering {
            key: &self.key,
            seals: Seals {
                sealer: &self.sealer,
                job: [job; 16],
                client,
            },
            random: &self.random,
            #[cfg(feature = "test-seed")]
            seen: Default::default(),
        }
    }
}

/// A share as P1 quotes it, of what P2 sealed.
fn quoted(lines: usize, per_line: usize, limbs: u32, sealed: &[u8]) -> Vec<u8> {
    let mut w = Writer::default();
    w.u64(lines as u64);
    w.u64(per_line as u64);
    w.u32(limbs);
    w.bytes(sealed);
    w.finish()
}

#[test]
fn sealed_halves_serve_as_what_they_are_and_as_nothing_else() {
    let party = Party::new();
    let p2 = party.answering(1, b"client");
    let values: Vec<Wide> = (0..6).map(|i| Wide::from_u64(i & 1)).collect();
    let halves = Halves {
        lines: 2,
        per_line: 3,
        values: Zeroizing::new(values.clone()),
    };
    type Read = fn(&mut Reader<'_>, &Answering<'_>) -> Result<Halves>;
    type Seal = fn(&mut Outbox<'_>, &Halves) -> Result<()>;
    let kinds: [(Seal, Read, Read, &str); 2] = [
        (
            |outbox, halves| outbox.seal_halves(halves, 40),
            read_halves,
            read_bits,
            "halves of 3 bits",
        ),
        (
            |outbox, bits| outbox.seal_bits(bits),
            read_bits,
            read_halves,
            "halves of 3 values",
        ),
    ];
    for (seal, right, wrong, name) in kinds {
        let mut outbox = Outbox::new(&p2, Writer::default());
        seal(&mut outbox, &halves).unwrap();
        let sealed = outbox.reply.finish();
        // Both kinds have the same size: only the seal tells them apart.
        assert_eq!(sealed.len(), 2 * (OVERHEAD + 3 * 8));
        let read = |read: Read, p2: &Answering<'_>, share: &[u8]| {
            read(&mut Reader::bare(share), p2).map(|halves| halves.values.to_vec())
        };
        let share = quoted(2, 3, 1, &sealed);
        assert_eq!(read(right, &p2, &share).unwrap(), values);
        let error = read(wrong, &p2, &share).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        // One line of it is as good as both: rows of a data set become batches.
        let line = quoted(1, 3, 1, &sealed[..sealed.len() / 2]);
        assert_eq!(read(right, &p2, &line).unwrap(), values[..3]);
        // Another shape of as many bytes; another job; another client.
        let shape = quoted(2, 1, 3, &sealed);
        assert!(read(right, &p2, &shape).is_err());
        assert!(read(right, &party.answering(2, b"client"), &share).is_err());
        assert!(read(right, &party.answering(1, b"other"), &share).is_err());
        // The same client of the same job, whenever it comes again.
        let again = party.answering(1, b"client");
        assert_eq!(read(right, &again, &share).unwrap(), values);
    }
    // Seeds are no halves, whatever the size is said to be.
    let seeds = p2
        .seals
        .seal(Purpose::Seeds, &[1; 24], &party.random)
        .unwrap();
    let share = quoted(1, 3, 1, &seeds);
    for read in [read_halves, read_bits] {
        assert!(read(&mut Reader::bare(&share), &p2).is_err());
    }
    let mut ticket = Writer::default();
    let halves = Purpose::Halves {
        per_line: 512,
        limbs: 1,
    };
    ticket.nested(&p2.seals.seal(halves, &[1; 4096], &party.random).unwrap());
    let ticket = ticket.finish();
    let error = setup::read(&mut Reader::bare(&ticket), &p2).err().unwrap();
    assert!(error.to_string().contains("transfer seeds"), "{error}");
}
