//! Builds of `one_close` that differ from that of all other figures.

use std::{env, fmt, path::PathBuf, process::Command};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    FatLto,
    Observed,
}

impl Build {
    pub(crate) const ALL: [Self; 2] = [Self::FatLto, Self::Observed];

    /// Builds the program, and returns where it is.
    pub(crate) fn one_close(self) -> PathBuf {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("builds");
        // Other libraries are not counted here; they take minutes to compile.
        let (profile, features, directory) = match self {
            Self::FatLto => ("fat-lto", "", "fat-lto"),
            Self::Observed => ("release", "observed", "release"),
        };
        let built = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "build",
                "--quiet",
                "--bin",
                "one_close",
                "--no-default-features",
            ])
            .args(["--features", features, "--profile", profile, "--target-dir"])
            .arg(&target)
            .status();
        let built = built.expect("cargo, which has started this");
        assert!(built.success(), "{self}: cannot be built");
        let name = format!("one_close{}", env::consts::EXE_SUFFIX);
        target.join(directory).join(name)
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FatLto => "fat LTO, one codegen unit",
            Self::Observed => "features `tracing` and `metrics`, no listener",
        })
    }
}
