-- The same here and on a cluster: run with --against.

-- Values that come back as they went.
local values = {
    zero = 0, one = 1, minus = -1, large = math.maxinteger, small = math.mininteger, byte = 255, word = 65536,
    half = 0.5, float_one = 1.0, tiny = 5e-324, huge = 1.7976931348623157e308, infinite = math.huge,
    minus_infinite = -math.huge, nan = 0 / 0, minus_zero = -0.0, third = 1 / 3,
    yes = true, no = false,
    empty_text = "", text = "text", umlaut = "äöü", snowman = "☃", quote = "\"'\\", lines = "a\nb\tc", long = string.rep("x", 3000),
    empty_list = list(), list_of_one = { 1 }, list_of_kinds = { 1, "a", true, 0.5 }, nested = { { { 1 } }, { a = { b = {} and { 1 } } } },
    list_with_nil = t.list(1, nil, 3), long_list = (function() local l = {} for i = 1, 200 do l[i] = i end return l end)(),
    empty_map = map(), map_of_one = { a = 1 }, map_of_kinds = { a = 1, b = "b", c = false, d = { 1, 2 } }, integer_keys = t.map(1, "a", -5, "b"),
    mixed_keys = t.map(1, "a", "x", 2), map_with_nil = t.map("a", nil, "b", 1),
    no_bytes = t.bytes(""), some_bytes = t.bytes("00ff10"), text_bytes = t.list(t.bytes("00")),
    point = geojson('{"type":"Point","coordinates":[1.5,2.5]}'),
}

t.each(values, "echo", function(value)
    t.equal(t.apply(t.record{}, "shapes", "echo", value), value)
end)

t.each(values, "store", function(value)
    local rec = t.record{}
    t.equal(t.apply(rec, "shapes", "store", value), 0)
    t.truthy(rec.created)
    t.equal(rec.generation, 1)
    t.equal(rec.bins.value, value)
end)

t.each(values, "kind", function(value)
    local kind = type(value) == "table" and "userdata" or type(value)
    t.equal(t.apply(t.record{}, "shapes", "kind", value), kind)
end)

t.each(values, "over another", function(value)
    local rec = t.record{ bins = { other = 1, value = "before" } }
    t.equal(t.apply(rec, "shapes", "store", value), 0)
    t.equal(rec.generation, 2)
    t.equal(rec.bins, t.map("other", 1, "value", value))
end)

-- Records
t.each({ { 1, 1 }, { 2, 2 }, { 7, 7 } }, "generation", function(case)
    local rec = t.record{ bins = { n = 1 }, generation = case[1] }
    t.equal(t.apply(rec, "shapes", "meta"), { case[2], 0, true, 1 })
    t.apply(rec, "shapes", "bump", 1)
    t.equal(rec.generation, case[2] + 1)
end)

t.each({ { 100, 100 }, { -1, -1 }, { 315360000, 315360000 } }, "ttl", function(case)
    local rec = t.record{ bins = { n = 1 } }
    t.apply(rec, "shapes", "live", case[1])
    t.near(rec.ttl, case[2], 30)
end)

t.test("ttl: kept", function()
    local rec = t.record{ bins = { n = 1 }, ttl = 500 }
    t.apply(rec, "shapes", "live", -2)
    t.near(rec.ttl, 500, 30)
end)

t.test("ttl: too long", function()
    local rec = t.record{ bins = { n = 1 } }
    t.fails(4, rec, "shapes", "live", 315360001)
    t.equal(rec.generation, 1)
end)

t.each({ { 1, 512, 0 }, { 1, 513, 21 }, { 400, 911, 0 }, { 1, 1100, 21 } }, "bins", function(case)
    local rec = t.record{}
    t.equal(t.try(rec, "shapes", "many", case[1], case[2]).code, case[3])
    t.equal(rec.exists, case[3] == 0)
end)

t.test("removed", function()
    local rec = t.record{ bins = { n = 1 } }
    t.equal(t.apply(rec, "shapes", "remove"), 0)
    t.truthy(rec.deleted)
    t.equal(t.apply(rec, "shapes", "remove"), 1)
end)

t.each({ { 500000, 0 }, { 1048000, 0 }, { 1048577, 13 } }, "size", function(case)
    local rec = t.record{ bins = { n = 1 } }
    t.equal(t.try(rec, "shapes", "store", string.rep("x", case[1])).code, case[2])
end)

-- Failures
t.each({ text = { "boom", 1, "shapes.lua:%d+: boom" }, level = { "boom", 0, "^boom$" }, number = { 42, 1, "result value type unexpected" } }, "fails", function(case)
    local rec = t.record{ bins = { n = 1 } }
    t.fails(case[3], rec, "shapes", "fail", case[1], case[2])
    t.equal(rec.generation, 1)
end)

t.test("fails: no function", function()
    t.fails("function not found", t.record{}, "shapes", "ech")
end)

t.test("fails: no module", function()
    t.fails("UDF: Execution Error 1", t.record{}, "shape", "echo")
end)

t.test("fails: with a policy", function()
    local rec = t.record{ bins = { n = 1 } }
    t.equal(t.call{ record = rec, module = "shapes", name = "bump", args = { 1 }, ttl = 90 }.code, 0)
    t.near(rec.ttl, 90, 30)
    t.equal(t.call{ record = rec, module = "shapes", name = "remove", durable_delete = true }.code, 25)
end)

-- Streams
local function records(count)
    local made = {}
    for i = 1, count do
        made[i] = { bins = { n = i } }
    end
    return made
end

t.each({ 0, 1, 2, 3, 7, 20, 50 }, "stream", function(count)
    local stream, total = t.stream(records(count)), count * (count + 1) // 2
    local one = function(value)
        return count == 0 and list() or { value }
    end
    t.equal(stream:apply("shapes", "sum"), one(total))
    t.equal(stream:apply("shapes", "most"), one(count))
    t.equal(stream:apply("shapes", "count"), one(count))
    t.equal(list.size(stream:apply("shapes", "all")), count)
    local groups, even, odd = {}, 0, 0
    for i = 1, count do
        if i % 2 == 0 then
            even = even + i
            groups.even = even
        else
            odd = odd + i
            groups.odd = odd
        end
    end
    t.equal(stream:apply("shapes", "by_parity"), one(groups))
end)

t.each({ 0, 5, 19, 20 }, "filter", function(least)
    local total = 0
    for i = least + 1, 20 do
        total = total + i
    end
    t.equal(t.stream(records(20)):apply("shapes", "over", least), least < 20 and { total } or list())
end)

t.test("stream: fails", function()
    t.fails("UDF: Execution Error 2 : shapes.lua:%d+: no", t.stream(records(3)), "shapes", "broken")
end)

-- Jobs
t.each({ 0, 1, 5 }, "background", function(count)
    local made = {}
    for i = 1, count do
        made[i] = t.record{ bins = { n = i } }
    end
    t.record{ bins = { m = 1 } }
    t.equal(t.background(nil, "shapes", "bump", 10), { succeeded = count, failed = 1 })
    for i = 1, count do
        t.equal(made[i].bins.n, i + 10)
    end
end)
