// The sizes that kernels exist for: bits of the modulus, or of its root for N-adic form; threads a
// number; words a thread (a multiple of four).
//
// Four to sixteen words a thread keep a product in registers and most instructions of its loop
// multiplications. Smaller moduli are padded.
#pragma once
#define FOR_ALL_SIZES(X) \
  X(512, 4, 4)           \
  X(1024, 4, 8)          \
  X(1536, 4, 12)         \
  X(2048, 8, 8)          \
  X(3072, 8, 12)         \
  X(4096, 16, 8)
