//! What the program prints about itself: its JSON Schema, completions and man page.

use clap::CommandFactory;

use crate::args::Args;

const SCHEMA: &str = include_str!("../report.schema.json");

/// Returns the document that is asked for, if one is.
pub(crate) fn document(args: &Args) -> anyhow::Result<Option<String>> {
    let mut command = Args::command();
    let mut text = Vec::new();
    if args.schema {
        return Ok(Some(SCHEMA.into()));
    } else if let Some(shell) = args.completions {
        let name = command.get_name().to_owned();
        clap_complete::generate(shell, &mut command, name, &mut text);
    } else if args.man {
        clap_mangen::Man::new(command).render(&mut text)?;
    } else {
        return Ok(None);
    }
    Ok(Some(String::from_utf8(text)?))
}
