"""The message classes of proto/netqueue.proto, generated when first asked for into a directory that goes away with us."""
import atexit
import importlib
import os
import shutil
import subprocess
import sys
import tempfile

PROTO_DIR = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "proto"))
_module = None


def messages():
    """The generated module: messages().ClientFrame and so on."""
    global _module
    if _module is None:
        where = tempfile.mkdtemp(prefix="nq-proto-")
        atexit.register(shutil.rmtree, where, True)
        subprocess.run(["protoc", "--proto_path", PROTO_DIR, "--python_out", where, "netqueue.proto"], check=True)
        sys.path.insert(0, where)
        try:
            _module = importlib.import_module("netqueue_pb2")
        finally:
            sys.path.remove(where)
    return _module
