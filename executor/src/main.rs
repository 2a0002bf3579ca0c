//! The `healer` program: parses, hands over, exits. All else is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use healer::cli::{Cli, execute};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell where this fails (a closed pipe).
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    ExitCode::from(u8::from(execute(cli)))
}
