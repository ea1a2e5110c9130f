-- Building blocks of stream functions: each takes a function that gives the next value, nil at the end, and returns
-- such a function itself.

function filter(next_value, keep)
  return function()
    local value = next_value()
    while value ~= nil and not keep(value) do
      value = next_value()
    end
    return value
  end
end

function transform(next_value, change)
  return function()
    local value = next_value()
    if value ~= nil then
      return change(value)
    end
  end
end

function reduce(next_value, join)
  local done = false
  return function()
    if done then
      return nil
    end
    done = true
    local result = next_value()
    if result == nil then
      return nil
    end
    for value in next_value do
      result = join(result, value)
    end
    return result
  end
end

function aggregate(next_value, initial, join)
  local done = false
  return function()
    if done then
      return nil
    end
    done = true
    local result = initial
    for value in next_value do
      result = join(result, value)
    end
    return result
  end
end
