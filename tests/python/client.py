"""client.py ASD: drives a built server with the official Python client.

For each storage engine (memory, memory with a file, device) it starts ASD on a free port in a temporary directory, checks records, modules, calls of
functions, operations, filters, aggregations, background functions and their errors, and ends it; where records last, a second start finds them. Then it
checks a cluster. Prints each failed check and, last, "N passed, N failed"; exits 1 when something failed.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import aerospike
from aerospike import exception
from aerospike_helpers import cdt_ctx
from aerospike_helpers import expressions as exp
from aerospike_helpers.operations import bitwise_operations as bits
from aerospike_helpers.operations import expression_operations
from aerospike_helpers.operations import hll_operations as hll
from aerospike_helpers.operations import list_operations as lists
from aerospike_helpers.operations import map_operations as maps
from aerospike_helpers.operations import operations

HERE = os.path.dirname(os.path.abspath(__file__))
DEADLINE_S = 20
KEY = ("test", "demo", "python")

CONFIG = """
service {
    cluster-name python
    work-directory %(directory)s
}
logging {
    file %(directory)s/asd.log {
        context any info
    }
}
network {
    service {
        address 127.0.0.1
        port 0
    }
}
namespace test {
    default-ttl 0
    nsup-period 5
    %(storage)s
}
mod-lua {
    user-path %(directory)s/lua
}
"""

# What each storage engine is in the configuration, by what it is called in failed checks.
STORAGE = {
    "memory": "storage-engine memory {\n        data-size 1G\n    }",
    "memory with a file": "storage-engine memory {\n        file %s/test.dat\n        filesize 256M\n    }",
    "device": "storage-engine device {\n        file %s/test.dat\n        filesize 256M\n    }",
}


class Server:
    """A server process; its address once it listens."""

    def __init__(self, program, directory, storage):
        config = os.path.join(directory, "aerospike.conf")
        os.makedirs(os.path.join(directory, "lua"), exist_ok=True)
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG % {"directory": directory, "storage": storage})
        self.process = subprocess.Popen(
            [program, "--config-file", config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        for line in self.process.stdout:
            found = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                return
        raise SystemExit("the server ended without saying where it listens")

    def end(self):
        """Ends it as an operator does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


class Checks:
    """Counts what holds and what does not."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.where = ""

    def equal(self, what, got, expected):
        """One check: the value and its type."""
        if got == expected and type(got) is type(expected):
            self.passed += 1
        else:
            self.failed += 1
            print("FAILED %s: %s\n    expect %r\n    got    %r" % (self.where, what, expected, got))

    def raises(self, what, error, text, action):
        """One check: the action raises this error, whose message holds the text."""
        try:
            got = action()
        except exception.AerospikeError as raised:
            if isinstance(raised, error) and text in str(raised):
                self.passed += 1
                return
            got = raised
        self.failed += 1
        print("FAILED %s: %s\n    expect %s with %r\n    got    %r" % (self.where, what, error.__name__, text, got))


def wait_until(condition):
    """Waits until a condition holds; whether it did within the deadline."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def check_records(client, checks):
    """Put, get, select, exists, touch, arithmetic, operate, remove, and their errors."""
    bins = {
        "integer": 42,
        "negative": -(2**63),
        "float": 2.5,
        "text": "größer",
        "blob": bytearray(b"\x00\xff"),
        "list": [1, "two", [3.5, None]],
        "map": {"a": 1, "b": {"c": [2]}},
        "yes": True,
    }
    client.put(KEY, bins)
    _, meta, got = client.get(KEY)
    got["blob"] = bytearray(got["blob"])
    for name, value in bins.items():
        checks.equal("get of " + name, got.get(name), value)
    checks.equal("generation", meta["gen"], 1)
    checks.equal("select", client.select(KEY, ["text"])[2], {"text": "größer"})
    checks.equal("exists", client.exists(KEY)[1]["gen"], 1)
    client.touch(KEY, 1000)
    ttl = client.exists(KEY)[1]["ttl"]
    checks.equal("ttl after touch", 970 <= ttl <= 1000, True)
    client.increment(KEY, "integer", 8)
    client.append(KEY, "text", "!")
    client.prepend(KEY, "text", ">")
    _, _, got = client.operate(
        KEY,
        [operations.write("new", 1), operations.increment("integer", 1), operations.read("integer"), operations.read("text")],
    )
    checks.equal("operate", {name: got[name] for name in ("integer", "text")}, {"integer": 51, "text": ">größer!"})
    checks.raises(
        "create of what exists",
        exception.RecordExistsError,
        "",
        lambda: client.put(KEY, {"a": 1}, policy={"exists": aerospike.POLICY_EXISTS_CREATE}),
    )
    checks.raises(
        "write of another generation",
        exception.RecordGenerationError,
        "",
        lambda: client.put(KEY, {"a": 1}, meta={"gen": 99}, policy={"gen": aerospike.POLICY_GEN_EQ}),
    )
    client.remove(KEY)
    checks.raises("get of what is gone", exception.RecordNotFound, "", lambda: client.get(KEY))
    checks.raises("unknown namespace", exception.AerospikeError, "", lambda: client.put(("none", "s", 1), {"a": 1}))


