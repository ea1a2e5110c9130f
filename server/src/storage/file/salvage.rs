use std::path::Path;

use super::disk::{Disk, RealFile};
use super::frame::{Frame, Header, SEGMENT_HEADER, segment_header};
use super::load::{self, Damage};
use super::open::{OpenError, size};
use super::repair;

/// What was saved of a damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Records that were whole.
    pub records: usize,
    /// The places that were not.
    pub damage: Vec<Damage>,
}

/// Copies what is whole of a file of records to a new one, which has the same size. The old one is only read.
///
/// Of a record whose last version was damaged an earlier one is saved, if that still stands in the file. `namespace` is
/// needed only where the header is lost.
///
/// # Errors
/// The old file is none of records, or nothing can be told of it without a header; the new one is there already, or cannot be written.
pub fn salvage(from: &Path, to: &Path, namespace: Option<&str>) -> Result<Salvaged, OpenError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| OpenError::Io { path, error }
    };
    if to.exists() {
        return Err(OpenError::Refused {
            path: to.to_owned(),
            reason: "is there already".to_owned(),
        });
    }
    let old = RealFile::open_to_read(from).map_err(io(from))?;
    let header = repair::header(&old, namespace).map_err(io(from))?;
    let header = header.map_err(|reason| OpenError::Refused {
        path: from.to_owned(),
        reason,
    })?;
    let found = load::read(&old, &header, false).map_err(io(from))?;
    let new = RealFile::open(to, size(&header)).map_err(io(to))?;
    let mut writer = Copier::new(&new, &header);
    for (set, (before_ms, _)) in &found.truncations {
        let frame = Frame::Truncation {
            set: set.clone(),
            before_ms: *before_ms,
        };
        writer.add(&frame).map_err(io(to))?;
    }
    for (record, _) in found.records.values() {
        writer.add(&Frame::Record(record.clone())).map_err(io(to))?;
    }
    writer.end().map_err(io(to))?;
    new.write(
        0,
        &Header {
            closed_at: None,
            ..header.clone()
        }
        .to_bytes(),
    )
    .map_err(io(to))?;
    new.sync().map_err(io(to))?;
    Ok(Salvaged {
        records: found.records.len(),
        damage: found.damage,
    })
}

/// Writes frames one segment after the other.
struct Copier<'d> {
    disk: &'d dyn Disk,
    header: &'d Header,
    sequence: u64,
    bytes: Vec<u8>,
}

impl<'d> Copier<'d> {
    fn new(disk: &'d dyn Disk, header: &'d Header) -> Self {
        Self {
            disk,
            header,
            sequence: 1,
            bytes: segment_header(1).to_vec(),
        }
    }

    fn add(&mut self, frame: &Frame) -> std::io::Result<()> {
        let end = self.bytes.len() + frame.length() + Frame::Sealed.length();
        if end > self.header.segment_bytes as usize {
            Frame::Sealed.write(self.sequence, &mut self.bytes);
            self.end()?;
            self.sequence += 1;
            self.bytes = segment_header(self.sequence).to_vec();
        }
        frame.write(self.sequence, &mut self.bytes);
        Ok(())
    }

    fn end(&mut self) -> std::io::Result<()> {
        debug_assert!(
            self.bytes.len() >= SEGMENT_HEADER,
            "a segment begins with its header"
        );
        let segment = self.sequence - 1;
        let start = super::frame::HEADER as u64 + segment * u64::from(self.header.segment_bytes);
        self.disk.write(start, &self.bytes)
    }
}
