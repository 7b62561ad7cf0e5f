#!/usr/bin/env python3
"""Checks that arrows point one way: the table of ARCHITECTURE.md, and what else a machine can check of the rules of CONTRIBUTING.md.

    check_architecture.py [--root DIR]     exit 0, or 1 with one line per violation: file:line: rule: what
    check_architecture.py --self-test      plants one violation of each rule and sees that it is found
"""

import argparse
import os
import re
import sys

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600

# Folder -> the folders of ours it may include from (itself always), and the foreign libraries. The longest folder that fits counts.
# "folder/header.h" allows that header only. This is the table of ARCHITECTURE.md.
LAYERS = {
    "proto": ([], ["protobuf-c"]),
    "keys": (["proto/status.h"], ["czmq"]),
    "broker/engine": ([], []),
    "broker/dispatch": (["broker/engine"], []),
    "broker/store": (["broker/engine/changes.h", "broker/engine/table.h", "proto/status.h", "proto/arena.h"], ["lmdb"]),
    "broker/frontend": (["broker/dispatch", "broker/engine", "broker/store", "broker/observe", "broker/platform", "broker/security",
                         "keys", "proto"], ["zmq"]),
    "broker/security": (["keys", "broker/observe/log.h", "proto/status.h", "proto/name.h"], []),
    "broker/config": (["proto/wire_limits.h", "proto/status.h", "proto/name.h", "proto/units.h"], ["czmq"]),
    "broker/observe": ([], []),
    "broker/platform": ([], []),
    "broker": (["broker/config", "broker/dispatch", "broker/engine", "broker/frontend", "broker/observe", "broker/platform",
                "broker/security", "broker/store", "keys", "proto"], []),
    "client": (["keys", "proto"], ["zmq"]),
    "client/cli": (["client/include", "proto/wire_limits.h", "proto/status.h", "proto/units.h"], ["jansson"]),
    "client/examples": (["client/include"], []),
    "client/include": (["proto/status.h"], []),
    "producer": (["client/include", "client/cli", "proto/units.h"], ["jansson"]),
    "consumer": (["client/include", "client/cli"], ["jansson"]),
    "admin": (["client/include", "client/cli", "admin/bench/bench.h", "keys", "proto/name.h"], ["jansson"]),
    "admin/bench": (["client/include", "client/cli"], []),
}
# client/ is one target with its public headers.
LAYERS["client"][0].append("client/include")

# Pure layers: what they may include of the C library. No socket, disk, thread or clock can be reached from these.
PURE = ("broker/engine", "broker/dispatch")
PURE_HEADERS = {"assert.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h",
                "stdio.h", "stdlib.h", "string.h"}
PURE_CALLS = re.compile(r"\b(f?printf|puts|fopen|fdopen|fwrite|fread|open|close|read|write|getenv|rand|random|srand|system|exit|"
                        r"pthread_\w+)\s*\(")

FOREIGN = (
    ("czmq", re.compile(r"(czmq|zconfig|zcert\w*|zactor|zsock|zframe|zmsg|zsys|zlist|zhashx?|zpoller|zclock)\.h$")),
    ("zmq", re.compile(r"zmq(_utils)?\.h$")),
    ("lmdb", re.compile(r"lmdb\.h$")),
    ("protobuf-c", re.compile(r"(protobuf-c/.*|.*\.pb-c)\.h$")),
    ("jansson", re.compile(r"jansson\.h$")),
    ("raft", re.compile(r"raft\.h$")),
    ("microhttpd", re.compile(r"microhttpd\.h$")),
    ("criterion", re.compile(r"criterion/.*\.h$")),
)

# A header of ours with such a name is found instead of the C library's by every file that searches its folder.
SHADOWING = {"assert.h", "complex.h", "ctype.h", "dirent.h", "endian.h", "errno.h", "error.h", "fcntl.h", "float.h", "glob.h", "grp.h",
             "inttypes.h", "limits.h", "link.h", "locale.h", "math.h", "memory.h", "netdb.h", "poll.h", "pthread.h", "pwd.h", "regex.h",
             "resolv.h", "sched.h", "search.h", "semaphore.h", "setjmp.h", "signal.h", "spawn.h", "stdint.h", "stdio.h", "stdlib.h",
             "string.h", "strings.h", "syslog.h", "termios.h", "threads.h", "time.h", "uchar.h", "unistd.h", "values.h", "wait.h", "wchar.h"}

