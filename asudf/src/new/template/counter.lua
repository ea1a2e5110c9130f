-- Adds `amount` to a bin, makes the record if there is none, and gives the sum.
function add(rec, bin, amount)
    if type(amount) ~= "number" then
        error("amount must be a number, not " .. type(amount))
    end
    local sum = (rec[bin] or 0) + amount
    rec[bin] = sum
    if aerospike:exists(rec) then
        aerospike:update(rec)
    else
        aerospike:create(rec)
        info("a new counter: %s", bin)
    end
    return sum
end

local function amount_of(rec)
    return rec.amount or 0
end

local function plus(a, b)
    return a + b
end

-- The sum of the bin `amount` over a stream of records.
function total(stream)
    return stream:map(amount_of):reduce(plus)
end
