import os

from phe import encrypted_operations

phe = encrypted_operations(int(os.environ.get("BITS", "30")), 2**10)
