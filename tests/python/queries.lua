-- Stream functions for aggregations, and record functions for background queries.

local function one(rec)
    return 1
end

local function number(rec)
    return rec.number
end

local function add(a, b)
    return a + b
end

function count(stream)
    return stream : map(one) : reduce(add)
end

function sum_above(stream, least)
    return stream : filter(function(rec) return rec.number > least end) : map(number) : reduce(add)
end

function numbers(stream)
    return stream : map(number)
end

function by_parity(stream)
    return stream : map(number) : groupby(function(n) return n % 2 end)
end

function counts(stream)
    local function enter(counts, rec)
        local name = rec.number % 2 == 0 and 'even' or 'odd'
        counts[name] = (counts[name] or 0) + 1
        return counts
    end
    return stream : aggregate(map(), enter) : reduce(function(a, b) return map.merge(a, b, add) end)
end

function average(stream)
    local function enter(sums, rec)
        sums.sum = sums.sum + rec.number
        sums.count = sums.count + 1
        return sums
    end
    local function join(a, b)
        return map{ sum = a.sum + b.sum, count = a.count + b.count }
    end
    return stream : aggregate(map{ sum = 0, count = 0 }, enter) : reduce(join)
        : map(function(sums) return sums.sum / sums.count end)
end

function broken(stream)
    return stream : map(function(rec) error('no such luck') end)
end

function raise_by(rec, amount)
    if rec.number < 0 then
        error('negative')
    end
    rec.raised = rec.number + amount
    aerospike:update(rec)
end