CLOCK_CALLS = re.compile(r"\b(clock_gettime|gettimeofday|timespec_get|ftime|time|clock|zclock_\w+|zmq_stopwatch_\w+)\s*\(")
# Where the clock may be read: in the broker's platform/, in one file of the library and one of what the programs share.
CLOCK_FREE = re.compile(r"^(broker/platform|tests|bench|examples)/")
CLOCK_ONE_FILE = ("client", "client/cli")
SLEEP_CALLS = re.compile(r"\b(sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep|zclock_sleep|zmq_sleep)\s*\(")
NO_SLEEP = ("tests/unit/", "tests/contract/", "tests/sim/", "tests/golden/")
# Composed, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(" + "|".join(["ho" + "me", "wo" + "rk", "ro" + "ot", "Us" + "ers"]) + r")/[A-Za-z0-9_]")

C_FOLDERS = ("proto", "keys", "broker", "client", "producer", "consumer", "admin")
ALL_FOLDERS = C_FOLDERS + ("tests", "bench", "scripts", "docs", "cmake", "packaging", "examples", "python", ".ci")
TEXT_ENDINGS = (".c", ".h", ".py", ".md", ".txt", ".cmake", ".json", ".proto", ".in", ".sh", ".bash", ".service", "")
SKIPPED_FOLDERS = {"build", "__pycache__", ".git"}


