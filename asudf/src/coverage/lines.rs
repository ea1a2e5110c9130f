//! Lines at which a compiled chunk has instructions: those that Lua's line hook can see.

use std::collections::BTreeSet;

/// A function of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FunctionLines {
    /// Line where it begins; 0 is the chunk itself.
    pub(super) defined: u32,
    /// Lines at which it does something.
    pub(super) lines: BTreeSet<u32>,
}

/// Bytes in front of the main function: signature, version, format, check data, sizes, check numbers, upvalues.
const HEADER_BYTES: usize = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1;

/// The line of an instruction is written out, rather than as a difference.
const ABSOLUTE: i8 = -128;

/// The functions of a chunk that `string.dump` made, with its debug information. None if it is no such chunk.
pub(super) fn read(chunk: &[u8]) -> Option<Vec<FunctionLines>> {
    let mut reader = ChunkReader(chunk.get(HEADER_BYTES..)?);
    let mut functions = Vec::new();
    reader.function(&mut functions, 0)?;
    Some(functions)
}

/// How deep functions are looked for in functions.
const DEPTH_MAX: usize = 200;

struct ChunkReader<'c>(&'c [u8]);

impl<'c> ChunkReader<'c> {
    fn take(&mut self, count: usize) -> Option<&'c [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number: seven bits a byte, the highest first; the last byte has the eighth.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        loop {
            let byte = self.byte()?;
            number = number.checked_mul(128)? | usize::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                return Some(number);
            }
        }
    }

    fn skip_text(&mut self) -> Option<()> {
        match self.number()? {
            0 => Some(()),
            length => self.take(length - 1).map(drop),
        }
    }

    fn function(&mut self, functions: &mut Vec<FunctionLines>, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.skip_text()?;
        let defined = u32::try_from(self.number()?).ok()?;
        self.number()?;
        self.byte()?;
        let is_vararg = self.byte()? != 0;
        self.byte()?;
        let instructions = self.number()?;
        self.take(instructions.checked_mul(4)?)?;
        for _ in 0..self.number()? {
            match self.byte()? {
                0x03 | 0x13 => drop(self.take(8)?),
                0x04 | 0x14 => self.skip_text()?,
                _ => {}
            }
        }
        let upvalues = self.number()?;
        self.take(upvalues.checked_mul(3)?)?;
        let place = functions.len();
        functions.push(FunctionLines {
            defined,
            lines: BTreeSet::new(),
        });
        for _ in 0..self.number()? {
            self.function(functions, depth + 1)?;
        }
        let count = self.number()?;
        let differences = self.take(count)?;
        let mut absolute = Vec::new();
        for _ in 0..self.number()? {
            absolute.push((self.number()?, u32::try_from(self.number()?).ok()?));
        }
        for _ in 0..self.number()? {
            self.skip_text()?;
            self.number()?;
            self.number()?;
        }
        for _ in 0..self.number()? {
            self.skip_text()?;
        }
        let mut line = defined;
        let mut lines = BTreeSet::new();
        for (instruction, difference) in differences.iter().enumerate() {
            line = match difference.cast_signed() {
                ABSOLUTE => absolute.iter().find(|(at, _)| *at == instruction)?.1,
                difference => line.checked_add_signed(difference.into())?,
            };
            // The first instruction of a function with `...` is none of the source.
            if !(is_vararg && instruction == 0) {
                lines.insert(line);
            }
        }
        functions.get_mut(place)?.lines = lines;
        Some(())
    }
}
