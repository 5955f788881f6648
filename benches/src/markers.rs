//! Between two looks at files of these names lies what strace is to count.

pub const BEGIN: &str = "/the-close-begins";
pub const END: &str = "/the-close-ends";
