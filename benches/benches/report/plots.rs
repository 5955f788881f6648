//! The pictures.

use std::path::Path;

use plotters::prelude::*;

use crate::{
    format::duration,
    mass::Mass,
    stopwatch::{Group, Spread, Times},
};

const TEXT: (&str, i32) = ("sans-serif", 14);
const OURS: RGBColor = RGBColor(0x1b, 0x7a, 0x4b);
const OTHERS: RGBColor = RGBColor(0x8a, 0x93, 0x9e);

/// One bar for each contender, with a whisker from its fastest to its slowest round.
struct Bar {
    name: String,
    spread: Spread,
    ours: bool,
}

pub(crate) fn closes(groups: &[Group], path: &Path) {
    let root = SVGBackend::new(path, (960, 560)).into_drawing_area();
    root.fill(&WHITE).expect("a plot");
    for (area, group) in root.split_evenly((2, 2)).iter().zip(groups) {
        bars(area, group);
    }
    root.present().expect("a file for the plot");
}

pub(crate) fn last_data(group: &Group, path: &Path) {
    let root = SVGBackend::new(path, (720, 220)).into_drawing_area();
    root.fill(&WHITE).expect("a plot");
    bars(&root, group);
    root.present().expect("a file for the plot");
}

/// Time to the right, on a logarithmic scale where it differs much.
fn bars(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, group: &Group) {
    let bars: Vec<_> = (group.times.iter().enumerate())
        .map(|(index, times)| Bar {
            name: times.name.to_owned(),
            spread: times.spread(),
            ours: index == 0,
        })
        .collect();
    let medians = Spread::of(bars.iter().map(|bar| bar.spread.median));
    let max = bars.iter().map(|bar| bar.spread.max).fold(0.0, f64::max);
    let logarithmic = medians.max > 100.0 * medians.min;
    let (from, scale): (f64, fn(f64) -> f64) = match logarithmic {
        true => (medians.min.log10().floor() - 1.0, f64::log10),
        false => (0.0, |nanos| nanos),
    };
    let to = match logarithmic {
        true => scale(max) + 0.5,
        // An outlier is cut off, so that the bars can be told apart.
        false => max.min(medians.max * 1.6),
    };
    let caption = match logarithmic {
        true => format!("{} (logarithmic)", group.name),
        false => group.name.clone(),
    };
    let rows = bars.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 16))
        .margin(8)
        .margin_left(24)
        .x_label_area_size(28)
        .y_label_area_size(0)
        .build_cartesian_2d(from..to, 0.0..rows)
        .expect("a plot");
    let label = |x: &f64| match logarithmic {
        true => duration(10_f64.powf(*x)),
        false => duration(*x),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_labels(5)
        .x_label_formatter(&label)
        .label_style(TEXT)
        .light_line_style(WHITE)
        .draw()
        .expect("a plot");
    for (index, bar) in bars.iter().enumerate() {
        let top = rows - index as f64;
        let color = if bar.ours { OURS } else { OTHERS };
        let median = scale(bar.spread.median);
        let whisker = [scale(bar.spread.min), scale(bar.spread.max).min(to)];
        let text = format!("{}  {}", bar.name, duration(bar.spread.median));
        let body = Rectangle::new([(from, top - 0.45), (median, top - 0.9)], color.filled());
        let line = PathElement::new(whisker.map(|x| (x, top - 0.675)).to_vec(), BLACK);
        chart.draw_series([body]).expect("a plot");
        chart.draw_series([line]).expect("a plot");
        let text = Text::new(text, (from, top - 0.05), TEXT.into_font());
        chart.draw_series([text]).expect("a plot");
    }
}

pub(crate) fn mass(mass: &[Mass], path: &Path) {
    let root = SVGBackend::new(path, (720, 320)).into_drawing_area();
    root.fill(&WHITE).expect("a plot");
    let lines = [
        ("tokio-tls-shutdown", OURS, points(mass, |row| &row.ours)),
        ("by hand", OTHERS, points(mass, |row| &row.by_hand)),
        (
            "by hand, in a timeout",
            BLACK,
            points(mass, |row| &row.in_time),
        ),
    ];
    let all = lines.iter().flat_map(|(_, _, points)| points);
    let max = all.map(|&(_, time)| time).fold(0.0, f64::max);
    let widest = mass.iter().map(connections).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "time for each of so many connections that close at once",
            ("sans-serif", 16),
        )
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..widest * 1.05, 0.0..max * 1.2)
        .expect("a plot");
    chart
        .configure_mesh()
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| duration(*y))
        .y_labels(5)
        .label_style(TEXT)
        .light_line_style(WHITE)
        .draw()
        .expect("a plot");
    for (name, color, points) in lines {
        let dots: Vec<_> = (points.iter())
            .map(|&point| Circle::new(point, 4, color.filled()))
            .collect();
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))
            .expect("a plot")
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled()));
        chart.draw_series(dots).expect("a plot");
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(TEXT)
        .draw()
        .expect("a plot");
    root.present().expect("a file for the plot");
}

fn points(mass: &[Mass], times: impl Fn(&Mass) -> &Times) -> Vec<(f64, f64)> {
    let point = |row| (connections(row), times(row).spread().median);
    mass.iter().map(point).collect()
}

fn connections(row: &Mass) -> f64 {
    row.connections as f64
}
