//! The table of cases and the names of the tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The numbers of the table, such as `b14`.
fn table() -> BTreeSet<String> {
    let text = fs::read_to_string(tests().join("CASES.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter_map(|row| number(row.split(' ').next().unwrap()))
        .collect()
}

/// `B14` of the table and `b14` of a test are the same case.
fn number(text: &str) -> Option<String> {
    let mut chars = text.chars();
    let letter = chars.next()?.to_ascii_lowercase();
    let digits = chars.as_str();
    let is_number = ('a'..='g').contains(&letter)
        && (1..=2).contains(&digits.len())
        && digits.chars().all(|c| c.is_ascii_digit());
    is_number.then(|| format!("{letter}{digits:0>2}"))
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_case_that_a_test_names_is_in_the_table() {
    let table = table();
    assert!(table.len() > 100, "the table cannot be read: {table:?}");
    let mut files = Vec::new();
    sources(&tests(), &mut files);
    let mut named = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let functions = text.lines().filter_map(|line| line.split("fn ").nth(1));
        for name in functions {
            // More than one if it proves more than one.
            let cases = name.split('_').map_while(|part| {
                let is_case = part.len() == 3;
                number(part).filter(|_| is_case)
            });
            for case in cases {
                assert!(table.contains(&case), "{name} of {}", file.display());
                named.insert(case);
            }
        }
    }
    assert!(named.len() > 100, "the tests cannot be read: {named:?}");
}
