-- The library `t` of test files. Everything that concerns records is asked of the program, through one function.
local ask = asudf_ask
asudf_ask = nil

t = {}
local t, list, map = t, list, map
local tests, before, after = {}, {}, {}
local Record, Stream = {}, {}
local EMPTY = geojson("\0empty table")

-- Lua tables as lists and maps: 1..n makes a list, other keys a map. `empty` is what an empty table becomes.
local function plain(value, empty, what)
    if type(value) ~= "table" then
        return value
    end
    if getmetatable(value) == Record or getmetatable(value) == Stream then
        error("a record or stream of the test is no value" .. (what and " for " .. what or ""), 0)
    end
    local count = 0
    for _ in pairs(value) do
        count = count + 1
    end
    if count == 0 then
        if empty == nil then
            error("an empty table may be a list or a map: say list() or map()", 0)
        end
        return empty
    end
    if count == #value then
        local result = list()
        for i = 1, count do
            list.append(result, plain(value[i], empty, what))
        end
        return result
    end
    local result = map()
    for key, item in pairs(value) do
        if type(key) ~= "string" and math.type(key) ~= "integer" then
            error("a key of a map is a string or an integer, not a " .. type(key), 0)
        end
        result[key] = plain(item, empty, what)
    end
    return result
end

local function packed(...)
    local result = list()
    for i = 1, select("#", ...) do
        local value = plain((select(i, ...)), nil, "an argument")
        if type(value) == "function" or type(value) == "thread" then
            error("a " .. type(value) .. " is no argument of a UDF", 0)
        end
        list.append(result, value)
    end
    return result
end

-- Where the caller of the caller of this stands, `file:line: `.
local function where(level)
    local _, text = pcall(error, "", level + 2)
    return text
end

---------------------------------------------------------------------------------------------------------------- tests

