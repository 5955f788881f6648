//! The program as its users run it, against servers that end in each way there is.

mod closes;
mod documents;
mod floods;
mod lists;
mod output;
mod pages;
#[path = "../../../../tests/support/pair.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]
mod pair;
mod programs;
mod refusals;
mod run;
mod scripts;
mod servers;
mod starttls;
mod timelines;
mod watches;
