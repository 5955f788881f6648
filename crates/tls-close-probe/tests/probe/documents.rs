//! What the program prints about itself.

use serde_json::Value;

use crate::run::{run, text};

#[tokio::test]
async fn the_schema_is_that_of_the_package() {
    let output = run(&["--schema"]).await;
    assert_eq!(output.status.code(), Some(0));
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    assert_eq!(
        text(&output.stdout),
        include_str!("../../report.schema.json")
    );
}

#[tokio::test]
async fn the_version_is_that_of_the_package() {
    let output = run(&["--version"]).await;
    assert_eq!(output.status.code(), Some(0));
    let expected = format!("tls-close-probe {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&output.stdout), expected);
}

#[tokio::test]
async fn completions_and_man_page_have_the_options() {
    for args in [
        &["--completions", "bash"][..],
        &["--completions", "zsh"],
        &["--completions", "fish"],
        &["--completions", "powershell"],
        &["--completions", "elvish"],
        &["--man"],
        &["--help"],
    ] {
        let output = run(args).await;
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let stdout = text(&output.stdout).replace('\\', "");
        for option in ["starttls", "fail-on", "watch"] {
            assert!(stdout.contains(option), "{option} in {args:?}");
        }
    }
}

#[tokio::test]
async fn help_has_the_exit_statuses() {
    let output = run(&["--help"]).await;
    assert!(text(&output.stdout).contains("Exit status:"));
    let output = run(&["--man"]).await;
    assert!(text(&output.stdout).contains("Exit status:"));
}
