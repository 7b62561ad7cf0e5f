"""Programs whose keys may put to a queue, or get from it, and no more."""
import os
import sys
import unittest

import harness
from nqlab import KeyRing


class Keys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ring = KeyRing(harness.lab)
        cls.ring.add("putter", "--put", "orders.*")
        cls.ring.add("getter", "--get", "orders.*")
        cls.ring.add("chief", "--admin", "orders.*", "--put", "orders.*")
        cls.ring.serve(memory=True)

    def run_as(self, key, program, name):
        """What the program prints; `q` is the queue of that name."""
        environment = {"NETQUEUE_KEYS": self.ring.of(key) if key else "", "NETQUEUE_SERVER": self.ring.broker.endpoint}
        done = harness.run_python("-c", "from netqueue import NotAuthorised, Queue\nname = %r\n%s" % (name, program), env=environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refused(self, key, expression, name):
        self.assertEqual(self.run_as(key, "try:\n    %s\nexcept NotAuthorised:\n    print('refused')" % expression, name), "refused\n", expression)

    def test_with_the_right_to_put_or_to_get_a_queue_is_used_as_it_is(self):
        self.run_as("putter", "q = Queue(name=name, codec='str')\nq.put('one')\nq.put('two')", "orders.new")
        self.assertEqual(self.run_as("getter", "q = Queue(name=name, codec='str')\nfor _ in 'ab':\n    print(q.get())\n    q.task_done()", "orders.new"), "one\ntwo\n")
        self.run_as("chief", "Queue(name=name, codec='str', maxsize=1).put('one')", "orders.small")
        self.assertEqual(self.run_as("putter", "q = Queue(name=name, codec='str')\nprint(q.maxsize, q.full())", "orders.small"), "1 True\n")

    def test_what_a_key_may_not_do_is_refused(self):
        self.refused("putter", "Queue(name=name).get(timeout=5)", "orders.odd")
        self.refused("getter", "Queue(name=name, codec='str').put('x')", "orders.odd")
        self.refused("putter", "Queue(name=name, maxsize=3)", "orders.odd")
        self.refused("putter", "Queue(name=name)", "other")
        self.refused("putter", "Queue()", "")
        self.refused(None, "Queue(name=name)", "orders.odd")

    def test_a_refusal_says_why(self):
        program = "try:\n    %s\nexcept NotAuthorised as error:\n    print(error)"
        for key, expression, why in (
                ("getter", "Queue(name=name, codec='str').put('x')", "put to 'orders.odd': not authorised: this key may not put to this queue"),
                ("putter", "Queue(name=name).get(timeout=5)", "get from 'orders.odd': not authorised: this key may not get from this queue")):
            self.assertEqual(self.run_as(key, program % expression, "orders.odd"), why + "\n")

    def test_who_was_refused_is_let_in_once_authorised(self):
        """In one program, over one connection: the answer is the same however often it asks, until the broker has read the key."""
        self.ring.add("late", "--put", "orders.*")
        certificate = self.ring.authorised("late")
        aside = harness.lab.path("late-certificate")
        os.rename(certificate, aside)
        self.ring.reload()
        program = """
import os, signal
answers = []
def attempt():
    try:
        Queue(name=name, codec='str').put('at last')
        answers.append('stored')
    except NotAuthorised:
        answers.append('refused')
attempt()
attempt()
os.rename(%r, %r)
os.kill(%d, signal.SIGHUP)
while answers[-1] != 'stored':
    attempt()
print(answers[:2], answers[-1])""" % (aside, certificate, self.ring.broker.pid)
        self.assertEqual(self.run_as("late", program, "orders.late"), "['refused', 'refused'] stored\n")


if __name__ == "__main__":
    sys.exit(harness.run())
