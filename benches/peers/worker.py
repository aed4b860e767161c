"""One library in a process of its own: makes keys, checks its results, then times itself.

Reads names of operations from standard input, a line each, and answers with a line of JSON: how
many elements the operation computed in how many seconds. The first line that it writes says which
operations it has, and why not the others. Runs on Python 3.8, where one of the libraries needs it.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np

BITS, COUNT, ROWS = 2048, 64, 64
RANDOM = np.random.default_rng(0)
# Small enough for sums of 64-bit integers.
VALUES = RANDOM.integers(-(2**24), 2**24, COUNT)
WEIGHTS = RANDOM.integers(-(2**31), 2**31, COUNT)
MATRIX = RANDOM.integers(-(2**31), 2**31, (ROWS, COUNT))
#: Peers take so long that a part of the matrix says the same.
FEW = MATRIX[:4]


def check(got, wanted):
    if not np.array_equal(np.array(got, dtype=object), np.array(wanted, dtype=object)):
        raise AssertionError(f"wrong result: {str(got)[:60]} instead of {str(wanted)[:60]}")


def smlp(short_exponents):
    import smlp as library

    key = library.keygen(BITS, short_exponents=short_exponents)
    data = library.encrypt(key, VALUES)
    library.encrypt(key.public, VALUES[:1])  # makes the tables
    opened = lambda c: c.decrypt(key.private)  # noqa: E731
    kind = ", short exponents" if short_exponents else ""
    return f"smlp, {library.backend()}{kind}", {
        "encrypt": (COUNT, lambda: library.encrypt(key.public, VALUES), opened, VALUES),
        "encrypt, key holder": (COUNT, lambda: library.encrypt(key, VALUES), opened, VALUES),
        "decrypt": (COUNT, lambda: opened(data), None, VALUES),
        "add": (COUNT, lambda: data + data, opened, 2 * VALUES),
        "multiply": (COUNT, lambda: data * WEIGHTS, opened, VALUES * WEIGHTS),
        "matrix": (MATRIX.size, lambda: MATRIX @ data, opened, MATRIX @ VALUES),
    }


def python_paillier():
    import gmpy2  # noqa: F401  without it, the library is many times slower
    import phe

    public, private = phe.generate_paillier_keypair(n_length=BITS)
    values, weights = VALUES.tolist(), WEIGHTS.tolist()
    data = [public.encrypt(v) for v in values]
    opened = lambda c: [private.decrypt(x) for x in c]  # noqa: E731
    dot = lambda row: sum(c * w for c, w in zip(data, row))  # noqa: E731
    return f"python-paillier {version('phe')}", {
        "encrypt": (COUNT, lambda: [public.encrypt(v) for v in values], opened, values),
        "decrypt": (COUNT, lambda: opened(data), None, values),
        "add": (COUNT, lambda: [a + b for a, b in zip(data, data)], opened, 2 * VALUES),
        "multiply": (
            COUNT,
            lambda: [a * w for a, w in zip(data, weights)],
            opened,
            VALUES * WEIGHTS,
        ),
        "matrix": (FEW.size, lambda: [dot(row) for row in FEW.tolist()], opened, FEW @ VALUES),
    }


def heu(schema):
    import heu.numpy as hnp
    from heu import phe

    kit = hnp.setup(getattr(phe.SchemaType, schema), BITS)
    encoder = kit.bigint_encoder()
    encryptor, decryptor, evaluator = kit.encryptor(), kit.decryptor(), kit.evaluator()
    encode = lambda x: kit.array(x, encoder)  # noqa: E731
    # Encoding is not timed.
    values, weights = encode(VALUES.reshape(COUNT, 1)), encode(WEIGHTS.reshape(COUNT, 1))
    few = encode(FEW)
    data = encryptor.encrypt(values)
    opened = lambda c: decryptor.decrypt(c).to_numpy(encoder).ravel()  # noqa: E731
    return f"HEU {version('sf-heu')}, {schema}", {
        "encrypt": (COUNT, lambda: encryptor.encrypt(values), opened, VALUES),
        "decrypt": (
            COUNT,
            lambda: decryptor.decrypt(data),
            lambda p: p.to_numpy(encoder).ravel(),
            VALUES,
        ),
        "add": (COUNT, lambda: evaluator.add(data, data), opened, 2 * VALUES),
        "multiply": (COUNT, lambda: evaluator.mul(data, weights), opened, VALUES * WEIGHTS),
        "matrix": (FEW.size, lambda: evaluator.matmul(few, data), opened, FEW @ VALUES),
    }


def ipcl():
    from ipcl_python import PaillierKeypair

    public, private = PaillierKeypair.generate_keypair(BITS)
    values, weights = VALUES.tolist(), WEIGHTS.tolist()
    data = public.encrypt(values)
    rows = FEW.tolist()
    return f"ipcl-python {version('ipcl-python')}", {
        "encrypt": (COUNT, lambda: public.encrypt(values), private.decrypt, values),
        "decrypt": (COUNT, lambda: private.decrypt(data), None, values),
        "add": (COUNT, lambda: data + data, private.decrypt, 2 * VALUES),
        "multiply": (COUNT, lambda: data * weights, private.decrypt, VALUES * WEIGHTS),
        "matrix": (
            FEW.size,
            lambda: [(data * row).sum() for row in rows],
            lambda sums: [private.decrypt(s) for s in sums],
            FEW @ VALUES,
        ),
    }


LIBRARIES = {
    "smlp": lambda: smlp(False),
    "smlp-short": lambda: smlp(True),
    "python-paillier": python_paillier,
    "heu": lambda: heu("ZPaillier"),
    "heu-ipcl": lambda: heu("IPCL"),
    "ipcl": ipcl,
}


def serve(library, answer):
    name, operations = LIBRARIES[library]()
    ready, refused = {}, {}
    for operation, (count, work, opened, wanted) in operations.items():
        try:
            result = work()
            check(opened(result) if opened else result, wanted)
            ready[operation] = count, work
        except Exception as error:  # whatever a peer throws is why it has no figure
            refused[operation] = f"{type(error).__name__}: " + " ".join(str(error).split())[-110:]
    answer({"name": name, "ready": list(ready), "refused": refused})
    for line in sys.stdin:
        count, work = ready[line.strip()]
        # Processor time: others may use this core too. Enough repetitions for the clock.
        times, start = 0, time.process_time()
        while times == 0 or time.process_time() - start < 0.05:
            work()
            times += 1
        answer({"seconds": time.process_time() - start, "elements": times * count})


if __name__ == "__main__":
    # Libraries may write to standard output: answers have a mark.
    serve(sys.argv[1], lambda reply: print("ANSWER", json.dumps(reply), flush=True))
