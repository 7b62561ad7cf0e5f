"""Python's own queues, for scale: full cycles with one producer and one consumer."""
import os
import sys

from .. import python_queues
from ..load import run_json
from ..processes import Failed


def python(session):
    script = os.path.abspath(python_queues.__file__)
    for number in range(session.repeat):
        for name in python_queues.QUEUES:
            session.say("python, round %d: %s" % (number + 1, name))
            try:
                result = run_json([sys.executable, script, name, session.seconds], 60)
            except Failed as failure:
                result = str(failure)
            session.add("python", name, {"size": 100}, result, number)
