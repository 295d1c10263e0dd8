use std::time::Duration;

use clap::{CommandFactory, Parser};

use super::args::{Cli, duration};

fn parse(args: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("undertone").chain(args.split_whitespace()))
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn waits_are_the_users_else_the_commands() {
    assert_eq!(parse("read Bob").unwrap().options.wait(5), Duration::from_secs(5));
    assert_eq!(parse("read Bob --wait 60").unwrap().options.wait(5), Duration::from_secs(60));
    assert_eq!(parse("--no-wait read Bob").unwrap().options.wait(5), Duration::ZERO);
    assert!(parse("read Bob --wait 60 --no-wait").is_err());
}

#[test]
fn times_have_a_number_and_a_unit() {
    let seconds = |text: &str| duration(text).map(|time| time.as_secs());
    assert_eq!(seconds("30s"), Ok(30));
    assert_eq!(seconds("5m"), Ok(300));
    assert_eq!(seconds("2h"), Ok(7_200));
    assert_eq!(seconds("7d"), Ok(604_800));
    assert_eq!(seconds("1w"), Ok(604_800));
    for wrong in ["", "7", "d", "-1d", "1.5h", "7x", "7é", "99999999999999999999d", "99999999999999w"] {
        assert!(seconds(wrong).is_err(), "{wrong}");
    }
}
