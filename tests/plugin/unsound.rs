//! The plugin's table, called as no sound host would.

#[path = "../../src/modular/plugin/table.rs"]
#[allow(dead_code)] // this host does not need all of it
mod table;

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};
use table::{
    ABI, Evaluation, INVALID_ARGUMENT, NADIC, OK, OPEN, OUT_OF_MEMORY, OpenFunction, PLAIN, Step,
};

/// Each call is refused by its code, and the next one works.
#[test]
#[ignore = "run by other tests as a process"]
fn abuses_the_table() {
    let file = std::env::var_os("SMLP_PLUGIN").unwrap();
    let mut text = [0 as c_char; 64];
    // SAFETY: the plugin keeps the table's contract; what is passed lives during each call.
    unsafe {
        let library = libloading::Library::new(file).unwrap();
        let open = library.get::<OpenFunction>(OPEN).unwrap();
        assert!(open(ABI + 1, text.as_mut_ptr(), text.len()).is_null());
        let reason = CStr::from_ptr(text.as_ptr()).to_str().unwrap();
        assert!(reason.contains("ABI 1, the library asks for 2"), "{reason}");
        assert!(open(ABI + 1, null_mut(), 0).is_null());
        let table = &*open(ABI, text.as_mut_ptr(), text.len());
        assert_eq!(table.size as usize, size_of::<table::Table>());
        assert_eq!(
            [512, 513, 4096, 4097].map(|b| (table.height)(b)),
            [16, 32, 128, 0]
        );

        // Modulo 2^32 + 1 with R = 2^512, which is 1: R, R², R³ are 1 and −modulus^−1 is −1.
        let (height, mut constants) = (16, vec![0u32; 2 * 16 + 3 * 16 + 1]);
        (constants[0], constants[1]) = (1, 1);
        for power in 2..5 {
            constants[power * height] = 1;
        }
        constants[5 * height] = u32::MAX;
        let mut ring = null_mut();
        let new = |form, bits, words: usize, out| {
            (table.ring_new)(form, bits, constants.as_ptr(), words, out)
        };
        for (form, bits, words) in [
            (2, 33, 81),
            (PLAIN, 5000, 81),
            (PLAIN, 33, 80),
            (NADIC, 33, 81),
        ] {
            assert_eq!(new(form, bits, words, &raw mut ring), INVALID_ARGUMENT);
            assert!(ring.is_null());
        }
        assert_eq!(new(PLAIN, 33, 81, &raw mut ring), OK);

        let canonical: Vec<u64> = (1..=6).collect();
        let mut block = null_mut();
        let enter =
            |from: *const u64, count, width, out| (table.enter)(ring, from, count, width, out);
        assert_eq!(enter(null(), 6, 1, &raw mut block), INVALID_ARGUMENT);
        assert_eq!(
            enter(canonical.as_ptr(), 1, 9, &raw mut block),
            INVALID_ARGUMENT
        );
        assert_eq!(
            enter(canonical.as_ptr(), usize::MAX, 2, &raw mut block),
            INVALID_ARGUMENT
        );
        assert_eq!(
            (table.enter)(null(), canonical.as_ptr(), 6, 1, &raw mut block),
            INVALID_ARGUMENT
        );
        assert_eq!(enter(canonical.as_ptr(), 6, 1, &raw mut block), OK);

        let mut out: *mut c_void = null_mut();
        assert_eq!(
            (table.gather)(ring, block, [6u32].as_ptr(), 1, &raw mut out),
            INVALID_ARGUMENT
        );
        assert_eq!(
            (table.join)(ring, [null()].as_ptr(), 1, &raw mut out),
            INVALID_ARGUMENT
        );
        assert_eq!(
            (table.tables)(ring, block, null(), 17, &raw mut out),
            INVALID_ARGUMENT
        );
        let mut short = null_mut();
        assert_eq!(
            (table.gather)(ring, block, [5u32].as_ptr(), 1, &raw mut short),
            OK
        );
        assert_eq!(
            (table.multiply)(ring, block, short, &raw mut out),
            INVALID_ARGUMENT
        );
        assert_eq!(
            (table.tables)(ring, block, short, 2, &raw mut out),
            INVALID_ARGUMENT
        );
        let mut limbs = [7u64; 6];
        let leave = |block, to: *mut u64, count| (table.leave)(ring, block, to, count, 1);
        assert_eq!(leave(block, limbs.as_mut_ptr(), 5), INVALID_ARGUMENT);
        assert_eq!(leave(block, null_mut(), 6), INVALID_ARGUMENT);
        assert_eq!(limbs, [7; 6]);

        let step = Step {
            squarings: 1,
            column: 0,
            first: 0,
            at: 0,
        };
        let (slots, exponents) = ([0u32, 5], [1u32, 0, 0, 0]);
        let sound = || Evaluation {
            outputs: 2,
            start: null(),
            table: block.cast_const(),
            steps: &raw const step,
            step_count: 1,
            slots: slots.as_ptr(),
            columns: 1,
            exponents: exponents.as_ptr(),
            exponent_words: 2,
            exponent_count: 2,
            output_stride: 1,
            column_stride: 0,
            window: 0,
        };
        let run = |e: &Evaluation, out: *mut *mut c_void| (table.evaluate)(ring, e, out);
        let outside = Step { at: 32, ..step };
        let unsound = [
            Evaluation {
                table: null(),
                ..sound()
            },
            Evaluation {
                start: block.cast_const(),
                ..sound()
            },
            Evaluation {
                slots: [0u32, 6].as_ptr(),
                ..sound()
            },
            Evaluation {
                steps: &Step { first: 1, ..step },
                ..sound()
            },
            Evaluation {
                steps: &Step { column: 1, ..step },
                ..sound()
            },
            Evaluation {
                steps: null(),
                ..sound()
            },
            Evaluation {
                window: 1,
                ..sound()
            },
            Evaluation {
                window: 40,
                ..sound()
            },
            Evaluation {
                slots: null(),
                window: 2,
                output_stride: 2,
                ..sound()
            },
            Evaluation {
                slots: null(),
                window: 2,
                steps: &outside,
                ..sound()
            },
            Evaluation {
                slots: null(),
                window: 2,
                exponents: null(),
                ..sound()
            },
            Evaluation {
                columns: usize::MAX,
                ..sound()
            },
        ];
        for (i, e) in unsound.iter().enumerate() {
            assert_eq!(run(e, &raw mut out), INVALID_ARGUMENT, "evaluation {i}");
            assert!((table.last_error)(text.as_mut_ptr(), text.len()) > 0);
        }
        let many = Evaluation {
            outputs: 1 << 40,
            slots: null(),
            output_stride: 0,
            ..sound()
        };
        assert_eq!(run(&many, &raw mut out), OUT_OF_MEMORY);
        assert!(out.is_null());
        assert_eq!(run(&sound(), &raw mut out), OK);
        let mut got = [0u64; 2];
        assert_eq!(leave(out, got.as_mut_ptr(), 2), OK);
        assert_eq!(got, [1, 6]);
        for block in [block, short, out, null_mut()] {
            (table.block_free)(block);
        }
        (table.ring_free)(ring);
        (table.ring_free)(null_mut());
    }
    println!("\nDONE");
}