def check_modules(client, checks, directory):
    """udf_put, udf_list, udf_get, udf_remove, and their errors."""
    source = os.path.join(HERE, "types.lua")
    client.udf_put(source)
    listed = client.udf_list()
    checks.equal("udf_list", [module["name"] for module in listed], ["types.lua"])
    with open(source, encoding="utf-8") as file:
        checks.equal("udf_get", client.udf_get("types.lua"), file.read())
    broken = os.path.join(directory, "broken.lua")
    with open(broken, "w", encoding="utf-8") as file:
        file.write("function broken(\n")
    checks.raises("udf_put of what does not compile", exception.UDFError, "compile_error", lambda: client.udf_put(broken))
    checks.equal("udf_list after it", len(client.udf_list()), 1)
    checks.raises("udf_get of what is missing", exception.UDFError, "", lambda: client.udf_get("missing.lua"))


def check_types(client, checks):
    """Every type goes through a function and through a bin, and what Lua builds arrives."""

    def call(function, *arguments):
        return client.apply(KEY, "types", function, list(arguments))

    values = [
        ("integer", 7, "number"),
        ("integer limit", 2**63 - 1, "number"),
        ("negative", -1, "number"),
        ("float", -0.5, "number"),
        ("whole float", 3.0, "number"),
        ("string", "text", "string"),
        ("empty string", "", "string"),
        ("unicode", "ß日", "string"),
        ("true", True, "boolean"),
        ("false", False, "boolean"),
        ("list", [1, "two", [3.5, True]], "userdata"),
        ("empty list", [], "userdata"),
        ("map", {"a": 1, "b": ["x", {"c": 2}]}, "userdata"),
        ("empty map", {}, "userdata"),
        ("integer keys", {1: "one", -2: "minus two"}, "userdata"),
    ]
    for name, value, lua_type in values:
        checks.equal("echo of " + name, call("echo", value), value)
        checks.equal("type of " + name, call("type_name", value), lua_type)
        checks.equal("stored " + name, call("store", value), value)
        checks.equal("read back " + name, client.get(KEY)[2]["value"], value)
    blob = bytearray(b"\x00\x01\xff")
    checks.equal("echo of bytes", bytearray(call("echo", blob)), blob)
    checks.equal("stored bytes", bytearray(call("store", blob)), blob)
    checks.equal("nil", call("echo", None), None)
    point = aerospike.GeoJSON({"type": "Point", "coordinates": [1.5, 2.5]})
    checks.equal("echo of geojson", call("echo", point).unwrap(), point.unwrap())
    checks.equal("list built in Lua", call("build_list"), [["inner"], 1, "two", 3.5, True])
    checks.equal("map built in Lua", call("build_map"), {2: "two", "nested": {"list": [1, 2]}})
    checks.equal("bytes built in Lua", bytes(call("build_bytes")), b"\x01\x02xyz")
    checks.equal("iterating a list", call("sum_list", list(range(101))), 5050)
    checks.equal("iterating a map", call("sum_map", {"a": 1, "b": 2, "c": 3}), 6)
    checks.equal("only the first result", call("several"), "first")
    checks.equal("no result", call("nothing"), None)
    client.put(("test", "demo", "meta"), {"a": 1, "b": 2})
    checks.equal("metadata", client.apply(("test", "demo", "meta"), "types", "metadata", []), [1, "demo", 2, 2])


