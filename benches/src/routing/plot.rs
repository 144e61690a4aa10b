//! The curves as a picture.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::matcher::Contender;

/// Nanoseconds a message by the number of subscriptions.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Of whom.
    pub contender: Contender,
    /// (subscriptions, nanoseconds).
    pub points: Vec<(f64, f64)>,
}

/// The curves of one workload.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is shown.
    pub title: String,
    /// One for each who could be measured.
    pub curves: Vec<Curve>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const SUBSCRIPTIONS: (f64, f64) = (800.0, 1_300_000.0);
const NANOSECONDS: (f64, f64) = (5.0, 20_000_000.0);

/// Draws the panels, two beside each other, into an SVG file.
///
/// # Errors
/// When the file cannot be written.
pub fn plot(file: &Path, panels: &[Panel]) -> Result<()> {
    let rows = panels.len().div_ceil(2);
    let height = u32::try_from(rows)? * 400 + 50;
    let root = SVGBackend::new(file, (1_080, height)).into_drawing_area();
    draw(&root, panels, rows).map_err(|error| anyhow!("{}: {error}", file.display()))
}

fn draw(root: &Area<'_>, panels: &[Panel], rows: usize) -> Result<()> {
    root.fill(&WHITE)?;
    let title = "Matching one message: nanoseconds by number of subscriptions";
    let (legend, below) = root.titled(title, ("sans-serif", 24))?.split_vertically(30);
    draw_legend(&legend, panels)?;
    for (area, panel) in below.split_evenly((rows, 2)).iter().zip(panels) {
        draw_panel(area, panel)?;
    }
    root.present()?;
    Ok(())
}

/// One for all panels, in a row.
fn draw_legend(area: &Area<'_>, panels: &[Panel]) -> Result<()> {
    let shown = |one: &Contender| {
        panels.iter().flat_map(|panel| &panel.curves).any(|curve| curve.contender == *one)
    };
    let contenders = [Contender::Wissel].into_iter().chain(Contender::PEERS).filter(shown);
    for (x, contender) in (90..).step_by(230).zip(contenders) {
        area.draw(&PathElement::new(vec![(x, 15), (x + 30, 15)], line(contender)))?;
        area.draw(&Text::new(contender.name(), (x + 38, 7), ("sans-serif", 18)))?;
    }
    Ok(())
}

/// Told apart by those who see few colours too.
fn line(contender: Contender) -> ShapeStyle {
    match contender {
        Contender::Wissel => RGBColor(0, 90, 181).stroke_width(4),
        Contender::Quamina => RGBColor(217, 95, 2).stroke_width(2),
        Contender::ATree => RGBColor(27, 128, 84).stroke_width(2),
        Contender::Naive => RGBColor(150, 60, 140).stroke_width(2),
        Contender::Lookup => RGBColor(120, 120, 120).stroke_width(2),
    }
}

fn draw_panel(area: &Area<'_>, panel: &Panel) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .caption(&panel.title, ("sans-serif", 18))
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(
            (SUBSCRIPTIONS.0..SUBSCRIPTIONS.1).log_scale(),
            (NANOSECONDS.0..NANOSECONDS.1).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .label_style(("sans-serif", 14))
        .x_desc("subscriptions")
        .y_desc("a message")
        .x_label_formatter(&|count| thousands(*count))
        .y_label_formatter(&|nanoseconds| duration(*nanoseconds))
        .draw()?;
    for curve in &panel.curves {
        let (style, points) = (line(curve.contender), || curve.points.iter().copied());
        chart.draw_series(LineSeries::new(points(), style))?;
        chart.draw_series(points().map(|point| Circle::new(point, 4, style.filled())))?;
    }
    Ok(())
}

fn thousands(count: f64) -> String {
    match count {
        count if count >= 1e6 => format!("{:.0} 000 000", count / 1e6),
        count if count >= 1e3 => format!("{:.0} 000", count / 1e3),
        count => format!("{count:.0}"),
    }
}

fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        long if long >= 1e6 => format!("{:.0} ms", long / 1e6),
        long if long >= 1e3 => format!("{:.0} µs", long / 1e3),
        short => format!("{short:.0} ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_every_contender() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plot.svg");
        let curve = |contender| Curve { contender, points: vec![(1e3, 100.0), (1e6, 250.0)] };
        let title = "W3: subjects".to_owned();
        let curves = [Contender::Wissel, Contender::Quamina].map(curve).into();
        plot(&file, &[Panel { title, curves }]).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        assert!(svg.contains("W3: subjects") && svg.contains("quamina"), "{svg}");
    }
}
