-- Functions over everything that a record can hold.
function echo(rec, value)
    return value
end

function store(rec, value)
    rec.value = value
    if aerospike:exists(rec) then
        return aerospike:update(rec)
    end
    return aerospike:create(rec)
end

function kind(rec, value)
    return type(value)
end

function meta(rec)
    return list{ record.gen(rec), record.ttl(rec), record.setname(rec) ~= nil, record.numbins(rec) }
end

function live(rec, ttl)
    record.set_ttl(rec, ttl)
    return aerospike:update(rec)
end

function remove(rec)
    return aerospike:remove(rec)
end

function bump(rec, by)
    if rec.n == nil then
        error("no n")
    end
    rec.n = rec.n + by
    return aerospike:update(rec)
end

function fail(rec, text, level)
    error(text, level)
end

function many(rec, from, to)
    for i = from, to do
        rec["b" .. i] = i
    end
    if aerospike:exists(rec) then
        return aerospike:update(rec)
    end
    return aerospike:create(rec)
end

local function amount(rec)
    return rec.n
end

local function larger(a, b)
    return a > b and a or b
end

local function plus(a, b)
    return a + b
end

function sum(s)
    return s:map(amount):reduce(plus)
end

function most(s)
    return s:map(amount):reduce(larger)
end

function count(s)
    return s:map(function() return 1 end):reduce(plus)
end

function over(s, least)
    return s:filter(function(rec) return rec.n > least end):map(amount):reduce(plus)
end

function by_parity(s)
    local function add(groups, rec)
        local key = rec.n % 2 == 0 and "even" or "odd"
        groups[key] = (groups[key] or 0) + rec.n
        return groups
    end
    local function merge(a, b)
        return map.merge(a, b, plus)
    end
    return s:aggregate(map(), add):reduce(merge)
end

function all(s)
    return s:map(amount)
end

function broken(s)
    return s:map(function(rec) error("no") end):reduce(plus)
end