def check_operations(client, checks):
    """Lists, maps, bits and sketches, in one record and over a batch."""
    key = ("test", "demo", "operations")
    ordered = {"map_order": aerospike.MAP_KEY_ORDERED}
    unique = {"write_flags": aerospike.LIST_WRITE_ADD_UNIQUE | aerospike.LIST_WRITE_NO_FAIL}
    try:
        client.remove(key)
    except exception.RecordNotFound:
        pass
    way = [cdt_ctx.cdt_ctx_map_key_create("2026", aerospike.MAP_KEY_ORDERED)]
    _, _, bins = client.operate_ordered(
        key,
        [
            maps.map_put_items("scores", {"ann": 71, "bob": 64, "cleo": 90}, ordered),
            maps.map_increment("scores", "bob", 20, ordered),
            maps.map_get_by_rank_range("scores", -2, 2, aerospike.MAP_RETURN_KEY),
            maps.map_remove_by_key_list("scores", ["ann", "zoe"], aerospike.MAP_RETURN_COUNT),
            lists.list_append("visits", "ann", unique),
            lists.list_append("visits", "ann", unique),
            lists.list_append_items("visits", ["cleo", "bob"]),
            lists.list_sort("visits"),
            lists.list_get_by_rank("visits", -1, aerospike.LIST_RETURN_VALUE),
            lists.list_append("log", "started", ctx=way),
            lists.list_append("log", "ended", ctx=way),
            bits.bit_resize("flags", 2),
            bits.bit_not("flags", 4, 4),
            bits.bit_count("flags", 0, 16),
            hll.hll_add("seen", ["user %d" % (n % 500) for n in range(2000)], 12),
            hll.hll_describe("seen"),
        ],
    )
    answers = [value for _, value in bins if value is not None]
    added = answers[-2]
    checks.equal(
        "answers of operations",
        answers,
        [3, 84, ["bob", "cleo"], 1, 1, 1, 3, "cleo", 1, 2, 4, added, [12, 0]],
    )
    checks.equal("a sketch of 500 has about as many registers", 420 <= added <= 500, True)
    _, _, bins = client.get(key)
    checks.equal("map after operations", dict(bins["scores"]), {"bob": 84, "cleo": 90})
    checks.equal("list after operations", bins["visits"], ["ann", "bob", "cleo"])
    checks.equal("what a context has made", dict(bins["log"]), {"2026": ["started", "ended"]})
    outside = lambda: client.operate(key, [lists.list_get("visits", 99)])
    checks.raises("an index out of range is an error", exception.OpNotApplicable, "", outside)
    client.remove(key)


