//! What comes of scripts.

use bytes::BytesMut;
use protocol::message::{FieldType, Info2, MessageHeader, MessageWriter};
use tests::error::Result;
use tests::records::{CallOptions, RecordKey};

use super::input::{info, long_module, put_line, scanned, unexpected};
use super::{Answer, Kind, Until};

/// A module whose functions take what they can get.
pub(crate) const MODULE: &str = "
function spin(rec) while true do end end
function memory(rec) local t = {} for i = 1, 110 do t[i] = string.rep('x', 1000000) .. i end while true do end end
function zeros(rec) local a, b = string.rep('\\0', 15000000), string.rep('\\0', 15000000) while true do local _ = a < b end end
function weak(rec)
  local keys = {} for i = 1, 80001 do keys[i] = {} end
  local t = setmetatable({}, { __mode = 'k' }) for i = 1, 80000 do t[keys[i]] = keys[i + 1] end
  keys = nil collectgarbage()
end
function some(rec) for i = 1, 100000 do end return 1 end
function log(rec) for i = 1, 200 do info('a line of a script that says much: %d', i) end return 1 end
";

/// What comes of scripts.
pub(super) fn kinds() -> Result<Vec<Kind>> {
    let call = |function: &str, timeout_ms| {
        let options = CallOptions {
            timeout_ms,
            ..CallOptions::default()
        };
        RecordKey::new("test", "attack", function)
            .apply(b"attack", function.as_bytes(), &[0x90], options)
            .map(|frame| frame.to_vec())
    };
    let answered = Kind::new;
    let served = Kind::served;
    let long = long_module(700_000, "");
    let other = long_module(700_000, "-- another\n");
    let background = {
        let header = MessageHeader {
            info2: Info2::WRITE,
            ..MessageHeader::default()
        };
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, &header);
        message.namespace("test").set("scanned");
        message
            .field(FieldType::UDF_PACKAGE, b"attack")
            .field(FieldType::UDF_FUNCTION, b"some")
            .field(FieldType::UDF_ARGLIST, &[0x90])
            .field(FieldType::UDF_OP, &[2]);
        message.finish().map_err(unexpected)?;
        out.to_vec()
    };
    Ok(vec![
        answered("spinning calls", call("spin", 1_000)?),
        answered("memory of calls", call("memory", 2_000)?),
        answered("long comparisons", call("zeros", 500)?),
        answered("weak keys", call("weak", 500)?),
        served("calls of a millisecond", call("some", 1_000)?),
        served("lines of calls", call("log", 1_000)?),
        answered(
            "endless bodies",
            info(&put_line("body.lua", "while true do end")),
        ),
        answered(
            "compile time",
            info(&put_line(
                "body.lua",
                &format!("if a then {}end", "elseif a then ".repeat(70_000)),
            )),
        ),
        answered(
            "large bodies",
            info(&put_line(
                "body.lua",
                "local t = {} for i = 1, 115 do t[i] = string.rep('x', 1000000) .. i end",
            )),
        ),
        served(
            "honest modules",
            info(&(put_line("long.lua", &long) + &put_line("long.lua", &other))),
        ),
        served("removals", info("udf-remove:filename=none.lua\n")),
        served(
            "modules fetched",
            info(&"udf-get:filename=long.lua\n".repeat(30)),
        )
        .after(vec![info(&put_line("long.lua", &long))]),
        served("cleared caches", info(&"udf-clear-cache:\n".repeat(1_000))),
        served("cleared caches, one by one", info("udf-clear-cache:\n")),
        answered(
            "cleared caches, pumped",
            info("udf-clear-cache:\n").repeat(100),
        )
        .answered(Answer::Pumped),
        Kind {
            ended_by: Some("query-abort-all:"),
            over: Some(Until {
                command: "query-show",
                is_so: |jobs| !jobs.contains("status=active"),
            }),
            ..served("background jobs", background).after(scanned()?)
        },
    ])
}
