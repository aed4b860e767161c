/* A process that has used the library forks: parent and children work on with the same objects, at the same
 * time, and with different randomness. Nobody hangs. */

#define _POSIX_C_SOURCE 200809L

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { COUNT = 24, CHILDREN = 3, NONCE = 32, PATIENCE = 300 };

static smlp_private_key *key;
static smlp_public_key *public_key;
static smlp_p1 *p1;
static smlp_p2 *p2;
static smlp_session *session;
static smlp_tensor *secret;
static int64_t values[COUNT];

static void expect(const smlp_tensor *tensor, const int64_t *wanted) {
  int64_t found[COUNT];
  smlp_tensor *clear = NULL;
  OK(smlp_tensor_decrypt(tensor, key, &clear));
  OK(smlp_tensor_to_i64(clear, found, COUNT));
  REQUIRE(memcmp(found, wanted, sizeof found) == 0);
  smlp_tensor_free(clear);
}

/* Encrypts, multiplies, compares and decrypts. What comes out shows the randomness of an encryption. */
static void work(uint8_t nonce[NONCE]) {
  const size_t shape[1] = {COUNT};
  int64_t squares[COUNT], positive[COUNT];
  smlp_tensor *clear = NULL, *fresh = NULL, *out = NULL;
  smlp_bytes *bytes = NULL;
  size_t width = 0;
  for (int i = 0; i < COUNT; i++) {
    squares[i] = values[i] * values[i];
    positive[i] = values[i] > 0 ? values[i] : 0;
  }
  OK(smlp_tensor_from_i64(values, COUNT, shape, 1, 20, &clear));
  OK(smlp_tensor_encrypt(clear, public_key, &fresh));
  expect(fresh, values);
  OK(smlp_tensor_to_ciphertexts(fresh, &width, &bytes));
  REQUIRE(smlp_bytes_len(bytes) >= NONCE);
  memcpy(nonce, smlp_bytes_data(bytes), NONCE);
  OK(smlp_session_multiply(session, secret, fresh, &out));
  expect(out, squares);
  smlp_tensor_free(out);
  OK(smlp_session_relu(session, secret, &out, NULL));
  expect(out, positive);
  smlp_tensor_free(out);
  smlp_bytes_free(bytes);
  smlp_tensor_free(fresh);
  smlp_tensor_free(clear);
}

static pid_t start(int *from) {
  int ends[2];
  uint8_t nonce[NONCE];
  REQUIRE(pipe(ends) == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(PATIENCE);
    work(nonce);
    /* A child may fork in turn. */
    pid_t grandchild = fork();
    if (grandchild == 0) {
      alarm(PATIENCE);
      uint8_t own[NONCE];
      work(own);
      _exit(memcmp(own, nonce, NONCE) == 0);
    }
    int status = 0;
    REQUIRE(waitpid(grandchild, &status, 0) == grandchild && status == 0);
    work(nonce);
    _exit(write(ends[1], nonce, NONCE) != NONCE);
  }
  close(ends[1]);
  *from = ends[0];
  return child;
}

