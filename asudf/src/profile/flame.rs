//! A flame graph of folded stacks: a rectangle a frame, as wide as what it took, above what called it.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Width of the picture.
const WIDTH: f64 = 1200.0;

/// Height of a frame.
const HEIGHT: usize = 18;

/// Frames narrower than this are left out.
const WIDTH_MIN: f64 = 0.3;

/// Width of a letter, about.
const LETTER: f64 = 7.0;

#[derive(Debug, Default)]
struct Node {
    value: u128,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn depth(&self) -> usize {
        1 + self.children.values().map(Self::depth).max().unwrap_or(0)
    }
}

/// The picture of lines `FRAME;FRAME;… VALUE`.
pub(super) fn graph(folded: &str, title: &str, unit: &str) -> String {
    let mut root = Node::default();
    for line in folded.lines() {
        let Some((stack, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let Ok(value) = value.parse::<u128>() else {
            continue;
        };
        root.value += value;
        let mut node = &mut root;
        for frame in stack.split(';') {
            node = node.children.entry(frame.to_owned()).or_default();
            node.value += value;
        }
    }
    let height = (root.depth() + 2) * HEIGHT;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"monospace\" font-size=\"11\">\n\
         <text x=\"4\" y=\"13\">{}</text>\n",
        escaped(title)
    );
    draw(
        &root,
        "all",
        (0.0, height - HEIGHT),
        (root.value, unit),
        &mut out,
    );
    out.push_str("</svg>\n");
    out
}

// Writing to a string does not fail.
fn draw(
    node: &Node,
    name: &str,
    (x, y): (f64, usize),
    (whole, unit): (u128, &str),
    out: &mut String,
) {
    if whole == 0 {
        return;
    }
    let width = WIDTH * node.value as f64 / whole as f64;
    if width < WIDTH_MIN {
        return;
    }
    let shade = name.bytes().fold(7_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let (green, blue) = (100 + shade % 110, 40 + shade / 7 % 50);
    let percent = node.value as f64 * 100.0 / whole as f64;
    let _ = write!(
        out,
        "<g><title>{} — {} {unit}, {percent:.1} %</title><rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" \
         fill=\"rgb(230,{green},{blue})\" stroke=\"white\"/>",
        escaped(name),
        node.value,
        HEIGHT - 1
    );
    let letters = (width / LETTER) as usize;
    if letters > 3 {
        let shown: String = name.chars().take(letters).collect();
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{}\">{}</text>",
            x + 2.0,
            y + 13,
            escaped(&shown)
        );
    }
    out.push_str("</g>\n");
    let mut left = x;
    for (name, child) in &node.children {
        draw(
            child,
            name,
            (left, y.saturating_sub(HEIGHT)),
            (whole, unit),
            out,
        );
        left += WIDTH * child.value as f64 / whole as f64;
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