def check_filters(client, checks):
    """Filters of single commands, batches, queries, calls and background jobs; expressions as operations."""
    for number in range(12):
        bins = {"price": number * 5, "title": "Book %d" % number, "tags": ["new", number]}
        client.put(("test", "books", number), bins)
    cheap = exp.And(
        exp.LT(exp.IntBin("price"), 20),
        exp.CmpRegex(aerospike.REGEX_EXTENDED, "^Book [1-9]$", exp.StrBin("title")),
    ).compile()
    filtered = {"expressions": cheap}
    one, dear = ("test", "books", 1), ("test", "books", 11)
    checks.equal("a get that a filter lets through", client.get(one, policy=filtered)[2]["price"], 5)
    for name, action in (
        ("get", lambda: client.get(dear, policy=filtered)),
        ("put", lambda: client.put(dear, {"price": 1}, policy=filtered)),
        ("operate", lambda: client.operate(dear, [operations.increment("price", 1)], policy=filtered)),
        ("remove", lambda: client.remove(dear, policy=filtered)),
        ("apply", lambda: client.apply(dear, "types", "echo", [1], policy=filtered)),
    ):
        checks.raises(name + " that a filter refuses", exception.FilteredOut, "", action)
    checks.equal("and nothing has happened", client.get(dear)[2]["price"], 55)
    checks.equal("apply that a filter lets through", client.apply(one, "types", "echo", [7], policy=filtered), 7)

    def prices(policy):
        return sorted(bins["price"] for _, _, bins in client.query("test", "books").results(policy=policy))

    checks.equal("a query with a filter", prices(filtered), [5, 10, 15])
    no_bins = exp.And(exp.Eq(exp.SetName(), "books"), exp.LT(exp.SinceUpdateTime(), 3600 * 1000)).compile()
    checks.equal("a filter on metadata", len(prices({"expressions": no_bins})), 12)
    batch = client.batch_read([("test", "books", number) for number in range(12)], policy=filtered)
    codes = [record.result for record in batch.batch_records]
    checks.equal("a batch with a filter", [codes.count(0), codes.count(27)], [3, 9])
    double = exp.Mul(exp.IntBin("price"), 2).compile()
    tag = exp.ListGetByIndex(None, aerospike.LIST_RETURN_VALUE, exp.ResultType.INTEGER, -1, exp.ListBin("tags")).compile()
    _, _, bins = client.operate(
        ("test", "books", 3),
        [
            expression_operations.expression_write("price", double),
            expression_operations.expression_read("double", double),
            expression_operations.expression_read("last", tag),
        ],
    )
    checks.equal("expressions that write and read", [bins["double"], bins["last"]], [60, 3])
    query = client.query("test", "books")
    query.add_ops([operations.write("cheap", 1)])
    job = query.execute_background(policy=filtered)
    ended = lambda: client.job_info(job, aerospike.JOB_QUERY)["status"] == aerospike.JOB_STATUS_COMPLETED
    checks.equal("a background job with a filter ends", wait_until(ended), True)
    marked = [n for n in range(12) if "cheap" in client.get(("test", "books", n))[2]]
    checks.equal("and has changed what the filter lets through", marked, [1, 2])
    for number in range(12):
        client.remove(("test", "books", number))


def check_calls(client, checks):
    """Errors of calls, what they leave, time limits, removal of the record and of the module."""

    def call(function, *arguments, **more):
        return client.apply(KEY, "types", function, list(arguments), **more)

    client.put(KEY, {"value": "before"})
    checks.raises("error of a script", exception.UDFError, "no such luck", lambda: call("fail", "no such luck"))
    checks.raises("rollback", exception.UDFError, "rolled back", lambda: call("fail_after_write"))
    checks.equal("record after the rollback", client.get(KEY)[2]["value"], "before")
    checks.raises("unknown function", exception.UDFError, "function not found", lambda: call("missing"))
    checks.raises(
        "unknown module", exception.UDFError, "UDF: Execution Error 1", lambda: client.apply(KEY, "missing", "echo", [1])
    )
    # Without a timeout of the client the server's own limit ends the call.
    unlimited = {"total_timeout": 0, "socket_timeout": 0, "max_retries": 0}
    checks.raises("endless loop", exception.UDFError, "UDF Execution Timeout", lambda: call("spin", policy=unlimited))
    checks.equal("a call after it", call("echo", "alive"), "alive")
    checks.equal("removal by a script", call("drop"), 0)
    checks.raises("the removed record", exception.RecordNotFound, "", lambda: client.get(KEY))

    client.udf_remove("types.lua")
    checks.equal("udf_list after udf_remove", wait_until(lambda: client.udf_list() == []), True)
    checks.raises("a call after udf_remove", exception.UDFError, "UDF: Execution Error 1", lambda: call("echo", 1))