static void succeeded(pid_t child) {
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void children_work_beside_the_parent(int count) {
  pid_t children[CHILDREN];
  int from[CHILDREN];
  uint8_t nonces[CHILDREN + 1][NONCE];
  for (int i = 0; i < count; i++) children[i] = start(&from[i]);
  work(nonces[count]);
  for (int i = 0; i < count; i++) {
    REQUIRE(read(from[i], nonces[i], NONCE) == NONCE);
    close(from[i]);
    succeeded(children[i]);
  }
  for (int i = 0; i <= count; i++)
    for (int j = 0; j < i; j++) REQUIRE(memcmp(nonces[i], nonces[j], NONCE) != 0);
}

/* A call that waits for its reply belongs to the process that began it. */
static void calls_go_on_in_one_process(void) {
  smlp_call *call = NULL;
  smlp_bytes *reply = NULL;
  const uint8_t *request = NULL;
  size_t len = 0;
  bool done = false;
  OK(smlp_p1_multiply(p1, secret, secret, &call));
  OK(smlp_call_request(call, &request, &len));
  OK(smlp_p2_answer(p2, request, len, &reply));
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(PATIENCE);
    FAILS(SMLP_FINISHED,
          smlp_call_resume(call, smlp_bytes_data(reply), smlp_bytes_len(reply), &done));
    char message[512];
    smlp_last_error(message, sizeof message);
    REQUIRE(strstr(message, "forked") != NULL);
    smlp_call_free(call);
    uint8_t nonce[NONCE];
    work(nonce);
    _exit(0);
  }
  OK(smlp_call_resume(call, smlp_bytes_data(reply), smlp_bytes_len(reply), &done));
  REQUIRE(done);
  succeeded(child);
  smlp_bytes_free(reply);
  smlp_call_free(call);
}

/* The same inside a session, whose transport forks. */
static int forks;
static pid_t forked;

static int fork_and_answer(void *userdata, const uint8_t *request, size_t len, smlp_reply *reply) {
  (void)userdata;
  smlp_bytes *bytes = NULL;
  if (forks++ == 0) {
    forked = fork();
    REQUIRE(forked >= 0);
    if (forked == 0) alarm(PATIENCE);
  }
  OK(smlp_p2_answer(p2, request, len, &bytes));
  OK(smlp_reply_write(reply, smlp_bytes_data(bytes), smlp_bytes_len(bytes)));
  smlp_bytes_free(bytes);
  return 0;
}

static void operations_go_on_in_one_process(void) {
  smlp_transport *transport = NULL;
  smlp_session *forking = NULL;
  smlp_tensor *out = NULL;
  OK(smlp_transport_callback(fork_and_answer, NULL, &transport));
  OK(smlp_session_new(p1, transport, NULL, &forking));
  smlp_status status = smlp_session_relu(forking, secret, &out, NULL);
  if (forked == 0) {
    REQUIRE(status == SMLP_FINISHED);
    /* Begun anew, it works in the child too. */
    OK(smlp_session_relu(forking, secret, &out, NULL));
    _exit(0);
  }
  REQUIRE(status == SMLP_OK);
  succeeded(forked);
  smlp_tensor_free(out);
  smlp_session_free(forking);
  smlp_transport_free(transport);
}

/* With an argument: fewer children. */
int main(int argc, char **argv) {
  (void)argv;
  const size_t shape[1] = {COUNT};
  smlp_tensor *clear = NULL;
  smlp_transport *transport = NULL;
  uint8_t nonce[NONCE];
  alarm(2 * PATIENCE);
  for (int i = 0; i < COUNT; i++) values[i] = (i % 2 ? -1 : 1) * 37 * i;
  OK(smlp_private_key_generate(512, true, &key));
  OK(smlp_private_key_public(key, &public_key));
  OK(smlp_p1_new_with_sigma(public_key, 40, SMLP_ALLOW_INSECURE, &p1));
  OK(smlp_p2_new(key, &p2));
  OK(smlp_transport_in_process(p2, &transport));
  OK(smlp_session_new(p1, transport, NULL, &session));
  OK(smlp_tensor_from_i64(values, COUNT, shape, 1, 20, &clear));
  OK(smlp_tensor_encrypt(clear, public_key, &secret));
  work(nonce);

  children_work_beside_the_parent(argc > 1 ? 1 : CHILDREN);
  calls_go_on_in_one_process();
  operations_go_on_in_one_process();

  smlp_tensor_free(secret);
  smlp_tensor_free(clear);
  smlp_session_free(session);
  smlp_transport_free(transport);
  smlp_p2_free(p2);
  smlp_p1_free(p1);
  smlp_public_key_free(public_key);
  smlp_private_key_free(key);
  return 0;
}
