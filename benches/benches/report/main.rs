//! Measures, and writes `RESULTS.md` and `plots/*.svg`. See the library's documentation.

mod closes;
mod counts;
mod machine;
mod markdown;
mod mass;
mod plots;
mod stopwatch;
mod work;

use std::{fs, path::Path};

fn main() {
    // `cargo test --all-targets` runs this too, and is no place to measure.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plots = crate_dir.join("plots");
    fs::create_dir_all(&plots).expect("a directory for the plots");

    let counts = counts::Counts::take();
    let mut stopwatch = stopwatch::Stopwatch::new();
    let closes = closes::measure(&mut stopwatch);
    let work = work::measure(&mut stopwatch);
    let mass = mass::measure();

    plots::closes(&closes, &plots.join("closes.svg"));
    plots::last_data(&work.last_data, &plots.join("last_data.svg"));
    plots::mass(&mass, &plots.join("mass.svg"));
    let results = markdown::results(&counts, &closes, &work, &mass);
    fs::write(crate_dir.join("RESULTS.md"), results).expect("a file for the results");
}
