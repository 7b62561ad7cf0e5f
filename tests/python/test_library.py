"""The structures that the package passes to libnetqueue are those of its header: the C compiler compares them, field by field."""
import ctypes
import os
import re
import subprocess
import sys
import unittest

import harness


def compiler():
    """The one that has built the library."""
    with open(os.path.join(harness.build_dir, "CMakeCache.txt"), encoding="utf-8") as file:
        return re.search(r"^CMAKE_C_COMPILER:\w+=(.+)$", file.read(), re.M).group(1)


def structures():
    from netqueue import _library
    return [kind for kind in vars(_library).values() if isinstance(kind, type) and issubclass(kind, ctypes.Structure) and kind is not ctypes.Structure]


def zero(kind):
    return "{0}" if issubclass(kind, (ctypes.Structure, ctypes.Array)) else "0"


def as_c(kind):
    """C that compiles without a warning if the header's structure has these fields, at these places, and no others."""
    name = "struct nq" + re.sub("[A-Z]", lambda capital: "_" + capital.group().lower(), kind.__name__)
    lines = ["_Static_assert(sizeof(%s) == %d, \"size of %s\");" % (name, ctypes.sizeof(kind), name)]
    for field, field_kind in kind._fields_:
        place = getattr(kind, field)
        lines.append("_Static_assert(offsetof(%s, %s) == %d, \"place of %s\");" % (name, field, place.offset, field))
        lines.append("_Static_assert(sizeof(((%s *)0)->%s) == %d, \"size of %s\");" % (name, field, ctypes.sizeof(field_kind), field))
    # Sizes alone would miss a last field that fits into padding: a value for each field, and the compiler warns when there are more.
    lines.append("const %s all_of_%s = {%s};" % (name, kind.__name__, ", ".join(zero(field_kind) for _, field_kind in kind._fields_)))
    return "\n".join(lines)


def complaints(source):
    """What the compiler says of this C."""
    places = ["-I" + os.path.join(top, "client", "include") for top in (harness.ROOT, harness.build_dir)]
    return subprocess.run([compiler(), "-std=c11", "-Wextra", "-fsyntax-only", *places, "-x", "c", "-"],
                          input=source, capture_output=True, text=True, check=False).stderr


class Structures(unittest.TestCase):
    def test_each_is_that_of_the_header(self):
        self.assertGreater(len(structures()), 7)
        for kind in structures():
            self.assertEqual(complaints("#include <stddef.h>\n#include <netqueue.h>\n" + as_c(kind)), "", kind.__name__)


if __name__ == "__main__":
    sys.exit(harness.run())
