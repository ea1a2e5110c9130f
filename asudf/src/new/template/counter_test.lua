t.test("adds to a record that is there", function()
    local rec = t.record{ key = "visits", bins = { n = 3 } }
    t.equal(t.apply(rec, "counter", "add", "n", 4), 7)
    t.equal(rec.bins, { n = 7 })
    t.equal(rec.generation, 2)
end)

t.test("makes a record where there is none", function()
    local rec = t.record{ key = "visits" }
    t.equal(t.apply(rec, "counter", "add", "n", 4), 4)
    t.truthy(rec.created)
    t.logged("a new counter: n")
end)

t.test("refuses what is no number, and changes nothing", function()
    local rec = t.record{ key = "visits", bins = { n = 3 } }
    t.fails("amount must be a number, not string", rec, "counter", "add", "n", "4")
    t.equal(rec.bins.n, 3)
    t.equal(rec.generation, 1)
end)

t.test("the total does not depend on where the records are", function()
    t.check(t.gen.list(t.gen.integer(-1000, 1000)), function(amounts)
        local records, sum = {}, 0
        for i = 1, list.size(amounts) do
            records[i] = { bins = { amount = amounts[i] } }
            sum = sum + amounts[i]
        end
        local found = t.stream(records):apply("counter", "total")
        t.equal(found, #records > 0 and { sum } or list())
    end)
end)