def strip_comments_and_strings(text):
    """The text with comments and the inside of literals blanked; line breaks stay where they are."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)

    return pattern.sub(blank, text)


def layer_of(path):
    """The row of the table that a file belongs to; None: no row. A new folder of the broker is a new layer and needs a row."""
    folder = os.path.dirname(path)
    while folder and folder not in LAYERS:
        folder = os.path.dirname(folder)
    if folder == "broker" and os.path.dirname(path) != "broker":
        return None
    return folder or None


class Tree:
    def __init__(self, root):
        self.root = root
        self.found = []  # violations
        self.files = sorted(self.walk())
        self.headers = {}  # base name -> paths of ours
        for path in self.files:
            if path.endswith(".h"):
                self.headers.setdefault(os.path.basename(path), []).append(path)
        # The build copies it under this name, so that an installed header can include it.
        self.headers.setdefault("netqueue_status.h", ["proto/status.h"])
        self.clock_readers = {}  # layer -> its one file that reads the clock
        self.foreign_folders = {}  # (library, side) -> folder -> a place

    def walk(self):
        for top in ALL_FOLDERS:
            for folder, subfolders, names in os.walk(os.path.join(self.root, top)):
                subfolders[:] = [name for name in subfolders if name not in SKIPPED_FOLDERS]
                for name in names:
                    yield os.path.relpath(os.path.join(folder, name), self.root)
        for name in os.listdir(self.root):
            if os.path.isfile(os.path.join(self.root, name)):
                yield name

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def report(self, path, line, rule, what):
        self.found.append(f"{path}:{line}: {rule}: {what}")

    # ------------------------------------------------------------------------------------------------ includes

    def resolve(self, path, name):
        """The path of the header of ours that `path` means by "name", or None."""
        candidates = self.headers.get(os.path.basename(name), [])
        candidates = [c for c in candidates if c.endswith("/" + name) or os.path.basename(c) == name or name == "netqueue_status.h"]
        beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
        if beside in candidates:
            return beside
        allowed = [c for c in candidates if self.allows(layer_of(path), c)]
        return (allowed or candidates or [None])[0]

    @staticmethod
    def allows(layer, header):
        if layer is None or layer_of(header) == layer:
            return True
        return any(header == allowed or layer_of(header) == allowed for allowed in LAYERS[layer][0])

    def check_includes(self, path, text):
        layer = layer_of(path)
        if layer is None:
            self.report(path, 1, "layer", "this folder is in no row of the table of ARCHITECTURE.md")
            return
        for number, line in enumerate(text.split("\n"), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            quote, name = match.groups()
            library = next((library for library, pattern in FOREIGN if pattern.match(name)), None)
            if library:
                self.check_foreign(path, number, layer, library, name)
            elif quote == "<":
                if layer in PURE and name not in PURE_HEADERS:
                    self.report(path, number, "pure", f"{layer} may not include <{name}>")
                if name in self.headers and name not in SHADOWING and name != "netqueue.h":
                    self.report(path, number, "include", f'<{name}> is ours: "{name}"')
            else:
                header = self.resolve(path, name)
                if header is None:
                    self.report(path, number, "include", f'"{name}" is no header of this tree')
                elif not self.allows(layer, header):
                    self.report(path, number, "arrow", f"{layer} may not include {header}")

    def check_foreign(self, path, number, layer, library, name):
        if library not in LAYERS[layer][1]:
            self.report(path, number, "foreign", f"{layer} may not include {name} ({library})")
            return
        side = path.split("/")[0]
        # The programs share one side with the library they use.
        side = "client" if side in ("producer", "consumer", "admin") else side
        self.foreign_folders.setdefault((library, side), {}).setdefault(layer, f"{path}:{number}")

    def check_foreign_folders(self):
        for (library, side), folders in sorted(self.foreign_folders.items()):
            if len(folders) > 1:
                places = ", ".join(sorted(folders.values()))
                self.found.append(f"{places}: foreign: {library} is included by more than one folder of {side}")

    # ------------------------------------------------------------------------------------------------ calls, sizes, text

    def check_calls(self, path, code):
        for number, line in enumerate(code.split("\n"), 1):
            if line.lstrip().startswith("#"):
                continue
            if CLOCK_CALLS.search(line) and not CLOCK_FREE.match(path):
                reader = self.clock_readers.setdefault(layer_of(path), path)
                if layer_of(path) not in CLOCK_ONE_FILE or reader != path:
                    self.report(path, number, "clock", f"{CLOCK_CALLS.search(line).group(1)}() is called in one file of each side only")
            if path.startswith(NO_SLEEP) and SLEEP_CALLS.search(line):
                self.report(path, number, "sleep", f"{SLEEP_CALLS.search(line).group(1)}() in a test: let virtual time pass instead")
            if layer_of(path) in PURE and PURE_CALLS.search(line):
                self.report(path, number, "pure", f"{layer_of(path)} may not call {PURE_CALLS.search(line).group(1)}()")

    def check_macros(self, path, code):
        for match in re.finditer(r"^[ \t]*#[ \t]*define[ \t]+(\w+)((?:[^\n]*\\\n)*[^\n]*)", code, re.M):
            # A macro that defines a whole function takes nothing out of the hands of whoever uses it.
            defines_function = re.search(r"^\s*static\b", match.group(2).replace("\\", ""), re.M)
            if re.search(r"\b(return|goto|break|continue)\b", match.group(2)) and not defines_function:
                line = code.count("\n", 0, match.start()) + 1
                self.report(path, line, "macro", f"{match.group(1)} hides control flow")

    def check_functions(self, path, code, excused):
        lines = code.split("\n")
        start = name = None
        for number, line in enumerate(lines, 1):
            if line.startswith("{") and start is None:
                name, start = self.function_name(lines, number - 1), number
            elif line.startswith("}") and start is not None:
                length = number - start - 1
                if length > FUNCTION_LINES_MAX and f"{path}:{name}" not in excused:
                    self.report(path, start, "length", f"{name}() has {length} lines, {FUNCTION_LINES_MAX} are the most")
                start = None

    @staticmethod
    def function_name(lines, index):
        head = []
        while index > 0 and lines[index - 1].strip() and not re.search(r"[;}]\s*$", lines[index - 1]):
            index -= 1
            head.insert(0, lines[index])
        match = re.search(r"(\w+)\s*\(", " ".join(head))
        return match.group(1) if match else "?"

    def check_text(self, path, text):
        for number, line in enumerate(text.split("\n"), 1):
            if MACHINE_PATHS.search(line):
                self.report(path, number, "path", f"a path of one machine: {MACHINE_PATHS.search(line).group(0)}...")

    def excused_functions(self):
        """tests/architecture/long_functions.txt: "path:function  reason" a line; the reason is not optional."""
        path = "tests/architecture/long_functions.txt"
        excused = {}
        if path in self.files:
            for number, line in enumerate(self.read(path).split("\n"), 1):
                if line.strip() and not line.startswith("#"):
                    name, _, reason = line.strip().partition(" ")
                    if not reason.strip():
                        self.report(path, number, "length", f"{name} is excused without a reason")
                    excused[name] = reason.strip()
        return excused

    def check(self):
        excused = self.excused_functions()
        for path in self.files:
            if os.path.splitext(path)[1] not in TEXT_ENDINGS:
                continue
            text = self.read(path)
            if "\0" in text:
                continue
            self.check_text(path, text)
            if path.endswith((".c", ".h", ".py")):
                lines = text.count("\n")
                if lines > FILE_LINES_MAX:
                    self.report(path, 1, "length", f"{lines} lines, {FILE_LINES_MAX} are the most: split by concept")
            if not path.endswith((".c", ".h")):
                continue
            if os.path.basename(path) in SHADOWING:
                self.report(path, 1, "name", "the C library has a header of this name, and this one would be found instead")
            code = strip_comments_and_strings(text)
            self.check_calls(path, code)
            self.check_macros(path, code)
            self.check_functions(path, code, excused)
            if path.split("/")[0] in C_FOLDERS:
                self.check_includes(path, text)
        self.check_foreign_folders()
        return self.found


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)))
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        import self_test
        return self_test.run(Tree)
    tree = Tree(arguments.root)
    found = tree.check()
    for violation in found:
        print(violation)
    sources = [path for path in tree.files if path.endswith((".c", ".h"))]
    print(f"{len(found)} violations in {len(sources)} C files")
    # A check that looked at nothing must not pass.
    return 1 if found or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