def check_queries(client, checks):
    """Aggregations and background functions over scans: results, errors, progress."""
    # The client reduces with the same module, which it looks for in its user path.
    client.udf_put(os.path.join(HERE, "queries.lua"))
    for number in range(100):
        client.put(("test", "numbers", number), {"number": number})
    client.put(("test", "others", 1), {"number": 1000})

    def aggregate(function, *arguments, set_name="numbers"):
        return client.query("test", set_name).apply("queries", function, list(arguments)).results()

    checks.equal("count", aggregate("count"), [100])
    checks.equal("sum with an argument", aggregate("sum_above", 89), [sum(range(90, 100))])
    checks.equal("values without a reduce", sorted(aggregate("numbers")), list(range(100)))
    groups = {key: sorted(group) for key, group in aggregate("by_parity")[0].items()}
    checks.equal("groupby", groups, {0: list(range(0, 100, 2)), 1: list(range(1, 100, 2))})
    checks.equal("group count", aggregate("counts"), [{"even": 50, "odd": 50}])
    checks.equal("what follows the reduce", aggregate("average"), [49.5])
    in_other_sets = 2  # the record of check_types and that of `others`
    checks.equal("whole namespace", client.query("test", None).apply("queries", "count", []).results(), [100 + in_other_sets])
    seen = []
    client.query("test", "numbers").apply("queries", "numbers", []).foreach(seen.append)
    checks.equal("foreach", sorted(seen), list(range(100)))
    checks.raises("error in a stream", exception.ClientError, "queries.lua:54: no such luck", lambda: aggregate("broken"))
    checks.raises("unknown function", exception.AerospikeError, "", lambda: aggregate("missing"))

    def done(job, module):
        return client.job_info(job, module)["status"] == aerospike.JOB_STATUS_COMPLETED

    def raised(amount):
        return all(client.get(("test", "numbers", number))[2].get("raised") == number + amount for number in range(100))

    query = client.query("test", "numbers")
    query.apply("queries", "raise_by", [5])
    job = query.execute_background()
    checks.equal("query in the background ends", wait_until(lambda: done(job, aerospike.JOB_QUERY)), True)
    checks.equal("and has changed every record", raised(5), True)
    checks.equal("and no other", "raised" in client.get(("test", "others", 1))[2], False)
    job = client.scan_apply("test", "numbers", "queries", "raise_by", [6])
    checks.equal("scan in the background ends", wait_until(lambda: done(job, aerospike.JOB_SCAN)), True)
    checks.equal("and has changed every record again", raised(6), True)
    scan = client.scan("test", "numbers")
    scan.apply("queries", "raise_by", [7])
    job = scan.execute_background()
    checks.equal("scan object in the background ends", wait_until(lambda: done(job, aerospike.JOB_SCAN)), True)
    checks.equal("and has changed every record once more", raised(7), True)
    query = client.query("test", "numbers")
    query.add_ops([operations.increment("number", 1000), operations.write("new", "yes")])
    job = query.execute_background()
    checks.equal("operations in the background end", wait_until(lambda: done(job, aerospike.JOB_QUERY)), True)
    checks.equal("and have changed every record", aggregate("sum_above", 999), [sum(range(1000, 1100))])
    client.put(("test", "numbers", 0), {"number": -1})
    query = client.query("test", "numbers")
    query.apply("queries", "raise_by", [8])
    job = query.execute_background()
    checks.equal("with a failing record it ends, too", wait_until(lambda: done(job, aerospike.JOB_QUERY)), True)
    shown = client.info_random_node("query-show:id=%d" % job)
    for field in ("status=done(ok)", "state=records-failed", "recs-succeeded=99", "recs-failed=1", "job-type=background-udf", "udf-function=raise_by"):
        checks.equal("query-show has " + field, ":" + field + ":" in shown, True)
    client.udf_remove("queries.lua")


