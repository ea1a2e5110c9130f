//! Coverings: few cells that together hold a region, for indexes. The rules are those of S2's region coverer, so that
//! stored regions have the cells that the real server gives them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cell::{CellId, MAX_LEVEL, Square};
use super::flat::FlatEdge;
use super::{Point, Region};
use crate::work::{Meter, TimeIsUp};

/// How fine a covering is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fineness {
    /// Level of the largest cells, 0 to 30.
    pub min_level: u32,
    /// Level of the smallest cells, 0 to 30.
    pub max_level: u32,
    /// Wanted number of cells, at least 1. There may be more where `min_level` asks for it.
    pub max_cells: usize,
    /// Levels are used in steps of so many, 1 to 3.
    pub level_step: u32,
}

impl Fineness {
    /// What stored regions are covered with.
    pub const STORED: Self = Self {
        min_level: 1,
        max_level: MAX_LEVEL,
        max_cells: 12,
        level_step: 1,
    };
}

/// Units of work of the question whether an edge meets a cell, and of what is done for a cell without edges.
const EDGE_UNITS: usize = 16;
const CELL_UNITS: usize = 1_000;

/// Faces of the cube.
const FACES: u32 = 6;

/// A cell that meets the region, with the edges of polygons that run through it: where they stand among those of its face.
struct Candidate {
    cell: CellId,
    edges: Vec<u32>,
    /// It is part of the covering as it is.
    is_final: bool,
}

/// A candidate that may be divided, with its parts.
struct Divided {
    candidate: Candidate,
    parts: Vec<Candidate>,
}

/// The cells of a covering, in order of their numbers.
///
/// # Errors
/// The time is up.
pub(super) fn cover(
    region: &Region,
    fineness: Fineness,
    work: &mut dyn Meter,
) -> Result<Vec<CellId>, TimeIsUp> {
    Coverer {
        region,
        fineness,
        work,
        faces: Vec::new(),
        queue: Vec::new(),
        order: BinaryHeap::new(),
        waiting: 0,
        found: Vec::new(),
    }
    .run()
}

/// What comes first: large cells, then those with few parts that meet the region, then those with few final parts.
type Priority = (Reverse<u32>, Reverse<usize>, Reverse<usize>, Reverse<usize>);

struct Coverer<'a> {
    region: &'a Region,
    fineness: Fineness,
    work: &'a mut dyn Meter,
    /// The edges that each face shows.
    faces: Vec<Vec<FlatEdge>>,
    queue: Vec<Option<Divided>>,
    order: BinaryHeap<(Priority, usize)>,
    waiting: usize,
    found: Vec<CellId>,
}

