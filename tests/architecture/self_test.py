"""Plants one violation of each rule into a small tree that keeps them all, and sees that exactly it is found."""

import os
import tempfile

CLEAN = {
    "proto/status.h": "#pragma once\nenum nq_status { NQ_OK };\n",
    "proto/wire.h": '#pragma once\n#include "status.h"\n',
    "proto/wire.c": '#include "wire.h"\n#include "netqueue.pb-c.h"\n#include <protobuf-c/protobuf-c.h>\n',
    "broker/engine/changes.h": "#pragma once\n#include <stdint.h>\n",
    "broker/engine/engine.h": '#pragma once\n#include "changes.h"\n',
    "broker/engine/engine.c": '#include "engine.h"\n#include <stdlib.h>\n// time(NULL) in a comment is no call\n'
                              'int engine_time(int x)\n{\n    return x;\n}\n',
    "broker/dispatch/dispatch.c": '#include "engine.h"\n',
    "broker/store/store.h": '#pragma once\n#include "changes.h"\n#include "status.h"\n',
    "broker/store/lmdb.c": '#include "store.h"\n#include <lmdb.h>\n',
    "broker/frontend/router.c": '#include "store.h"\n#include "wire.h"\n#include <zmq.h>\n',
    "broker/platform/clock.c": "#include <time.h>\nint now(void)\n{\n    return clock_gettime(0, 0);\n}\n",
    "broker/main.c": '#include "engine.h"\nint main(void)\n{\n    return 0;\n}\n',
    "client/include/netqueue.h": '#pragma once\n#include "netqueue_status.h"\n',
    "client/transport.c": '#include "wire.h"\n#include "netqueue.h"\n#include <zmq.h>\n',
    "client/cli/options.h": '#pragma once\n#include "netqueue.h"\n',
    "admin/main.c": '#include "options.h"\n#include <netqueue.h>\nconst char *text = "time(0)";\n',
    "tests/unit/test_engine.c": '#include "engine.h"\n#include <criterion/criterion.h>\n',
}

LONG = "static int long_one(int a)\n{\n" + "    a++;\n" * 71 + "}\n"

# (what is planted, rule that must find it): path -> text added to that file.
PLANTED = (
    ({"broker/engine/engine.c": '#include "wire.h"\n'}, "arrow"),
    ({"broker/engine/engine.c": '#include "store.h"\n'}, "arrow"),
    ({"broker/engine/engine.c": "#include <pthread.h>\n"}, "pure"),
    ({"broker/engine/engine.c": "void say(void)\n{\n    printf(0);\n}\n"}, "pure"),
    ({"broker/dispatch/dispatch.c": '#include "store.h"\n'}, "arrow"),
    ({"broker/store/store.h": '#include "engine.h"\n'}, "arrow"),
    ({"broker/store/lmdb.c": '#include "wire.h"\n'}, "arrow"),
    ({"client/transport.c": '#include "engine.h"\n'}, "arrow"),
    ({"broker/frontend/router.c": '#include "netqueue.h"\n'}, "arrow"),
    ({"admin/main.c": '#include "store.h"\n'}, "arrow"),
    ({"admin/main.c": '#include "wire.h"\n'}, "arrow"),
    ({"proto/wire.c": '#include "engine.h"\n'}, "arrow"),
    ({"broker/frontend/router.c": "#include <lmdb.h>\n"}, "foreign"),
    ({"broker/main.c": "#include <zmq.h>\n"}, "foreign"),
    ({"admin/main.c": "#include <czmq.h>\n"}, "foreign"),
    ({"broker/store/lmdb.c": '#include "netqueue.pb-c.h"\n'}, "foreign"),
    ({"admin/main.c": "#include <jansson.h>\n", "consumer/main.c": "#include <jansson.h>\n"}, "foreign"),
    ({"client/transport.c": '#include "nowhere.h"\n'}, "include"),
    ({"broker/main.c": "#include <engine.h>\n"}, "include"),
    ({"broker/new/new.c": '#include "engine.h"\n'}, "layer"),
    ({"proto/limits.h": "#pragma once\n"}, "name"),
    ({"broker/frontend/router.c": "int now(void)\n{\n    return (int)time(0);\n}\n"}, "clock"),
    ({"client/transport.c": "int now(void)\n{\n    return clock_gettime(1, 0);\n}\n",
      "client/tracker.c": "int now(void)\n{\n    return clock_gettime(1, 0);\n}\n"}, "clock"),
    ({"admin/main.c": "int now(void)\n{\n    return (int)time(0);\n}\n"}, "clock"),
    ({"tests/unit/test_engine.c": "void nap(void)\n{\n    usleep(1);\n}\n"}, "sleep"),
    ({"proto/wire.c": "#define TRY(x) \\\n    if (x) \\\n        return 1\n"}, "macro"),
    ({"proto/wire.c": LONG}, "length"),
    ({"proto/wire.c": "int x;\n" * 601}, "length"),
    ({"tests/architecture/long_functions.txt": "proto/wire.c:long_one\n", "proto/wire.c": LONG}, "length"),
    ({"scripts/run": "cd /ho" + "me/somebody/netqueue\n"}, "path"),
)
# Excused with a reason: nothing to find.
EXCUSED = {"tests/architecture/long_functions.txt": "proto/wire.c:long_one  one case per status\n", "proto/wire.c": LONG}


def check(tree_class, added):
    with tempfile.TemporaryDirectory() as root:
        for files in (CLEAN, added):
            for path, text in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "a", encoding="utf-8") as file:
                    file.write(text)
        return tree_class(root).check()


def run(tree_class):
    failures = 0
    for added in ({}, EXCUSED):
        found = check(tree_class, added)
        if found:
            failures += 1
            print(f"FAILED: found in a tree that keeps the rules: {found}")
    for added, rule in PLANTED:
        found = check(tree_class, added)
        if len(found) != 1 or f": {rule}: " not in found[0]:
            failures += 1
            print(f"FAILED: planted {added!r}\n  expected one violation of '{rule}', found {found}")
    print(f"{len(PLANTED)} violations planted, {failures} not found as they should be")
    return 1 if failures else 0
