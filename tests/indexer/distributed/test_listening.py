import os
import subprocess
import sys

import pytest

from indexer.distributed.listening import exposed_addresses

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who listens")

LISTENING = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
listener = socket.socket(family)
listener.bind((sys.argv[1], 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


def listening(address: str):
    """Start a process that listens, below another one."""
    shell = ["sh", "-c", '"$@"; true', "sh", sys.executable, "-c", LISTENING, address]
    return subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def port_of(process) -> str:
    port = process.stdout.readline().strip()
    if not port:
        process.communicate()
        pytest.skip("this machine has no IPv6")
    return port


@pytest.mark.parametrize(
    ("address", "shown"), [("0.0.0.0", "0.0.0.0:{}"), ("::", "[::]:{}")], ids=["IPv4", "IPv6"]
)
def test_a_grandchild_that_listens_for_everybody_is_found(address, shown):
    with listening(address) as process:
        port = port_of(process)
        assert exposed_addresses(os.getpid()) == [shown.format(port)]
        assert exposed_addresses(process.pid) == [shown.format(port)]
        process.communicate()
    assert exposed_addresses(os.getpid()) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_what_listens_for_this_machine_alone_is_not(address):
    with listening(address) as process:
        port_of(process)
        assert exposed_addresses(os.getpid()) == []
        process.communicate()
