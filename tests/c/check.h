/* Checks for the C and C++ tests: they stop the program, naming the line. */
#ifndef SMLP_TEST_CHECK_H
#define SMLP_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "smlp.h"

#define REQUIRE(condition)                                                   \
  do {                                                                       \
    if (!(condition)) {                                                      \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                               \
    }                                                                        \
  } while (0)

#define OK(call) check_status((call), SMLP_OK, #call, __FILE__, __LINE__)

/* The call fails with that status and leaves a message. */
#define FAILS(status, call) check_status((call), (status), #call, __FILE__, __LINE__)

static inline void check_status(smlp_status status, smlp_status expected, const char *call,
                                const char *file, int line) {
  char message[512] = "";
  size_t length = smlp_last_error(message, sizeof message);
  if (status != expected || (expected != SMLP_OK && length == 0)) {
    fprintf(stderr, "%s:%d: %s: %s instead of %s: %s\n", file, line, call, smlp_status_name(status),
            smlp_status_name(expected), message);
    exit(1);
  }
}

#endif