def check_cluster(program, checks, directory, local):
    """Three nodes that one client sees as one: registered once, served wherever a record lives."""
    process = subprocess.Popen(
        [program, "--nodes", "3"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        ports = []
        for line in process.stdout:
            if "listening on" in line:
                ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", line)]
                break
        checks.equal("a cluster of three says where it listens", len(ports), 3)
        client = aerospike.client({"hosts": [("127.0.0.1", ports[0])], "lua": {"user_path": local}}).connect()
        checks.equal("the client finds all nodes", wait_until(lambda: len(client.get_node_names()) == 3), True)
        module = os.path.join(directory, "cluster.lua")
        with open(module, "w", encoding="utf-8") as file:
            file.write("function twice(rec, n) return n * 2 end\n")
        client.udf_put(module)
        answers = [client.apply(("test", "cluster", n), "cluster", "twice", [n]) for n in range(50)]
        checks.equal("every node serves the module", answers, [2 * n for n in range(50)])
        lists = set(answer for error, answer in client.info_all("udf-list").values() if not error)
        checks.equal("every node lists the same", len(lists), 1)
        client.close()
        process.send_signal(signal.SIGTERM)
        checks.equal("exit code of the cluster", process.wait(DEADLINE_S), 0)
    finally:
        process.kill()
        process.wait()


def connect(server, local):
    """A client of the server, whose Lua modules are in the directory."""
    policies = {"total_timeout": DEADLINE_S * 1000, "socket_timeout": DEADLINE_S * 1000}
    return aerospike.client(
        {
            "hosts": [("127.0.0.1", server.port)],
            "lua": {"user_path": local},
            "policies": {"read": policies, "write": policies, "apply": policies, "operate": policies},
        }
    ).connect()


def a_day(program, checks, directory, local, storage):
    """All that one node does, on one storage engine; a second start finds what lasts."""
    home = os.path.join(directory, "server")
    lasts = "%s" in storage
    storage = storage % home if lasts else storage
    server = Server(program, home, storage)
    lasting = ("test", "lasting", "key")
    bins = {"n": 1, "list": [1, 2.5, "three"], "map": {"a": [None, True]}}
    try:
        client = connect(server, local)
        check_records(client, checks)
        check_modules(client, checks, directory)
        check_types(client, checks)
        check_operations(client, checks)
        check_filters(client, checks)
        check_calls(client, checks)
        check_queries(client, checks)
        client.put(lasting, bins, {"ttl": 1000}, {"key": aerospike.POLICY_KEY_SEND})
        client.increment(lasting, "n", 1, {"ttl": aerospike.TTL_DONT_UPDATE})
        client.close()
        checks.equal("exit code after SIGTERM", server.end(), 0)
        if lasts:
            server = Server(program, home, storage)
            client = connect(server, local)
            found = client.query("test", "lasting").results()
            checks.equal("records of the set after a restart", len(found), 1)
            key, meta, got = found[0]
            checks.equal("the record", got, bins | {"n": 2})
            checks.equal("its key and generation", (key[2], meta["gen"]), ("key", 2))
            checks.equal("its life goes on", 900 <= meta["ttl"] <= 1000, True)
            client.close()
            checks.equal("exit code after the second start", server.end(), 0)
    finally:
        server.process.kill()
        server.process.wait()


def main():
    """Runs all checks against the server program named on the command line."""
    program = sys.argv[1]
    checks = Checks()
    # The client takes the directory of its own modules once for the whole process.
    with tempfile.TemporaryDirectory(prefix="asd-python-") as local:
        for name, storage in STORAGE.items():
            checks.where = name
            with tempfile.TemporaryDirectory(prefix="asd-python-") as directory:
                a_day(program, checks, directory, local, storage)
        checks.where = "cluster"
        with tempfile.TemporaryDirectory(prefix="asd-python-") as directory:
            check_cluster(program, checks, directory, local)
    print("%d passed, %d failed" % (checks.passed, checks.failed))
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