function t.test(name, run)
    if type(name) ~= "string" or type(run) ~= "function" then
        error("t.test takes a name and a function", 2)
    end
    tests[#tests + 1] = run
    ask("register", name, where(2))
end

function t.each(cases, name, run)
    if type(cases) ~= "table" or type(name) ~= "string" or type(run) ~= "function" then
        error("t.each takes a table of cases, a name and a function", 2)
    end
    local keys, place = {}, where(2)
    for key in pairs(cases) do
        keys[#keys + 1] = key
    end
    table.sort(keys, function(a, b)
        if type(a) == type(b) then
            return a < b
        end
        return type(a) == "number"
    end)
    for _, key in ipairs(keys) do
        local case = cases[key]
        local label = type(case) == "table" and type(case.name) == "string" and case.name or tostring(key)
        tests[#tests + 1] = function()
            run(case, key)
        end
        ask("register", name .. ": " .. label, place)
    end
end

function t.before(run)
    before[#before + 1] = run
end

function t.after(run)
    after[#after + 1] = run
end

-- Records that tests share by name: each test that touches one gets it anew.
local fixtures = {}
function t.fixture(records)
    local made = {}
    fixtures[#fixtures + 1] = function()
        made = {}
    end
    return setmetatable({}, {
        __index = function(_, name)
            if made[name] == nil then
                local record = records[name]
                if record == nil then
                    error("the fixture has no record `" .. tostring(name) .. "`", 2)
                end
                made[name] = t.record(record)
            end
            return made[name]
        end,
    })
end

function asudf_run_test(_, number)
    for _, forget in ipairs(fixtures) do
        forget()
    end
    for _, run in ipairs(before) do
        run()
    end
    tests[number]()
    for _, run in ipairs(after) do
        run()
    end
end

------------------------------------------------------------------------------------------------------------ equality

function t.equal(found, expected, message)
    local wrong = ask("equal", plain(found, EMPTY), plain(expected, EMPTY))
    if wrong then
        error((message and message .. "\n" or "") .. wrong, 0)
    end
end

function t.near(found, expected, tolerance)
    if type(found) ~= "number" or math.abs(found - expected) > tolerance then
        error("found     " .. t.show(found) .. "\nexpected  " .. t.show(expected) .. " ± " .. t.show(tolerance), 0)
    end
end

function t.truthy(found, message)
    if not found then
        error(message or "expected something true, found " .. t.show(found), 0)
    end
end

function t.falsy(found, message)
    if found then
        error(message or "expected false or nil, found " .. t.show(found), 0)
    end
end

function t.show(value)
    if type(value) == "function" or type(value) == "thread" then
        return "a " .. type(value)
    end
    return ask("show", plain(value, EMPTY))
end

local function matches(text, pattern)
    return string.find(text, pattern, 1, true) or string.find(text, pattern)
end

function t.match(found, pattern, message)
    if type(found) ~= "string" or not matches(found, pattern) then
        error((message and message .. "\n" or "") .. "expected a text like " .. t.show(pattern) .. ", found " .. t.show(found), 0)
    end
end

-- A function of the test that is to fail.
function t.raises(pattern, run, ...)
    local well, text = pcall(run, ...)
    if well then
        error("expected an error like " .. t.show(pattern) .. ", there was none", 0)
    end
    t.match(tostring(text), pattern)
end

function t.fail(message)
    error(message or "failed", 0)
end

function t.skip(reason)
    ask("skip", reason or "")
    error("skipped", 0)
end

------------------------------------------------------------------------------------------------------------- records

local known = {
    key = true, set = true, bins = true, ttl = true, generation = true, send_key = true,
    name = true, order = true,
}

-- What there is to be known of a record, at the moment.
local properties = {
    bins = "bins", generation = "generation", ttl = "ttl", exists = "exists", key = "key", set = "set",
    created = "created", updated = "updated", deleted = "deleted",
}

Record.__index = function(self, name)
    local property = properties[name]
    if property == nil then
        error("a record has no `" .. tostring(name) .. "`: it has bins, generation, ttl, exists, created, updated, deleted, key, set", 2)
    end
    return ask("property", rawget(self, 1), property)
end
Record.__newindex = function(_, name)
    error("`" .. tostring(name) .. "` is changed by t.put and by functions, not by assignment", 2)
end
Record.__tostring = function(self)
    return ask("property", rawget(self, 1), "text")
end

local function number_of(record, what, level)
    if type(record) ~= "table" or getmetatable(record) ~= Record then
        error(what .. " takes a record made by t.record first", level + 1)
    end
    return rawget(record, 1)
end

local function written(description, set)
    if type(description) ~= "table" then
        error("t.record takes a table", 0)
    end
    local told = map()
    for name, value in pairs(description) do
        if not known[name] then
            error("a record has no `" .. tostring(name) .. "`: say key, set, bins, order, ttl, generation, send_key", 0)
        end
        if name == "bins" then
            if type(value) ~= "table" and getmetatable(value) ~= Map then
                error("`bins` is a table of bins by name", 0)
            end
            value = plain(value, map())
            if getmetatable(value) ~= Map then
                error("`bins` is a table of bins by name", 0)
            end
        end
        told[name] = plain(value, map())
    end
    if told.set == nil and set then
        told.set = set
    end
    return told
end

function t.record(description)
    return setmetatable({ ask("record", written(description or {})) }, Record)
end

-- Writes bins over those of a record, as a client does.
function t.put(record, bins)
    ask("put", number_of(record, "t.put", 2), plain(bins, map()))
end

function t.delete(record)
    ask("delete", number_of(record, "t.delete", 2))
end

--------------------------------------------------------------------------------------------------------------- calls

-- A result: code, value, error, and what the call did.
local function called(record, options, module, name, ...)
    if type(record) == "table" and getmetatable(record) == Stream then
        return ask("stream", rawget(record, 1), module, name, packed(...))
    end
    return ask("apply", number_of(record, "a call", 3), module, name, packed(...), options)
end

-- Runs a call whatever comes of it.
function t.try(record, module, name, ...)
    return called(record, map(), module, name, ...)
end

-- Values that are laborious to write: lists and maps with nil in them, bytes by their hex digits, and what is stored by
-- the hex digits of its msgpack.
t.list = packed

function t.packed(values)
    return packed(table.unpack(values, 1, values.n or #values))
end

function t.map(...)
    local result = map()
    for i = 1, select("#", ...), 2 do
        local key, value = select(i, ...)
        result[key] = plain(value)
    end
    return result
end

function t.bytes(hex, kind)
    local result = bytes(#hex // 2)
    for i = 1, #hex, 2 do
        bytes.append_byte(result, tonumber(string.sub(hex, i, i + 1), 16))
    end
    bytes.set_type(result, kind or 4)
    return result
end

function t.wire(hex)
    return geojson("\0wire " .. hex)
end

local policy = { ttl = true, send_key = true, durable_delete = true, time_ms = true }

-- The same with a policy: t.call{ record = …, module = …, name = …, args = {…}, ttl = …, send_key = …, … }.
function t.call(call)
    local options = map()
    for name, value in pairs(call) do
        if policy[name] then
            options[name] = value
        elseif name == "args_wire" then
            options.args_wire = value
        elseif name ~= "record" and name ~= "module" and name ~= "name" and name ~= "args" then
            error("a call has no `" .. tostring(name) .. "`: say record, module, name, args, ttl, send_key, durable_delete, time_ms", 2)
        end
    end
    local arguments = call.args or {}
    return called(call.record, options, call.module, call.name, table.unpack(arguments, 1, arguments.n or #arguments))
end

local function failed(result)
    if result.code == 100 then
        return result.error
    end
    return "result " .. result.code
end

function t.apply(record, module, name, ...)
    local result = called(record, map(), module, name, ...)
    if result.code ~= 0 then
        error(failed(result), 0)
    end
    return result.value
end

function t.fails(pattern, record, module, name, ...)
    local result = called(record, map(), module, name, ...)
    if result.code == 0 then
        error("expected a failure like " .. t.show(pattern) .. ", it returned " .. t.show(result.value), 0)
    end
    if math.type(pattern) == "integer" then
        if result.code ~= pattern then
            error("expected result " .. pattern .. ", found " .. failed(result), 0)
        end
    elseif not matches(failed(result), pattern) then
        error("expected a failure like " .. t.show(pattern) .. ", found " .. t.show(failed(result)), 0)
    end
end

Stream.__index = {
    apply = function(self, module, name, ...)
        local result = called(self, map(), module, name, ...)
        if result.code ~= 0 then
            error(failed(result), 0)
        end
        return result.value
    end,
}

-- Records of one set for stream UDFs. Without a set they are all that their stream sees.
function t.stream(records)
    local told = list()
    local set = records.set
    for i = 1, #records do
        local record = records[i]
        if getmetatable(record) == Record then
            error("t.stream takes tables, as t.record does; t.stream{ set = … } streams what is in a set", 2)
        end
        list.append(told, written(record, set))
    end
    return setmetatable({ ask("make_stream", told, set) }, Stream)
end

-- Calls a record UDF on each record of a set.
function t.background(set, module, name, ...)
    return ask("background", set, module, name, packed(...))
end

------------------------------------------------------------------------------------------------ log, clock, limits

-- Lines that scripts have written since the test began or t.log() was called last, as in a server's log.
function t.log()
    return ask("log")
end

function t.logged(pattern, message)
    local lines = ask("lines")
    if lines == nil then
        return
    end
    for i = 1, list.size(lines) do
        if matches(lines[i], pattern) then
            return
        end
    end
    error((message and message .. "\n" or "") .. "no line like " .. t.show(pattern) .. " was logged; found " .. t.show(lines), 0)
end

-- The clock: milliseconds since 1970, or a time like 2026-01-31T12:00:00Z. It stands still from then on.
function t.clock(time)
    return ask("clock", time)
end

function t.advance(seconds)
    return ask("advance", seconds)
end

function t.limits(limits)
    ask("limits", plain(limits, map()))
end

---------------------------------------------------------------------------------------------------- property tests

-- A generator takes `draw`, which gives an integer from 0 to its argument, and makes a value of what it draws: smaller
-- draws make simpler values. So whatever a generator makes is made simpler by drawing less.
local generator = {}
t.gen = generator

function generator.integer(low, high)
    low, high = low or -1000, high or 1000
    if math.type(low) ~= "integer" or math.type(high) ~= "integer" or low > high then
        error("t.gen.integer takes two integers, the lower first", 2)
    end
    return function(draw)
        local span = high - low
        if span < 0 then
            -- More than an integer can count.
            return draw(1) == 0 and draw(high) or low + draw(math.maxinteger)
        end
        if low <= 0 and high >= 0 then
            -- 0 is the simplest.
            local number = draw(span)
            if number <= high then
                return number
            end
            return high - number
        end
        return low + draw(span)
    end
end

function generator.float(low, high)
    low, high = low or -1000.0, high or 1000.0
    return function(draw)
        return low + (high - low) * (draw(1 << 20) / (1 << 20))
    end
end

function generator.boolean()
    return function(draw)
        return draw(1) == 1
    end
end

function generator.constant(value)
    return function()
        return value
    end
end

function generator.one_of(...)
    local choices = { ... }
    return function(draw)
        local choice = choices[draw(#choices - 1) + 1]
        if type(choice) == "function" then
            return choice(draw)
        end
        return choice
    end
end

local function many(draw, most, add)
    for _ = 1, most do
        if draw(4) == 0 then
            return
        end
        add()
    end
end

function generator.string(most, characters)
    most = most or 20
    characters = characters or "abcdefghijklmnopqrstuvwxyz ABCXYZ0123456789_-.,:;/\"'\\%"
    return function(draw)
        local parts = {}
        many(draw, most, function()
            local at = draw(#characters - 1) + 1
            parts[#parts + 1] = string.sub(characters, at, at)
        end)
        return table.concat(parts)
    end
end

function generator.list(item, most)
    most = most or 20
    return function(draw)
        local result = list()
        many(draw, most, function()
            list.append(result, item(draw))
        end)
        return result
    end
end

function generator.map(key, item, most)
    most = most or 10
    return function(draw)
        local result = map()
        many(draw, most, function()
            local name = key(draw)
            result[name] = item(draw)
        end)
        return result
    end
end

-- A table with a generator for each field.
function generator.fields(fields)
    local names = {}
    for name in pairs(fields) do
        names[#names + 1] = name
    end
    table.sort(names)
    return function(draw)
        local result = {}
        for _, name in ipairs(names) do
            result[name] = fields[name](draw)
        end
        return result
    end
end

local function run_with(make, run, draw)
    ask("reset")
    local value = make(draw)
    local well, text = pcall(run, value)
    return well, text, value
end

-- What a list of draws gives: those that are missing are 0, those that are too large are cut.
local function replayed(draws)
    local at, used = 0, {}
    return function(most)
        at = at + 1
        local drawn = draws[at] or 0
        if drawn > most then
            drawn = most
        end
        used[at] = drawn
        return drawn
    end, used
end

local function fails_with(make, run, draws)
    local draw, used = replayed(draws)
    local well, text, value = run_with(make, run, draw)
    return not well and text ~= "skipped", text, value, used
end

local SHRINKS = 500

-- Draws that fail still, are fewer or smaller, and none of whose neighbours fails.
local function simplest(make, run, draws, text, value)
    local left = SHRINKS
    local function try(candidate)
        left = left - 1
        local still, why, found, used = fails_with(make, run, candidate)
        if not still then
            return false
        end
        if #used > #draws then
            return false
        end
        draws, text, value = used, why, found
        return true
    end
    local improved = true
    while improved and left > 0 do
        improved = false
        local size = math.max(#draws // 2, 1)
        while size >= 1 and left > 0 do
            local from = #draws - size + 1
            while from >= 1 and left > 0 do
                local shorter = {}
                for i = 1, #draws do
                    if i < from or i >= from + size then
                        shorter[#shorter + 1] = draws[i]
                    end
                end
                if try(shorter) then
                    improved = true
                end
                from = math.min(from - size, #draws - size + 1)
            end
            size = size // 2
        end
        for i = #draws, 1, -1 do
            local low, high = 0, draws[i]
            while high and low < high and left > 0 do
                local middle = low + (high - low) // 2
                local smaller = table.move(draws, 1, #draws, 1, {})
                smaller[i] = middle
                if try(smaller) then
                    improved = true
                    high = math.min(draws[i] or middle, middle)
                else
                    low = middle + 1
                end
            end
        end
    end
    return text, value
end

function t.check(make, run, options)
    if type(make) ~= "function" or type(run) ~= "function" then
        error("t.check takes a generator and a function", 2)
    end
    local runs = options and options.runs or 100
    for number = 1, runs do
        local draws = {}
        local state = ask("seed", number)
        local function draw(most)
            state = state + 0x9e3779b97f4a7c15
            local mixed = state
            mixed = (mixed ~ (mixed >> 30)) * 0xbf58476d1ce4e5b9
            mixed = (mixed ~ (mixed >> 27)) * 0x94d049bb133111eb
            mixed = (mixed ~ (mixed >> 31)) & math.maxinteger
            -- Small values and edges are what breaks things.
            local drawn = most
            if mixed % 16 > 1 then
                local bound = (mixed % 16 < 5) and math.min(most, 8) or most
                drawn = bound == math.maxinteger and (mixed >> 4) or (mixed >> 4) % (bound + 1)
            end
            draws[#draws + 1] = drawn
            return drawn
        end
        local well, text, value = run_with(make, run, draw)
        if not well then
            if text == "skipped" then
                error(text, 0)
            end
            local whole = #draws
            text, value = simplest(make, run, draws, text, value)
            -- The log of the call is that of the simplest.
            error("run " .. number .. " of " .. runs .. " fails for " .. t.show(value) .. "\n" .. tostring(text), 0)
        end
    end
end

require(ask("file"))
