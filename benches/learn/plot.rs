//! The picture of what ranks promise and what came, as SVG.

use std::fmt::Write as _;

use engine::detect::Reliability;

/// Pixels of the picture, and where its axes stand.
const SIZE: (f64, f64) = (560.0, 420.0);
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 360.0;
const SIDE: (f64, f64) = (450.0, 320.0);
/// Both axes go from here for two tens of orders.
const LEAST: f64 = 1e-4;

/// Two curves beside the line where both are equal, and the band that is asked for.
pub(crate) fn ranks(clean: &Reliability, mixed: &Reliability) -> String {
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>Ranks of rules that learn: as promised and as they came (synthetic)</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let band: Vec<(f64, f64)> = vec![
        (LEAST, LEAST * 1.5),
        (1e-2 / 1.5, 1e-2),
        (1e-2, 1e-2),
        (1e-2, 7e-3),
        (LEAST / 0.7, LEAST),
        (LEAST, LEAST),
    ];
    writeln!(svg, "<polygon points=\"{}\" fill=\"#dbe7f3\"/>", points(&band)).ok();
    writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"#888\"/>", points(&[(LEAST, LEAST), (1e-2, 1e-2)]))
        .ok();
    for (share, name) in [(1e-4, "1 in 10,000"), (1e-3, "1 in 1,000"), (1e-2, "1 in 100")] {
        let (x, y) = place(share, share);
        writeln!(svg, "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{name}</text>", BOTTOM + 20.0).ok();
        writeln!(svg, "<text x=\"{:.0}\" y=\"{y:.0}\" text-anchor=\"end\">{share:e}</text>", LEFT - 8.0).ok();
    }
    let (right, top) = (LEFT + SIDE.0, BOTTOM - SIDE.1);
    writeln!(svg, "<path d=\"M{LEFT} {top} V{BOTTOM} H{right}\" fill=\"none\" stroke=\"#333\"/>").ok();
    writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">rank below</text>",
        LEFT + SIDE.0 / 2.0,
        BOTTOM + 42.0
    )
    .ok();
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"24\">share of looks (synthetic world, last third; shaded: 0.7 to 1.5 times)</text>"
    )
    .ok();
    for (number, (ranks, colour, name)) in
        [(clean, "#1f6fb2", "ordinary days"), (mixed, "#c2571a", "with 1 % stolen identities before")]
            .into_iter()
            .enumerate()
    {
        let curve: Vec<(f64, f64)> = Reliability::SHARES
            .iter()
            .zip(ranks.below)
            .map(|(share, below)| (*share, (below as f64 / ranks.looks.max(1) as f64).max(LEAST / 2.0)))
            .collect();
        writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", points(&curve))
            .ok();
        for (share, came) in curve {
            let (x, y) = place(share, came);
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>").ok();
        }
        let y = 52.0 + 20.0 * number as f64;
        writeln!(svg, "<text x=\"{:.0}\" y=\"{y}\" fill=\"{colour}\">{name}</text>", LEFT + 14.0).ok();
    }
    svg + "</svg>\n"
}

fn points(of: &[(f64, f64)]) -> String {
    let place = |(x, y): &(f64, f64)| {
        let (x, y) = place(*x, *y);
        format!("{x:.1},{y:.1}")
    };
    of.iter().map(place).collect::<Vec<_>>().join(" ")
}

fn place(x: f64, y: f64) -> (f64, f64) {
    let part = |value: f64| (value / LEAST).log10() / 2.0;
    (LEFT + part(x) * SIDE.0, BOTTOM - part(y) * SIDE.1)
}
