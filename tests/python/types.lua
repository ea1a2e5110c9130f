-- One function for each Lua type: what goes in, through a bin, comes out.

function echo(rec, value)
    return value
end

function store(rec, value)
    rec.value = value
    if aerospike:exists(rec) then
        aerospike:update(rec)
    else
        aerospike:create(rec)
    end
    return rec.value
end

function type_name(rec, value)
    return type(value)
end

function build_list(rec)
    local l = list{ 1, 'two', 3.5 }
    list.append(l, true)
    list.prepend(l, list{ 'inner' })
    return l
end

function build_map(rec)
    local m = map{ a = 1, [2] = 'two' }
    m.nested = map{ list = list{ 1, 2 } }
    map.remove(m, 'a')
    return m
end

function build_bytes(rec)
    local b = bytes(0)
    bytes.append_int16(b, 258)
    bytes.append_string(b, 'xyz')
    return b
end

function sum_list(rec, values)
    local sum = 0
    for value in list.iterator(values) do
        sum = sum + value
    end
    return sum
end

function sum_map(rec, values)
    local sum = 0
    for key, value in map.pairs(values) do
        sum = sum + value
    end
    return sum
end

function several(rec)
    return 'first', 'second'
end

function nothing(rec)
end

function metadata(rec)
    return list{ record.gen(rec), record.setname(rec), record.numbins(rec), #record.bin_names(rec) }
end

function drop(rec)
    return aerospike:remove(rec)
end

function fail(rec, text)
    error(text)
end

function fail_after_write(rec)
    rec.value = 'must not stay'
    aerospike:update(rec)
    error('rolled back')
end

function spin(rec)
    while true do end
end
