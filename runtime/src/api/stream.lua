-- Stream functions: the operators, the stream that such a function adds them to, and how it is run.
-- An operator takes a function that gives the next value, nil at the end, and returns such a function itself. What they
-- need is local: modules may have globals of the same names. `place` is the module's line that made the operator.
local ended, caller, defined = ...

local error, getmetatable, ipairs, next, setmetatable, type = error, getmetatable, ipairs, next, setmetatable, type
local new_list, append, clone_list, concat = list, list.append, list.clone, list.concat
local new_map, clone_map, merge = map, map.clone, map.merge
local List, Map, number_type = List, Map, math.type

-- An aggregate that has become a number of this size is given out, and the next one begins.
local LARGE = 1000

-- A value that is changed apart from the original, one level deep; there is none of other objects.
local function clone(value)
  local kind = type(value)
  if kind == "table" then
    local copy = {}
    for key, element in next, value do
      copy[key] = element
    end
    return copy
  elseif kind ~= "userdata" then
    return value
  elseif getmetatable(value) == List then
    return clone_list(value)
  elseif getmetatable(value) == Map then
    return clone_map(value)
  end
end

function filter(next_value, f, place)
  return function()
    local value, _ = next_value(), place
    while value ~= nil and not f(value) do
      value = next_value()
    end
    return value
  end
end

local filter = filter

-- A nil that f gives is the end, unless the configuration has it otherwise.
-- Clients read the line of the call: it is that of the real server.
function transform(next_value, f, place)
  return function()
    local value = next_value()
    while value ~= nil do
      local result = f(value)
      if result ~= nil or not ended(place) then
        return result
      end
      value = next_value()
    end
  end
end

local transform = transform

function reduce(next_value, f, place)
  local done = false
  return function()
    if done then
      return nil
    end
    done = true
    local result, _ = next_value(), place
    if result == nil then
      return nil
    end
    for value in next_value do
      result = f(result, value)
    end
    return result
  end
end

local reduce = reduce

function aggregate(next_value, initial, f, place)
  local done = false
  return function()
    if done then
      return nil
    end
    local result = clone(initial)
    for value in next_value do
      result = f(result, value)
      if number_type(result) and result >= LARGE then
        return result
      end
    end
    done = true
    if result == nil then
      ended(place)
    end
    return result
  end
end

local aggregate = aggregate

-- The operators of each stream that is being built, in order.
local chains = setmetatable({}, { __mode = "k" })

local Stream = {}
Stream.__index = Stream
Stream.__metatable = false

-- What comes after the first reduce is the client's, and so is that reduce once more: over what the nodes gave.
-- `again` is the client's part of the operator, where that is another one.
local function add(stream, operator, is_reduce, again)
  local chain = chains[stream]
  if chain == nil then
    error("an operator is called on its stream, as in s:map(f)", 2)
  end
  local reduced = chain.reduced
  chain.reduced = reduced or is_reduce
  if chain.of_client then
    if reduced then
      chain[#chain + 1] = operator
    elseif is_reduce then
      chain[#chain + 1] = again or operator
    end
  elseif not reduced then
    chain[#chain + 1] = operator
  end
  return stream
end

-- The module's line that puts an operator onto its stream: that of the last one before where the call leaves no trace.
local function place_of(stream)
  local chain = chains[stream]
  if chain == nil then
    return nil
  end
  local place = caller() or chain.place
  chain.place = place
  return place
end

function Stream:filter(f)
  local place = place_of(self)
  return add(self, function(next_value)
    return filter(next_value, f, place)
  end)
end

function Stream:map(f)
  local place = place_of(self)
  return add(self, function(next_value)
    return transform(next_value, f, place)
  end)
end

function Stream:aggregate(initial, f)
  local place = place_of(self)
  return add(self, function(next_value)
    return aggregate(next_value, initial, f, place)
  end)
end

function Stream:reduce(f)
  local place = place_of(self)
  return add(self, function(next_value)
    return reduce(next_value, f, place)
  end, true)
end

local function join_lists(first, second)
  concat(first, second)
  return first
end

local function join_groups(first, second)
  return merge(first, second, join_lists)
end

function Stream:groupby(f)
  local place = place_of(self)
  local function enter(groups, value)
    local key = f(value)
    local group = groups[key]
    if group == nil then
      group = new_list()
      groups[key] = group
    end
    append(group, value)
    return groups
  end
  return add(self, function(next_value)
    return reduce(aggregate(next_value, new_map(), enter, place), join_groups, place)
  end, true, function(next_value)
    return reduce(next_value, join_groups, place)
  end)
end

-- What clients of the real server read when a function returns no stream.
local function explain(result)
  if type(result) == "table" then
    return "the function has not returned its stream"
  end
  return '[string "aerospike.lua"]:33: attempt to index a ' .. type(result) .. " value (global 'result')"
end

-- Has f put operators onto a stream of what next_record gives; returns the function that gives the results.
return function(f, next_record, of_client, ...)
  local stream = setmetatable({}, Stream)
  chains[stream] = { of_client = of_client, place = defined(f) }
  local result = f(stream, ...)
  local chain = chains[result]
  if chain == nil then
    error(explain(result), 0)
  end
  local next_value = next_record
  for _, operator in ipairs(chain) do
    next_value = operator(next_value)
  end
  return next_value
end
