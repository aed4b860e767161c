use super::*;

const NONCE: Nonce = *b"nonce for tests!";

fn pair() -> (Sender, Seeds) {
    let random = Random::os();
    let (setup, points) = Setup::new(&random).unwrap();
    let (reply, seeds) = answer_setup(&points, &random).unwrap();
    (setup.finish(&reply).unwrap(), seeds)
}

#[test]
fn labels_differ_by_delta_exactly_where_the_choice_is_one() {
    let (sender, seeds) = pair();
    assert_eq!(sender.delta() & 1, 1);
    // Around the sizes of a byte, a block and a tile.
    for count in [0, 1, 7, 8, 9, 127, 128, 129, 1000, 8191, 8192, 8193, 20_000] {
        let mut nonce = NONCE;
        nonce[..8].copy_from_slice(&(count as u64).to_le_bytes());
        let choices = Random::os().coins(count).unwrap();
        let message = seeds.choose(&nonce, &choices);
        assert_eq!(message.len(), message_len(count));
        let zero = sender.zero_labels(&nonce, count, &message).unwrap();
        let active = seeds.labels(&nonce, count);
        assert_eq!((zero.len(), active.len()), (count, count));
        for (j, &choice) in choices.iter().enumerate() {
            let difference = if choice { sender.delta() } else { 0 };
            assert_eq!(zero[j] ^ active[j], difference, "bit {j} of {count}");
        }
    }
}

#[test]
fn labels_do_not_repeat() {
    let (_, seeds) = pair();
    let mut labels = seeds.labels(&NONCE, 5000).to_vec();
    labels.extend_from_slice(&seeds.labels(b"some other nonce", 5000));
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), 10_000);
}

#[test]
fn the_message_hides_the_choices() {
    // Without its pads the matrix would be 128 times the same row.
    let (_, seeds) = pair();
    let ones = |choices: &[bool], nonce: &Nonce| -> u32 {
        let message = seeds.choose(nonce, choices);
        message.iter().map(|byte| byte.count_ones()).sum()
    };
    // 2^17 coins: a standard deviation of 181.
    for (choice, nonce) in [(false, b"nonce of noughts"), (true, b"the nonce of one")] {
        let count = ones(&[choice; 1024], nonce);
        assert!(count.abs_diff(1 << 16) < 1100, "{count} ones");
    }
}

#[test]
fn seeds_survive_bytes() {
    let (sender, seeds) = pair();
    let again = Seeds::from_bytes(&seeds.to_bytes()).unwrap();
    let choices = [true, false, true, true, false];
    let message = seeds.choose(&NONCE, &choices);
    assert_eq!(message, again.choose(&NONCE, &choices));
    assert_eq!(seeds.labels(&NONCE, 5), again.labels(&NONCE, 5));
    let zero = sender.zero_labels(&NONCE, 5, &message).unwrap();
    assert_eq!(zero[1], again.labels(&NONCE, 5)[1]);
}

#[test]
fn p1_knows_one_seed_of_each_pair() {
    let (sender, seeds) = pair();
    for i in 0..ROWS {
        let (known, other) = match sender.delta() >> i & 1 {
            0 => (seeds.zero[i], seeds.one[i]),
            _ => (seeds.one[i], seeds.zero[i]),
        };
        assert_eq!(sender.seeds[i], known);
        assert_ne!(sender.seeds[i], other);
    }
}

#[test]
fn what_has_the_wrong_length_or_is_no_point_is_refused() {
    let random = Random::os();
    let refused = |result: Option<Error>, part: &str| {
        let text = result.expect("an error").to_string();
        assert!(text.contains(part), "{text}");
    };
    let (setup, mut points) = Setup::new(&random).unwrap();
    refused(
        answer_setup(&points[1..], &random).err(),
        "must have 4096 bytes, not 4095",
    );
    // The field's modulus minus one and more: no canonical encoding.
    points[32 * 77..][..32].fill(0xff);
    refused(answer_setup(&points, &random).err(), "point 77");
    refused(setup.finish(&[0; 31]).err(), "must have 32 bytes, not 31");
    let (setup, _) = Setup::new(&random).unwrap();
    refused(setup.finish(&[0xff; 32]).err(), "point 0");
    refused(Seeds::from_bytes(&[0; 4095]).err(), "4096 bytes, not 4095");
    let (sender, seeds) = pair();
    let mut message = seeds.choose(&NONCE, &[true; 9]);
    message.push(0);
    refused(
        sender.zero_labels(&NONCE, 9, &message).err(),
        "must have 256 bytes, not 257",
    );
    refused(
        sender.zero_labels(&NONCE, 17, &message[..256]).err(),
        "must have 384 bytes, not 256",
    );
}

#[test]
fn transposition_moves_every_bit() {
    let random = Random::os();
    let mut bytes = vec![[0; 16]; ROWS];
    random.fill(bytes.as_flattened_mut()).unwrap();
    let matrix: [u128; ROWS] = std::array::from_fn(|i| u128::from_le_bytes(bytes[i]));
    let mut transposed = matrix;
    transpose(&mut transposed);
    for (i, row) in matrix.iter().enumerate() {
        for (j, column) in transposed.iter().enumerate() {
            assert_eq!(row >> j & 1, column >> i & 1);
        }
    }
}
