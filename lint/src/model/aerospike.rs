//! What Aerospike gives to scripts.

/// Functions and values, one a line: `name(parameter: kinds, optional?: kinds, ...): results`, or `name = kinds`.
///
/// A parameter is called optional here where leaving it out makes sense, not wherever the call goes through.
pub(super) const SIGNATURES: &str = "
aerospike:create(record: Record): integer
aerospike:exists(record: Record): boolean
aerospike:get_config(record: Record, name?: string): integer
aerospike:get_current_time(): integer
aerospike:log(level: index, text?: string|number)
aerospike:remove(record: Record): integer
aerospike:set_context(record: Record, context?: integer): integer
aerospike:update(record: Record): integer

record.bin_names(record: Record): table
record.device_size(record: Record): integer
record.digest(record: Record): Bytes
record.drop_key(record: Record)
record.gen(record: Record): integer
record.key(record: Record): integer|string|Bytes|nil
record.last_update_time(record: Record): integer
record.memory_size(record: Record): integer
record.numbins(record: Record): integer
record.set_ttl(record: Record, seconds?: index)
record.setname(record: Record): string|nil
record.size(record: Record): integer
record.ttl(record: Record): integer

list(content?: table|nil): List
list.append(list: List, value: any)
list.clone(list: List): List
list.concat(list: List, other: List)
list.create(capacity: index, step?: index): List|nil
list.drop(list: List, count: index): List|nil
list.insert(list: List, position: index, value: any)
list.iterator(list: List): function, Iterator
list.merge(list: List, other: List): List
list.nbytes(list: List): integer
list.new(capacity: index, step?: index): List|nil
list.prepend(list: List, value: any)
list.remove(list: List, position: index)
list.size(list: List): integer
list.take(list: List, count: index): List|nil
list.tostring(list: List): string
list.trim(list: List, position: index)

map(content?: table|nil, capacity?: index): Map
map.clone(map: Map): Map
map.create(capacity: index): Map|nil
map.diff(map: Map, other: Map): Map
map.iterator(map: Map): function, Iterator
map.keys(map: Map): function, Iterator
map.merge(map: Map, other: Map, combine?: any): Map
map.nbytes(map: Map): integer
map.new(capacity: index): Map|nil
map.pairs(map: Map): function, Iterator
map.remove(map: Map, key: any)
map.size(map: Map): integer
map.tostring(map: Map): string
map.values(map: Map): function, Iterator

bytes(capacity?: index): Bytes
bytes.append_byte(bytes: Bytes, value: index): boolean
bytes.append_bytes(bytes: Bytes, source: Bytes, count: index): boolean
bytes.append_int16(bytes: Bytes, value: index): boolean
bytes.append_int16_be(bytes: Bytes, value: index): boolean
bytes.append_int16_le(bytes: Bytes, value: index): boolean
bytes.append_int32(bytes: Bytes, value: index): boolean
bytes.append_int32_be(bytes: Bytes, value: index): boolean
bytes.append_int32_le(bytes: Bytes, value: index): boolean
bytes.append_int64(bytes: Bytes, value: index): boolean
bytes.append_int64_be(bytes: Bytes, value: index): boolean
bytes.append_int64_le(bytes: Bytes, value: index): boolean
bytes.append_string(bytes: Bytes, text: string|number): boolean
bytes.append_var_int(bytes: Bytes, value: index): integer
bytes.get_byte(bytes: Bytes, position: index): integer|nil
bytes.get_bytes(bytes: Bytes, position: index, count: index): Bytes|nil
bytes.get_int16(bytes: Bytes, position: index): integer|nil
bytes.get_int16_be(bytes: Bytes, position: index): integer|nil
bytes.get_int16_le(bytes: Bytes, position: index): integer|nil
bytes.get_int32(bytes: Bytes, position: index): integer|nil
bytes.get_int32_be(bytes: Bytes, position: index): integer|nil
bytes.get_int32_le(bytes: Bytes, position: index): integer|nil
bytes.get_int64(bytes: Bytes, position: index): integer|nil
bytes.get_int64_be(bytes: Bytes, position: index): integer|nil
bytes.get_int64_le(bytes: Bytes, position: index): integer|nil
bytes.get_string(bytes: Bytes, position: index, count: index): string|nil
bytes.get_type(bytes: Bytes): integer
bytes.get_var_int(bytes: Bytes, position: index): integer|nil, integer|nil
bytes.set_byte(bytes: Bytes, position: index, value: index): boolean
bytes.set_bytes(bytes: Bytes, position: index, source: Bytes, count: index): boolean
bytes.set_int16(bytes: Bytes, position: index, value: index): boolean
bytes.set_int16_be(bytes: Bytes, position: index, value: index): boolean
bytes.set_int16_le(bytes: Bytes, position: index, value: index): boolean
bytes.set_int32(bytes: Bytes, position: index, value: index): boolean
bytes.set_int32_be(bytes: Bytes, position: index, value: index): boolean
bytes.set_int32_le(bytes: Bytes, position: index, value: index): boolean
bytes.set_int64(bytes: Bytes, position: index, value: index): boolean
bytes.set_int64_be(bytes: Bytes, position: index, value: index): boolean
bytes.set_int64_le(bytes: Bytes, position: index, value: index): boolean
bytes.set_size(bytes: Bytes, size: index): boolean
bytes.set_string(bytes: Bytes, position: index, text: string|number): boolean
bytes.set_type(bytes: Bytes, type: index): boolean
bytes.set_var_int(bytes: Bytes, position: index, value: index): integer
bytes.size(bytes: Bytes): integer

geojson(text: string|number): GeoJSON

iterator(value: any): any
iterator.has_next(iterator: Iterator): boolean
iterator.next(iterator: Iterator): any

stream.read(stream: any): any
stream.readable(stream: any): any
stream.tostring(stream: any): any
stream.writable(stream: any): any
stream.write(stream: any, value: any): any

filter(next: function, keep: function, place?: any): function
transform(next: function, change: function, place?: any): function
reduce(next: function, join: function, place?: any): function
aggregate(next: function, initial: any, add: function, place?: any): function

trace(format: string|number, ...)
debug(format: string|number, ...)
info(format: string|number, ...)
warn(format: string|number, ...)

List = table
Map = table
Bytes = table
Aerospike = table
Iterator = table
";

/// Globals of the real server's own Lua, which scripts find there and not everywhere else.
pub(super) const OF_THE_REAL_SERVER: [&str; 10] = [
    "StreamOps",
    "StreamOps_mt",
    "StreamOps_create",
    "StreamOps_apply",
    "StreamOps_select",
    "stream_iterator",
    "apply_record",
    "apply_stream",
    "success",
    "result",
];
