//! The checks of the fuzz targets, which `tests/corpora.rs` shares.

#[path = "../../support/checks.rs"]
#[allow(dead_code)]
mod checks;
#[path = "../../support/spellings.rs"]
#[allow(dead_code)]
mod spellings;

macro_rules! targets {
    ($($name:ident),*) => {$(
        pub fn $name(input: &[u8]) {
            checks::$name(input);
        }
    )*};
}

targets!(readings, cookies, configuration, form, record, ticket, registration, assertion);
