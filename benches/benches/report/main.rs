//! Measures, and writes `RESULTS.md` and `plots/*.svg`. See the library's documentation.

mod builds;
mod closes;
mod counts;
mod format;
mod goals;
mod machine;
mod markdown;
mod mass;
mod plots;
mod progress;
mod stopwatch;
mod work;

use std::{fs, path::Path};

use progress::Progress;

fn main() {
    // `cargo test --all-targets` runs this too, and is no place to measure.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plots = crate_dir.join("plots");
    fs::create_dir_all(&plots).expect("a directory for the plots");

    let plan = Progress::planning();
    measure(&plan);
    let progress = plan.begin();
    let Some((counts, closes, work, mass)) = measure(&progress) else {
        return;
    };
    progress.finish();

    plots::closes(&closes, &plots.join("closes.svg"));
    plots::last_data(&work.last_data, &plots.join("last_data.svg"));
    plots::mass(&mass, &plots.join("mass.svg"));
    let results = markdown::results(&counts, &closes, &work, &mass);
    fs::write(crate_dir.join("RESULTS.md"), results).expect("a file for the results");
}

type Measured = (
    counts::Counts,
    Vec<stopwatch::Group>,
    work::Work,
    Vec<mass::Mass>,
);

/// Measures all there is, or only counts it.
fn measure(progress: &Progress) -> Option<Measured> {
    let counts = counts::Counts::take(progress);
    let mut stopwatch = stopwatch::Stopwatch::new(progress.clone());
    let closes = closes::measure(&mut stopwatch);
    let work = work::measure(&mut stopwatch);
    let mass = mass::measure(progress);
    Some((counts?, closes, work, mass))
}