impl Coverer<'_> {
    fn run(mut self) -> Result<Vec<CellId>, TimeIsUp> {
        let region = self.region;
        for face in 0..FACES {
            let edges = region.edges().map(|edge| FlatEdge::new(face, edge));
            let square = CellId::face(face).square();
            let edges: Vec<_> = edges.filter(|edge| edge.meets(&square)).collect();
            self.work.spend(region.corner_count() * EDGE_UNITS)?;
            let all: Vec<u32> = (0..).take(edges.len()).collect();
            self.faces.push(edges);
            let candidate = self.candidate(CellId::face(face), &all)?;
            self.add(candidate)?;
        }
        while let Some((_, place)) = self.order.pop() {
            let Some(Divided { candidate, parts }) =
                self.queue.get_mut(place).and_then(Option::take)
            else {
                continue;
            };
            self.waiting -= 1;
            if candidate.cell.level() < self.fineness.min_level
                || parts.len() == 1
                || self.found.len() + self.waiting + parts.len() <= self.fineness.max_cells
            {
                for part in parts {
                    self.add(Some(part))?;
                }
            } else {
                self.found.push(candidate.cell);
            }
        }
        Ok(self.normalized())
    }

    /// The cell if it meets the region. `edges`: those of the cell around it.
    fn candidate(&mut self, cell: CellId, edges: &[u32]) -> Result<Option<Candidate>, TimeIsUp> {
        self.work.spend(CELL_UNITS + edges.len() * EDGE_UNITS)?;
        let square = cell.square();
        let shown = usize::try_from(cell.face_number()).ok();
        let shown = shown.and_then(|face| self.faces.get(face));
        let meets = |place: &u32| {
            let place = usize::try_from(*place).ok();
            let edge = shown.zip(place).and_then(|(edges, place)| edges.get(place));
            edge.is_some_and(|edge| edge.meets(&square))
        };
        let inside: Vec<u32> = edges.iter().copied().filter(meets).collect();
        if inside.is_empty() && !self.region.touches_without_edges(&square, self.work)? {
            return Ok(None);
        }
        let level = cell.level();
        let is_final = level >= self.fineness.min_level
            && (level + self.fineness.level_step > self.fineness.max_level
                || (inside.is_empty() && self.region.covers_without_edges(&square, self.work)?));
        Ok(Some(Candidate {
            cell,
            edges: inside,
            is_final,
        }))
    }

    fn add(&mut self, candidate: Option<Candidate>) -> Result<(), TimeIsUp> {
        let Some(candidate) = candidate else {
            return Ok(());
        };
        if candidate.is_final {
            self.found.push(candidate.cell);
            return Ok(());
        }
        let level = candidate.cell.level();
        let steps = if level < self.fineness.min_level {
            1
        } else {
            self.fineness.level_step
        };
        let mut parts = Vec::new();
        self.divide(candidate.cell, &candidate.edges, steps, &mut parts)?;
        let finals = parts.iter().filter(|part| part.is_final).count();
        if parts.is_empty() {
            return Ok(());
        }
        if finals == 1 << (2 * self.fineness.level_step) && level >= self.fineness.min_level {
            self.found.push(candidate.cell);
            return Ok(());
        }
        let place = self.queue.len();
        let priority = (
            Reverse(level),
            Reverse(parts.len()),
            Reverse(finals),
            Reverse(place),
        );
        self.order.push((priority, place));
        self.queue.push(Some(Divided { candidate, parts }));
        self.waiting += 1;
        Ok(())
    }

    fn divide(
        &mut self,
        cell: CellId,
        edges: &[u32],
        steps: u32,
        parts: &mut Vec<Candidate>,
    ) -> Result<(), TimeIsUp> {
        for child in cell.children() {
            if let Some(candidate) = self.candidate(child, edges)? {
                if steps > 1 {
                    self.divide(child, &candidate.edges, steps - 1, parts)?;
                } else {
                    parts.push(candidate);
                }
            }
        }
        Ok(())
    }

    /// Sorts, puts quarters together where all four are there, and divides what is above the lowest level.
    fn normalized(mut self) -> Vec<CellId> {
        self.found.sort_unstable();
        let mut merged: Vec<CellId> = Vec::new();
        for mut cell in self.found {
            if merged.last().is_some_and(|last| last.contains(cell)) {
                continue;
            }
            while merged.last().is_some_and(|last| cell.contains(*last)) {
                merged.pop();
            }
            while let Some(level) = cell.level().checked_sub(1)
                && let Some(first) = merged.len().checked_sub(3)
                && let Some(others) = merged.get(first..)
                && others
                    .iter()
                    .chain([&cell])
                    .zip(cell.parent(level).children())
                    .all(|(a, b)| *a == b)
            {
                cell = cell.parent(level);
                merged.truncate(first);
            }
            merged.push(cell);
        }
        let mut out = Vec::with_capacity(merged.len());
        for cell in merged {
            let mut level = cell.level().max(self.fineness.min_level);
            while !(level - self.fineness.min_level).is_multiple_of(self.fineness.level_step) {
                level += 1;
            }
            push_level(cell, level.min(MAX_LEVEL), &mut out);
        }
        out
    }
}

fn push_level(cell: CellId, level: u32, out: &mut Vec<CellId>) {
    if cell.level() >= level {
        out.push(cell);
    } else {
        for child in cell.children() {
            push_level(child, level, out);
        }
    }
}

impl Region {
    /// Whether it meets a square that none of its edges meets.
    fn touches_without_edges(
        &self,
        square: &Square,
        work: &mut dyn Meter,
    ) -> Result<bool, TimeIsUp> {
        let [corner, ..] = square.corners;
        match self {
            Self::Circle(circle) => Ok(circle.touches(square)),
            Self::Polygons(polygons) => {
                let mut corners = polygons.iter().flat_map(super::Polygon::corners);
                Ok(corners.any(|p| square.contains(p)) || self.holds(corner, work)?)
            }
        }
    }

    /// Whether it covers a square that none of its edges meets.
    fn covers_without_edges(
        &self,
        square: &Square,
        work: &mut dyn Meter,
    ) -> Result<bool, TimeIsUp> {
        let [corner, ..] = square.corners;
        match self {
            Self::Circle(circle) => Ok(circle.covers(square)),
            Self::Polygons(_) => self.holds(corner, work),
        }
    }

    fn polygons(&self) -> &[super::Polygon] {
        match self {
            Self::Circle(_) => &[],
            Self::Polygons(polygons) => polygons,
        }
    }

    fn edges(&self) -> impl Iterator<Item = (Point, Point)> {
        self.polygons().iter().flat_map(super::Polygon::edges)
    }

    fn corner_count(&self) -> usize {
        let polygons = self.polygons().iter();
        polygons.map(super::Polygon::corner_count).sum()
    }
}
